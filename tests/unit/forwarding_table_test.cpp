#include "dataplane/forwarding/forwarding_table.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "dataplane/forwarding/next_hop_use.hpp"
#include "tests/unit/samples.hpp"

namespace ringway::forwarding {
namespace {

using net::Family;
using net::IpAddress;
using net::Prefix;
using testing_support::address;

constexpr net::MacAddress kOurs{{2, 0, 0, 0, 0, 1}};
constexpr net::MacAddress kTheirs{{2, 0, 0, 0, 0, 2}};

Prefix prefix(const std::string& text) {
  return *Prefix::parse(text);
}
NextHop resolved(std::uint8_t port = 0) {
  return {.state = NextHopState::kResolved,
          .port = port,
          .mtu = 1500,
          .source = kOurs,
          .destination = kTheirs,
          .vlan = {}};
}
NextHop in_state(NextHopState state) {
  NextHop hop;
  hop.state = state;
  return hop;
}

// The start of an IP packet: enough for a lookup.
std::vector<std::uint8_t> packet_to(const IpAddress& destination) {
  std::vector<std::uint8_t> packet(destination.is_v4() ? 20 : 40);
  packet[0] = destination.is_v4() ? 0x45 : 0x60;
  std::ranges::copy(destination.view(), packet.begin() + (destination.is_v4() ? 16 : 24));
  return packet;
}

IpAddress random_address(Rng& rng, Family family) {
  IpAddress random{.family = family};
  rng.fill({random.bytes.data(), family == Family::kIpv4 ? 4U : 16U});
  return random;
}

TEST(ForwardingTable, WithoutRoutesEverythingIsUnreachable) {
  const ForwardingTable table;
  for (const char* text : {"192.0.2.1", "2001:db8::1"}) {
    const NextHopId id = table.lookup(address(text));
    EXPECT_EQ(id, NextHopId{});
    EXPECT_EQ(table.next_hop(id).state, NextHopState::kUnreachable);
  }
}

TEST(ForwardingTable, TheLongestPrefixDecides) {
  ForwardingContent content;
  const NextHopId gateway = content.add_next_hop(resolved(1), {7, address("192.0.2.1")});
  const NextHopId link = content.add_next_hop(in_state(NextHopState::kUnresolved), {7, {}});
  const NextHopId ours = content.add_next_hop(in_state(NextHopState::kLocal));
  content.add_route(prefix("0.0.0.0/0"), gateway);
  content.add_route(prefix("192.0.2.0/24"), link);
  content.add_route(prefix("192.0.2.2/32"), ours);
  content.add_route(prefix("2001:db8::/32"), gateway);
  const ForwardingTable table(std::move(content));
  EXPECT_EQ(table.lookup(address("198.51.100.1")), gateway);
  EXPECT_EQ(table.lookup(address("192.0.2.3")), link);
  EXPECT_EQ(table.lookup(address("192.0.2.2")), ours);
  EXPECT_EQ(table.lookup(address("2001:db8::9")), gateway);
  EXPECT_EQ(table.lookup(address("2001:db9::9")), NextHopId{});
  EXPECT_EQ(table.prefix_count(), 4U);
  EXPECT_EQ(table.next_hop_count(), 4U);
}

TEST(ForwardingTable, TheNeighbourIsTheGatewayOrTheDestinationItself) {
  ForwardingContent content;
  const NextHopId gateway = content.add_next_hop(resolved(), {7, address("192.0.2.1")});
  const NextHopId link = content.add_next_hop(in_state(NextHopState::kUnresolved), {8, {}});
  const ForwardingTable table(std::move(content));
  const IpAddress destination = address("203.0.113.5");
  EXPECT_EQ(table.neighbour(gateway, destination), (Neighbour{7, address("192.0.2.1")}));
  EXPECT_EQ(table.neighbour(link, destination), (Neighbour{8, destination}));
}

// The rule itself, without a structure.
NextHopId naive_lookup(const std::vector<ForwardingRoute>& routes, const IpAddress& destination) {
  std::optional<ForwardingRoute> best;
  for (const ForwardingRoute& route : routes) {
    if (!route.prefix.contains(destination)) continue;
    if (!best || route.prefix.length >= best->prefix.length) best = route;
  }
  return best ? best->next_hop : NextHopId{};
}

struct RandomTable {
  RandomTable(Rng& rng, std::size_t count) {
    ForwardingContent content;
    for (int i = 0; i < 20; ++i)
      content.add_next_hop(resolved());
    while (routes.size() < count) {
      const Family family = rng.below(2) == 0 ? Family::kIpv4 : Family::kIpv6;
      // Few first bytes, so that prefixes lie within each other.
      IpAddress start = random_address(rng, family);
      start.bytes[0] = static_cast<std::uint8_t>(rng.below(3));
      start.bytes[1] = static_cast<std::uint8_t>(rng.below(2));
      const auto length = rng.below(start.bit_length() + 1);
      routes.push_back({prefix(start.to_string() + "/" + std::to_string(length)),
                        {static_cast<std::uint32_t>(1 + rng.below(20))}});
      content.add_route(routes.back().prefix, routes.back().next_hop);
    }
    table = ForwardingTable(std::move(content));
  }
  std::vector<ForwardingRoute> routes;
  ForwardingTable table;
};

TEST(ForwardingTable, BatchesOfMixedFamiliesAgreeWithTheLinearSearch) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SeededRng rng(seed);
    const RandomTable random(rng, rng.below(200));
    std::vector<IpAddress> destinations;
    std::vector<std::vector<std::uint8_t>> packets;
    std::vector<const std::uint8_t*> pointers;
    const std::size_t batch = rng.below(257);
    for (std::size_t i = 0; i < batch; ++i) {
      IpAddress destination =
          random_address(rng, rng.below(2) == 0 ? Family::kIpv4 : Family::kIpv6);
      if (!random.routes.empty() && rng.below(2) == 0) {
        destination = random.routes[rng.below(random.routes.size())].prefix.address;
      }
      destinations.push_back(destination);
      packets.push_back(packet_to(destination));
    }
    for (const auto& packet : packets)
      pointers.push_back(packet.data());
    std::vector<NextHopId> found(batch, NextHopId{99});
    random.table.lookup_packets(pointers, found.data());
    for (std::size_t i = 0; i < batch; ++i) {
      ASSERT_EQ(found[i], naive_lookup(random.routes, destinations[i]))
          << "seed " << seed << " " << destinations[i].to_string();
      ASSERT_EQ(found[i], random.table.lookup(destinations[i]));
    }
  }
}

