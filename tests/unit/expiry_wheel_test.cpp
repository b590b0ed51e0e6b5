#include "dataplane/nat/expiry_wheel.hpp"

#include <map>
#include <memory>

#include <gtest/gtest.h>

namespace ringway::nat {
namespace {

// A table with mappings to put on a wheel.
class ExpiryWheelTest : public ::testing::Test {
 protected:
  ExpiryWheelTest() : rng_(1), table_(2000, rng_), wheel_(std::make_unique<ExpiryWheel>(table_)) {}

  Slot make() {
    const std::uint8_t address[4] = {};
    return table_.insert<net::Family::kIpv4>(
        {address, next_++, 1, mapping_kind(Transport::kUdp, net::Family::kIpv4)});
  }

  SeededRng rng_;
  MappingTable table_;
  std::unique_ptr<ExpiryWheel> wheel_;
  std::uint32_t next_ = 0;
};

TEST_F(ExpiryWheelTest, NothingComesUpEarlyAndNothingMuchLate) {
  std::map<Slot, Ticks> due;
  Ticks now = 123'456;
  for (int step = 0; step < 20'000; ++step) {
    if (due.size() < 1500 && rng_.below(2) == 0) {
      const Slot slot = make();
      due[slot] = now + static_cast<Ticks>(rng_.below(rng_.below(2) == 0 ? 100 : 80'000));
      wheel_->insert(slot, due[slot], now);
    }
    if (!due.empty() && rng_.below(10) == 0) {
      const Slot slot = due.begin()->first;
      wheel_->remove(slot);
      table_.erase(slot);
      due.erase(slot);
    }
    now += static_cast<Ticks>(rng_.below(50));
    for (Slot slot = wheel_->take_due(now); slot != kNoSlot; slot = wheel_->take_due(now)) {
      ASSERT_TRUE(due.contains(slot));
      ASSERT_LE(due[slot], now);
      due.erase(slot);
      table_.erase(slot);
    }
    ASSERT_EQ(wheel_->armed(), !due.empty());
    for (const auto& [slot, time] : due) {
      ASSERT_GT(time + 2 * ExpiryWheel::kBucketTicks, now);
      ASSERT_GE(time + 2 * ExpiryWheel::kBucketTicks, wheel_->next_due());
    }
  }
}

TEST_F(ExpiryWheelTest, WhatIsBeyondTheHorizonComesUpThere) {
  const Slot slot = make();
  wheel_->insert(slot, 200'000, 0);
  EXPECT_EQ(wheel_->take_due(81'900), kNoSlot);
  EXPECT_EQ(wheel_->take_due(81'920), slot);
}

TEST_F(ExpiryWheelTest, ANearDeadlineAfterAFarOneIsKept) {
  const Slot far = make();
  const Slot near = make();
  wheel_->insert(far, 70'000, 1000);
  EXPECT_EQ(wheel_->take_due(1100), kNoSlot);
  wheel_->insert(near, 1200, 1100);
  EXPECT_EQ(wheel_->take_due(1190), kNoSlot);
  EXPECT_EQ(wheel_->take_due(1215), near);
}

}  // namespace
}  // namespace ringway::nat
