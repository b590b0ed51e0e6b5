// Random scenarios by the hundred: drawn, run, and, where something did not hold, cut down to the
// little that still shows it. Deterministic: a seed means one scenario.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "overlay/sim/scenario_run.hpp"

namespace ringway::overlay::sim {

struct SwarmLimits {
  std::uint32_t most_nodes = 200;
  Duration longest = Duration::seconds(300);  // of the faults
};

// The scenario of this seed: 2 nodes or more, few ones more often than many; all kinds of faults.
[[nodiscard]] Scenario draw_scenario(std::uint64_t seed, const SwarmLimits& limits = {});

// A scenario that still fails in the same checker, with fewer incidents and nodes: cut as long as
// something can be left out, in at most `runs` runs.
[[nodiscard]] Scenario shrink(const Scenario& failing, const std::string& checker,
                              const std::string& data_folder, unsigned runs,
                              const std::function<void(const Scenario&)>& progress = {});

}  // namespace ringway::overlay::sim
