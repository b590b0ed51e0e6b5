// How long a message takes from one simulated node to another.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace ringway::overlay::sim {

class LatencyModel {
 public:
  virtual ~LatencyModel() = default;
  // One way, the same in both directions.
  [[nodiscard]] virtual Duration between(std::uint32_t a, std::uint32_t b) const = 0;
};

// Every two nodes are equally far apart.
[[nodiscard]] std::unique_ptr<LatencyModel> make_fixed_latency(Duration one_way);
// Nodes lie in a square, whose diagonal takes `across` one way; each has an access delay of up to a
// tenth of that.
[[nodiscard]] std::unique_ptr<LatencyModel> make_geometric_latency(std::uint64_t seed,
                                                                   Duration across);
// Round trips measured between 490 PlanetLab nodes. More nodes than that share rows, each with an
// access delay of up to 5 ms. `path`: the gzipped matrix, data/planetlab-rtt.
[[nodiscard]] Result<std::unique_ptr<LatencyModel>> load_planetlab_latency(std::uint64_t seed,
                                                                           const std::string& path);

}  // namespace ringway::overlay::sim
