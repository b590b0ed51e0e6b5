// The ring's order: how soon it is right, and right again.
#include "overlay/sim/experiments/dht_rows.hpp"
#include "overlay/sim/experiments/experiment.hpp"

namespace ringway::overlay::sim {
namespace {

// All start at once: until every node has its two neighbours of each side.
Row start_row(const ExperimentOptions& options, std::uint64_t seed, std::uint32_t nodes,
              const char* published, std::optional<double> promised) {
  const auto simulation = make_simulation(options, seed);
  simulation->add_nodes(nodes, simulation->now(), {});
  const auto time = simulation->time_until_right(Duration::seconds(300));
  return {nodes_text(nodes), published, "s", Better::kLower, promised, {seconds(time)}};
}

std::vector<Row> run_start(const ExperimentOptions& options, std::uint64_t seed) {
  if (options.nodes > 0) return {start_row(options, seed, options.nodes, "", {})};
  return {start_row(options, seed, 16, "54 s, secured 58 s", {}),
          start_row(options, seed, 64, "76 s, secured 83 s", {}),
          start_row(options, seed, 256, "82 s, secured 92 s", 10)};
}

std::unique_ptr<Simulation> settled_ring(const ExperimentOptions& options, std::uint64_t seed,
                                         std::uint32_t nodes) {
  auto simulation = make_simulation(options, seed);
  simulation->add_nodes(nodes, simulation->now(), kJoining);
  simulation->run_for(kUntilSettled);
  return simulation;
}

std::vector<Row> run_vanish(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kThousand;
  const auto simulation = settled_ring(options, seed, nodes);
  VanishRows values(*simulation, nodes);
  values.before();
  for (std::size_t left = nodes / 2; left > 0; --left)
    simulation->crash(simulation->alive()[simulation->rng().below(simulation->alive().size())]);
  const Instant vanished = simulation->now();
  values.read_soon();
  const auto time = simulation->time_until_right(Duration::seconds(300));
  values.after(vanished);
  std::vector<Row> rows = {{nodes_text(nodes), "", "s", Better::kLower, 30, {seconds(time)}}};
  for (Row& row : values.rows())
    rows.push_back(std::move(row));
  return rows;
}

std::vector<Row> run_partition(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kThousand;
  const auto simulation = settled_ring(options, seed, nodes);
  std::vector<NodeIndex> halves[2];
  for (const NodeIndex node : simulation->alive()) {
    const std::uint64_t half = simulation->rng().below(2);
    halves[half].push_back(node);
    simulation->set_part(node, static_cast<std::uint8_t>(1 + half));
  }
  const Instant together = simulation->now() + Duration::seconds(3600);
  LeaseRows leases(*simulation);
  simulation->run_for(Duration::seconds(300));
  leases.during(halves[0], halves[1]);
  simulation->run_until(together);
  for (const NodeIndex node : simulation->alive())
    simulation->set_part(node, 0);
  const auto time = simulation->time_until_right(Duration::seconds(600));
  const auto settled = leases.time_until_settled(together);
  std::vector<Row> rows = {{nodes_text(nodes), "", "s", Better::kLower, 60, {seconds(time)}}};
  for (Row& row : leases.rows(settled))
    rows.push_back(std::move(row));
  return rows;
}

}  // namespace

std::vector<Experiment> ring_experiments() {
  return {
      {"start", "all nodes start at once: time until the ring is right", run_start},
      {"vanish", "half of all nodes vanish at once: time until the ring is right again",
       run_vanish},
      {"partition", "two halves, apart for an hour: time until they are one ring", run_partition},
  };
}

}  // namespace ringway::overlay::sim
