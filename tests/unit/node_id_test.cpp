#include "overlay/node_id.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "overlay/ring_logarithm.hpp"

namespace ringway::overlay {
namespace {

NodeId place(std::uint32_t low) {
  return NodeId(Distance{0, 0, low});
}
const NodeId kTop(Distance::max());

TEST(NodeId, TextIsBase32OfTheNumber) {
  EXPECT_EQ(NodeId().to_string(), std::string(32, 'a'));
  EXPECT_EQ(kTop.to_string(), std::string(32, '7'));
  // RFC 4648: "foobar..." read as 20 bytes.
  const std::string bytes = "foobarfoobarfoobarfo";
  const auto id = NodeId::from_bytes(reinterpret_cast<const std::uint8_t*>(bytes.data()));
  EXPECT_EQ(id.to_string(), "mzxw6ytbojtg633cmfzgm33pmjqxeztp");
}

TEST(NodeId, TextAndBytesComeBack) {
  SeededRng rng(1);
  for (int i = 0; i < 100; ++i) {
    const NodeId id = NodeId::random(rng);
    EXPECT_EQ(NodeId::parse(id.to_string()), id);
    std::uint8_t bytes[NodeId::kBytes];
    id.to_bytes(bytes);
    EXPECT_EQ(NodeId::from_bytes(bytes), id);
  }
}

TEST(NodeId, ParseRefusesWhatItDidNotWrite) {
  EXPECT_FALSE(NodeId::parse(""));
  EXPECT_FALSE(NodeId::parse(std::string(31, 'a')));
  EXPECT_FALSE(NodeId::parse(std::string(33, 'a')));
  EXPECT_FALSE(NodeId::parse(std::string(32, 'A')));
  EXPECT_FALSE(NodeId::parse(std::string(31, 'a') + "1"));
}

TEST(RingArithmetic, ClockwiseWrapsAround) {
  EXPECT_EQ(clockwise(place(3), place(5)), (Distance{0, 0, 2}));
  EXPECT_EQ(clockwise(kTop, place(1)), (Distance{0, 0, 2}));
  EXPECT_EQ(clockwise(place(0), kTop), Distance::max());
  EXPECT_EQ(ring_distance(place(0), kTop), (Distance{0, 0, 1}));
}

TEST(RingArithmetic, BorrowsAndCarriesThroughAllWords) {
  const Distance one{0, 0, 1};
  const Distance middle_only{0, 1, 0};
  const Distance high_only{1, 0, 0};
  EXPECT_EQ(middle_only - one, (Distance{0, 0, UINT32_MAX}));
  EXPECT_EQ(high_only - one, (Distance{0, UINT64_MAX, UINT32_MAX}));
  EXPECT_EQ((high_only - one) + one, high_only);
  EXPECT_EQ(high_only.half(), (Distance{0, std::uint64_t{1} << 63, 0}));
  EXPECT_EQ(middle_only.half(), (Distance{0, 0, 1U << 31}));
}

TEST(RingArithmetic, BetweenExcludesItsEndsAndGoesAround) {
  EXPECT_TRUE(between(place(1), place(2), place(3)));
  EXPECT_FALSE(between(place(1), place(1), place(3)));
  EXPECT_FALSE(between(place(1), place(3), place(3)));
  EXPECT_TRUE(between(kTop, place(0), place(1)));
  EXPECT_FALSE(between(place(3), place(2), place(5)));
  EXPECT_TRUE(between(place(3), place(2), place(3)));  // once around
}

TEST(RingArithmetic, MidpointLiesHalfWayClockwise) {
  EXPECT_EQ(midpoint(place(10), place(20)), place(15));
  const NodeId other_side = midpoint(place(20), place(10));
  EXPECT_TRUE(between(place(20), other_side, place(10)));
  EXPECT_EQ(ring_distance(other_side, place(15)), (Distance{std::uint64_t{1} << 63, 0, 0}));
}

TEST(RingLogarithm, IsThatOfTheNumber) {
  const double unit = 1U << kLogFractionBits;
  EXPECT_EQ(log2_of(Distance{0, 0, 1}), 0U);
  EXPECT_EQ(log2_of(Distance{0, 1, 0}), 32U << kLogFractionBits);
  EXPECT_EQ(log2_of(Distance{1, 0, 0}), 96U << kLogFractionBits);
  for (const std::uint32_t number : {2U, 3U, 10U, 1000U, 12345U, 4'000'000'000U})
    EXPECT_NEAR(log2_of(Distance{0, 0, number}) / unit, std::log2(number), 2 / unit);
}

TEST(RingLogarithm, PowersUndoIt) {
  for (std::uint32_t exponent = 5U << kLogFractionBits; exponent < (160U << kLogFractionBits);
       exponent += 123'457) {
    const std::uint32_t back = log2_of(two_to_the(exponent));
    // Small results are whole numbers.
    const std::uint32_t tolerance = exponent < (20U << kLogFractionBits) ? 4000 : 2;
    EXPECT_NEAR(back, exponent, tolerance) << exponent;
  }
}

}  // namespace
}  // namespace ringway::overlay
