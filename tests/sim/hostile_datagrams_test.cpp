// What a stranger on the network can do to an established tunnel with datagrams alone: replay,
// truncate, flip, invent. By the hundred thousand; each is counted and dropped, and nothing else
// happens.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/tunnel_pair.hpp"

namespace ringway::sim {
namespace {

constexpr int kAttempts = 100'000;

std::uint64_t total_drops(const Worker& worker) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    total += worker.counters().drops.value(static_cast<DropReason>(i));
  }
  return total;
}

class HostileDatagrams : public testing::TestWithParam<tunnel::Suite> {
 protected:
  HostileDatagrams()
      : pair_({.suite = GetParam(), .ringway = GetParam() == tunnel::Suite::kAes256Gcm}) {
    EXPECT_TRUE(pair_.time_to_reach(0, Duration::seconds(5)));
    for (int i = 0; i < 50; ++i)
      pair_.send(0);
    pair_.run_for(Duration::seconds(1));
    delivered_before_ = pair_.delivered_count();
    drops_before_ = total_drops(pair_.worker(1));
  }

  // A data message that the victim has accepted already.
  [[nodiscard]] Datagram seen_data() {
    for (;;) {
      Datagram datagram = pair_.recorded(0)[rng_.below(pair_.recorded(0).size())];
      if (datagram.bytes[0] == 4) return datagram;
    }
  }

  void attack(Datagram datagram) { pair_.inject_outer(1, std::move(datagram)); }

  void expect_only_drops(std::uint64_t attempts) {
    EXPECT_EQ(total_drops(pair_.worker(1)) - drops_before_, attempts);
    EXPECT_EQ(pair_.delivered_count(), delivered_before_);
    EXPECT_TRUE(pair_.time_to_reach(0, Duration::seconds(2)));
    EXPECT_TRUE(pair_.time_to_reach(1, Duration::seconds(2)));
    pair_.finish();
    EXPECT_THAT(pair_.violations(), testing::IsEmpty());
  }
  [[nodiscard]] std::uint64_t dropped(DropReason reason) {
    return pair_.worker(1).counters().drops.value(reason);
  }

  SeededRng rng_{77};
  TunnelPair pair_;
  std::size_t delivered_before_ = 0;
  std::uint64_t drops_before_ = 0;
};

TEST_P(HostileDatagrams, ReplaysAreCountedAndDropped) {
  for (int i = 0; i < kAttempts; ++i)
    attack(seen_data());
  EXPECT_EQ(dropped(DropReason::kReplayed), static_cast<std::uint64_t>(kAttempts));
  expect_only_drops(kAttempts);
}

TEST_P(HostileDatagrams, FlippedBitsAreCountedAndDropped) {
  for (int i = 0; i < kAttempts; ++i) {
    Datagram datagram = seen_data();
    datagram.bytes[rng_.below(datagram.bytes.size())] ^=
        static_cast<std::uint8_t>(1U << rng_.below(8));
    attack(std::move(datagram));
  }
  EXPECT_EQ(dropped(DropReason::kReplayed), 0U);
  EXPECT_GT(dropped(DropReason::kAuthFailed), 0U);
  expect_only_drops(kAttempts);
}

TEST_P(HostileDatagrams, TruncationsAreCountedAndDropped) {
  for (int i = 0; i < kAttempts; ++i) {
    Datagram datagram = seen_data();
    datagram.bytes.resize(1 + rng_.below(datagram.bytes.size() - 1));
    attack(std::move(datagram));
  }
  expect_only_drops(kAttempts);
}

TEST_P(HostileDatagrams, InventedMessagesAreCountedAndDropped) {
  for (int i = 0; i < kAttempts; ++i) {
    Datagram datagram{std::vector<std::uint8_t>(1 + rng_.below(300)),
                      {net::IpAddress{}, static_cast<std::uint16_t>(1 + rng_.below(65535))}};
    rng_.fill(datagram.bytes);
    if (rng_.below(2) == 0) datagram.bytes[0] = static_cast<std::uint8_t>(1 + rng_.below(2));
    attack(std::move(datagram));
  }
  EXPECT_EQ(pair_.service(1).counters().handshakes_completed, 1U);
  expect_only_drops(kAttempts);
}

INSTANTIATE_TEST_SUITE_P(BothSuites, HostileDatagrams,
                         testing::Values(tunnel::Suite::kChaCha20Poly1305,
                                         tunnel::Suite::kAes256Gcm),
                         [](const auto& suite) {
                           return std::string(tunnel::suite_name(suite.param));
                         });

}  // namespace
}  // namespace ringway::sim
