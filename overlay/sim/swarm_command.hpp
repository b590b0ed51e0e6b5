// ringway-sim swarm: random scenarios, one after the other.
#pragma once

#include <cstdint>
#include <string>

namespace ringway::overlay::sim {

struct SwarmOptions {
  std::uint32_t runs = 100;
  std::uint64_t seed = 1;  // of the first run; the others have those that follow
  double minutes = 0;      // of the wall clock, after which no new run begins; zero: no limit
  std::uint32_t most_nodes = 200;
  std::string out = ".";        // folder for the scenarios that failed
  unsigned cutting_runs = 400;  // at most, to cut one of them down
  bool json = false;
};

// The exit status: 0 when everything held, 1 when something did not, 2 when it could not run.
[[nodiscard]] int run_swarm(const SwarmOptions& options);

}  // namespace ringway::overlay::sim
