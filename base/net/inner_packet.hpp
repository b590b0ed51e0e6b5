// What the tunnel must know of an inner packet, in one look: is it an IP packet at all, how long is
// it really (WireGuard pads what it encrypts), where from and where to. On the packet path, so
// without copies. And the congestion mark on its way out of the tunnel (RFC 6040).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/net/address.hpp"
#include "base/net/checksum.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"

namespace ringway::net {

struct InnerPacket {
  Family family = Family::kIpv4;
  std::uint16_t total_bytes = 0;         // the IP packet; what follows it is padding
  const std::uint8_t* source = nullptr;  // into the packet: 4 or 16 bytes
  const std::uint8_t* destination = nullptr;
  std::uint8_t ecn = 0;
};

// False, and `out` unspecified, for anything but an IPv4 or IPv6 packet that lies wholly within
// `bytes`. Refuses jumbograms and IPv6 packets past 65,535 bytes, which no datagram could carry.
[[nodiscard]] inline bool parse_inner_packet(ConstBytes bytes, InnerPacket& out) {
  if (const auto ip4 = Ip4View::parse(bytes)) {
    out = {Family::kIpv4, ip4->total_bytes(), ip4->source(), ip4->destination(), ip4->ecn()};
    return true;
  }
  if (const auto ip6 = Ip6View::parse(bytes)) {
    if (ip6->total_bytes() > UINT16_MAX) return false;
    out = {Family::kIpv6, static_cast<std::uint16_t>(ip6->total_bytes()), ip6->source(),
           ip6->destination(), ip6->ecn()};
    return true;
  }
  return false;
}

// The ECN field (RFC 3168).
inline constexpr std::uint8_t kNotEct = 0;
inline constexpr std::uint8_t kEct1 = 1;
inline constexpr std::uint8_t kEct0 = 2;
inline constexpr std::uint8_t kCe = 3;

namespace detail {
inline constexpr std::uint8_t kEcnDrop = 0xff;
// RFC 6040 figure 4, [inner][outer], both in the order Not-ECT, ECT(1), ECT(0), CE.
inline constexpr std::array<std::array<std::uint8_t, 4>, 4> kEcnEgress = {{
    {kNotEct, kNotEct, kNotEct, kEcnDrop},
    {kEct1, kEct1, kEct1, kCe},
    {kEct0, kEct1, kEct0, kCe},
    {kCe, kCe, kCe, kCe},
}};

inline void set_ecn_v4(std::uint8_t* packet, std::uint8_t ecn) {
  const auto before = load_le<std::uint16_t>(packet);
  packet[1] = static_cast<std::uint8_t>((packet[1] & 0xfc) | ecn);
  const auto after = load_le<std::uint16_t>(packet);
  std::uint8_t* const field = packet + Ip4View::kChecksumAt;
  store_le(field, checksum_update16(load_le<std::uint16_t>(field), before, after));
}
inline void set_ecn_v6(std::uint8_t* packet, std::uint8_t ecn) {
  packet[1] = static_cast<std::uint8_t>((packet[1] & 0xcf) | (ecn << 4));
}
}  // namespace detail

// Carries the outer header's congestion mark into a packet that parse_inner_packet accepted. False:
// the packet must be dropped (marked outside, but its transport does not know ECN). Of outer_ecn
// the low two bits count, so a whole TOS or traffic class byte will do.
[[nodiscard]] inline bool decapsulate_ecn(Bytes packet, std::uint8_t outer_ecn) {
  outer_ecn &= 3;
  if (outer_ecn == kNotEct) return true;
  DCHECK(packet.size() >= Ip4View::kMinHeaderBytes);
  const bool v4 = packet[0] >> 4 == 4;
  const auto inner_ecn = static_cast<std::uint8_t>(v4 ? packet[1] & 3 : (packet[1] >> 4) & 3);
  const std::uint8_t result = detail::kEcnEgress[inner_ecn][outer_ecn];
  if (result == detail::kEcnDrop) return false;
  if (result == inner_ecn) return true;
  if (v4) {
    detail::set_ecn_v4(packet.data(), result);
  } else {
    detail::set_ecn_v6(packet.data(), result);
  }
  return true;
}

}  // namespace ringway::net
