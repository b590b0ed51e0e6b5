#include "dataplane/forwarding/egress_shares.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/samples.hpp"

namespace ringway::forwarding {
namespace {

using testing_support::kStart;

constexpr std::uint32_t kFull = 1500;
constexpr std::uint32_t kSmall = 64;
constexpr PeerId kPolite{0};

// What a subscriber sends, by the tick; and what became of it.
struct Sender {
  PeerId peer;
  double frames_a_tick;
  std::uint32_t frame_bytes;
  double owed = 0;
  std::uint64_t offered = 0;
  std::uint64_t refused = 0;  // as above its share
  std::uint64_t lost = 0;     // the queue was full
  std::uint64_t sent_bytes = 0;

  void begin_again() { offered = refused = lost = sent_bytes = 0; }
};

// A port with a wire of 1 Gbit/s, and a device that keeps some frames of its own.
class EgressSharesTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kSlots = 1024;
  static constexpr std::uint32_t kInDevice = 100;
  static constexpr std::uint32_t kTickBytes = 12'500;
  static constexpr Duration kTick = Duration::microseconds(100);
  static constexpr std::size_t kRun = 64;

  struct Frame {
    std::size_t sender;
    std::uint32_t bytes;
    Instant since;
  };

  [[nodiscard]] io::TxQueue queue() const {
    const auto waiting = static_cast<std::uint32_t>(queue_.size());
    return {kSlots, waiting - std::min(waiting, kInDevice), waiting};
  }

  void offer(std::size_t number) {
    Sender& sender = senders_[number];
    ++sender.offered;
    if (shares_.counting() && !shares_.admits(sender.peer, sender.frame_bytes)) {
      ++sender.refused;
    } else if (queue().queued == kSlots) {
      ++sender.lost;
    } else {
      queue_.push_back({number, sender.frame_bytes, now_});
    }
  }

  // All arrive mixed: each time one of who is the furthest behind.
  void arrive() {
    for (Sender& sender : senders_)
      sender.owed += sender.frames_a_tick;
    for (std::size_t i = 0;; ++i) {
      const auto next =
          std::ranges::max_element(senders_, {}, [](const Sender& each) { return each.owed; });
      if (next->owed < 1) return;
      next->owed -= 1;
      if (i % kRun == 0) shares_.settle(queue(), now_);
      offer(static_cast<std::size_t>(next - senders_.begin()));
    }
  }

  void drain() {
    wire_bytes_ = std::min(wire_bytes_ + kTickBytes, kTickBytes + kFull);
    while (!queue_.empty() && queue_.front().bytes <= wire_bytes_) {
      const Frame& frame = queue_.front();
      wire_bytes_ -= frame.bytes;
      senders_[frame.sender].sent_bytes += frame.bytes;
      longest_wait_ = std::max(longest_wait_, now_ - frame.since);
      queue_.pop_front();
    }
  }

  void run(std::uint32_t ticks) {
    longest_wait_ = {};
    for (Sender& sender : senders_)
      sender.begin_again();
    for (std::uint32_t i = 0; i < ticks; ++i) {
      arrive();
      drain();
      now_ = now_ + kTick;
    }
  }

  // The frames that the wire carries in a tick.
  [[nodiscard]] static double wire(double share, std::uint32_t bytes = kFull) {
    return share * kTickBytes / bytes;
  }
  void expect_unharmed(const Sender& sender) const {
    EXPECT_GT(sender.offered, 0U);
    EXPECT_EQ(sender.refused, 0U);
    EXPECT_EQ(sender.lost, 0U);
  }

