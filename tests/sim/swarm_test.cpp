// Scenarios: files that read back as they were written, faults that do what they say, the scenarios
// that once failed, and random ones. RINGWAY_SWARM_RUNS: how many of these.

#include "overlay/sim/swarm.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "overlay/sim/sampled_lookups.hpp"
#include "overlay/sim/scenario_file.hpp"
#include "overlay/sim/scenario_run.hpp"
#include "tests/sim/settled_ring.hpp"

namespace ringway::overlay::sim {
namespace {

std::string violations_of(const ScenarioResult& result) {
  std::string text;
  for (const Violation& violation : result.violations)
    text += violation.checker + ": " + violation.what + "\n";
  return text;
}

TEST(ScenarioFile, ReadsBackWhatWasWritten) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Scenario drawn = draw_scenario(seed);
    const auto read = parse_scenario("drawn", scenario_text(drawn));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(*read, drawn) << "seed " << seed;
  }
}

TEST(ScenarioFile, SaysWhereAndWhatWasExpected) {
  const struct {
    const char* text;
    const char* problem;
  } cases[] = {
      {"seed = 1\nnodes = 0\n",
       "f.toml:2: nodes: found 0, expected a whole number from 1 to 100000"},
      {"nodez = 3\n", "f.toml:1: unknown key nodez, expected one of about, seed, nodes"},
      {"[conditions]\nloss_percent = 101\n",
       "f.toml:2: loss_percent: found 101, expected percent from 0 to 100"},
      {"nodes = 4\n[[incident]]\nat_s = 3\nwhat = \"crash\"\nnodes = [4]\n",
       "f.toml:5: nodes: found 4, expected a list of whole numbers from 0 to 3"},
      {"[[incident]]\nat_s = 3\nwhat = \"burn\"\n",
       "f.toml:3: what: found \"burn\", expected one of join, crash"},
      {"[[incident]]\nwhat = \"heal\"\n", "f.toml:1: at_s: missing, expected seconds"},
      {"[[incident]]\nat_s = 1\nwhat = \"heal\"\nnodes = [1]\n", "f.toml:4: unknown key nodes"},
      {"seed = \n", "f.toml:1: "},
  };
  for (const auto& each : cases) {
    const auto read = parse_scenario("f.toml", each.text);
    ASSERT_FALSE(read) << each.text;
    EXPECT_EQ(read.error().text().substr(0, std::string(each.problem).size()), each.problem);
  }
  EXPECT_FALSE(load_scenario("/nowhere/f.toml"));
}

TEST(Scenario, IsTheSameEachTime) {
  const Scenario scenario = draw_scenario(12);
  const auto first = run_scenario(scenario, {});
  const auto second = run_scenario(scenario, {});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->history_hash, second->history_hash);
}

// A ring that never heals within the promise is a violation, and shrinking keeps what makes it so.
TEST(Scenario, ViolationsAreFoundAndCutDown) {
  Scenario scenario;
  scenario.nodes = 20;
  scenario.duration = Duration::seconds(60);
  scenario.promise.ring_right_within = Duration::seconds(2);
  for (const auto& [at_s, what] : {std::pair{20, IncidentKind::kPause},
                                   {25, IncidentKind::kLeave},
                                   {58, IncidentKind::kCrash}}) {
    Incident& incident = scenario.incidents.emplace_back();
    incident.at = Duration::seconds(at_s);
    incident.what = what;
    incident.nodes = {5, 6, static_cast<NodeIndex>(at_s % 20)};
  }
  const auto result = run_scenario(scenario, {});
  ASSERT_TRUE(result);
  ASSERT_FALSE(result->held());
  EXPECT_EQ(result->violations.front().checker, "one ring");
  const Scenario small = shrink(scenario, "one ring", {}, 100);
  EXPECT_LE(small.incidents.size(), 1U);
  EXPECT_LT(small.nodes, 20U);
  EXPECT_FALSE(run_scenario(small, {})->held());
}

TEST(Scenario, ThoseThatFailedOnceHold) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(RINGWAY_SCENARIOS)) {
    const auto scenario = load_scenario(entry.path());
    ASSERT_TRUE(scenario) << scenario.error().text();
    const auto result = run_scenario(*scenario, {});
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_TRUE(result->held()) << entry.path() << "\n" << violations_of(*result);
    ++files;
  }
  EXPECT_GT(files, 0U);
}

