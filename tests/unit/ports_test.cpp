#include "dataplane/nat/ports.hpp"

#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/nat_packets.hpp"

namespace ringway::nat {
namespace {

using Answer = PortTable::Answer;
using testing_support::address;

constexpr net::Family kV4 = net::Family::kIpv4;
constexpr Transport kUdp = Transport::kUdp;

Config small_config() {
  Config config;
  config.external_addresses = {address("203.0.113.1"), address("203.0.113.2")};
  config.first_port = 20'000;
  config.last_port = 20'099;
  config.block_ports = 16;  // six blocks, four ports left over
  config.max_ports_per_subscriber = 48;
  config.max_subscribers = 8;
  config.port_rest = Duration::seconds(120);
  return config;
}

// Ports are taken and given back at random; who has which is known.
TEST(PortTable, KeepsPortsBlocksAndRestsApart) {
  SeededRng rng(1);
  RandomPool random(rng);
  const Config config = small_config();
  PortTable ports(config, random);
  struct Taken {
    std::uint32_t subscriber;
    std::uint16_t address;
    std::uint16_t port;
    Slot slot;
  };
  std::vector<Taken> taken;
  std::map<std::pair<std::uint16_t, std::uint16_t>, std::pair<std::uint32_t, Ticks>> given_back;
  Ticks now = 5000;
  Slot next = 1;
  std::uint64_t refused = 0;
  for (int step = 0; step < 30'000; ++step) {
    now += static_cast<Ticks>(rng.below(40));
    if (rng.below(2) == 0 || taken.empty()) {
      const auto subscriber = static_cast<std::uint32_t>(rng.below(8));
      const auto grant = ports.choose(subscriber, kV4, kUdp, 7, now);
      if (grant.answer != Answer::kGranted) {
        ++refused;
        continue;
      }
      ASSERT_EQ(ports.mapping_at(grant.address, kUdp, grant.port), kNoSlot);
      ASSERT_GE(grant.port, 20'000);
      ASSERT_LE(grant.port, 20'095);
      const auto last = given_back.find({grant.address, grant.port});
      if (last != given_back.end() && last->second.first != subscriber) {
        ASSERT_GE(now - last->second.second, 1200U) << "taken over without a rest";
      }
      for (const Taken& other : taken) {
        if (other.subscriber == subscriber) {
          ASSERT_EQ(other.address, grant.address);
        }
        const bool same_block = other.address == grant.address &&
                                (other.port - 20'000) / 16 == (grant.port - 20'000) / 16;
        if (same_block) {
          ASSERT_EQ(other.subscriber, subscriber);
        }
      }
      ports.assign(grant.address, kUdp, grant.port, next);
      taken.push_back({subscriber, grant.address, grant.port, next++});
    } else {
      const std::size_t at = rng.below(taken.size());
      const Taken gone = taken[at];
      ASSERT_EQ(ports.mapping_at(gone.address, kUdp, gone.port), gone.slot);
      ports.release(gone.address, kUdp, gone.port, now);
      given_back[{gone.address, gone.port}] = {gone.subscriber, now};
      taken[at] = taken.back();
      taken.pop_back();
    }
    std::set<std::pair<std::uint16_t, int>> blocks;
    for (const Taken& each : taken)
      blocks.emplace(each.address, (each.port - 20'000) / 16);
    ASSERT_EQ(ports.blocks_in_use(), blocks.size());
    BlockEvent event;
    while (ports.events().poll(event)) {
    }
  }
  EXPECT_GT(refused, 0U);
  EXPECT_EQ(ports.events().lost(), 0U);
}

TEST(PortTable, FindsEveryMappingOfASubscriber) {
  SeededRng rng(2);
  RandomPool random(rng);
  PortTable ports(small_config(), random);
  std::set<Slot> expected;
  for (Slot slot = 1; slot <= 60; ++slot) {
    const auto transport = static_cast<Transport>(slot % kTransports);
    const std::uint32_t subscriber = slot % 2;
    const auto grant = ports.choose(subscriber, kV4, transport, 0, 0);
    ASSERT_EQ(grant.answer, Answer::kGranted);
    ports.assign(grant.address, transport, grant.port, slot);
    if (subscriber == 1) expected.insert(slot);
  }
  std::set<Slot> found;
  ports.for_each_mapping(1, [&](Slot slot) { EXPECT_TRUE(found.insert(slot).second); });
  EXPECT_EQ(found, expected);
}

TEST(PortTable, ASubscriberAtItsLimitGetsItsOwnRestingPorts) {
  SeededRng rng(3);
  RandomPool random(rng);
  PortTable ports(small_config(), random);
  std::vector<PortTable::Grant> grants;
  for (Slot slot = 1; slot <= 48; ++slot) {
    grants.push_back(ports.choose(1, kV4, kUdp, 0, 100));
    ASSERT_EQ(grants.back().answer, Answer::kGranted);
    ports.assign(grants.back().address, kUdp, grants.back().port, slot);
  }
  EXPECT_EQ(ports.choose(1, kV4, kUdp, 0, 100).answer, Answer::kLimit);
  ports.release(grants[5].address, kUdp, grants[5].port, 100);
  const auto again = ports.choose(1, kV4, kUdp, 0, 101);
  EXPECT_EQ(again.answer, Answer::kGranted);
  EXPECT_EQ(again.port, grants[5].port);
}

// Subscriber 1 takes so many blocks and gives them back, while subscriber 2 has one on the other
// address; where subscriber 3 comes to then.
PortTable::Grant third_after_resting_blocks(unsigned resting_blocks) {
  SeededRng rng(5);
  RandomPool random(rng);
  Config config = small_config();
  config.max_ports_per_subscriber = 96;
  PortTable ports(config, random);
  std::vector<PortTable::Grant> grants;
  for (Slot slot = 1; slot <= resting_blocks * config.block_ports; ++slot) {
    grants.push_back(ports.choose(1, kV4, kUdp, 0, 100));
    ports.assign(grants.back().address, kUdp, grants.back().port, slot);
  }
  const auto other = ports.choose(2, kV4, kUdp, 0, 100);
  ports.assign(other.address, kUdp, other.port, 200);
  EXPECT_EQ(grants.front().address, 0);
  EXPECT_EQ(other.address, 1);
  for (const auto& grant : grants)
    ports.release(grant.address, kUdp, grant.port, 100);
  return ports.choose(3, kV4, kUdp, 0, 101);
}

TEST(PortTable, RestingBlocksCountWhereAnAddressIsChosen) {
  const auto grant = third_after_resting_blocks(3);  // 3 ready and 3 resting, or 5 ready
  EXPECT_EQ(grant.answer, Answer::kGranted);
  EXPECT_EQ(grant.address, 0);
}

TEST(PortTable, AnAddressWhoseBlocksAllRestIsNotChosen) {
  const auto grant = third_after_resting_blocks(6);
  EXPECT_EQ(grant.answer, Answer::kGranted);
  EXPECT_EQ(grant.address, 1);
}

TEST(PortTable, AForwardsPortIsNeverHandedOut) {
  SeededRng rng(4);
  RandomPool random(rng);
  Config config = small_config();
  config.external_addresses.resize(1);
  config.max_ports_per_subscriber = 1000;
  PortTable ports(config, random);
  for (std::uint16_t port = 20'000; port < 20'016; ++port)
    ports.pin(0, kUdp, port, 1000U + port);
  for (Slot slot = 1; slot <= 80; ++slot) {
    PortTable::Grant grant;
    do {
      grant = ports.choose(1, kV4, kUdp, 0, 0);
    } while (grant.answer != Answer::kGranted);
    ASSERT_GE(grant.port, 20'016);
    ports.assign(0, kUdp, grant.port, slot);
  }
  EXPECT_EQ(ports.choose(1, kV4, kUdp, 0, 0).answer, Answer::kExhausted);
}

}  // namespace
}  // namespace ringway::nat
