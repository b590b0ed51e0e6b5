#include "dataplane/hand_over.hpp"

#include <bit>

#include "base/bytes.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/tunnel/receiver_index.hpp"

namespace ringway {
namespace {

// Everything but data is handled where it arrived, and so is what no worker can have sent for.
WorkerId owner_of_sealed(const WorkerState& worker, const Slot& slot) {
  using Layout = tunnel::DataLayout;
  const WorkerId self = worker.handoff->self();
  if (slot.length < Layout::kMinSize ||
      slot.data[0] != static_cast<std::uint8_t>(tunnel::MessageType::kData)) {
    return self;
  }
  const ReceiverIndex receiver{load_le<std::uint32_t>(slot.data + Layout::kReceiver)};
  const WorkerId owner = tunnel::owner_of(receiver, worker.session_slot_bits);
  return owner.value < worker.handoff->workers() ? owner : self;
}

void give(WorkerState& worker, HandoffKind kind, WorkerId owner, std::span<Slot> slots) {
  worker.counters.handed_over.add(slots.size());
  const auto refused = worker.handoff->give(owner, kind, slots);
  if (refused.no_room > 0) worker.drop(DropReason::kHandoffFull, refused.no_room);
  if (refused.no_buffer > 0) worker.drop(DropReason::kHandoffNoBuffer, refused.no_buffer);
}

}  // namespace

void Leaving::hand_over(WorkerState& worker, HandoffKind kind) {
  std::uint32_t owners = 0;  // a bit each
  for (std::size_t i = 0; i < count_; ++i)
    owners |= 1U << owners_[i].value;
  if (std::has_single_bit(owners)) {
    give(worker, kind, owners_[0], {slots_.data(), count_});
    count_ = 0;
    return;
  }
  Scratch<Slot, kVectorSegments> together;
  for (; owners != 0; owners &= owners - 1) {
    const WorkerId owner{static_cast<std::uint8_t>(std::countr_zero(owners))};
    std::size_t count = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      if (owners_[i] == owner) together[count++] = slots_[i];
    }
    give(worker, kind, owner, {together.data(), count});
  }
  count_ = 0;
}

std::size_t keep_own_sealed(WorkerState& worker, std::span<Slot> datagrams) {
  if (worker.handoff == nullptr) return datagrams.size();
  Leaving leaving;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    const WorkerId owner = owner_of_sealed(worker, datagrams[i]);
    if (owner != worker.handoff->self()) {
      leaving.add(datagrams[i], owner);
      continue;
    }
    if (kept != i) datagrams[kept] = datagrams[i];
    ++kept;
  }
  leaving.hand_over(worker, HandoffKind::kSealed);
  return kept;
}

std::size_t keep_own_routed(WorkerState& worker, std::span<Slot> packets, std::span<PeerId> peers) {
  if (worker.handoff == nullptr) return packets.size();
  Leaving leaving;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const std::uint32_t id = peers[i].value;
    const bool elsewhere = id < worker.owners.size() && worker.peers[id] == nullptr &&
                           worker.owners[id] != worker.handoff->self();
    if (elsewhere) {
      leaving.add(packets[i], worker.owners[id]);
      continue;
    }
    if (kept != i) {
      packets[kept] = packets[i];
      peers[kept] = peers[i];
    }
    ++kept;
  }
  leaving.hand_over(worker, HandoffKind::kInner);
  return kept;
}

std::size_t send_frames_of_others(WorkerState& worker) {
  if (worker.handoff == nullptr || worker.internet == nullptr) return 0;
  Scratch<Slot, kVectorSegments> frames;
  const std::size_t taken =
      worker.handoff->take(HandoffKind::kFrame, {frames.data(), frames.size()});
  if (taken == 0) return 0;
  const std::size_t refused = worker.internet->ethernet->send_frames({frames.data(), taken});
  if (refused > 0) worker.drop(DropReason::kTxFailed, refused);
  return taken;
}

}  // namespace ringway
