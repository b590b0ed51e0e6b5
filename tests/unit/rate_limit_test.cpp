#include "dataplane/rate_limit.hpp"

#include <gtest/gtest.h>

#include "tests/unit/samples.hpp"

namespace ringway {
namespace {

using testing_support::kStart;

constexpr std::uint32_t kPacketBytes = 1420;

// Bytes that pass within `time` when far more are offered than the rate allows, in turns of 10 us.
std::uint64_t passed(RateLimiter& limiter, std::uint32_t packets_per_turn, Instant from,
                     Duration time) {
  std::uint64_t bytes = 0;
  for (Instant now = from; now < from + time; now = now + Duration::microseconds(10)) {
    for (std::uint32_t i = 0; i < packets_per_turn && !limiter.exceeded(now); ++i) {
      limiter.charge(kPacketBytes, now);
      bytes += kPacketBytes;
    }
  }
  return bytes;
}

TEST(RateLimiter, WithoutARateLimitsNothing) {
  RateLimiter limiter;
  EXPECT_FALSE(limiter.limits());
  for (int i = 0; i < 1000; ++i)
    limiter.charge(65'535, kStart);
  EXPECT_FALSE(limiter.exceeded(kStart));
}

TEST(RateLimiter, LetsPassTheBurstThenTheRateExactly) {
  struct Case {
    std::uint32_t mbps;
    std::uint32_t packets_per_turn;  // more than the rate has room for
  };
  for (const Case& c : {Case{1, 1}, Case{100, 2}, Case{10'000, 88}, Case{100'000, 100}}) {
    RateLimiter limiter;
    limiter.set_rate(c.mbps);
    const double bytes_per_second = c.mbps * 1e6 / 8;
    const double burst = bytes_per_second * RateLimiter::kBurst.count_s();
    const auto first =
        static_cast<double>(passed(limiter, c.packets_per_turn, kStart, Duration::seconds(2)));
    EXPECT_NEAR(first, 2 * bytes_per_second + burst, 0.005 * first + 2 * kPacketBytes) << c.mbps;
    const auto second = static_cast<double>(
        passed(limiter, c.packets_per_turn, kStart + Duration::seconds(2), Duration::seconds(2)));
    EXPECT_NEAR(second, 2 * bytes_per_second, 0.005 * second + 2 * kPacketBytes) << c.mbps;
  }
}

TEST(RateLimiter, APauseGivesBackTheBurstAndNoMore) {
  RateLimiter limiter;
  limiter.set_rate(8);  // a byte a microsecond
  EXPECT_EQ(passed(limiter, 1000, kStart, Duration::microseconds(1)), 71U * kPacketBytes);
  const Instant later = kStart + Duration::seconds(3600);
  EXPECT_EQ(passed(limiter, 1000, later, Duration::microseconds(1)), 71U * kPacketBytes);
}

TEST(RateLimiter, ATrainLargerThanTheBurstPassesAndIsPaidOff) {
  RateLimiter limiter;
  limiter.set_rate(1);  // the burst is 12,500 bytes
  EXPECT_FALSE(limiter.exceeded(kStart));
  limiter.charge(62'500, kStart);  // half a second
  EXPECT_TRUE(limiter.exceeded(kStart + Duration::milliseconds(399)));
  EXPECT_FALSE(limiter.exceeded(kStart + Duration::milliseconds(400)));
}

TEST(RateLimiter, ANewRateTakesEffectAtOnce) {
  RateLimiter limiter;
  limiter.set_rate(1);
  limiter.charge(125'000, kStart);  // a second
  EXPECT_TRUE(limiter.exceeded(kStart));
  limiter.set_rate(0);
  EXPECT_FALSE(limiter.exceeded(kStart));
}

}  // namespace
}  // namespace ringway
