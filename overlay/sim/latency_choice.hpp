// The latency model that a command line names: planetlab, geometric:MS or fixed:MS.
#pragma once

#include <memory>
#include <string>

#include "overlay/sim/latency.hpp"

namespace ringway::overlay::sim {

[[nodiscard]] Result<std::unique_ptr<LatencyModel>> choose_latency(const std::string& name,
                                                                   std::uint64_t seed,
                                                                   const std::string& data_folder);

}  // namespace ringway::overlay::sim
