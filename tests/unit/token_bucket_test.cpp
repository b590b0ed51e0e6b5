#include "dataplane/nat/token_bucket.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "tests/unit/nat_packets.hpp"
#include "tests/unit/samples.hpp"

namespace ringway::nat {
namespace {

using ringway::testing_support::kStart;
using testing_support::address;

int taken(TokenBucket& bucket, TokenRate rate, Instant now, int wanted) {
  int count = 0;
  for (int i = 0; i < wanted; ++i)
    count += bucket.take(rate, now) ? 1 : 0;
  return count;
}

TEST(TokenBucket, GivesTheBurstThenTheRate) {
  constexpr TokenRate kRate = {.per_second = 10, .burst = 5};
  TokenBucket bucket;
  EXPECT_EQ(taken(bucket, kRate, kStart, 100), 5);
  EXPECT_EQ(taken(bucket, kRate, kStart + Duration::milliseconds(99), 100), 0);
  EXPECT_EQ(taken(bucket, kRate, kStart + Duration::milliseconds(100), 100), 1);
  EXPECT_EQ(taken(bucket, kRate, kStart + Duration::milliseconds(400), 100), 3);
  EXPECT_EQ(taken(bucket, kRate, kStart + Duration::seconds(100), 100), 5);
}

TEST(ErrorLimiter, OneReceiverDoesNotUseUpWhatOthersNeed) {
  SeededRng rng(1);
  ErrorLimiter limiter(rng);
  int greedy = 0;
  for (int i = 0; i < 10'000; ++i)
    greedy += limiter.allow(address("192.0.2.1"), kStart) ? 1 : 0;
  EXPECT_EQ(greedy, ErrorLimiter::kPerReceiver.burst);
  EXPECT_TRUE(limiter.allow(address("192.0.2.2"), kStart));
  EXPECT_TRUE(limiter.allow(address("2001:db8::2"), kStart));
}

TEST(ErrorLimiter, BoundsAllReceiversTogether) {
  SeededRng rng(1);
  ErrorLimiter limiter(rng);
  int sent = 0;
  for (int i = 0; i < 10'000; ++i) {
    net::IpAddress receiver = address("192.0.2.1");
    store_be(receiver.bytes.data(), static_cast<std::uint32_t>(i));
    sent += limiter.allow(receiver, kStart) ? 1 : 0;
  }
  EXPECT_EQ(sent, ErrorLimiter::kInAll.burst);
}

}  // namespace
}  // namespace ringway::nat
