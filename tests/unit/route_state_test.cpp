#include "controlplane/host/route_state.hpp"

#include <string>

#include <gtest/gtest.h>

namespace ringway::control {
namespace {

using forwarding::NextHopState;
using route_message::RouteHop;
using route_message::RouteType;

constexpr net::MacAddress kOurs{{2, 0, 0, 0, 0, 1}};
constexpr net::MacAddress kTheirs{{2, 0, 0, 0, 0, 2}};

net::IpAddress address(const std::string& text) {
  return *net::IpAddress::parse(text);
}
route_message::Link ethernet(std::uint32_t index, bool up = true) {
  route_message::Link link;
  link.index = index;
  link.ethernet = true;
  link.up = up;
  link.carrier = up;
  link.mtu = 1500;
  link.mac = kOurs;
  return link;
}
route_message::Route route(const std::string& prefix, std::vector<RouteHop> hops,
                           std::uint32_t metric = 0) {
  route_message::Route message;
  message.destination = *net::Prefix::parse(prefix);
  message.hops = std::move(hops);
  message.metric = metric;
  return message;
}
RouteHop via(const std::string& gateway, std::uint32_t interface = 7) {
  return {interface, address(gateway), false};
}
route_message::Neighbour neighbour(const std::string& who, std::uint32_t interface = 7) {
  route_message::Neighbour message;
  message.who = {interface, address(who)};
  message.mac = kTheirs;
  return message;
}

class RouteStateTest : public ::testing::Test {
 protected:
  RouteStateTest() {
    state_.apply(ethernet(7));
    state_.apply(ethernet(8));
  }
  [[nodiscard]] BuiltTable build() const {
    const CarriedInterface carried[] = {{7, 3}};
    return state_.build(carried);
  }
  [[nodiscard]] NextHopState state_of(const std::string& destination) const {
    const BuiltTable built = build();
    return built.table.next_hop(built.table.lookup(address(destination))).state;
  }
  RouteState state_;
};

TEST_F(RouteStateTest, ResolvedHostsOfALinkStandOnTheirOwn) {
  state_.apply(route("192.0.2.0/24", {{7, std::nullopt, false}}));
  EXPECT_EQ(state_of("192.0.2.5"), NextHopState::kUnresolved);
  EXPECT_EQ(state_.apply(neighbour("192.0.2.5")), RouteEffect::kChanged);
  EXPECT_EQ(state_of("192.0.2.5"), NextHopState::kResolved);
  EXPECT_EQ(state_of("192.0.2.6"), NextHopState::kUnresolved);
  EXPECT_EQ(state_.apply(neighbour("192.0.2.5")), RouteEffect::kNone);
  EXPECT_TRUE(build().gateways.empty());
}

TEST_F(RouteStateTest, ANeighbourOnAnotherLinkThanItsRouteIsNotUsed) {
  state_.apply(route("192.0.2.0/24", {{7, std::nullopt, false}}));
  state_.apply(route("192.0.2.64/26", {via("192.0.2.1")}));
  state_.apply(neighbour("192.0.2.5", 8));
  state_.apply(neighbour("192.0.2.70", 7));
  EXPECT_EQ(state_of("192.0.2.5"), NextHopState::kUnresolved);
  EXPECT_EQ(state_of("192.0.2.70"), NextHopState::kUnresolved);  // behind its gateway
}

TEST_F(RouteStateTest, AVlanOfACarriedInterfaceLeavesTaggedByItsPort) {
  route_message::Link vlan = ethernet(12);
  vlan.mac = kTheirs;
  vlan.mtu = 9000;
  vlan.lower = 7;
  vlan.vlan = {net::kEtherTypeVlan, 100};
  state_.apply(vlan);
  state_.apply(route("192.0.2.0/24", {{12, std::nullopt, false}}));
  BuiltTable built = build();
  const forwarding::NextHop hop = built.table.next_hop(built.table.lookup(address("192.0.2.1")));
  EXPECT_EQ(hop.state, NextHopState::kUnresolved);
  EXPECT_EQ(hop.port, 3);
  EXPECT_EQ(hop.vlan, vlan.vlan);
  EXPECT_EQ(hop.source, kTheirs);
  EXPECT_EQ(hop.mtu, 1500);
  vlan.lower = 8;  // which nobody carries
  state_.apply(vlan);
  EXPECT_EQ(state_of("192.0.2.1"), NextHopState::kNotOurs);
}

TEST_F(RouteStateTest, Ipv6HasAnMtuOfItsOwn) {
  route_message::Link link = ethernet(7);
  link.mtu_v6 = 1400;
  state_.apply(link);
  state_.apply(route("192.0.2.0/24", {{7, std::nullopt, false}}));
  state_.apply(route("2001:db8::/64", {{7, std::nullopt, false}}));
  const BuiltTable built = build();
  EXPECT_EQ(built.table.next_hop(built.table.lookup(address("192.0.2.1"))).mtu, 1500);
  EXPECT_EQ(built.table.next_hop(built.table.lookup(address("2001:db8::1"))).mtu, 1400);
}

TEST_F(RouteStateTest, NamesTheGatewaysOfCarriedInterfaces) {
  state_.apply(route("0.0.0.0/0", {via("192.0.2.1")}));
  state_.apply(route("203.0.113.0/24", {via("192.0.2.9", 8)}));
  EXPECT_EQ(build().gateways, (std::set<forwarding::Neighbour>{{7, address("192.0.2.1")}}));
}

TEST_F(RouteStateTest, TheLocalTableIsAskedFirst) {
  state_.apply(route("198.51.100.128/25", {via("192.0.2.1")}));
  route_message::Route local = route("198.51.100.0/24", {});
  local.local_table = true;
  local.type = RouteType::kLocal;
  EXPECT_EQ(state_of("198.51.100.200"), NextHopState::kUnresolved);
  state_.apply(local);
  EXPECT_EQ(state_of("198.51.100.200"), NextHopState::kLocal);
  EXPECT_EQ(state_of("198.51.100.1"), NextHopState::kLocal);
}

TEST_F(RouteStateTest, ARouteOverADeadLinkGivesWayToTheNextMetricAndThenToAShorterPrefix) {
  state_.apply(route("0.0.0.0/0", {via("192.0.2.1", 8)}));
  state_.apply(route("203.0.113.0/24", {via("192.0.2.1", 7)}, 20));
  route_message::Route fallback = route("203.0.113.0/24", {}, 30);
  fallback.type = RouteType::kBlackhole;
  state_.apply(fallback);
  EXPECT_EQ(state_of("203.0.113.5"), NextHopState::kUnresolved);
  EXPECT_EQ(state_.apply(ethernet(7, false)), RouteEffect::kUnclear);
  EXPECT_EQ(state_of("203.0.113.5"), NextHopState::kBlackhole);
  fallback.removed = true;
  EXPECT_EQ(state_.apply(fallback), RouteEffect::kChanged);
  EXPECT_EQ(state_of("203.0.113.5"), NextHopState::kNotOurs);
}

TEST_F(RouteStateTest, ChangesThatTheMessageDoesNotSettleAreUnclear) {
  EXPECT_EQ(state_.apply(route("203.0.113.0/24", {via("192.0.2.1")})), RouteEffect::kChanged);
  EXPECT_EQ(state_.apply(route("203.0.113.0/24", {via("192.0.2.1")})), RouteEffect::kNone);
  EXPECT_EQ(state_.apply(route("203.0.113.0/24", {via("192.0.2.9")})), RouteEffect::kUnclear);
  route_message::Route replacement = route("203.0.113.0/24", {via("192.0.2.9")});
  replacement.replaces = true;
  EXPECT_EQ(state_.apply(replacement), RouteEffect::kChanged);
  route_message::Route gone = route("203.0.113.0/24", {via("192.0.2.77")});
  gone.removed = true;
  EXPECT_EQ(state_.apply(gone), RouteEffect::kUnclear);
  gone = replacement;
  gone.removed = true;
  EXPECT_EQ(state_.apply(gone), RouteEffect::kChanged);
  EXPECT_EQ(state_.apply(gone), RouteEffect::kNone);
  EXPECT_EQ(state_.route_count(), 0U);
}

TEST_F(RouteStateTest, ListedRoutesOfOneMetricKeepTheirOrder) {
  for (const char* gateway : {"192.0.2.5", "192.0.2.1", "192.0.2.9"})
    state_.add_listed(route("203.0.113.0/24", {via(gateway)}, 5));
  state_.add_listed(route("203.0.113.0/24", {via("192.0.2.77")}, 9));
  const BuiltTable built = build();
  const net::IpAddress destination = address("203.0.113.5");
  EXPECT_EQ(built.table.neighbour(built.table.lookup(destination), destination).address,
            address("192.0.2.5"));
  EXPECT_EQ(state_.route_count(), 4U);
}

TEST_F(RouteStateTest, RoutesForSomeSourcesOnlyAreNotFollowed) {
  route_message::Route conditional = route("0.0.0.0/0", {via("192.0.2.1")});
  conditional.conditional = true;
  EXPECT_EQ(state_.apply(conditional), RouteEffect::kNone);
  EXPECT_EQ(state_of("203.0.113.5"), NextHopState::kUnreachable);
}

TEST_F(RouteStateTest, EqualPathsSpreadOverPrefixes) {
  std::set<std::string> used;
  for (int i = 0; i < 64; ++i) {
    state_.apply(
        route("10.0." + std::to_string(i) + ".0/24", {via("192.0.2.1"), via("192.0.2.9")}));
  }
  const BuiltTable built = build();
  for (int i = 0; i < 64; ++i) {
    const net::IpAddress destination = address("10.0." + std::to_string(i) + ".1");
    used.insert(
        built.table.neighbour(built.table.lookup(destination), destination).address.to_string());
  }
  EXPECT_EQ(used.size(), 2U);
}

}  // namespace
}  // namespace ringway::control