TEST(NextHop, WritesThePlainAndTheTaggedHeader) {
  std::array<std::uint8_t, 20> frame{};
  NextHop hop = resolved();
  EXPECT_EQ(ethernet_header_bytes(hop), 14U);
  EXPECT_EQ(emit_ethernet(hop, Family::kIpv6, frame.data()), 14U);
  auto view = net::EthernetView::parse(frame);
  ASSERT_TRUE(view);
  EXPECT_EQ(net::MacAddress::from(view->destination()), kTheirs);
  EXPECT_EQ(net::MacAddress::from(view->source()), kOurs);
  EXPECT_EQ(view->ether_type(), net::kEtherTypeIpv6);

  hop.vlan = {net::kEtherTypeVlan, 100};
  EXPECT_EQ(ethernet_header_bytes(hop), 18U);
  EXPECT_EQ(emit_ethernet(hop, Family::kIpv4, frame.data()), 18U);
  view = net::EthernetView::parse(frame);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->tag(0), hop.vlan);
  EXPECT_EQ(view->ether_type(), net::kEtherTypeIpv4);
}

TEST(NextHopUse, NamesEachResolvedNeighbourThatWasMarkedOnce) {
  ForwardingContent content;
  const NextHopId one = content.add_next_hop(resolved(), {7, address("192.0.2.1")});
  const NextHopId idle = content.add_next_hop(resolved(), {7, address("192.0.2.9")});
  const NextHopId link = content.add_next_hop(in_state(NextHopState::kUnresolved), {7, {}});
  NextHopId last = idle;
  for (int i = 0; i < 100; ++i)
    last = content.add_next_hop(resolved(), {8, address("2001:db8::1")});
  const ForwardingTable table(std::move(content));
  NextHopUse use;
  for (const NextHopId id : {one, one, link, last, NextHopId{70000}, NextHopId{5000}})
    use.mark(id);
  std::vector<Neighbour> named;
  const auto visit = [&](const Neighbour& neighbour) { named.push_back(neighbour); };
  use.drain(table, visit);
  EXPECT_EQ(named,
            (std::vector<Neighbour>{{7, address("192.0.2.1")}, {8, address("2001:db8::1")}}));
  use.drain(table, visit);
  EXPECT_EQ(named.size(), 2U);
}

}  // namespace
}  // namespace ringway::forwarding
