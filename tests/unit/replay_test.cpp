#include "dataplane/tunnel/replay.hpp"

#include <algorithm>
#include <cstdint>
#include <unordered_set>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace ringway::tunnel {
namespace {

constexpr std::uint64_t kNoLimit = UINT64_MAX;
constexpr std::uint64_t kWindow = ReplayWindow::kUsableBits;

// The rule as one would say it: remembers every counter ever accepted.
class NaiveWindow {
 public:
  bool accept(std::uint64_t counter, std::uint64_t reject_after) {
    if (counter >= reject_after) return false;
    if (!seen_.empty() && counter < newest_ && newest_ - counter > kWindow) return false;
    if (!seen_.insert(counter).second) return false;
    newest_ = std::max(newest_, counter);
    return true;
  }

 private:
  std::unordered_set<std::uint64_t> seen_;
  std::uint64_t newest_ = 0;
};

TEST(ReplayWindow, AcceptsTheFirstCounterWhateverItIs) {
  for (const std::uint64_t first :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{63}, std::uint64_t{64}, kWindow,
        kReplayWindowBits, kReplayWindowBits + 1, std::uint64_t{1} << 40, UINT64_MAX - 1}) {
    ReplayWindow window;
    EXPECT_TRUE(window.accept(first, kNoLimit)) << first;
    EXPECT_FALSE(window.accept(first, kNoLimit)) << first;
    EXPECT_EQ(window.newest(), first);
  }
}

TEST(ReplayWindow, RejectsDuplicates) {
  ReplayWindow window;
  for (const std::uint64_t counter : {0U, 1U, 9U, 8U, 7U}) {
    EXPECT_TRUE(window.accept(counter, kNoLimit)) << counter;
  }
  for (const std::uint64_t counter : {0U, 1U, 7U, 8U, 9U}) {
    EXPECT_FALSE(window.accept(counter, kNoLimit)) << counter;
  }
}

TEST(ReplayWindow, RemembersExactlyItsUsableBits) {
  static_assert(kWindow == 8128);
  // The newest at every position within a word, since the ring moves by words.
  for (std::uint64_t offset = 0; offset < 200; ++offset) {
    const std::uint64_t newest = kWindow * 3 + offset;
    for (const std::uint64_t behind : {kWindow - 1, kWindow}) {
      ReplayWindow window;
      ASSERT_TRUE(window.accept(newest, kNoLimit));
      EXPECT_TRUE(window.accept(newest - behind, kNoLimit)) << offset << " " << behind;
      EXPECT_FALSE(window.accept(newest - behind, kNoLimit)) << offset << " " << behind;
    }
    for (const std::uint64_t behind : {kWindow + 1, kWindow + 2, kReplayWindowBits}) {
      ReplayWindow window;
      ASSERT_TRUE(window.accept(newest, kNoLimit));
      EXPECT_FALSE(window.accept(newest - behind, kNoLimit)) << offset << " " << behind;
    }
  }
}

TEST(ReplayWindow, TakesAWholeWindowBackwards) {
  ReplayWindow window;
  for (std::uint64_t counter = kWindow + 1; counter-- > 0;) {
    ASSERT_TRUE(window.accept(counter, kNoLimit)) << counter;
  }
  for (std::uint64_t counter = 0; counter <= kWindow; ++counter) {
    ASSERT_FALSE(window.accept(counter, kNoLimit)) << counter;
  }
}

TEST(ReplayWindow, ForgetsWhatLiesOneLapBack) {
  ReplayWindow window;
  for (std::uint64_t counter = 0; counter < kReplayWindowBits; ++counter) {
    ASSERT_TRUE(window.accept(counter, kNoLimit));
  }
  // A jump of less than, exactly, and more than a lap: none of the new counters was seen.
  for (const std::uint64_t jump : {kWindow, kReplayWindowBits, 5 * kReplayWindowBits}) {
    ReplayWindow moved = window;
    const std::uint64_t newest = kReplayWindowBits - 1 + jump;
    ASSERT_TRUE(moved.accept(newest, kNoLimit));
    for (std::uint64_t counter = std::max(kReplayWindowBits, newest - kWindow); counter < newest;
         ++counter) {
      ASSERT_TRUE(moved.accept(counter, kNoLimit)) << jump << " " << counter;
    }
  }
}

TEST(ReplayWindow, RefusesAtAndPastTheLimitAndIsNotMovedByIt) {
  for (const Suite suite : {Suite::kChaCha20Poly1305, Suite::kAes256Gcm}) {
    const std::uint64_t limit = packet_limits(suite).reject_after;
    ReplayWindow window;
    EXPECT_TRUE(window.accept(5, limit));
    EXPECT_FALSE(window.accept(limit, limit));
    EXPECT_FALSE(window.accept(limit + 1, limit));
    EXPECT_FALSE(window.accept(UINT64_MAX, limit));
    EXPECT_EQ(window.newest(), 5U);
    EXPECT_TRUE(window.accept(4, limit));
    EXPECT_TRUE(window.accept(limit - 1, limit));
    EXPECT_TRUE(window.accept(limit - 2, limit));
    EXPECT_FALSE(window.accept(limit - 1, limit));
    EXPECT_FALSE(window.accept(6, limit));
  }
}

// Steps such as a network makes: mostly forward, some reordering, some replays, rare jumps.
std::uint64_t next_counter(Rng& rng, std::uint64_t newest) {
  const std::uint64_t back = rng.below(std::min(newest, 2 * kReplayWindowBits) + 1);
  switch (rng.below(16)) {
    case 0:
      return newest + rng.below(3 * kReplayWindowBits);
    case 1:
      return newest - std::min(newest, kWindow - 2 + rng.below(5));
    case 2:
    case 3:
    case 4:
      return newest - back;
    case 5:
    case 6:
    case 7:
      return newest - std::min(newest, rng.below(64));
    default:
      return newest + 1 + rng.below(3);
  }
}

TEST(ReplayWindow, AgreesWithTheNaiveRuleOnRandomSequences) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SeededRng rng(seed);
    ReplayWindow window;
    NaiveWindow naive;
    const std::uint64_t limit = seed % 2 == 0 ? kNoLimit : 200'000;
    for (int step = 0; step < 20'000; ++step) {
      const std::uint64_t counter = next_counter(rng, window.newest());
      ASSERT_EQ(window.accept(counter, limit), naive.accept(counter, limit))
          << "seed " << seed << " step " << step << " counter " << counter;
    }
  }
}

}  // namespace
}  // namespace ringway::tunnel
