// One mapping of the NAT: an inner endpoint of a subscriber and the external endpoint that stands
// for it, whatever the destination (RFC 4787 REQ-1, RFC 5382 REQ-1). Everything that the fast path
// reads or writes is in one cache line. Owned by the worker of its shard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/net/icmp.hpp"
#include "base/net/ip4.hpp"
#include "base/time.hpp"
#include "dataplane/nat/tcp_state.hpp"

namespace ringway::nat {

// Mappings are kept apart by transport (RFC 7857 sections 5 and 6); of ICMP, queries only.
enum class Transport : std::uint8_t { kTcp, kUdp, kIcmp };
inline constexpr std::size_t kTransports = 3;
inline constexpr std::size_t kFamilies = 2;

[[nodiscard]] constexpr std::size_t family_index(net::Family family) {
  return family == net::Family::kIpv4 ? 0 : 1;
}
[[nodiscard]] constexpr std::uint8_t protocol_number(Transport transport, net::Family family) {
  if (transport == Transport::kTcp) return net::kProtocolTcp;
  if (transport == Transport::kUdp) return net::kProtocolUdp;
  return family == net::Family::kIpv4 ? net::kProtocolIcmp : net::kProtocolIcmpv6;
}
// Of the protocols that parse_flow() lets through.
[[nodiscard]] constexpr Transport transport_of(std::uint8_t protocol) {
  if (protocol == net::kProtocolTcp) return Transport::kTcp;
  return protocol == net::kProtocolUdp ? Transport::kUdp : Transport::kIcmp;
}

// Time in the tables: tenths of a second, which 32 bits hold for 13 years of uptime.
using Ticks = std::uint32_t;
inline constexpr std::int64_t kTickNs = 100'000'000;
[[nodiscard]] constexpr Ticks ticks_at(Instant now) {
  return static_cast<Ticks>(now.ns() / kTickNs);
}
// Rounded up, and never 0: nothing ends before its time.
[[nodiscard]] constexpr Ticks ticks_in(Duration duration) {
  return static_cast<Ticks>((duration.count_ns() + kTickNs - 1) / kTickNs + 1);
}

// A mapping's slot in the table. Slot 0 is never used, so that zeroed memory says "none".
using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = 0;

// Transport and family in one byte; 0 is a free slot.
using MappingKind = std::uint8_t;
[[nodiscard]] constexpr MappingKind mapping_kind(Transport transport, net::Family family) {
  return static_cast<MappingKind>(1U + static_cast<unsigned>(transport) * kFamilies +
                                  family_index(family));
}
[[nodiscard]] constexpr Transport transport_of_kind(MappingKind kind) {
  return static_cast<Transport>((kind - 1U) / kFamilies);
}

struct alignas(64) Mapping {
  static constexpr std::uint8_t kStatic = 1;           // a configured forward: never expires
  static constexpr std::uint8_t kSeveralPeers = 2;     // TCP: more than one remote endpoint
  static constexpr std::uint8_t kOverflowRemotes = 4;  // more of them in RemoteOverflow
  static constexpr std::uint8_t kRestored = 8;         // kept over a restart, its remotes were not

  // In network order as loaded. IPv4: the inner address, then up to 7 remote addresses that the
  // subscriber has sent to. IPv6: the inner address in the first four, then one remote address.
  std::array<std::uint32_t, 8> addresses;
  std::uint32_t subscriber;
  std::uint16_t inner_port;  // host order, as all here; ICMP: the identifier
  std::uint16_t external_port;
  Ticks last_used;
  // What an outbound translation adds to the sums (not inverted) of the IPv4 header and of the
  // transport; the way back adds the complements.
  std::uint16_t ip_delta;
  std::uint16_t transport_delta;
  std::uint16_t external_address;  // an index of Config::external_addresses
  std::uint16_t remote_port;       // TCP: of the first remote endpoint; 0: none yet
  MappingKind kind;
  TcpState tcp;
  std::uint8_t flags;
  std::uint8_t remotes;  // in `addresses`
  // The expiry wheel's list, or the free list.
  std::uint32_t next;
  std::uint32_t previous;

  [[nodiscard]] bool is(std::uint8_t flag) const { return (flags & flag) != 0; }
  [[nodiscard]] net::Family family() const {
    return (kind - 1U) % kFamilies == 0 ? net::Family::kIpv4 : net::Family::kIpv6;
  }
  [[nodiscard]] Transport transport() const { return transport_of_kind(kind); }
  [[nodiscard]] const std::uint8_t* inner_address() const {
    return reinterpret_cast<const std::uint8_t*>(addresses.data());
  }
};
static_assert(sizeof(Mapping) == 64);

// How addresses of a family stand in Mapping::addresses.
template <net::Family kFamily>
struct AddressWords {
  static constexpr std::size_t kWords = kFamily == net::Family::kIpv4 ? 1 : 4;
  static constexpr std::size_t kInlineRemotes = 8 / kWords - 1;
};

// True when `address` is among the mapping's own remote addresses.
template <net::Family kFamily>
[[nodiscard]] inline bool has_inline_remote(const Mapping& mapping, const std::uint8_t* address) {
  if constexpr (kFamily == net::Family::kIpv4) {
    const auto wanted = load_le<std::uint32_t>(address);
    for (std::size_t i = 1; i <= mapping.remotes; ++i) {
      if (mapping.addresses[i] == wanted) return true;
    }
    return false;
  } else {
    return mapping.remotes != 0 && std::memcmp(&mapping.addresses[4], address, 16) == 0;
  }
}
[[nodiscard]] inline bool has_inline_remote(const Mapping& mapping, const std::uint8_t* address) {
  return mapping.family() == net::Family::kIpv4
             ? has_inline_remote<net::Family::kIpv4>(mapping, address)
             : has_inline_remote<net::Family::kIpv6>(mapping, address);
}

}  // namespace ringway::nat
