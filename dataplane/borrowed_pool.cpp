#include "dataplane/borrowed_pool.hpp"

#include <bit>
#include <optional>

#include "base/check.hpp"

namespace ringway {

BorrowedPool::BorrowedPool(BufferPool& lender)
    : lender_(lender),
      view_(lender, nullptr),
      adopted_(lender.capacity()),
      home_(std::bit_ceil(std::size_t{lender.capacity()})) {}

void BorrowedPool::adopt(Slot& slot) {
  DCHECK(slot.home == &lender_);
  ++adopted_[slot.buffer];
  if (view_.references_[slot.buffer]++ == 0) ++view_.allocated_;
  slot.home = &view_;
}

void BorrowedPool::return_home() {
  std::size_t waiting = 0;
  for (const std::uint32_t buffer : view_.free_) {
    // It has come again meanwhile, or stands in the list twice because it had.
    if (view_.references_[buffer] != 0 || adopted_[buffer] == 0) continue;
    if (home_.try_push({buffer, adopted_[buffer]})) {
      adopted_[buffer] = 0;
    } else {
      view_.free_[waiting++] = buffer;
    }
  }
  view_.free_.resize(waiting);
}

void BorrowedPool::take_back() {
  while (const auto back = home_.try_pop()) {
    Slot slot;
    slot.buffer = back->buffer;
    slot.home = &lender_;
    for (std::uint16_t i = 0; i < back->references; ++i)
      BufferPool::release(slot);
  }
}

}  // namespace ringway
