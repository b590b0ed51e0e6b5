// ringway-bench pipeline: the worker between two memory ports, beside the raw encryption loop on
// messages of the same size. What it takes beyond that loop is Ringway's own share.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/pipeline_traffic.hpp"

namespace ringway::bench {

struct PipelineBenchOptions {
  std::vector<PipelinePath> paths = {PipelinePath::kEdgeOut, PipelinePath::kEdgeIn};
  std::vector<tunnel::Suite> suites = {tunnel::Suite::kAes256Gcm, tunnel::Suite::kChaCha20Poly1305};
  std::vector<PacketSizes> sizes = {PacketSizes(64), PacketSizes(512), PacketSizes(1420)};
  std::vector<bool> trains = {false, true};
  std::uint32_t peers = 1;
  std::uint32_t flows = 1;         // of the gateway's paths
  double new_flow_share = 0;       // likewise, of packets: each opens a flow
  std::uint32_t burst = 64;        // slots a call of rx_burst
  std::uint32_t packets = 65'536;  // a round, all of them different
  Arrival arrival = Arrival::kCopied;
  bool stages = false;
  std::uint32_t workers = 1;            // each with so many peers and flows
  std::uint32_t misplaced_percent = 0;  // of peers, whose packets reach another worker's port
  double seconds = 12;                  // for everything
  std::optional<unsigned> core;
  bool json = false;
};

// The program's exit status.
int run_pipeline_bench(const PipelineBenchOptions& options);

}  // namespace ringway::bench
