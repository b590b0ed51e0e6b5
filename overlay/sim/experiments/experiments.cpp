#include "overlay/sim/experiments/experiments.hpp"

#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "base/check.hpp"
#include "overlay/sim/experiments/experiment.hpp"
#include "overlay/sim/latency_choice.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::uint32_t kNodesASecond = 10;
constexpr Duration kSettling = Duration::seconds(300);

std::vector<Experiment> all_experiments() {
  std::vector<Experiment> all;
  for (const auto& list : {ring_experiments(), growth_experiments(), scale_experiments(),
                           dht_experiments(), broadcast_experiments(), coordinate_experiments(),
                           private_experiments(), relay_experiments(), hostile_experiments()})
    all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::string text_of(const std::optional<double>& value, const std::string& unit) {
  if (!value) return "never";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", *value);
  return text + (" " + unit);
}

nlohmann::ordered_json json_of(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

void print_text(const Experiment& experiment, const ExperimentOptions& options,
                const std::vector<Row>& rows) {
  std::printf("%s (%s)\n", experiment.what, options.latency.c_str());
  for (const Row& row : rows) {
    std::printf("  %-38s", row.what.c_str());
    if (!row.published.empty()) std::printf("  published %-28s", row.published.c_str());
    if (row.promised) std::printf("  promised %s", text_of(row.promised, row.unit).c_str());
    std::printf("  ours: %s", text_of(row.median(), row.unit).c_str());
    if (row.values.size() > 1)
      std::printf(", worst of %zu %s", row.values.size(), text_of(row.worst(), row.unit).c_str());
    std::printf("%s\n", row.kept() ? "" : "  NOT KEPT");
  }
}

nlohmann::ordered_json json_of(const Experiment& experiment, const ExperimentOptions& options,
                               const std::vector<Row>& rows) {
  nlohmann::ordered_json result = {
      {"experiment", experiment.name}, {"latency", options.latency}, {"rows", nullptr}};
  for (const Row& row : rows)
    result["rows"].push_back({{"what", row.what},
                              {"published", row.published},
                              {"unit", row.unit},
                              {"promised", json_of(row.promised)},
                              {"median", json_of(row.median())},
                              {"worst", json_of(row.worst())},
                              {"kept", row.kept()}});
  return result;
}

std::vector<Row> measure(const Experiment& experiment, const ExperimentOptions& options) {
  const unsigned runs = options.runs > 0 ? options.runs : experiment.runs;
  std::vector<Row> rows = experiment.run(options, options.seed);
  for (unsigned run = 1; run < runs; ++run) {
    const std::vector<Row> more = experiment.run(options, options.seed + run);
    CHECK(more.size() == rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
      rows[i].values.push_back(more[i].values.front());
  }
  return rows;
}

// From best to worst.
std::vector<std::optional<double>> sorted(const Row& row) {
  auto values = row.values;
  std::sort(values.begin(), values.end(), [&](const auto& a, const auto& b) {
    if (!a || !b) return a.has_value() && !b.has_value();
    return row.better == Better::kLower ? *a < *b : *a > *b;
  });
  return values;
}

}  // namespace

std::optional<double> Row::median() const {
  return sorted(*this)[values.size() / 2];
}

std::optional<double> Row::worst() const {
  return sorted(*this).back();
}

bool Row::kept() const {
  const std::optional<double> value = worst();
  if (!value || !promised) return value.has_value();
  return better == Better::kLower ? *value <= *promised : *value >= *promised;
}

std::optional<double> seconds(const std::optional<Duration>& duration) {
  return duration ? std::optional(duration->count_s()) : std::nullopt;
}

std::unique_ptr<Simulation> make_simulation(const ExperimentOptions& options, std::uint64_t seed,
                                            Options settings) {
  settings.seed = seed;
  settings.lookup_interval = {};
  auto latency = choose_latency(options.latency, seed, options.data_folder);
  CHECK(latency);  // run_experiment() looked at it before
  return std::make_unique<Simulation>(settings, std::move(*latency));
}

std::unique_ptr<Simulation> grow_ring(const ExperimentOptions& options, std::uint64_t seed,
                                      std::uint32_t nodes, Options settings) {
  auto simulation = make_simulation(options, seed, settings);
  const auto well_known =
      static_cast<std::uint32_t>(std::min<std::size_t>(nodes, settings.well_known));
  const Duration joining = Duration::milliseconds(nodes * 1000 / kNodesASecond);
  simulation->add_nodes(well_known, simulation->now(), {});
  simulation->add_nodes(nodes - well_known, simulation->now(), joining);
  simulation->run_for(joining + kSettling);
  return simulation;
}

std::string nodes_text(std::uint32_t nodes) {
  return std::to_string(nodes) + " nodes";
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

std::vector<ExperimentText> list_experiments() {
  std::vector<ExperimentText> result;
  for (const Experiment& experiment : all_experiments())
    result.push_back({experiment.name, experiment.what});
  return result;
}

int run_experiment(const ExperimentOptions& options) {
  std::vector<Experiment> wanted = all_experiments();
  if (options.name != "all")
    std::erase_if(wanted, [&](const Experiment& each) { return each.name != options.name; });
  if (wanted.empty()) {
    std::fprintf(stderr,
                 "ringway-sim: no experiment %s; ringway-sim experiment --help lists them\n",
                 options.name.c_str());
    return 2;
  }
  const auto latency = choose_latency(options.latency, options.seed, options.data_folder);
  if (!latency) {
    std::fprintf(stderr, "ringway-sim: %s\n", latency.error().text().c_str());
    return 2;
  }
  bool kept = true;
  auto json = nlohmann::ordered_json::array();
  for (const Experiment& experiment : wanted) {
    const std::vector<Row> rows = measure(experiment, options);
    for (const Row& row : rows)
      kept &= row.kept();
    if (options.json) {
      json.push_back(json_of(experiment, options, rows));
    } else {
      print_text(experiment, options, rows);
      std::fflush(stdout);
    }
  }
  if (options.json) std::printf("%s\n", (json.size() == 1 ? json[0] : json).dump(2).c_str());
  return kept ? 0 : 1;
}

}  // namespace ringway::overlay::sim
