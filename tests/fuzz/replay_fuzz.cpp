// The replay window against the rule it implements, for any sequence of counters and limits.
// Input: 9-byte steps: one byte that says how the next counter is made, then a number.
#include <algorithm>
#include <cstdint>
#include <unordered_set>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "dataplane/tunnel/replay.hpp"

namespace {

using ringway::tunnel::ReplayWindow;

// Remembers every counter ever accepted.
class NaiveWindow {
 public:
  bool accept(std::uint64_t counter, std::uint64_t reject_after) {
    if (counter >= reject_after) return false;
    if (counter < newest_ && newest_ - counter > ReplayWindow::kUsableBits) return false;
    if (!seen_.insert(counter).second) return false;
    newest_ = std::max(newest_, counter);
    return true;
  }
  [[nodiscard]] std::uint64_t newest() const { return newest_; }

 private:
  std::unordered_set<std::uint64_t> seen_;
  std::uint64_t newest_ = 0;
};

constexpr std::size_t kStepBytes = 9;

// Near the newest, where the edges are, or anywhere.
std::uint64_t make_counter(std::uint8_t kind, std::uint64_t number, std::uint64_t newest) {
  switch (kind % 6) {
    case 0:
      return number;
    case 1:
      return newest + number % 70;
    case 2:
      return newest - number % 70;
    case 3:
      return newest - ReplayWindow::kUsableBits + number % 140 - 70;
    case 4:
      return newest + ReplayWindow::kUsableBits + number % 140 - 70;
    default:
      return newest - number % (2 * ReplayWindow::kUsableBits);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < sizeof(std::uint64_t)) return 0;
  const std::uint64_t reject_after = ringway::load_le<std::uint64_t>(data);
  data += sizeof reject_after;
  size -= sizeof reject_after;
  ReplayWindow window;
  NaiveWindow naive;
  for (; size >= kStepBytes; data += kStepBytes, size -= kStepBytes) {
    const std::uint64_t counter =
        make_counter(data[0], ringway::load_le<std::uint64_t>(data + 1), naive.newest());
    CHECK(window.accept(counter, reject_after) == naive.accept(counter, reject_after));
    CHECK(window.newest() == naive.newest());
  }
  return 0;
}
