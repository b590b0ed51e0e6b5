#include "dataplane/forwarding/pending.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "dataplane/buffer_pool.hpp"
#include "tests/unit/samples.hpp"

namespace ringway::forwarding {
namespace {

using net::IpAddress;
using testing_support::kStart;

IpAddress host(std::uint32_t number) {
  IpAddress address;
  store_be(address.bytes.data(), 0xc6336400U + number);  // 198.51.100.0 and on
  return address;
}

// Every destination is on link 7, and those named are resolved.
ForwardingTable table_with(const std::vector<IpAddress>& resolved, std::uint32_t interface = 7) {
  ForwardingContent content;
  NextHop hop;
  hop.state = NextHopState::kUnresolved;
  content.add_route(*net::Prefix::parse("0.0.0.0/0"), content.add_next_hop(hop, {interface, {}}));
  hop.state = NextHopState::kResolved;
  for (const IpAddress& address : resolved)
    content.add_route({address, 32}, content.add_next_hop(hop, {interface, address}));
  return ForwardingTable(std::move(content));
}

class PendingTest : public ::testing::Test {
 protected:
  ~PendingTest() override {
    pending_.drop_all();
    EXPECT_EQ(pool_.held(), 0U);
    EXPECT_EQ(pool_.allocated(), pool_.freed());
  }
  PendingPackets::Held hold(const IpAddress& destination, Instant now = kStart) {
    return hold_for({7, destination}, destination, now);
  }
  PendingPackets::Held hold_for(const Neighbour& neighbour, const IpAddress& destination,
                                Instant now) {
    Slot slot;
    EXPECT_TRUE(pool_.allocate(slot));
    store_le(slot.data, next_number_++);
    slot.length = 4;
    return pending_.hold(neighbour, destination, slot, now);
  }
  // The numbers of the packets that left, in order.
  std::vector<std::uint32_t> retry(const ForwardingTable& table, Instant now = kStart) {
    std::vector<std::uint32_t> left;
    dropped_ = pending_.retry(
        table, now,
        [&](const Slot& slot, NextHopId id) {
          left.push_back(load_le<std::uint32_t>(slot.data));
          last_ = id;
          BufferPool::release(slot);
        },
        [&](const Neighbour& neighbour) { asked_.push_back(neighbour); });
    return left;
  }

