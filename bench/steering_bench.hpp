// ringway-bench steering: what the XDP program costs that tells Ringway's packets from the
// kernel's, by kind of packet, run by the kernel over one frame again and again.
#pragma once

#include <optional>

namespace ringway::bench {

struct SteeringBenchOptions {
  double seconds = 2;  // for everything
  std::optional<unsigned> core;
  bool json = false;
};

// The program's exit status.
int run_steering_bench(const SteeringBenchOptions& options);

}  // namespace ringway::bench
