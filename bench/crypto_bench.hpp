// ringway-bench crypto: the bulk AEADs of data messages, through CryptoBatch beside the engines'
// raw loops.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/tunnel/messages.hpp"

namespace ringway::bench {

struct CryptoBenchOptions {
  std::vector<std::uint32_t> payload_bytes = {64, 128, 256, 512, 1024, 1420, 1440};
  std::vector<tunnel::Suite> suites = {tunnel::Suite::kAes256Gcm, tunnel::Suite::kChaCha20Poly1305};
  std::uint32_t batch = 64;  // messages a call, 1..64
  std::uint32_t keys = 1;    // sessions that CryptoBatch's messages belong to, in turn
  double seconds = 4;        // for everything
  std::optional<unsigned> core;
  bool json = false;
};

// The program's exit status.
int run_crypto_bench(const CryptoBenchOptions& options);

}  // namespace ringway::bench
