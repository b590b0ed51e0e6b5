#include "overlay/sim/experiments.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>

#include <nlohmann/json.hpp>

#include "overlay/sim/latency_choice.hpp"
#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kUntilSettled = Duration::seconds(120);

// One line of the result: a number of nodes, and the times of its runs.
struct Row {
  std::string what;
  std::string compared_with;  // what others published, or what is promised
  std::vector<std::optional<Duration>> times;
};

std::unique_ptr<Simulation> make_simulation(const ExperimentOptions& options, std::uint64_t seed) {
  Options settings;
  settings.seed = seed;
  settings.lookup_interval = {};
  auto latency = choose_latency(options.latency, seed, options.data_folder);
  if (!latency) {
    std::fprintf(stderr, "ringway-sim: %s\n", latency.error().text().c_str());
    return nullptr;
  }
  return std::make_unique<Simulation>(settings, std::move(*latency));
}

// All start at once: until every node has its two neighbours of each side.
std::optional<Duration> time_start(Simulation& simulation, std::size_t nodes) {
  simulation.add_nodes(nodes, simulation.now(), {});
  return simulation.time_until_right(Duration::seconds(300));
}

std::optional<Duration> time_vanish(Simulation& simulation, std::size_t nodes) {
  simulation.add_nodes(nodes, simulation.now(), Duration::seconds(30));
  simulation.run_for(kUntilSettled);
  for (std::size_t left = nodes / 2; left > 0; --left)
    simulation.crash(simulation.alive()[simulation.rng().below(simulation.alive().size())]);
  return simulation.time_until_right(Duration::seconds(300));
}

std::optional<Duration> time_partition(Simulation& simulation, std::size_t nodes) {
  simulation.add_nodes(nodes, simulation.now(), Duration::seconds(30));
  simulation.run_for(kUntilSettled);
  for (const NodeIndex node : simulation.alive())
    simulation.set_part(node, simulation.rng().below(2) == 0 ? 1 : 2);
  simulation.run_for(Duration::seconds(3600));
  for (const NodeIndex node : simulation.alive())
    simulation.set_part(node, 0);
  return simulation.time_until_right(Duration::seconds(600));
}

struct Size {
  std::uint32_t nodes;
  const char* compared_with;
};
struct Experiment {
  const char* name;
  const char* what;
  std::optional<Duration> (*time)(Simulation&, std::size_t nodes);
  std::vector<Size> sizes;
};

const std::vector<Experiment>& experiments() {
  static const std::vector<Experiment> kAll = {
      {"start",
       "all nodes start at once: time until the ring is right",
       time_start,
       {{16, "published 54 s, secured 58 s"},
        {64, "published 76 s, secured 83 s"},
        {256, "published 82 s, secured 92 s"}}},
      {"vanish",
       "half of all nodes vanish at once: time until the ring is right again",
       time_vanish,
       {{1000, "promised 30 s"}}},
      {"partition",
       "two halves, apart for an hour: time until they are one ring",
       time_partition,
       {{1000, "promised 60 s"}}},
  };
  return kAll;
}

std::string text_of(const std::optional<Duration>& time) {
  if (!time) return "never";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f s", time->count_s());
  return text;
}

void print(const Experiment& experiment, const ExperimentOptions& options,
           const std::vector<Row>& rows) {
  if (!options.json) std::printf("%s (%s)\n", experiment.what, options.latency.c_str());
  nlohmann::ordered_json result = {
      {"experiment", experiment.name}, {"latency", options.latency}, {"rows", nullptr}};
  for (const Row& row : rows) {
    auto sorted = row.times;
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      return a.value_or(Duration::seconds(1'000'000)) < b.value_or(Duration::seconds(1'000'000));
    });
    const auto& median = sorted[sorted.size() / 2];
    const auto& worst = sorted.back();
    if (options.json) {
      nlohmann::ordered_json line = {{"what", row.what}, {"compared_with", row.compared_with}};
      line["median_s"] = median ? nlohmann::ordered_json(median->count_s()) : nullptr;
      line["worst_s"] = worst ? nlohmann::ordered_json(worst->count_s()) : nullptr;
      result["rows"].push_back(line);
    } else {
      std::printf("  %-12s %-32s ours: median %s, worst of %zu %s\n", row.what.c_str(),
                  row.compared_with.c_str(), text_of(median).c_str(), sorted.size(),
                  text_of(worst).c_str());
    }
  }
  if (options.json) std::printf("%s\n", result.dump(2).c_str());
}

}  // namespace

std::vector<ExperimentText> list_experiments() {
  std::vector<ExperimentText> result;
  for (const Experiment& experiment : experiments())
    result.push_back({experiment.name, experiment.what});
  return result;
}

int run_experiment(const ExperimentOptions& options) {
  const auto found = std::find_if(experiments().begin(), experiments().end(),
                                  [&](const auto& each) { return each.name == options.name; });
  if (found == experiments().end()) {
    std::fprintf(stderr, "ringway-sim: no experiment %s\n", options.name.c_str());
    return 2;
  }
  std::vector<Size> sizes = found->sizes;
  if (options.nodes > 0) sizes = {{options.nodes, "-"}};
  std::vector<Row> rows;
  bool all_ended = true;
  for (const Size& size : sizes) {
    Row row{std::to_string(size.nodes) + " nodes", size.compared_with, {}};
    for (unsigned run = 0; run < options.runs; ++run) {
      const auto simulation = make_simulation(options, options.seed + run);
      if (simulation == nullptr) return 2;
      row.times.push_back(found->time(*simulation, size.nodes));
      all_ended &= row.times.back().has_value();
    }
    rows.push_back(std::move(row));
  }
  print(*found, options, rows);
  return all_ended ? 0 : 1;
}

}  // namespace ringway::overlay::sim
