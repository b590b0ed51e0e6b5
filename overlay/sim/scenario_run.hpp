// Runs a scenario and says what did not hold.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "overlay/sim/scenario.hpp"

namespace ringway::overlay::sim {

struct Violation {
  std::string checker;
  std::string what;
  Duration at;  // since the beginning
};

struct ScenarioResult {
  std::vector<Violation> violations;  // the first of each checker
  std::uint64_t history_hash = 0;
  std::optional<Duration> settled_after;  // the end of the faults; none: not within the promise
  std::size_t alive = 0;
  Statistics statistics;

  [[nodiscard]] bool held() const { return violations.empty(); }
};

struct ScenarioHooks {
  std::function<void(const Simulation&)> progress;  // now and then
  std::function<void(const Simulation&)> end;       // when all is over
};

// data_folder: of the PlanetLab matrix. Fails for latencies that are unknown.
[[nodiscard]] Result<ScenarioResult> run_scenario(const Scenario& scenario,
                                                  const std::string& data_folder,
                                                  const ScenarioHooks& hooks = {});

}  // namespace ringway::overlay::sim
