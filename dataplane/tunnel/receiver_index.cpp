#include "dataplane/tunnel/receiver_index.hpp"

#include "base/check.hpp"

namespace ringway::tunnel {

ReceiverIndexAllocator::ReceiverIndexAllocator(unsigned slot_bits, Rng& rng)
    : rng_(rng),
      slot_bits_(slot_bits),
      mask_((std::uint32_t{1} << slot_bits) - 1),
      used_(std::size_t{1} << slot_bits) {
  CHECK(slot_bits >= 1 && slot_bits <= 24);
}

std::optional<ReceiverIndex> ReceiverIndexAllocator::allocate(WorkerId owner) {
  if (used_count_ == used_.size()) return std::nullopt;
  const std::uint32_t owner_mask = std::uint32_t{kMaxWorkers - 1} << slot_bits_;
  ReceiverIndex index{(rng_.next_u32() & ~owner_mask) | std::uint32_t{owner.value} << slot_bits_};
  // A nearly full table would make drawing at random slow: walk on to the next free slot.
  while (used_[index.value & mask_]) {
    const std::uint32_t next_slot = (index.value + 1) & mask_;
    index.value = (index.value & ~mask_) | next_slot;
  }
  used_[index.value & mask_] = true;
  ++used_count_;
  return index;
}

void ReceiverIndexAllocator::release(ReceiverIndex index) {
  CHECK(used_[index.value & mask_]);
  used_[index.value & mask_] = false;
  --used_count_;
}

}  // namespace ringway::tunnel
