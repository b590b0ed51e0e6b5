#include "dataplane/shaper.hpp"

#include "base/net/inner_packet.hpp"

namespace ringway {
namespace {

bool later(const Shaper::Due& left, const Shaper::Due& right) {
  return left.at > right.at;
}

// Two full packets: with less, the queue of a low rate would never be short enough (RFC 8289
// section 4.4).
constexpr std::uint32_t kTargetBytes = 2 * 1500;

}  // namespace

Shaper::Shaper(std::uint32_t buffers, std::uint32_t packet_bytes)
    : packet_bytes_(packet_bytes), pool_(buffers, packet_bytes, 0), entries_(buffers) {
  due_.reserve(buffers);
}

std::uint8_t* Shaper::hold(PeerId peer, SubscriberWay way, ShapedWay& queue,
                           std::uint32_t packet_bytes, Instant now) {
  Slot slot;
  if (is_full(queue) || packet_bytes > packet_bytes_ || !pool_.allocate(slot)) return nullptr;
  entries_[slot.buffer] = {slot.data, packet_bytes, 0, now};
  (queue.count == 0 ? queue.head : entries_[queue.tail].next) = slot.buffer;
  queue.tail = slot.buffer;
  queue.bytes += packet_bytes;
  if (++queue.count == 1) wait_again(peer, way, queue, now);
  return slot.data;
}

bool Shaper::take_due(Due& due, Instant now) {
  if (next_deadline() > now) return false;
  std::ranges::pop_heap(due_, later);
  due = due_.back();
  due_.pop_back();
  return true;
}

bool Shaper::pop(ShapedWay& queue, Slot& slot, std::uint64_t& dropped, Instant now) {
  const Duration target = std::max(CoDel::kTarget, queue.limiter.time_of(kTargetBytes));
  while (queue.count > 0 && !queue.limiter.exceeded(now)) {
    Duration waited;
    slot = take_head(queue, waited, now);
    const bool signals = queue.codel.signals(waited, queue.count == 0, target, now);
    if (!signals || net::decapsulate_ecn({slot.data, slot.length}, net::kCe)) return true;
    BufferPool::release(slot);
    ++dropped;
  }
  return false;
}

void Shaper::wait_again(PeerId peer, SubscriberWay way, const ShapedWay& queue, Instant now) {
  if (queue.count == 0) return;
  due_.push_back({std::max(queue.limiter.free_at(), now + kTick), peer, way});
  std::ranges::push_heap(due_, later);
}

std::uint32_t Shaper::drop_all(PeerId peer, ShapedWay& up, ShapedWay& down) {
  std::uint32_t dropped = 0;
  for (ShapedWay* queue : {&up, &down}) {
    for (Duration waited; queue->count > 0; ++dropped)
      BufferPool::release(take_head(*queue, waited, {}));
  }
  if (dropped > 0) {
    std::erase_if(due_, [peer](const Due& due) { return due.peer == peer; });
    std::ranges::make_heap(due_, later);
  }
  return dropped;
}

Slot Shaper::take_head(ShapedWay& queue, Duration& waited, Instant now) {
  const Entry& entry = entries_[queue.head];
  const Slot slot = pool_.slot_at(entry.data, entry.bytes);
  waited = now - entry.since;
  queue.head = entry.next;
  queue.bytes -= entry.bytes;
  --queue.count;
  return slot;
}

}  // namespace ringway
