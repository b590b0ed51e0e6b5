#include "base/spsc_ring.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(SpscRing, RefusesWhenFullAndKeepsTheValue) {
  SpscRing<std::unique_ptr<int>> ring(2);
  EXPECT_TRUE(ring.try_push(std::make_unique<int>(1)));
  EXPECT_TRUE(ring.try_push(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(ring.try_push(std::move(third)));
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(**ring.try_pop(), 1);
  EXPECT_TRUE(ring.try_push(std::move(third)));
  EXPECT_EQ(**ring.try_pop(), 2);
  EXPECT_EQ(**ring.try_pop(), 3);
  EXPECT_FALSE(ring.try_pop());
}

TEST(SpscRing, MovesVectorsAsFarAsThereIsRoom) {
  SpscRing<int> ring(4);
  std::array three = {1, 2, 3};
  EXPECT_EQ(ring.push_burst(three), 3U);
  EXPECT_EQ(ring.push_burst(three), 1U) << "one had room";
  std::array<int, 3> out{};
  EXPECT_EQ(ring.pop_burst(std::span(out).first(2)), 2U);
  EXPECT_EQ(ring.push_burst(std::span(three).last(2)), 2U);
  EXPECT_EQ(ring.pop_burst(out), 3U);
  EXPECT_EQ(out, (std::array{3, 1, 2}));
  EXPECT_EQ(ring.pop_burst(out), 1U);
  EXPECT_EQ(out[0], 3);
  EXPECT_EQ(ring.pop_burst(out), 0U);
  EXPECT_EQ(ring.push_burst({}), 0U);
}

TEST(SpscRing, KeepsOrderAcrossThreads) {
  constexpr std::uint64_t kCount = 200'000;
  SpscRing<std::uint64_t> ring(64);
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount;) {
      if (ring.try_push(std::uint64_t{i})) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  for (std::uint64_t expected = 0; expected < kCount;) {
    if (const auto value = ring.try_pop()) {
      ASSERT_EQ(*value, expected);
      ++expected;
    } else {
      std::this_thread::yield();
    }
  }
  producer.join();
  EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace ringway
