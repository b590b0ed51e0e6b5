#include "dataplane/shaper.hpp"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "base/net/inner_packet.hpp"
#include "tests/unit/samples.hpp"

namespace ringway {
namespace {

using testing_support::kStart;

class ShaperTest : public testing::Test {
 protected:
  static constexpr PeerId kPeer{7};
  static constexpr std::uint32_t kPacketBytes = 1000;

  ShapedWay limited(std::uint32_t mbps) {
    ShapedWay way;
    way.limiter.set_rate(mbps);
    while (way.passes(kStart))
      way.limiter.charge(kPacketBytes, kStart);
    return way;
  }
  bool hold(ShapedWay& way, Instant now, std::uint8_t number = 0, std::uint8_t ecn = net::kNotEct,
            std::uint32_t bytes = kPacketBytes) {
    std::uint8_t* const to = shaper_.hold(kPeer, SubscriberWay::kDown, way, bytes, now);
    if (to == nullptr) return false;
    std::memset(to, 0, bytes);
    to[0] = 0x45;
    to[1] = ecn;
    to[kNumberAt] = number;
    return true;
  }
  // What leaves by `now`, charged.
  std::vector<std::uint8_t> leave(ShapedWay& way, Instant now) {
    std::vector<std::uint8_t> numbers;
    Shaper::Due due{};
    if (!shaper_.take_due(due, now)) return numbers;
    EXPECT_EQ(due.peer, kPeer);
    for (Slot slot; shaper_.pop(way, slot, dropped_, now); BufferPool::release(slot)) {
      way.limiter.charge(slot.length, now);
      numbers.push_back(slot.data[kNumberAt]);
      if ((slot.data[1] & 3) == net::kCe) ++marked_;
    }
    shaper_.wait_again(due.peer, due.way, way, now);
    return numbers;
  }
  // Keeps the queue at `standing` packets for `time`; how many left it.
  std::size_t stand(ShapedWay& way, std::uint32_t standing, std::uint8_t ecn, Duration time) {
    std::size_t left = 0;
    for (Instant now = kStart; now < kStart + time; now = now + Shaper::kTick) {
      while (way.count < standing && hold(way, now, 0, ecn)) {
      }
      left += leave(way, now).size();
    }
    return left;
  }

  static constexpr std::size_t kNumberAt = 20;
  static constexpr std::uint32_t kBuffers = 256;
  Shaper shaper_{kBuffers, 1500};
  std::uint64_t dropped_ = 0;
  std::size_t marked_ = 0;
};

TEST_F(ShaperTest, LetsGoInOrderAndAtTheRate) {
  ShapedWay way = limited(8);  // a packet a millisecond
  for (std::uint8_t i = 0; i < 40; ++i)
    ASSERT_TRUE(hold(way, kStart, i));
  EXPECT_FALSE(way.passes(kStart + Duration::seconds(1))) << "nothing overtakes what waits";
  std::vector<std::uint8_t> left;
  for (int ms = 0; ms <= 20; ++ms) {
    const auto now = leave(way, kStart + Duration::milliseconds(ms));
    left.insert(left.end(), now.begin(), now.end());
  }
  ASSERT_GE(left.size(), 19U);
  ASSERT_LE(left.size(), 21U);
  for (std::size_t i = 0; i < left.size(); ++i)
    EXPECT_EQ(left[i], i);
  EXPECT_EQ(shaper_.held(), 40 - left.size());
}

TEST_F(ShaperTest, IsFullAfterTheLongestWaitButHoldsAFewAtAnyRate) {
  struct Case {
    std::uint32_t mbps;
    std::uint32_t packets;
  };
  for (const Case& c : {Case{1, Shaper::kFewestPackets}, Case{8, 50}, Case{16, 100}}) {
    ShapedWay way = limited(c.mbps);
    while (hold(way, kStart)) {
    }
    EXPECT_EQ(way.count, c.packets) << c.mbps;
    ShapedWay none;
    EXPECT_EQ(shaper_.drop_all(kPeer, way, none), c.packets);
    EXPECT_EQ(shaper_.held(), 0U);
    EXPECT_EQ(shaper_.next_deadline(), Instant::never());
  }
}

TEST_F(ShaperTest, NoQueueTakesWhatOthersNeed) {
  ShapedWay greedy = limited(10'000);
  while (hold(greedy, kStart)) {
  }
  EXPECT_EQ(greedy.count, kBuffers / 2);
  ShapedWay other = limited(10'000);
  while (hold(other, kStart)) {
  }
  EXPECT_EQ(other.count, kBuffers / 4);
  EXPECT_FALSE(hold(greedy, kStart));
}

TEST_F(ShaperTest, RefusesWhatIsLargerThanABuffer) {
  ShapedWay way = limited(8);
  EXPECT_FALSE(hold(way, kStart, 0, net::kNotEct, 1501));
  EXPECT_TRUE(hold(way, kStart, 0, net::kNotEct, 1500));
}

TEST_F(ShaperTest, AShortQueueIsLeftAlone) {
  ShapedWay way = limited(8);
  EXPECT_GT(stand(way, 3, net::kNotEct, Duration::seconds(2)), 1900U);
  EXPECT_EQ(dropped_, 0U);
}

TEST_F(ShaperTest, AStandingQueueLosesMoreAndMoreOrIsMarked) {
  ShapedWay way = limited(8);
  const std::size_t left = stand(way, 20, net::kNotEct, Duration::seconds(2));
  // The k-th signal comes 100 ms / sqrt(k) after the one before it (RFC 8289 section 4.2): 2 s hold
  // about 100.
  EXPECT_GT(dropped_, 80U);
  EXPECT_LT(dropped_, 120U);
  EXPECT_GT(left, 1900U) << "the rate is used up all the same";

  const std::uint64_t dropped = dropped_;
  ShapedWay capable = limited(8);
  ShapedWay none;
  shaper_.drop_all(kPeer, way, none);
  stand(capable, 20, net::kEct0, Duration::seconds(2));
  EXPECT_EQ(dropped_, dropped);
  EXPECT_GT(marked_, 80U);
  EXPECT_LT(marked_, 120U);
}

}  // namespace
}  // namespace ringway
