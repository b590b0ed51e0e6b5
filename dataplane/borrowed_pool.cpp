#include "dataplane/borrowed_pool.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <utility>

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
  std::size_t done = 0;
  while (done < view_.free_.size()) {
    std::array<Homecoming, kBurst> leaving;
    std::size_t count = 0;
    std::size_t looked_at = done;
    for (; looked_at < view_.free_.size() && count < kBurst; ++looked_at) {
      const std::uint32_t buffer = view_.free_[looked_at];
      // It has come again meanwhile, or stands in the list twice because it had.
      if (view_.references_[buffer] != 0 || adopted_[buffer] == 0) continue;
      leaving[count++] = {buffer, std::exchange(adopted_[buffer], std::uint16_t{0})};
    }
    const std::size_t pushed = home_.push_burst({leaving.data(), count});
    done = looked_at;
    if (pushed == count) continue;
    for (; count > pushed; --count) {
      const Homecoming& waiting = leaving[count - 1];
      adopted_[waiting.buffer] = waiting.references;
      view_.free_[--done] = waiting.buffer;
    }
    break;
  }
  view_.free_.erase(view_.free_.begin(), view_.free_.begin() + static_cast<std::ptrdiff_t>(done));
}

void BorrowedPool::take_back() {
  std::array<Homecoming, kBurst> home;
  for (std::size_t count = kBurst; count == kBurst;) {
    count = home_.pop_burst(home);
    for (std::size_t i = 0; i < count; ++i) {
      Slot slot;
      slot.buffer = home[i].buffer;
      slot.home = &lender_;
      for (std::uint16_t j = 0; j < home[i].references; ++j)
        BufferPool::release(slot);
    }
  }
}

}  // namespace ringway
