// A picture of the ring: nodes on a circle by their IDs, near links along it, shortcuts and others
// across. Legible from a few nodes to some thousand, on light and dark ground.
#pragma once

#include <string>

#include "base/result.hpp"
#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

[[nodiscard]] std::string ring_svg(const Simulation& simulation);
[[nodiscard]] Result<void> save_svg(const std::string& path, const Simulation& simulation);

}  // namespace ringway::overlay::sim
