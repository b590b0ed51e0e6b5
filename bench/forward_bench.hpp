// `ringway-bench forward`: forwards and translates between two interfaces of this machine until it
// is told to stop, and says what it moved. Whoever sends and counts is on other machines, or in
// other network namespaces.
#pragma once

#include <optional>

#include "bench/forwarder.hpp"

namespace ringway::bench {

struct ForwardBenchOptions {
  static constexpr std::size_t kMaxSubscribers = 1024;

  ForwarderOptions forwarder;
  double seconds = 0;  // 0: until SIGINT or SIGTERM
  std::optional<unsigned> core;
  bool json = false;  // one JSON object on standard output at the end instead of the table
};

// The exit status of the program: 0, or 1 where the interfaces could not be taken over.
int run_forward_bench(const ForwardBenchOptions& options);

}  // namespace ringway::bench
