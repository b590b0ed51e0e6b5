// Receiver indices: 32 bits whose low `slot_bits` are a free slot of the session table, so that the
// packet path finds a session by one array access and a compare; above them stands the worker that
// owns the session, so that whoever receives a packet knows whom to hand it to. The rest is random.
// Control-plane thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/rng.hpp"

namespace ringway::tunnel {

inline constexpr unsigned kWorkerBits = 4;
static_assert(kMaxWorkers == std::size_t{1} << kWorkerBits);

[[nodiscard]] constexpr WorkerId owner_of(ReceiverIndex index, unsigned slot_bits) {
  return {static_cast<std::uint8_t>(index.value >> slot_bits & (kMaxWorkers - 1))};
}

class ReceiverIndexAllocator {
 public:
  // slot_bits: 1..24; 2^slot_bits sessions and handshakes at once.
  ReceiverIndexAllocator(unsigned slot_bits, Rng& rng);

  // Empty when the table is full.
  [[nodiscard]] std::optional<ReceiverIndex> allocate(WorkerId owner);
  // The slot may be used again.
  void release(ReceiverIndex index);
  [[nodiscard]] std::size_t used() const { return used_count_; }
  [[nodiscard]] std::size_t capacity() const { return used_.size(); }

 private:
  Rng& rng_;
  unsigned slot_bits_;
  std::uint32_t mask_;
  std::vector<bool> used_;
  std::size_t used_count_ = 0;
};

}  // namespace ringway::tunnel
