// Receiver indices: 32 random bits whose low `slot_bits` are a free slot of the worker's session
// table, so that the packet path finds a session by one array access and a compare.
// Control-plane thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/rng.hpp"

namespace ringway::tunnel {

class ReceiverIndexAllocator {
 public:
  // slot_bits: 1..24; 2^slot_bits sessions and handshakes at once.
  ReceiverIndexAllocator(unsigned slot_bits, Rng& rng);

  // Empty when the table is full.
  [[nodiscard]] std::optional<ReceiverIndex> allocate();
  // The slot may be used again.
  void release(ReceiverIndex index);
  [[nodiscard]] std::size_t used() const { return used_count_; }
  [[nodiscard]] std::size_t capacity() const { return used_.size(); }

 private:
  Rng& rng_;
  std::uint32_t mask_;
  std::vector<bool> used_;
  std::size_t used_count_ = 0;
};

}  // namespace ringway::tunnel
