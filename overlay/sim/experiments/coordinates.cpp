// Network coordinates: how well the places of two nodes predict their round trip.
#include <algorithm>
#include <cmath>

#include "overlay/sim/experiments/experiment.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kUntilKnown = Duration::seconds(600);
constexpr std::uint32_t kPlanetLabRows = 490;  // each with its own row of the PlanetLab matrix
constexpr std::size_t kJudgedPairs = 20'000;

// |predicted - measured| / measured, in percent, of random pairs; sorted.
std::vector<double> relative_errors(Simulation& simulation) {
  std::vector<double> errors;
  const auto& alive = simulation.alive();
  for (std::size_t i = 0; i < kJudgedPairs; ++i) {
    const NodeIndex a = alive[simulation.rng().below(alive.size())];
    const NodeIndex b = alive[simulation.rng().below(alive.size())];
    if (a == b) continue;
    const double real = (simulation.one_way(a, b) * 2).count_s();
    const double said =
        predict(simulation.overlay(a).coordinate(), simulation.overlay(b).coordinate()).count_s();
    errors.push_back(100 * std::fabs(said - real) / real);
  }
  std::sort(errors.begin(), errors.end());
  return errors;
}

std::vector<Row> run_coordinates(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kPlanetLabRows;
  const auto simulation = make_simulation(options, seed);
  simulation->add_nodes(nodes, simulation->now(), kJoining);
  simulation->run_for(kUntilKnown);
  const std::vector<double> errors = relative_errors(*simulation);
  const auto row = [&](const char* what, const char* published, std::size_t part) {
    const std::size_t at = errors.size() * part / 100;
    return Row{nodes_text(nodes) + ", " + what, published, "%", Better::kLower, {}, {errors[at]}};
  };
  return {row("median error", "11 % (1,740 DNS servers)", 50), row("90th percentile", "", 90)};
}

}  // namespace

std::vector<Experiment> coordinate_experiments() {
  return {{"coordinates",
           "round trips as coordinates predict them after 10 min: relative error (use --latency "
           "planetlab)",
           run_coordinates}};
}

}  // namespace ringway::overlay::sim
