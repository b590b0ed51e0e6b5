#include "dataplane/tunnel/replay.hpp"

namespace ringway::tunnel {

bool ReplayWindow::accept(std::uint64_t counter, std::uint64_t reject_after) {
  if (counter >= reject_after) return false;
  if (counter >= next_) {
    advance_to(counter);
  } else if (next_ - 1 - counter > kUsableBits) {
    return false;
  }
  std::uint64_t& word = seen_[counter / kBitsPerWord % kWords];
  const std::uint64_t bit = std::uint64_t{1} << (counter % kBitsPerWord);
  const bool is_new = (word & bit) == 0;
  word |= bit;
  return is_new;
}

// The words between the old newest counter and the new one still hold counters of one lap ago.
void ReplayWindow::advance_to(std::uint64_t counter) {
  const std::uint64_t old_word = newest() / kBitsPerWord;
  const std::uint64_t new_word = counter / kBitsPerWord;
  if (new_word - old_word >= kWords) {
    seen_.fill(0);
  } else {
    for (std::uint64_t word = old_word + 1; word <= new_word; ++word)
      seen_[word % kWords] = 0;
  }
  next_ = counter + 1;  // counter < reject_after, so this cannot wrap
}

}  // namespace ringway::tunnel
