// The ring as a whole, in virtual time: hundreds of nodes start, vanish, are separated, come and
// go. Each run replays from its seed.

#include <cinttypes>
#include <cstdio>

#include <gtest/gtest.h>

#include "overlay/sim/churn.hpp"
#include "overlay/sim/simulation.hpp"
#include "tests/sim/settled_ring.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kMinute = Duration::seconds(60);

Options with_seed(std::uint64_t seed) {
  Options options;
  options.seed = seed;
  return options;
}

void crash_random(Simulation& simulation, std::size_t count) {
  for (; count > 0; --count)
    simulation.crash(simulation.alive()[simulation.rng().below(simulation.alive().size())]);
}

TEST(Ring, OneNodeIsARing) {
  Simulation simulation(with_seed(1));
  settle(simulation, 1);
}

TEST(Ring, FewNodesKnowEachOther) {
  for (std::size_t count = 2; count <= 6; ++count) {
    Simulation simulation(with_seed(count));
    settle(simulation, count);
    for (const NodeIndex node : simulation.alive())
      EXPECT_GE(simulation.overlay(node).links().size(), std::min<std::size_t>(count - 1, 4));
  }
}

TEST(Ring, FormsInTenSecondsWhenAllStartAtOnce) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    Simulation simulation(with_seed(seed));
    simulation.add_nodes(256, simulation.now(), {});
    const auto took = simulation.time_until_right(Duration::seconds(30));
    ASSERT_TRUE(took.has_value());
    EXPECT_LT(took->count_s(), 10) << "seed " << seed;
  }
}

TEST(Ring, FormsThoughMessagesAreLost) {
  Options options = with_seed(4);
  options.loss_ppm = 50'000;
  Simulation simulation(options);
  simulation.add_nodes(100, simulation.now(), {});
  EXPECT_TRUE(simulation.time_until_right(kMinute).has_value());
}

TEST(Ring, TheSameSeedGivesTheSameHistory) {
  const auto hash_of = [](std::uint64_t seed) {
    Options options = with_seed(seed);
    options.loss_ppm = 10'000;
    Simulation simulation(options, make_geometric_latency(seed, Duration::milliseconds(80)));
    simulation.add_nodes(40, simulation.now(), Duration::seconds(5));
    Churn churn(simulation, {kMinute, 50, 4, Duration::seconds(20)});
    churn.run_until(simulation.now() + kMinute);
    return simulation.history_hash();
  };
  const std::uint64_t hash = hash_of(5);
  EXPECT_EQ(hash_of(5), hash);
  EXPECT_NE(hash_of(6), hash);
  std::printf("history %016" PRIx64 "\n", hash);  // compared between compilers by scripts/test
}

TEST(Ring, IsRightAgainThirtySecondsAfterHalfOfItVanished) {
  for (const std::uint64_t seed : {7U, 8U}) {
    Simulation simulation(with_seed(seed));
    settle(simulation, 300);
    crash_random(simulation, 150);
    EXPECT_FALSE(simulation.ring_right());
    const auto took = simulation.time_until_right(kMinute);
    ASSERT_TRUE(took.has_value()) << "seed " << seed;
    EXPECT_LT(took->count_s(), 30) << "seed " << seed;
  }
}

TEST(Ring, HalvesThatWereSeparatedForAnHourBecomeOne) {
  Simulation simulation(with_seed(9));
  settle(simulation, 60);
  for (std::size_t place = 0; place < simulation.alive().size(); ++place)
    simulation.set_part(simulation.alive()[place], simulation.rng().below(2) == 0 ? 1 : 2);
  simulation.run_for(kMinute * 60);
  EXPECT_FALSE(simulation.ring_right());
  for (const NodeIndex node : simulation.alive())
    simulation.set_part(node, 0);
  const auto took = simulation.time_until_right(kMinute * 3);
  ASSERT_TRUE(took.has_value());
  EXPECT_LT(took->count_s(), 60);
}

TEST(Ring, RingsThatFormedApartBecomeOne) {
  Simulation simulation(with_seed(13));
  simulation.add_nodes(60, simulation.now(), {});  // the first four are well-known to all
  for (NodeIndex node = 0; node < 60; ++node)
    simulation.set_part(node, node % 2 == 0 ? 1 : 2);
  simulation.run_for(kMinute * 10);
  EXPECT_GT(simulation.misplaced_nodes(), 30U);
  for (const NodeIndex node : simulation.alive()) {
    EXPECT_TRUE(simulation.overlay(node).in_ring());
    simulation.set_part(node, 0);
  }
  const auto took = simulation.time_until_right(kMinute * 10);
  ASSERT_TRUE(took.has_value());
  EXPECT_LT(took->count_s(), 300);  // each node looks for one well-known node in that time
}

TEST(Ring, ClosesAtOnceBehindANodeThatSaysGoodbye) {
  Simulation simulation(with_seed(10));
  settle(simulation, 50);
  simulation.leave(simulation.alive()[20]);
  const auto took = simulation.time_until_right(kMinute);
  ASSERT_TRUE(took.has_value());
  EXPECT_LT(took->count_s(), 2);
}

TEST(Ring, AnswersLookupsWhileNodesCrashAndOthersJoin) {
  Options options = with_seed(11);
  options.lookup_interval = Duration::seconds(10);
  options.lookups_begin = kMinute;
  Simulation simulation(options);
  settle(simulation, 200);
  Churn churn(simulation, {kMinute * 10, 100, 4, {}});
  churn.run_until(simulation.now() + kMinute * 10);
  const Statistics& statistics = simulation.statistics();
  ASSERT_GT(statistics.lookups, 5000U);
  const std::uint64_t right = statistics.lookups_ok + statistics.lookups_retried;
  const auto ended = static_cast<double>(statistics.lookups_ended());
  EXPECT_GT(static_cast<double>(statistics.lookups_ok) / ended, 0.99);
  EXPECT_GT(static_cast<double>(right) / ended, 0.998);
}

TEST(Ring, BoundsWhatANodeHolds) {
  Simulation simulation(with_seed(12));
  settle(simulation, 256);
  const Parameters parameters;
  for (const NodeIndex node : simulation.alive()) {
    const Overlay& overlay = simulation.overlay(node);
    EXPECT_LE(overlay.links().size(), parameters.max_links + parameters.max_leaves);
    EXPECT_LE(overlay.linker().attempts(), parameters.max_attempts);
    EXPECT_LE(overlay.router().in_flight(), parameters.max_in_flight);
    EXPECT_LE(overlay.router().replays().size(), parameters.replay_entries);
  }
}

}  // namespace
}  // namespace ringway::overlay::sim