TEST(Swarm, WhatMustHoldHoldsInRandomScenarios) {
  const char* const runs = std::getenv("RINGWAY_SWARM_RUNS");
  const int count = runs == nullptr ? 20 : std::atoi(runs);
  for (int seed = 1; seed <= count; ++seed) {
    const auto result = run_scenario(draw_scenario(static_cast<std::uint64_t>(seed)), {});
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->held()) << "ringway-sim swarm --runs 1 --seed " << seed << "\n"
                                << violations_of(*result);
  }
}

// --- What faults do
// --------------------------------------------------------------------------------

Options quiet(std::uint64_t seed) {
  Options options;
  options.seed = seed;
  options.lookup_interval = {};
  return options;
}

TEST(Faults, ARestartedNodeTakesItsPlaceAgain) {
  Simulation simulation(quiet(1));
  settle(simulation, 30);
  const NodeId id = simulation.id(7);
  simulation.crash(7);
  simulation.run_for(Duration::seconds(1));  // nobody noticed yet
  simulation.restart(7);
  EXPECT_EQ(simulation.id(7), id);
  EXPECT_EQ(simulation.incarnation(7), 2U);
  const auto took = simulation.time_until_right(Duration::seconds(60));
  ASSERT_TRUE(took.has_value());
  EXPECT_LT(took->count_s(), 20);
}

TEST(Faults, ASuspendedNodeIsMissedAndComesBack) {
  Simulation simulation(quiet(2));
  settle(simulation, 30);
  simulation.pause(7);
  simulation.run_for(Duration::seconds(300));
  EXPECT_GT(simulation.misplaced_nodes(), 0U);  // its neighbours went on without it
  simulation.resume(7);
  EXPECT_TRUE(simulation.time_until_right(Duration::seconds(60)).has_value());
}

TEST(Faults, ClocksThatDriftDoNotBreakTheRing) {
  Simulation simulation(quiet(3));
  for (NodeIndex node = 0; node < 30; ++node)
    simulation.set_clock(node, {Duration::seconds(node), node % 2 == 0 ? 100'000 : -100'000});
  settle(simulation, 30);
  SampledLookups lookups(simulation, 3);
  for (int i = 0; i < 50; ++i)
    lookups.ask(simulation.alive(), 1);
  simulation.run_for(Duration::seconds(20));
  EXPECT_EQ(lookups.found(), 50U);
}