  EgressShares shares_{{kSlots, 0, 0}};
  std::vector<Sender> senders_;
  std::deque<Frame> queue_;
  Instant now_ = kStart;
  std::uint32_t wire_bytes_ = 0;
  Duration longest_wait_{};
};

TEST_F(EgressSharesTest, RefusesNobodyWhileTheWireKeepsUp) {
  senders_ = {{kPolite, wire(0.1), kFull}, {{1}, wire(0.85), kFull}};
  run(5000);
  for (const Sender& sender : senders_)
    expect_unharmed(sender);
  EXPECT_FALSE(shares_.counting()) << "nor does it count";
}

TEST_F(EgressSharesTest, OnlyTheGreedyIsRefusedBesideAPoliteOne) {
  senders_ = {{kPolite, wire(0.03, 200), 200}, {{1}, wire(2), kFull}};
  run(20'000);
  expect_unharmed(senders_[0]);
  EXPECT_GT(senders_[1].refused, 0U);
  EXPECT_EQ(senders_[1].lost, 0U);
  EXPECT_GT(senders_[1].sent_bytes, 0.96 * 20'000 * kTickBytes) << "and gets what the other leaves";
  EXPECT_LT(longest_wait_, Duration::milliseconds(12)) << "the reserve, as the polite one began";
  run(20'000);
  EXPECT_LT(longest_wait_, Duration::milliseconds(6)) << "a full queue would be 13 ms";
}

TEST_F(EgressSharesTest, AFloodOfSmallFramesDoesNotFillTheQueue) {
  senders_ = {{kPolite, wire(0.03, 200), 200}, {{1}, wire(2, kSmall), kSmall}};
  run(6'000);
  expect_unharmed(senders_[0]);
  EXPECT_GT(senders_[1].refused, 0U);
}

TEST_F(EgressSharesTest, GreedyOnesGetTheSameWhateverTheyWant) {
  senders_ = {{kPolite, wire(0.03, 200), 200}, {{1}, wire(4), kFull}, {{2}, wire(0.8), kFull}};
  run(5'000);
  run(20'000);
  expect_unharmed(senders_[0]);
  const auto more = static_cast<double>(senders_[1].sent_bytes);
  const auto less = static_cast<double>(senders_[2].sent_bytes);
  EXPECT_NEAR(less / more, 1, 0.2);
}

TEST_F(EgressSharesTest, ManyGreedyOnesLeaveRoomForThePolite) {
  constexpr std::uint32_t kGreedy = 100;
  senders_ = {{kPolite, wire(0.003, 200), 200}};
  for (std::uint32_t i = 1; i <= kGreedy; ++i)
    senders_.push_back({{i}, wire(0.03 + 0.001 * i), kFull});
  run(2'000);
  run(6'000);
  expect_unharmed(senders_[0]);
  const auto [least, most] = std::ranges::minmax_element(
      senders_.begin() + 1, senders_.end(), {}, [](const Sender& each) { return each.sent_bytes; });
  // Of some ten frames each, while they want 3 to 13 times what they get.
  EXPECT_LT(static_cast<double>(most->sent_bytes), 1.4 * static_cast<double>(least->sent_bytes));
}

// However many flows: they are one subscriber's.
TEST_F(EgressSharesTest, WhoIsAloneLosesNothingBeforeTheQueueIsAsGoodAsFull) {
  senders_ = {{{1}, 0, kFull}};
  constexpr std::uint32_t kFlows = 10'000;
  constexpr std::uint32_t kAtOnce = kSlots - kSlots / EgressShares::kReservePart + kInDevice;
  for (std::uint32_t begun = 0; begun < kFlows; begun += kAtOnce) {
    for (std::uint32_t i = 0; i < kAtOnce; ++i) {
      if (i % kRun == 0) shares_.settle(queue(), now_);
      offer(0);
    }
    expect_unharmed(senders_[0]);
    run(static_cast<std::uint32_t>(1.1 / wire(1) * kAtOnce));
  }
}

TEST_F(EgressSharesTest, WhoComesToAQueueThatAnotherOneHasFilledFindsRoom) {
  senders_ = {{kPolite, 0, 100}, {{1}, wire(2), kFull}};
  run(1'000);
  EXPECT_EQ(senders_[1].lost, 0U);
  EXPECT_GE(queue().queued, kSlots * 9 / 10) << "for one who is alone";
  for (int click = 0; click < 5; ++click) {
    const Duration seldom = EgressShares::kCompanyLasts + Duration::seconds(1);
    run(static_cast<std::uint32_t>(seldom.count_ns() / kTick.count_ns()));
    shares_.settle(queue(), now_);
    offer(0);
    expect_unharmed(senders_[0]);
  }
}

TEST_F(EgressSharesTest, NothingIsHeldAgainstAnybodyWhenTheQueueHasEmptied) {
  senders_ = {{kPolite, wire(0.03), kFull}, {{1}, wire(4), kFull}};
  run(5'000);
  EXPECT_GT(senders_[1].refused, 0U);
  senders_[1].frames_a_tick = 0;
  run(200);
  EXPECT_FALSE(shares_.counting());
  senders_[1].frames_a_tick = wire(1) + 25;  // more than the wire carries, for a short time
  run(10);
  expect_unharmed(senders_[1]);
}

TEST_F(EgressSharesTest, WhatIsNobodysIsNeverRefused) {
  senders_ = {
      {PeerId::none(), wire(2), kFull}, {kPolite, wire(0.03), kFull}, {{1}, wire(4), kFull}};
  run(5'000);
  EXPECT_EQ(senders_[0].refused, 0U);
  EXPECT_GT(senders_[2].refused, 0U);
}

// How many frames a subscriber may add to a queue that is 300 long, beside another one.
std::uint32_t most_admitted(EgressShares& shares, PeerId subscriber) {
  shares.settle({1024, 300, 300}, kStart);
  EXPECT_TRUE(shares.admits(kPolite, kSmall));
  std::uint32_t count = 0;
  while (shares.admits(subscriber, kFull))
    ++count;
  return count;
}

TEST(EgressShares, WhatHasLeftDoesNotCountTheNextTime) {
  EgressShares shares{{1024, 0, 0}};
  const std::uint32_t at_first = most_admitted(shares, {1});
  EXPECT_GT(at_first, 100U);
  shares.settle({1024, 100, 100}, kStart);
  EXPECT_FALSE(shares.counting());
  EXPECT_EQ(most_admitted(shares, {1}), at_first);
}

TEST(EgressShares, APortThatCannotTellRefusesNobody) {
  EgressShares shares{{}};
  shares.settle({}, kStart);
  EXPECT_FALSE(shares.counting());
}

}  // namespace
}  // namespace ringway::forwarding
