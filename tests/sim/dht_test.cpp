// The DHT in whole rings, in virtual time: values while nodes come and go, vanish, or are
// separated.

#include <gtest/gtest.h>

#include "overlay/sim/churn.hpp"
#include "overlay/sim/dht_workload.hpp"
#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kAMinute = Duration::seconds(60);

Options without_lookups(std::uint64_t seed) {
  Options options;
  options.seed = seed;
  options.lookup_interval = {};
  return options;
}

void form(Simulation& simulation, std::size_t count) {
  simulation.add_nodes(count, simulation.now(), {});
  simulation.run_for(kAMinute);
  ASSERT_TRUE(simulation.ring_right());
}

DhtWorkloadOptions some_values(std::size_t values) {
  DhtWorkloadOptions options;
  options.values = values;
  return options;
}

TEST(RingDht, KeepsValuesWhileNodesCrashAndOthersJoin) {
  Simulation simulation(without_lookups(21));
  form(simulation, 100);
  DhtWorkload workload(simulation, some_values(50));
  workload.start();
  Churn churn(simulation, {kAMinute * 10, 100, 4, {}});
  churn.run_until(simulation.now() + kAMinute * 10);
  const DhtStatistics& statistics = workload.statistics();
  ASSERT_GT(statistics.reads, 300U);
  EXPECT_EQ(statistics.lost, 0U);
  EXPECT_EQ(statistics.reads_missing, 0U);
  EXPECT_EQ(statistics.reads_wrong, 0U);
  EXPECT_GE(statistics.reads_ok * 1000, statistics.reads * 990);
  EXPECT_GE(statistics.fewest_holders, 3U);
}

TEST(RingDht, ReadsWhatOwnersKeepAMinuteAfterHalfOfTheRingVanished) {
  Simulation simulation(without_lookups(22));
  form(simulation, 200);
  DhtWorkload workload(simulation, some_values(200));
  workload.put_all();
  simulation.run_for(kAMinute);
  for (int left = 100; left > 0; --left)
    simulation.crash(simulation.alive()[simulation.rng().below(simulation.alive().size())]);
  simulation.run_for(Duration::seconds(45));
  workload.read_all();
  simulation.run_for(Duration::seconds(15));
  std::size_t checked = 0;
  for (const DhtWorkload::Value& value : workload.values()) {
    if (!value.confirmed || !workload.owner_lives(value)) continue;
    ++checked;
    EXPECT_TRUE(value.readable);
  }
  EXPECT_GT(checked, 50U);
}

TEST(RingDht, OneNodeKeepsALeaseThatBothHalvesGave) {
  Simulation simulation(without_lookups(23));
  form(simulation, 60);
  const std::vector<NodeIndex> nodes = simulation.alive();
  for (std::size_t i = 0; i < nodes.size(); ++i)
    simulation.set_part(nodes[i], i % 2 == 0 ? 1 : 2);
  simulation.run_for(kAMinute * 5);
  dht::Order lease;
  lease.task = dht::Task::kCreate;
  lease.kind = dht::Kind::kLease;
  const auto holds = [&](std::size_t place) {
    return simulation.overlay(nodes[place]).dht().holds(lease);
  };
  for (std::uint8_t last = 1; last <= 10; ++last) {
    lease.name = {192, 0, 2, last};
    for (const std::size_t place : {std::size_t{2} * last, std::size_t{2} * last + 1})
      simulation.act(nodes[place], [&](Overlay& overlay, Clock clock) {
        return overlay.dht(clock).begin(lease);
      });
  }
  simulation.run_for(kAMinute * 2);
  const auto holders_of = [&](std::uint8_t last) {
    lease.name = {192, 0, 2, last};
    const std::size_t first = std::size_t{2} * last;
    return (holds(first) ? 1 : 0) + (holds(first + 1) ? 1 : 0);
  };
  for (std::uint8_t last = 1; last <= 10; ++last)
    EXPECT_EQ(holders_of(last), 2);
  for (const NodeIndex node : nodes)
    simulation.set_part(node, 0);
  simulation.run_for(kAMinute);
  for (std::uint8_t last = 1; last <= 10; ++last)
    EXPECT_EQ(holders_of(last), 1);
}

}  // namespace
}  // namespace ringway::overlay::sim