TEST(Faults, AClockShowsWhatItWasSetTo) {
  NodeClocks clocks;
  const auto second = [](std::int64_t n) { return Instant::from_ns(n * 1'000'000'000); };
  EXPECT_EQ(clocks.read(3, second(100)).now, second(100));
  clocks.set(3, second(100), {Duration::seconds(-50), 1000});
  EXPECT_EQ(clocks.read(3, second(100)).now, second(100));  // no jump
  const Clock later = clocks.read(3, second(1100));
  EXPECT_EQ(later.now, second(1101));
  EXPECT_EQ(later.wall.unix_seconds(), clocks.read(0, second(1100)).wall.unix_seconds() - 49);
  const Instant when = clocks.when(3, later.now);
  EXPECT_GE(clocks.read(3, when).now, later.now);
  EXPECT_LE((when - second(1100)).count_ns(), 2);
  EXPECT_EQ(clocks.when(3, Instant::never()), Instant::never());
  clocks.set(3, second(1100), {});
  EXPECT_EQ(clocks.read(3, second(1100)).now, second(1101));  // its Instant does not go back
}

TEST(Faults, ANetworkLosesDoublesAndDelaysAsItWasTold) {
  Network network(4);
  Conditions conditions;
  conditions.loss_ppm = 200'000;
  conditions.duplicate_ppm = 500'000;
  conditions.jitter = Duration::milliseconds(100);
  network.set_conditions(conditions);
  const Instant now = Instant::from_ns(0);
  std::size_t lost = 0;
  std::size_t twice = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto arrivals = network.carry(0, LinkId{1}, 100, now, Duration::milliseconds(50));
    lost += arrivals.count == 0 ? 1 : 0;
    twice += arrivals.count == 2 ? 1 : 0;
    for (std::size_t n = 0; n < arrivals.count; ++n) {
      EXPECT_GE(arrivals.at[n], now + Duration::milliseconds(50));
      EXPECT_LT(arrivals.at[n], now + Duration::milliseconds(150));
    }
  }
  EXPECT_NEAR(static_cast<double>(lost), 2000, 200);
  EXPECT_NEAR(static_cast<double>(twice), 4000, 200);
}

TEST(Faults, AnUplinkSendsOneAfterTheOtherAndDropsWhatDoesNotFit) {
  Network network(5);
  network.set_uplink(2, {80, 10});  // 10 bytes a millisecond
  const Instant now = Instant::from_ns(0);
  for (int i = 1; i <= 10; ++i) {
    const auto arrivals = network.carry(2, LinkId{1}, 120, now, Duration::milliseconds(50));
    ASSERT_EQ(arrivals.count, 1U);
    EXPECT_EQ(arrivals.at[0],
              now + Duration::milliseconds(50 + 20 * i));  // 200 bytes with envelope
  }
  EXPECT_EQ(network.waiting(2, LinkId{1}, now), 10U);
  EXPECT_EQ(network.carry(2, LinkId{1}, 120, now, {}).count, 0U);
  EXPECT_EQ(network.waiting(2, LinkId{1}, now + Duration::milliseconds(100)), 5U);
  EXPECT_EQ(network.carry(3, LinkId{1}, 120, now, {}).at[0], now);  // another's is free
}

TEST(Faults, AnOverloadedLinkIsClosed) {
  Simulation simulation(quiet(6));
  settle(simulation, 10);
  simulation.set_uplink(3, {1, 100'000});  // 1 kbit/s
  simulation.make_hostile(3, HostileKind::kFlooder);
  simulation.run_for(Duration::seconds(600));
  std::size_t links = 0;
  for (const NodeIndex node : simulation.alive())
    if (node != 3)
      for (const Link& link : simulation.overlay(node).links())
        links += link.node == simulation.id(3) ? 1U : 0U;
  EXPECT_EQ(links, 0U);
}

// --- Hostile members
// -------------------------------------------------------------------------------

// The share of lookups between honest nodes that is answered right, in percent, with three tries.
double found_among(HostileKind kind, std::uint64_t seed, std::vector<std::uint32_t>* drops) {
  Simulation simulation(quiet(seed));
  simulation.add_nodes(64, simulation.now(), {});
  simulation.run_for(Duration::seconds(60));
  for (NodeIndex node = 10; node < 16; ++node)
    simulation.make_hostile(node, kind);
  std::vector<NodeIndex> honest = simulation.alive();
  std::erase_if(honest, [&](NodeIndex node) { return simulation.is_hostile(node); });
  SampledLookups lookups(simulation, seed);
  for (int i = 0; i < 300; ++i) {
    lookups.ask(honest, 3);
    simulation.run_for(Duration::milliseconds(100));
  }
  simulation.run_for(Duration::seconds(40));
  drops->assign(kDropTexts.size(), 0);
  for (const NodeIndex node : honest)
    for (std::size_t i = 0; i < kDropTexts.size(); ++i)
      (*drops)[i] += simulation.overlay(node).drops().value(static_cast<Drop>(i));
  return 100.0 * static_cast<double>(lookups.found()) / static_cast<double>(lookups.ended());
}

TEST(Hostile, LookupsSucceedBetweenHonestNodes) {
  std::vector<std::uint32_t> drops;
  EXPECT_GT(found_among(HostileKind::kDropper, 7, &drops), 85);
  EXPECT_GT(found_among(HostileKind::kMisdirector, 8, &drops), 75);  // lookups trust who answers
  EXPECT_GT(found_among(HostileKind::kLiar, 9, &drops), 99);
  EXPECT_GT(found_among(HostileKind::kFlooder, 10, &drops), 99);
  EXPECT_GT(found_among(HostileKind::kReplayer, 11, &drops), 99);
  EXPECT_GT(drops[static_cast<std::size_t>(Drop::kReplayed)], 100U);
  EXPECT_GT(found_among(HostileKind::kGarbler, 12, &drops), 99);
  EXPECT_GT(drops[static_cast<std::size_t>(Drop::kMalformed)], 100U);
}

}  // namespace
}  // namespace ringway::overlay::sim
