// Allowed IPs (cryptokey routing): which peer an inner address belongs to, by longest prefix, over
// all peers at once. An immutable snapshot: the control plane builds one, workers read it without
// locks and swap to the next at a quiet point. The structure is base/net/prefix_table.hpp's.
#pragma once

#include <cstdint>
#include <span>

#include "base/ids.hpp"
#include "base/net/address.hpp"
#include "base/net/prefix_table.hpp"

namespace ringway::tunnel {

struct AllowedIp {
  net::Prefix prefix;
  PeerId peer;
};

class AllowedIps {
 public:
  AllowedIps() = default;
  // Where one prefix appears for several peers, the last one wins, as with wg(8); configuration
  // refuses that earlier. O(n log n) time for n entries, and memory in proportion to them: 60 to 70
  // bytes for a host route.
  explicit AllowedIps(std::span<const AllowedIp> entries);

  // PeerId::none() when no prefix holds the address. The pointers are to 4 or 16 bytes in network
  // order, unaligned.
  [[nodiscard]] PeerId lookup_v4(const std::uint8_t* address) const;
  [[nodiscard]] PeerId lookup_v6(const std::uint8_t* address) const;
  // For each packet, given by its IP header (whole, of a version that was checked), whose its
  // address at `end` is.
  void lookup_packets(std::span<const std::uint8_t* const> packets, net::PacketEnd end,
                      PeerId* peers) const;

  // Distinct prefixes.
  [[nodiscard]] std::size_t prefix_count() const { return table_.prefix_count(); }
  [[nodiscard]] std::size_t memory_bytes() const { return table_.memory_bytes(); }

 private:
  net::PrefixTable<PeerId> table_;
};

}  // namespace ringway::tunnel
