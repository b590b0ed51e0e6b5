// Rings in which not everybody can reach everybody: NATs, pairs that cannot link, directions that
// fail. Each run replays from its seed.

#include <gtest/gtest.h>

#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kMinutes = Duration::seconds(120);
constexpr NatBehaviour kFullCone{Mapping::kEndpointIndependent, Filtering::kEndpointIndependent,
                                 kMinutes};
constexpr NatBehaviour kRestricted{Mapping::kEndpointIndependent, Filtering::kAddressDependent,
                                   kMinutes};
constexpr NatBehaviour kPortRestricted{Mapping::kEndpointIndependent,
                                       Filtering::kAddressAndPortDependent, kMinutes};
constexpr NatBehaviour kSymmetric{Mapping::kAddressAndPortDependent,
                                  Filtering::kAddressAndPortDependent, kMinutes};
constexpr NatBehaviour kFirewall{Mapping::kNone, Filtering::kAddressAndPortDependent, kMinutes};

Options asking_often(std::uint64_t seed) {
  Options options;
  options.seed = seed;
  options.lookup_interval = Duration::seconds(20);
  options.lookups_begin = kMinutes;
  return options;
}

// --- The NAT itself ------------------------------------------------------------------------------

TEST(SimulatedNat, MapsAsItsKindSays) {
  const Instant now = Instant::from_ns(0);
  const Nat::Remote host{1, 10};
  const Nat::Remote other_port{1, 11};
  const Nat::Remote other_host{2, 10};
  const auto ports = [&](Mapping mapping) {
    Nat nat({mapping, Filtering::kAddressAndPortDependent, kMinutes}, 5);
    const std::uint16_t port = nat.outbound(now, host);
    EXPECT_EQ(nat.outbound(now, host), port);
    return std::pair{nat.outbound(now, other_port) == port, nat.outbound(now, other_host) == port};
  };
  EXPECT_EQ(ports(Mapping::kEndpointIndependent), std::pair(true, true));
  EXPECT_EQ(ports(Mapping::kAddressDependent), std::pair(true, false));
  EXPECT_EQ(ports(Mapping::kAddressAndPortDependent), std::pair(false, false));
}

TEST(SimulatedNat, FiltersAsItsKindSays) {
  const Instant now = Instant::from_ns(0);
  const auto lets_in = [&](Filtering filtering, const Nat::Remote& from) {
    Nat nat({Mapping::kEndpointIndependent, filtering, kMinutes}, 5);
    EXPECT_FALSE(nat.inbound(now, 4000, from));  // no mapping at all
    return nat.inbound(now, nat.outbound(now, {1, 10}), from);
  };
  EXPECT_TRUE(lets_in(Filtering::kEndpointIndependent, {2, 20}));
  EXPECT_FALSE(lets_in(Filtering::kAddressDependent, {2, 20}));
  EXPECT_TRUE(lets_in(Filtering::kAddressDependent, {1, 20}));
  EXPECT_FALSE(lets_in(Filtering::kAddressAndPortDependent, {1, 20}));
  EXPECT_TRUE(lets_in(Filtering::kAddressAndPortDependent, {1, 10}));
}

TEST(SimulatedNat, ForgetsInSilence) {
  Nat nat(
      {Mapping::kEndpointIndependent, Filtering::kAddressAndPortDependent, Duration::seconds(30)},
      5);
  const Instant begin = Instant::from_ns(0);
  const std::uint16_t port = nat.outbound(begin, {1, 10});
  EXPECT_TRUE(nat.inbound(begin + Duration::seconds(29), port, {1, 10}));
  EXPECT_FALSE(nat.inbound(begin + Duration::seconds(30), port, {1, 10}));
  EXPECT_NE(nat.outbound(begin + Duration::seconds(31), {1, 10}), port);
  EXPECT_EQ(nat.flows(), 1U);
}

// --- Pairs of nodes behind NATs ------------------------------------------------------------------

// Eight public nodes and two behind NATs, one of which wants a link with the other.
enum class Came : std::uint8_t { kNothing, kDirect, kRelayed };
Came link_between(const NatBehaviour& one, const NatBehaviour& other) {
  Simulation simulation(asking_often(3));
  simulation.add_nodes(8, simulation.now(), {});
  const NodeIndex first = simulation.add_node(simulation.now());
  const NodeIndex second = simulation.add_node(simulation.now());
  simulation.set_nat(first, one);
  simulation.set_nat(second, other);
  simulation.run_for(kMinutes);
  simulation.act(first, [&](Overlay& overlay, Clock clock) {
    overlay.connect(clock, simulation.overlay(second).self());
    return 0;
  });
  simulation.run_for(kMinutes);
  const Link* const link =
      simulation.overlay(first).links().find(simulation.overlay(second).self());
  if (link == nullptr) return Came::kNothing;
  EXPECT_EQ(simulation.relay_between(first, second).has_value(), link->relayed);
  return link->relayed ? Came::kRelayed : Came::kDirect;
}

TEST(NatPairs, LinkDirectlyWhereHolesCanBePunched) {
  EXPECT_EQ(link_between(kFullCone, kSymmetric), Came::kDirect);
  EXPECT_EQ(link_between(kRestricted, kRestricted), Came::kDirect);
  EXPECT_EQ(link_between(kRestricted, kPortRestricted), Came::kDirect);
  EXPECT_EQ(link_between(kRestricted, kSymmetric), Came::kDirect);
  EXPECT_EQ(link_between(kPortRestricted, kPortRestricted), Came::kDirect);
  EXPECT_EQ(link_between(kFirewall, kPortRestricted), Came::kDirect);
}

