#include "base/doorbell.hpp"

#include <atomic>
#include <cstdint>
#include <thread>

#include <poll.h>

#include <gtest/gtest.h>

#include "base/spsc_ring.hpp"

namespace ringway {
namespace {

bool readable(int fd, int timeout_ms) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, timeout_ms) == 1;
}

TEST(Doorbell, StaysSilentWhileTheOtherIsAwake) {
  Doorbell bell;
  bell.ring();
  EXPECT_FALSE(readable(bell.fd(), 0));
}

TEST(Doorbell, WakesASleeperOnce) {
  Doorbell bell;
  bell.announce_sleep();
  bell.ring();
  bell.ring();
  EXPECT_TRUE(readable(bell.fd(), 0));
  bell.awake();
  bell.clear();
  EXPECT_FALSE(readable(bell.fd(), 0));
}

// Two threads hand one token back and forth, each asleep whenever it has nothing: a single lost
// wake-up stops the game for good.
TEST(Doorbell, LosesNoWakeUp) {
  constexpr std::uint64_t kRounds = 30'000;
  struct Side {
    SpscRing<std::uint64_t> ring{4};
    Doorbell bell;
  };
  Side ping;
  Side pong;
  std::atomic<bool> stuck{false};
  const auto receive = [&](Side& side) -> std::uint64_t {
    for (;;) {
      if (const auto value = side.ring.try_pop()) return *value;
      side.bell.announce_sleep();
      if (side.ring.empty() && !readable(side.bell.fd(), 10'000)) {
        stuck = true;
        return UINT64_MAX;
      }
      side.bell.awake();
      side.bell.clear();
    }
  };
  const auto send = [](Side& side, std::uint64_t value) {
    EXPECT_TRUE(side.ring.try_push(std::uint64_t{value}));
    side.bell.ring();
  };
  std::thread other([&] {
    for (std::uint64_t round = 0; round < kRounds && !stuck; ++round)
      send(pong, receive(ping));
  });
  for (std::uint64_t round = 0; round < kRounds && !stuck; ++round) {
    send(ping, round);
    const std::uint64_t echoed = receive(pong);
    ASSERT_TRUE(stuck || echoed == round);
  }
  other.join();
  EXPECT_FALSE(stuck);
}

}  // namespace
}  // namespace ringway
