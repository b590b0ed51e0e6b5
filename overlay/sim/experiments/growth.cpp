// Nodes that come to a ring which is there: one, and many at once.
#include <algorithm>

#include "overlay/sim/experiments/experiment.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::uint32_t kPlanetLabNodes = 600;
constexpr std::uint32_t kSimulatedNodes = 100;
constexpr std::uint32_t kGrowsFrom = 200;
constexpr int kJoins = 100;  // of single nodes, one after the other
constexpr Duration kBetweenJoins = Duration::seconds(10);
constexpr Duration kLook = Duration::milliseconds(10);
constexpr Duration kGrowthLimit = Duration::seconds(300);

// Until the node has a neighbour on both sides, linked and wanted by both: it routes, is found, and
// answers.
std::optional<double> time_join(Simulation& simulation) {
  const Instant begin = simulation.now();
  const NodeIndex node = simulation.add_node(begin);
  while (simulation.now() - begin < kGrowthLimit) {
    simulation.run_for(kLook);
    if (simulation.overlay(node).in_ring()) return (simulation.now() - begin).count_s();
  }
  return std::nullopt;
}

std::vector<Row> join_rows(const ExperimentOptions& options, std::uint64_t seed,
                           std::uint32_t nodes, const char* median, const char* p90) {
  const auto simulation = make_simulation(options, seed);
  simulation->add_nodes(nodes, simulation->now(), kJoining);
  simulation->run_for(kUntilSettled);
  std::vector<double> times;
  for (int i = 0; i < kJoins; ++i) {
    if (const auto time = time_join(*simulation)) times.push_back(*time);
    simulation->run_for(kBetweenJoins);
  }
  std::sort(times.begin(), times.end());
  const auto at = [&](std::size_t percent) -> std::optional<double> {
    const std::size_t index = kJoins * percent / 100;
    return index < times.size() ? std::optional(times[index]) : std::nullopt;
  };
  const std::string who = nodes_text(nodes) + " and one, ";
  return {{who + "median", median, "s", Better::kLower, {}, {at(50)}},
          {who + "p90", p90, "s", Better::kLower, {}, {at(90)}}};
}

std::vector<Row> run_join(const ExperimentOptions& options, std::uint64_t seed) {
  ExperimentOptions planetlab = options;
  planetlab.latency = "planetlab";
  return join_rows(planetlab, seed, options.nodes > 0 ? options.nodes : kPlanetLabNodes,
                   "0.92 s, secured 1.80 s", "1.74 s, secured 2.78 s");
}

std::vector<Row> run_join_simulated(const ExperimentOptions& options, std::uint64_t seed) {
  ExperimentOptions fixed = options;
  fixed.latency = "fixed:100";
  return join_rows(fixed, seed, options.nodes > 0 ? options.nodes : kSimulatedNodes,
                   "1.62 s, secured 3.54 s", "1.77 s, secured 3.81 s");
}

// Until the ring of all is right.
Row grow_row(const ExperimentOptions& options, std::uint64_t seed, std::uint32_t added,
             const char* published) {
  const auto simulation = make_simulation(options, seed);
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kGrowsFrom;
  simulation->add_nodes(nodes, simulation->now(), kJoining);
  simulation->run_for(kUntilSettled);
  simulation->add_nodes(added, simulation->now(), {});
  const auto time = simulation->time_until_right(kGrowthLimit);
  return {nodes_text(nodes) + " and " + std::to_string(added),
          published,
          "s",
          Better::kLower,
          {},
          {seconds(time)}};
}

std::vector<Row> run_grow(const ExperimentOptions& options, std::uint64_t seed) {
  return {grow_row(options, seed, 2, "12.8 s, secured 41 s"), grow_row(options, seed, 10, ""),
          grow_row(options, seed, 50, ""), grow_row(options, seed, 100, ""),
          grow_row(options, seed, 300, "27.1 s, secured 178 s")};
}

}  // namespace

std::vector<Experiment> growth_experiments() {
  return {
      {"join", "one node joins, PlanetLab's latencies: time until it is in the ring", run_join, 1},
      {"join-simulated", "one node joins, links of 100 ms one way: time until it is in the ring",
       run_join_simulated, 1},
      {"grow", "nodes come to a ring at once: time until the ring of all is right", run_grow},
  };
}

}  // namespace ringway::overlay::sim
