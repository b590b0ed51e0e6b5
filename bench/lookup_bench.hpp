// ringway-bench lookup: what the packet path looks up: longest prefixes of allowed IPs and of the
// forwarding table, and what the tables take; and sessions, by receiver index and by peer.
#pragma once

#include <cstdint>
#include <optional>

namespace ringway::bench {

struct LookupBenchOptions {
  std::uint32_t prefixes = 100'000;
  double seconds = 4;  // for everything
  std::optional<unsigned> core;
  bool json = false;
};

// The program's exit status.
int run_lookup_bench(const LookupBenchOptions& options);

}  // namespace ringway::bench
