#include "dataplane/forwarding/egress_shares.hpp"

#include <algorithm>
#include <bit>

namespace ringway::forwarding {
namespace {

// What can wait: in the queue, and as much in the device, which tells by a queue of the same length
// what it has sent.
std::uint32_t most_waiting(std::uint32_t slots) {
  return std::bit_ceil(2 * std::max<std::uint32_t>(slots, 1));
}

}  // namespace

EgressShares::EgressShares(const io::TxQueue& queue)
    : slots_(queue.slots),
      begin_at_(queue.slots == 0 ? UINT32_MAX : queue.slots / kBeginPart),
      end_at_(queue.slots / kEndPart),
      reserve_(queue.slots / kReservePart),
      waiting_(most_waiting(queue.slots)),
      costs_(kSubscribers) {}

void EgressShares::count_on(const io::TxQueue& queue, Instant now) {
  counting_ = true;
  now_ = now;
  room_ = slots_ - std::min(queue.queued, slots_);
  while (count_ > queue.waiting)
    remove_oldest();
}

bool EgressShares::admits(PeerId subscriber, std::uint32_t frame_bytes) {
  Frame frame{0, 0};
  if (subscriber != PeerId::none()) {
    if (last_ != PeerId::none() && last_ != subscriber) company_until_ = now_ + kCompanyLasts;
    last_ = subscriber;
    frame = {subscriber.value % kSubscribers, frame_bytes + kFrameCost};
    const bool alone = now_ >= company_until_ && room_ > reserve_;
    const std::uint32_t share = room_ * kPlaceBytes;
    if (!alone && costs_[frame.subscriber] > share) return false;
  }
  if (count_ == waiting_.size()) remove_oldest();
  waiting_[(head_ + count_++) % waiting_.size()] = frame;
  costs_[frame.subscriber] += frame.cost;
  if (room_ > 0) --room_;
  return true;
}

void EgressShares::remove_oldest() {
  const Frame& frame = waiting_[head_];
  costs_[frame.subscriber] -= frame.cost;
  head_ = (head_ + 1) % static_cast<std::uint32_t>(waiting_.size());
  --count_;
}

void EgressShares::forget() {
  while (count_ > 0)
    remove_oldest();
  counting_ = false;
}

}  // namespace ringway::forwarding
