// What a ring costs by its size: hops of a lookup, memory of a node, time of the simulator.
#include <algorithm>
#include <cmath>

#include "overlay/sim/experiments/experiment.hpp"
#include "overlay/sim/sampled_lookups.hpp"
#include "overlay/sim/terminal.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::uint32_t kTenThousand = 10'000;
constexpr int kLookups = 5000;
constexpr Duration kLastAnswers = Duration::seconds(30);
constexpr double kSpeedHours = 1;

double links_a_node(const Simulation& simulation) {
  double links = 0;
  for (const NodeIndex node : simulation.alive())
    links += static_cast<double>(simulation.overlay(node).links().size());
  return links / static_cast<double>(simulation.alive().size());
}

std::vector<Row> run_hops(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kTenThousand;
  const auto simulation = grow_ring(options, seed, nodes);
  SampledLookups lookups(*simulation, seed);
  for (int i = 0; i < kLookups; ++i) {
    lookups.ask(simulation->alive(), 1);
    simulation->run_for(Duration::milliseconds(10));
  }
  simulation->run_for(kLastAnswers);
  std::uint64_t sum = 0;
  std::uint64_t seen = 0;
  std::size_t p99 = 0;
  for (std::size_t hops = 0; hops < lookups.hops().size(); ++hops) {
    sum += hops * lookups.hops()[hops];
    if (seen * 100 < lookups.found() * 99) p99 = hops;
    seen += lookups.hops()[hops];
  }
  const double mean = static_cast<double>(sum) / static_cast<double>(lookups.found());
  // Symphony's bound, with k the shortcuts of a node in both directions.
  const double log2 = std::log2(static_cast<double>(nodes));
  const double bound = log2 * log2 / links_a_node(*simulation);
  const std::string who = nodes_text(nodes) + ", ";
  return {
      {who + "mean", "O(log2(N)^2 / k)", "hops", Better::kLower, 10, {mean}},
      {who + "p99", "", "hops", Better::kLower, 18, {static_cast<double>(p99)}},
      {who + "log2(N)^2 / links", "", "hops", Better::kLower, {}, {bound}},
      {who + "found at first try",
       "",
       "%",
       Better::kHigher,
       {},
       {100.0 * static_cast<double>(lookups.found()) / static_cast<double>(lookups.ended())}},
  };
}

std::vector<Row> run_memory(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kThousand;
  const std::size_t before = heap_bytes();
  const auto simulation = grow_ring(options, seed, nodes);
  const double each = static_cast<double>(heap_bytes() - before) / static_cast<double>(nodes);
  return {{nodes_text(nodes) + ", each", "200 KB", "KB", Better::kLower, 30, {each / 1000}}};
}

std::vector<Row> run_speed(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kThousand;
  const Stopwatch wall;
  const CpuStopwatch cpu;
  const auto simulation = grow_ring(options, seed, nodes);
  simulation->run_until(Instant::from_ns(0) +
                        Duration::seconds(static_cast<std::int64_t>(kSpeedHours * 3600)));
  const double days = static_cast<double>(simulation->now().ns()) * 1e-9 / 3600 / 24;
  const std::string what = nodes_text(nodes) + ", virtual days in an hour of ";
  return {{what + "one core",
           "1,000 peers, days in hours",
           "days",
           Better::kHigher,
           {},
           {days / (cpu.seconds() / 3600)}},
          {what + "the clock", "", "days", Better::kHigher, {}, {days / (wall.seconds() / 3600)}}};
}

}  // namespace

std::vector<Experiment> scale_experiments() {
  return {
      {"hops", "lookups in a settled ring: hops", run_hops, 1},
      {"memory", "memory of an active node", run_memory, 1},
      {"speed", "the simulator: virtual time in an hour of one core, and of the wall clock",
       run_speed, 1},
  };
}

}  // namespace ringway::overlay::sim
