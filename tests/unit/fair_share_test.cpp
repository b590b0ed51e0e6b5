#include "dataplane/fair_share.hpp"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "tests/unit/samples.hpp"

namespace ringway {
namespace {

using testing_support::kStart;

// A worker that can serve so many packets a window, behind a ring; refusing one costs it a tenth.
class FairShareTest : public testing::Test {
 protected:
  static constexpr std::size_t kPeers = 3;
  static constexpr std::uint32_t kPacketBytes = 1000;
  static constexpr std::uint32_t kTurns = 10;      // a window
  static constexpr std::uint32_t kTurnWork = 400;  // in tenths of a packet
  static constexpr std::uint32_t kRing = 1024;
  using Packets = std::array<std::uint32_t, kPeers>;

  // A turn in which so many packets of each peer arrive.
  void turn(const Packets& arrive) {
    share_.observe(100 * waiting() / kRing, now_);
    now_ = now_ + Duration::nanoseconds(FairShare::kWindow.count_ns() / kTurns);
    for (std::size_t i = 0; i < kPeers; ++i) {
      const std::uint32_t room = kRing - waiting();
      waiting_[i] += std::min(arrive[i], room);
      lost_[i] += arrive[i] - std::min(arrive[i], room);
    }
    // The ring holds them mixed: each peer's turn comes as often as it has packets there.
    for (std::uint32_t work = kTurnWork; work > 0 && waiting() > 0;) {
      const std::size_t peer = next_peer();
      --waiting_[peer];
      if (share_.refuses(work_[peer])) {
        ++refused_[peer];
        --work;
        continue;
      }
      if (share_.counts()) share_.charge(work_[peer], kPacketBytes);
      ++served_[peer];
      work -= std::min(work, 10U);
    }
  }
  void run(const Packets& arrive, std::uint32_t windows) {
    lost_ = refused_ = served_ = {};
    for (std::uint32_t i = 0; i < windows * kTurns; ++i)
      turn(arrive);
  }
  [[nodiscard]] std::uint32_t waiting() const { return waiting_[0] + waiting_[1] + waiting_[2]; }
  [[nodiscard]] std::size_t next_peer() {
    draw_ = (draw_ * 5 + 3) % kRing;  // every number below 1,024, once each
    std::uint32_t at = draw_ * waiting() / kRing;
    std::size_t peer = 0;
    while (at >= waiting_[peer])
      at -= waiting_[peer++];
    return peer;
  }

  FairShare share_;
  Instant now_ = kStart;
  std::array<WorkShare, kPeers> work_{};
  Packets waiting_{};
  Packets lost_{};
  Packets refused_{};
  Packets served_{};
  std::uint32_t draw_ = 0;
};

TEST_F(FairShareTest, RefusesNothingWhileTheWorkerKeepsUp) {
  run({30, 5, 2}, 200);
  EXPECT_EQ(refused_, Packets{});
  EXPECT_EQ(lost_, Packets{});
  EXPECT_FALSE(share_.counts());
}

TEST_F(FairShareTest, OnlyTheGreedyIsRefusedAndThePoliteLoseNothing) {
  run({80, 5, 2}, 50);  // finds the quota
  run({80, 5, 2}, 500);
  EXPECT_EQ(lost_, Packets{});
  EXPECT_EQ(refused_[1], 0U);
  EXPECT_EQ(refused_[2], 0U);
  EXPECT_GT(refused_[0], 0U);
  // Of 40 packets a turn, 7 are the others', and refusing 80 would cost 8.
  EXPECT_GT(served_[0], 20U * 500 * kTurns) << "and gets what they leave";
}

TEST_F(FairShareTest, TwoGreedyOnesGetTheSame) {
  run({90, 60, 2}, 50);
  run({90, 60, 2}, 500);
  EXPECT_EQ(refused_[2], 0U);
  EXPECT_EQ(lost_[2], 0U);
  EXPECT_NEAR(served_[0], served_[1], served_[0] / 10.0);
}

TEST_F(FairShareTest, WhoIsAloneIsNotRefusedAnything) {
  run({80, 0, 0}, 200);
  EXPECT_EQ(refused_, Packets{});
  EXPECT_GT(lost_[0], 0U);
}

TEST_F(FairShareTest, TheQuotaGoesWhenTheLoadDoes) {
  run({80, 5, 2}, 200);
  EXPECT_GT(refused_[0], 0U);
  run({30, 5, 2}, 100);
  run({36, 2, 1}, 10);
  EXPECT_EQ(refused_, Packets{});
  EXPECT_FALSE(share_.counts());
}

}  // namespace
}  // namespace ringway