TEST(NatPairs, TalkOverARelayWhereTheyCannot) {
  EXPECT_EQ(link_between(kPortRestricted, kSymmetric), Came::kRelayed);
  EXPECT_EQ(link_between(kSymmetric, kSymmetric), Came::kRelayed);
  EXPECT_EQ(link_between(kSymmetric, kFirewall), Came::kRelayed);
}

// --- Whole rings ---------------------------------------------------------------------------------

void expect_right_and_answering(Simulation& simulation) {
  EXPECT_EQ(simulation.misplaced_nodes(), 0U);
  const Statistics& statistics = simulation.statistics();
  ASSERT_GT(statistics.lookups_ended(), 100U);
  EXPECT_GE(static_cast<double>(statistics.lookups_ok),
            0.999 * static_cast<double>(statistics.lookups_ended()));
}

TEST(PartialRing, IsRightThoughThirtyPercentOfThePairsCannotLink) {
  Options options = asking_often(1);
  options.well_known = 12;
  options.linkable_ppm = 700'000;
  Simulation simulation(options);
  simulation.add_nodes(150, simulation.now(), Duration::seconds(15));
  simulation.run_for(kMinutes * 2);
  expect_right_and_answering(simulation);
}

TEST(PartialRing, IsRightThoughMostNodesAreBehindNats) {
  Options options = asking_often(2);
  options.nat_ppm = 700'000;
  Simulation simulation(options);
  simulation.add_nodes(150, simulation.now(), Duration::seconds(15));
  simulation.run_for(kMinutes * 2);
  expect_right_and_answering(simulation);
}

TEST(PartialRing, WithoutRelaysItIsNot) {
  Options options = asking_often(1);
  options.well_known = 12;
  options.linkable_ppm = 700'000;
  options.parameters.relay.enabled = false;
  Simulation simulation(options);
  simulation.add_nodes(150, simulation.now(), Duration::seconds(15));
  simulation.run_for(kMinutes * 2);
  EXPECT_GT(simulation.misplaced_nodes(), 30U);
}

TEST(PartialRing, TheSameSeedGivesTheSameHistory) {
  const auto hash_of = [](std::uint64_t seed) {
    Options options = asking_often(seed);
    options.well_known = 6;
    options.linkable_ppm = 800'000;
    options.nat_ppm = 400'000;
    options.loss_ppm = 10'000;
    Simulation simulation(options, make_geometric_latency(seed, Duration::milliseconds(80)));
    simulation.add_nodes(40, simulation.now(), Duration::seconds(5));
    simulation.run_for(kMinutes);
    return simulation.history_hash();
  };
  EXPECT_EQ(hash_of(5), hash_of(5));
  EXPECT_NE(hash_of(5), hash_of(6));
}

// A settled ring and two neighbours of it.
struct Neighbourhood {
  explicit Neighbourhood(std::uint64_t seed) : simulation(asking_often(seed)) {
    simulation.add_nodes(30, simulation.now(), {});
    simulation.run_for(kMinutes);
    left = simulation.alive()[10];
    right = simulation.alive()[11];
  }
  Simulation simulation;
  NodeIndex left = 0;
  NodeIndex right = 0;
};

TEST(PartialRing, ADirectionThatFailsIsReplacedByARelay) {
  Neighbourhood ring(4);
  ring.simulation.set_deaf(ring.right, ring.left, true);
  ring.simulation.run_for(kMinutes);
  EXPECT_TRUE(ring.simulation.ring_right());
  EXPECT_TRUE(ring.simulation.relay_between(ring.left, ring.right).has_value());
  EXPECT_TRUE(ring.simulation.relay_between(ring.right, ring.left).has_value());
  ring.simulation.set_deaf(ring.right, ring.left, false);
  ring.simulation.run_for(Parameters().relay.longest_direct_retry * 2);
  EXPECT_TRUE(ring.simulation.ring_right());
  EXPECT_FALSE(ring.simulation.relay_between(ring.left, ring.right).has_value());
  for (const NodeIndex node : ring.simulation.alive()) {
    EXPECT_EQ(ring.simulation.overlay(node).relay_service().pairs(), 0U);
    EXPECT_EQ(ring.simulation.relay_tables(node).forwards(), 0U);
  }
}

TEST(PartialRing, TheLinkOutlivesItsRelay) {
  Neighbourhood ring(5);
  ring.simulation.set_deaf(ring.right, ring.left, true);
  ring.simulation.run_for(kMinutes);
  const auto link_of = [&] {
    return ring.simulation.overlay(ring.left).links().find(
        ring.simulation.overlay(ring.right).self());
  };
  for (int deaths = 0; deaths < 3; ++deaths) {
    ASSERT_NE(link_of(), nullptr);
    const LinkId link = link_of()->id;
    const auto relay = ring.simulation.relay_between(ring.left, ring.right);
    ASSERT_TRUE(relay.has_value());
    ring.simulation.crash(*relay);
    ring.simulation.run_for(Duration::seconds(60));
    ASSERT_NE(link_of(), nullptr);
    EXPECT_EQ(link_of()->id, link);
    EXPECT_NE(ring.simulation.relay_between(ring.left, ring.right), relay);
  }
  EXPECT_TRUE(ring.simulation.ring_right());
}

}  // namespace
}  // namespace ringway::overlay::sim
