// Buffers of another worker's pool that this worker has in its hands. A slot that was handed over
// gets this as its home, so that every stage retains and releases it as any other; the counts are
// this worker's own, and the lender's are touched by the lender only.
//
//   lender: a slot ──(hand-off)──► adopt() ── retain, release ──► the last release
//   lender: its pool ◄── take_back() ◄──(ring)◄── return_home() ◄──────┘
//
// The borrower's thread, but for take_back(), which is the lender's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/spsc_ring.hpp"
#include "dataplane/buffer_pool.hpp"

namespace ringway {

class BorrowedPool {
 public:
  // `lender` outlives this.
  explicit BorrowedPool(BufferPool& lender);
  BorrowedPool(const BorrowedPool&) = delete;
  BorrowedPool& operator=(const BorrowedPool&) = delete;

  [[nodiscard]] const BufferPool* lender() const { return &lender_; }

  // The slot's reference to its buffer is this worker's from now on.
  void adopt(Slot& slot);
  // Sends buffers that nobody here refers to any more on their way; once a turn. What finds no room
  // waits for the next.
  void return_home();
  // Lender's thread: puts what came home into its pool; once a turn.
  void take_back();

  // Buffers that slots of this worker refer to.
  [[nodiscard]] std::uint64_t held() const { return view_.allocated() - view_.freed(); }

 private:
  struct Homecoming {
    std::uint32_t buffer = 0;
    std::uint16_t references = 0;  // the lender's, that came with slots
  };

  static constexpr std::size_t kBurst = 64;  // buffers that go home together

  BufferPool& lender_;
  BufferPool view_;
  std::vector<std::uint16_t> adopted_;  // by buffer: slots it came in and that are not back
  // As large as the pool. A buffer may stand in it several times: the slots of a train may come,
  // and go, one by one while the lender is busy.
  SpscRing<Homecoming> home_;
};

}  // namespace ringway
