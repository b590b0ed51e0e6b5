// ringway-sim run --scenario: what a file says, and whether all that must hold held.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ringway::overlay::sim {

struct ScenarioOptions {
  std::string file;
  std::optional<std::uint64_t> seed;  // instead of the file's
  std::string data_folder;            // of the PlanetLab matrix
  std::string svg;                    // file for a picture of the ring in the end
  bool json = false;
};

// The exit status: 0 when everything held, 1 when something did not, 2 when it could not run.
[[nodiscard]] int run_scenario_file(const ScenarioOptions& options);

}  // namespace ringway::overlay::sim
