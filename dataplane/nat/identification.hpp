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
  static constexpr unsigned kCounterBits = 12;
  static constexpr std::size_t kCounters = std::size_t{1} << kCounterBits;

  explicit Identifications(Rng& rng)
      : hash_(rng), v4_key_(rng.next_u64() | 1), counters_(kCounters) {
    for (std::uint32_t& counter : counters_)
      counter = rng.next_u32();
  }

  // For the packet's destination. IPv4 takes the low 16 bits.
  [[nodiscard]] std::uint32_t next(const std::uint8_t* packet, const Flow& flow) {
    if (flow.is_v4()) return next_v4(packet, flow.protocol);
    const std::uint8_t* const to = packet + net::Ip6View::kDestinationAt;
    const std::uint64_t words[] = {load_le<std::uint64_t>(to), load_le<std::uint64_t>(to + 8)};
    return take(words);
  }
  [[nodiscard]] std::uint32_t next_v4(const std::uint8_t* packet, std::uint8_t protocol) {
    const std::uint8_t* const to = packet + net::Ip4View::kDestinationAt;
    const std::uint64_t word = std::uint64_t{load_le<std::uint32_t>(to)} << 8 | protocol;
    // One multiplication only: this is on the fast path.
    return counters_[static_cast<std::size_t>((word * v4_key_) >> (64 - kCounterBits))]++;
  }

 private:
  [[nodiscard]] std::uint32_t take(std::span<const std::uint64_t> words) {
    return counters_[hash_(words) & (counters_.size() - 1)]++;
  }

  KeyedHash hash_;
  std::uint64_t v4_key_;
  std::vector<std::uint32_t> counters_;
};

}  // namespace ringway::nat
