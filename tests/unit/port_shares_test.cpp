#include "controlplane/nat_state/port_shares.hpp"

#include <gtest/gtest.h>

namespace ringway::control {
namespace {

constexpr std::uint16_t kBlock = 64;

WorkerId worker(std::size_t number) {
  return {static_cast<std::uint8_t>(number)};
}

TEST(PortShares, EveryPortIsExactlyOneWorkersAndNoBlockIsCut) {
  for (const auto& [first, last] : {std::pair{10'000, 32'767}, {1'024, 65'535}, {20'000, 21'087}}) {
    for (std::size_t workers = 1; workers <= kMaxWorkers; ++workers) {
      const PortShares shares(static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last),
                              workers, kBlock);
      std::vector<int> ports(workers);
      for (int port = first; port <= last; ++port) {
        const auto owner = shares.owner_of(static_cast<std::uint16_t>(port));
        ASSERT_TRUE(owner) << port;
        ++ports[owner->value];
      }
      EXPECT_FALSE(shares.owner_of(static_cast<std::uint16_t>(first - 1)));
      if (last < 65'535) {
        EXPECT_FALSE(shares.owner_of(static_cast<std::uint16_t>(last + 1)));
      }
      for (std::size_t i = 0; i < workers; ++i) {
        nat::Config config;
        shares.fill(config, worker(i));
        EXPECT_EQ((config.first_port - first) % kBlock, 0);
        EXPECT_EQ(config.last_port - config.first_port + 1, ports[i]);
        EXPECT_EQ(config.other_shards.size(), workers - 1);
        EXPECT_GE(ports[i], kBlock);
        EXPECT_LT(ports[i], (last - first) / static_cast<int>(workers) + 2 * kBlock);
      }
    }
  }
}

KeptMapping mapping_of(std::uint32_t peer, std::uint16_t port) {
  KeptMapping mapping;
  mapping.peer = peer;
  mapping.external = {*net::IpAddress::parse("192.0.2.1"), port};
  return mapping;
}

TEST(PortShares, APeerGoesWhereMostOfItsMappingsWere) {
  const PortShares shares(10'000, 29'999, 2, 100);
  KeptState state;
  state.peers.resize(4);
  state.mappings = {mapping_of(0, 10'000), mapping_of(1, 29'999), mapping_of(2, 10'001),
                    mapping_of(2, 29'998), mapping_of(2, 29'997), mapping_of(3, 9'999)};
  const auto owners = owners_by_mappings(state, shares);
  ASSERT_EQ(owners.size(), 4U);
  EXPECT_EQ(owners[0], worker(0));
  EXPECT_EQ(owners[1], worker(1));
  EXPECT_EQ(owners[2], worker(1));
  EXPECT_FALSE(owners[3]) << "no port of the NAT's any more";
}

}  // namespace
}  // namespace ringway::control
