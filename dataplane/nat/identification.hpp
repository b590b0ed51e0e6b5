// Identifications for what leaves with an external address and may be fragmented on its way. Many
// subscribers share that address, so their own choices would meet: a receiver would put fragments
// of two subscribers' datagrams together (RFC 6864 section 5.3). One counter for each destination
// and protocol, from a random start; destinations share counters by chance, which only makes them
// advance faster.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "dataplane/nat/flow.hpp"
#include "dataplane/nat/keyed_hash.hpp"

namespace ringway::nat {

class Identifications {
 public:
  explicit Identifications(Rng& rng, std::size_t counters = 4096)
      : hash_(rng), counters_(counters) {
    for (std::uint32_t& counter : counters_)
      counter = rng.next_u32();
  }

  // For the packet's destination. IPv4 takes the low 16 bits.
  [[nodiscard]] std::uint32_t next(const std::uint8_t* packet, const Flow& flow) {
    const std::uint8_t* const to = packet + address_at(flow.family, Side::kDestination);
    std::uint64_t words[2] = {flow.protocol, 0};
    if (flow.is_v4()) {
      words[1] = load_le<std::uint32_t>(to);
    } else {
      words[0] = load_le<std::uint64_t>(to);
      words[1] = load_le<std::uint64_t>(to + 8);
    }
    return counters_[hash_(words) % counters_.size()]++;
  }

 private:
  KeyedHash hash_;
  std::vector<std::uint32_t> counters_;
};

}  // namespace ringway::nat
