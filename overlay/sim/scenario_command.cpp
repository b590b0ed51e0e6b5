#include "overlay/sim/scenario_command.hpp"

#include <cstdio>

#include <nlohmann/json.hpp>

#include "overlay/sim/scenario_file.hpp"
#include "overlay/sim/scenario_run.hpp"
#include "overlay/sim/svg.hpp"
#include "overlay/sim/terminal.hpp"

namespace ringway::overlay::sim {
namespace {

void show_progress(ProgressLine& line, const Simulation& simulation) {
  if (!line.due()) return;
  char text[120];
  std::snprintf(text, sizeof text, "%.0f s virtual, %zu nodes, %zu misplaced",
                static_cast<double>(simulation.now().ns()) * 1e-9, simulation.alive().size(),
                simulation.misplaced_nodes());
  line.show(text);
}

nlohmann::ordered_json json_of(const ScenarioOptions& options, const Scenario& scenario,
                               const ScenarioResult& result, double wall_s) {
  nlohmann::ordered_json violations = nlohmann::ordered_json::array();
  for (const Violation& violation : result.violations)
    violations.push_back({{"checker", violation.checker},
                          {"what", violation.what},
                          {"at_s", violation.at.count_s()}});
  return {{"scenario", options.file},
          {"seed", scenario.seed},
          {"nodes", scenario.nodes},
          {"alive", result.alive},
          {"wall_s", wall_s},
          {"events", result.statistics.events},
          {"messages", result.statistics.messages},
          {"history_hash", hexadecimal(result.history_hash)},
          {"held", result.held()},
          {"settled_after_s", result.settled_after ? result.settled_after->count_s() : -1},
          {"violations", violations}};
}

}  // namespace

int run_scenario_file(const ScenarioOptions& options) {
  auto scenario = load_scenario(options.file);
  if (!scenario) {
    std::fprintf(stderr, "ringway-sim: %s\n", scenario.error().text().c_str());
    return 2;
  }
  if (options.seed) scenario->seed = *options.seed;
  const Stopwatch stopwatch;
  ProgressLine line;
  ScenarioHooks hooks;
  hooks.progress = [&](const Simulation& simulation) { show_progress(line, simulation); };
  Result<void> drawn;
  if (!options.svg.empty())
    hooks.end = [&](const Simulation& simulation) { drawn = save_svg(options.svg, simulation); };
  const auto result = run_scenario(*scenario, options.data_folder, hooks);
  if (!result) {
    std::fprintf(stderr, "ringway-sim: %s: %s\n", options.file.c_str(),
                 result.error().text().c_str());
    return 2;
  }
  if (!drawn) {
    std::fprintf(stderr, "ringway-sim: %s\n", drawn.error().text().c_str());
    return 2;
  }
  const auto json = json_of(options, *scenario, *result, stopwatch.seconds());
  if (options.json) {
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    for (const auto& [name, value] : json.items())
      std::printf("%-16s %s\n", name.c_str(), value.dump().c_str());
  }
  return result->held() ? 0 : 1;
}

}  // namespace ringway::overlay::sim