  BufferPool pool_{400, 256};
  PendingPackets pending_;
  std::uint32_t next_number_ = 0;
  std::uint32_t dropped_ = 0;
  NextHopId last_;
  std::vector<Neighbour> asked_;
};

using Numbers = std::vector<std::uint32_t>;

TEST_F(PendingTest, PacketsLeaveInOrderWhenTheirNeighbourIsResolved) {
  for (const std::uint32_t number : {1U, 2U, 1U, 1U})
    EXPECT_TRUE(hold(host(number)).kept_all);
  EXPECT_EQ(retry(table_with({})), Numbers{});
  EXPECT_EQ(retry(table_with({host(1)})), (Numbers{0, 2, 3}));
  EXPECT_EQ(pending_.held(), 1U);
  EXPECT_EQ(retry(table_with({host(1), host(2)})), Numbers{1});
  EXPECT_EQ(pending_.held(), 0U);
  EXPECT_EQ(pending_.next_deadline(), Instant::never());
}

TEST_F(PendingTest, PacketsWhoseRouteIsGoneLeaveToo) {
  hold(host(1));
  EXPECT_EQ(retry(ForwardingTable()), Numbers{0});
  EXPECT_EQ(last_, NextHopId{});
}

TEST_F(PendingTest, AsksOnceASecondForANeighbour) {
  EXPECT_TRUE(hold(host(1)).ask);
  EXPECT_FALSE(hold(host(1)).ask);
  EXPECT_TRUE(hold(host(2)).ask);
  EXPECT_FALSE(hold(host(1), kStart + Duration::milliseconds(999)).ask);
  EXPECT_TRUE(hold(host(1), kStart + Duration::seconds(1)).ask);
}

TEST_F(PendingTest, ANeighbourHasRoomForEight) {
  for (std::uint32_t i = 0; i < PendingPackets::kMaxPerNeighbour; ++i)
    EXPECT_TRUE(hold(host(1)).kept_all);
  EXPECT_FALSE(hold(host(1)).kept_all);
  EXPECT_TRUE(hold(host(2)).kept_all);
  EXPECT_EQ(retry(table_with({host(1)})), (Numbers{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(PendingTest, WithoutRoomTheOldestOfAllGoes) {
  for (std::uint32_t i = 0; i < PendingPackets::kCapacity; ++i)
    EXPECT_TRUE(hold(host(i)).kept_all);
  EXPECT_FALSE(hold(host(1000)).kept_all);
  EXPECT_FALSE(hold(host(1)).kept_all);  // whose only packet is the oldest by now
  EXPECT_EQ(pending_.held(), PendingPackets::kCapacity);
  EXPECT_EQ(retry(table_with({host(0), host(1), host(2)})), (Numbers{2, 257}));
}

TEST_F(PendingTest, PacketsExpireAfterASecond) {
  hold(host(1));
  hold(host(2), kStart + Duration::milliseconds(400));
  EXPECT_EQ(pending_.next_deadline(), kStart + Duration::seconds(1));
  EXPECT_EQ(pending_.expire(kStart + Duration::milliseconds(999)), 0U);
  EXPECT_EQ(pending_.expire(kStart + Duration::seconds(1)), 1U);
  EXPECT_EQ(pending_.next_deadline(), kStart + Duration::milliseconds(1400));
  EXPECT_EQ(pool_.held(), 1U);
  EXPECT_EQ(pending_.expire(kStart + Duration::seconds(9)), 1U);
}

TEST_F(PendingTest, AChangedRouteMakesThemWaitForSomebodyElse) {
  const Neighbour old_gateway{7, host(200)};
  hold_for(old_gateway, host(1), kStart);
  hold_for(old_gateway, host(2), kStart);
  EXPECT_EQ(retry(table_with({}, 9)), Numbers{});
  EXPECT_EQ(asked_, (std::vector<Neighbour>{{9, host(1)}, {9, host(2)}}));
  EXPECT_EQ(retry(table_with({host(2)}, 9)), Numbers{1});
  EXPECT_EQ(pending_.expire(kStart + Duration::seconds(1)), 1U);
}

TEST_F(PendingTest, ManyWhoMeetAtOneNewNeighbourAreCutToItsShare) {
  ForwardingContent content;
  NextHop hop;
  hop.state = NextHopState::kUnresolved;
  content.add_route(*net::Prefix::parse("0.0.0.0/0"), content.add_next_hop(hop, {7, host(99)}));
  for (std::uint32_t i = 0; i < 20; ++i)
    hold(host(i));
  EXPECT_EQ(retry(ForwardingTable(std::move(content))), Numbers{});
  EXPECT_EQ(dropped_, 12U);
  EXPECT_EQ(pending_.held(), PendingPackets::kMaxPerNeighbour);
  EXPECT_EQ(asked_.size(), 1U);
}

TEST_F(PendingTest, RandomTrafficLosesNoSlot) {
  SeededRng rng(1);
  Instant now = kStart;
  std::uint64_t given_up = 0;
  std::uint64_t forwarded = 0;
  for (int i = 0; i < 20000; ++i) {
    now = now + Duration::milliseconds(static_cast<std::int64_t>(rng.below(12)));
    const IpAddress destination = host(static_cast<std::uint32_t>(rng.below(60)));
    const auto interface = static_cast<std::uint32_t>(7 + rng.below(2));
    given_up += hold_for({interface, destination}, destination, now).kept_all ? 0U : 1U;
    if (rng.below(50) == 0) {
      const std::vector<IpAddress> resolved{host(static_cast<std::uint32_t>(rng.below(60)))};
      forwarded +=
          retry(table_with(resolved, static_cast<std::uint32_t>(7 + rng.below(2))), now).size();
      given_up += dropped_;
    }
    if (rng.below(3) == 0) given_up += pending_.expire(now);
    ASSERT_EQ(pool_.held(), pending_.held());
    ASSERT_EQ(pool_.allocated(), pending_.held() + given_up + forwarded);
    ASSERT_LE(pending_.held(), PendingPackets::kCapacity);
  }
  EXPECT_GT(forwarded, 0U);
}

}  // namespace
}  // namespace ringway::forwarding
