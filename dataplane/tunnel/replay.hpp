// The replay window of one session (RFC 6479: a ring of words, so that moving the window clears
// whole words). Consulted only after a packet authenticated.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/tunnel/messages.hpp"

namespace ringway::tunnel {

class ReplayWindow {
 public:
  static constexpr std::uint64_t kBitsPerWord = 64;
  // One word is always being reused, so this many counters behind the newest are remembered.
  static constexpr std::uint64_t kUsableBits = kReplayWindowBits - kBitsPerWord;

  // True, and the counter is marked as seen, when it is new; false when it is a duplicate, too old,
  // or at or past `reject_after`.
  [[nodiscard]] bool accept(std::uint64_t counter, std::uint64_t reject_after);
  [[nodiscard]] std::uint64_t newest() const { return next_ == 0 ? 0 : next_ - 1; }

 private:
  void advance_to(std::uint64_t counter);

  static constexpr std::uint64_t kWords = kReplayWindowBits / kBitsPerWord;
  std::uint64_t next_ = 0;  // one past the newest counter seen
  std::array<std::uint64_t, kWords> seen_{};
};

}  // namespace ringway::tunnel
