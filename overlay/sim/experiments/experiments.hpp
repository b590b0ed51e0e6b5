// ringway-sim experiment: what others published of their rings, and the same of ours.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringway::overlay::sim {

struct ExperimentOptions {
  std::string name;
  std::uint64_t seed = 1;   // of the first run
  unsigned runs = 0;        // with this seed and those that follow; zero: as is usual for it
  std::uint32_t nodes = 0;  // zero: as many as the experiment has by itself
  std::string latency = "fixed:50";
  std::string data_folder;
  bool json = false;
};

struct ExperimentText {
  std::string name;
  std::string what;
};
[[nodiscard]] std::vector<ExperimentText> list_experiments();

// The exit status: 0 when every run came to its end and kept what is promised, 1 when one did not,
// 2 when it could not run.
[[nodiscard]] int run_experiment(const ExperimentOptions& options);

}  // namespace ringway::overlay::sim
