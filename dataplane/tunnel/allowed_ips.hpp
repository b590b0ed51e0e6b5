// Allowed IPs (cryptokey routing): which peer an inner address belongs to, by longest prefix, over
// all peers at once. An immutable snapshot: the control plane builds one, workers read it without
// locks and swap to the next at a quiet point. Poptrie (Asai, Ohara, SIGCOMM 2015).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/net/address.hpp"

namespace ringway::tunnel {

struct AllowedIp {
  net::Prefix prefix;
  PeerId peer;
};

class AllowedIps {
 public:
  AllowedIps() = default;
  // Where one prefix appears for several peers, the last one wins, as with wg(8); configuration
  // refuses that earlier. O(entries) time and memory.
  explicit AllowedIps(std::span<const AllowedIp> entries);

  // PeerId::none() when no prefix holds the address. The pointers are to 4 or 16 bytes in network
  // order, unaligned.
  [[nodiscard]] PeerId lookup_v4(const std::uint8_t* address) const;
  [[nodiscard]] PeerId lookup_v6(const std::uint8_t* address) const;

  [[nodiscard]] std::size_t prefix_count() const { return prefix_count_; }
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  std::size_t prefix_count_ = 0;
};

}  // namespace ringway::tunnel
