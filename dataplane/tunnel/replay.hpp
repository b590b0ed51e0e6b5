// The replay window of one session (RFC 6479: a ring of words, so that moving the window clears
// whole words). Consulted only after a packet authenticated.
#pragma once

#include <array>
#include <cstddef>
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
  [[nodiscard]] bool accept(std::uint64_t counter, std::uint64_t reject_after) {
    if (counter >= reject_after) return false;
    if (counter >= next_) {
      advance_to(counter);
    } else if (next_ - 1 - counter > kUsableBits) {
      return false;
    }
    // next_ is not 0 any more.
    const bool is_in_newest = number_of(counter) == number_of(next_ - 1);
    std::uint64_t& word = is_in_newest ? newest_seen_ : seen_[place_of(counter)];
    const std::uint64_t bit = std::uint64_t{1} << (counter % kBitsPerWord);
    const bool is_new = (word & bit) == 0;
    word |= bit;
    return is_new;
  }
  [[nodiscard]] std::uint64_t newest() const { return next_ == 0 ? 0 : next_ - 1; }

 private:
  // Words are numbered from counter 0 on, and stand in the ring by their number.
  [[nodiscard]] static std::uint64_t number_of(std::uint64_t counter) {
    return counter / kBitsPerWord;
  }
  [[nodiscard]] static std::size_t place_of(std::uint64_t counter) {
    return number_of(counter) % kWords;
  }
  // The words between the old newest counter and the new one still hold counters of one lap ago.
  void advance_to(std::uint64_t counter) {
    const std::uint64_t old_word = number_of(newest());
    const std::uint64_t new_word = number_of(counter);
    next_ = counter + 1;  // counter < reject_after, so this cannot wrap
    if (new_word == old_word) return;
    if (new_word - old_word >= kWords) {
      seen_.fill(0);
    } else {
      seen_[old_word % kWords] = newest_seen_;
      for (std::uint64_t word = old_word + 1; word < new_word; ++word)
        seen_[word % kWords] = 0;
    }
    newest_seen_ = 0;
  }

  static constexpr std::uint64_t kWords = kReplayWindowBits / kBitsPerWord;
  std::uint64_t next_ = 0;  // one past the newest counter seen
  // The word of the newest counter, in which most packets' are: beside it, so that they look at one
  // cache line. What stands in its place in the ring says nothing.
  std::uint64_t newest_seen_ = 0;
  std::array<std::uint64_t, kWords> seen_{};
};

}  // namespace ringway::tunnel
