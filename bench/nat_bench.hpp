// ringway-bench nat: one shard of the gateway's NAT alone, by the number of flows: packets of known
// flows both ways, packets for nobody, new flows, and the end of old ones.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/net/address.hpp"

namespace ringway::bench {

struct NatBenchOptions {
  static constexpr std::uint32_t kMaxFlows = 1U << 23;

  std::vector<std::uint32_t> flows = {1, 10'000, 1'000'000, 4'000'000};
  std::vector<net::Family> families = {net::Family::kIpv4, net::Family::kIpv6};
  std::uint32_t batch = 256;  // packets a call, 1..256
  double seconds = 10;        // for packets of known flows, in all
  std::optional<unsigned> core;
  bool json = false;
};

// The program's exit status.
int run_nat_bench(const NatBenchOptions& options);

}  // namespace ringway::bench
