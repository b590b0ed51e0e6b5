// The IP and UDP headers of a tunnel datagram, for ports that carry frames: what the kernel's
// socket writes where it sends them. The UDP checksum is always there: receivers refuse to coalesce
// without it, and IPv6 forbids its absence. Sources: RFC 768, RFC 791, RFC 8200; RFC 6864 for the
// identification.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/net/address.hpp"
#include "base/net/checksum.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/udp.hpp"

namespace ringway::forwarding {

inline constexpr std::uint8_t kOuterTtl = 64;

[[nodiscard]] inline std::uint32_t encapsulation_bytes(net::Family family) {
  return static_cast<std::uint32_t>(
      net::UdpView::kHeaderBytes +
      (family == net::Family::kIpv4 ? net::Ip4View::kMinHeaderBytes : net::Ip6View::kHeaderBytes));
}

// The addresses are the caller's: they are read once, and a copy would cost more than that.
struct Encapsulation {
  const net::IpAddress& source;
  std::uint16_t source_port = 0;
  const net::Endpoint& destination;  // of the same family
  std::uint8_t traffic_class = 0;
  std::uint16_t identification = 0;  // IPv4; datagrams may be fragmented on their way
};

// Writes encapsulation_bytes() before `payload`, all but the UDP checksum. headers + payload: at
// most 65,535 bytes. Returns where the IP header stands.
inline std::uint8_t* emit_outer_headers(const Encapsulation& outer, Bytes payload) {
  const auto udp_bytes = static_cast<std::uint16_t>(net::UdpView::kHeaderBytes + payload.size());
  std::uint8_t* const udp = payload.data() - net::UdpView::kHeaderBytes;
  net::emit_udp(udp, outer.source_port, outer.destination.port, udp_bytes);
  const std::uint8_t* const source = outer.source.bytes.data();
  const std::uint8_t* const destination = outer.destination.address.bytes.data();
  if (outer.destination.address.is_v4()) {
    std::uint8_t* const ip = udp - net::Ip4View::kMinHeaderBytes;
    const std::uint32_t version_length = std::uint32_t{0x45} << 24 |
                                         std::uint32_t{outer.traffic_class} << 16 |
                                         (net::Ip4View::kMinHeaderBytes + udp_bytes);
    const std::uint32_t identification = std::uint32_t{outer.identification} << 16;
    const std::uint32_t ttl_protocol =
        std::uint32_t{kOuterTtl} << 24 | std::uint32_t{net::kProtocolUdp} << 16;
    store_be(ip, version_length);
    store_be(ip + net::Ip4View::kIdentificationAt, identification);
    store_be(ip + net::Ip4View::kTtlAt, ttl_protocol);
    std::memcpy(ip + net::Ip4View::kSourceAt, source, 4);
    std::memcpy(ip + net::Ip4View::kDestinationAt, destination, 4);
    // From the words, not from the header: a sum over what was just written waits for its pieces
    // (20 cycles a packet, `ringway-bench pipeline --path from-internet`).
    store_le(ip + net::Ip4View::kChecksumAt,
             net::checksum_finish(
                 net::checksum_of_be32(version_length) + net::checksum_of_be32(identification) +
                 net::checksum_of_be32(ttl_protocol) + load_le<std::uint32_t>(source) +
                 load_le<std::uint32_t>(destination)));
    return ip;
  }
  std::uint8_t* const ip = udp - net::Ip6View::kHeaderBytes;
  store_be(ip, std::uint32_t{6} << 28 | std::uint32_t{outer.traffic_class} << 20);
  store_be(ip + net::Ip6View::kPayloadLengthAt, udp_bytes);
  ip[net::Ip6View::kNextHeaderAt] = net::kProtocolUdp;
  ip[net::Ip6View::kHopLimitAt] = kOuterTtl;
  std::memcpy(ip + net::Ip6View::kSourceAt, source, 16);
  std::memcpy(ip + net::Ip6View::kDestinationAt, destination, 16);
  return ip;
}

// The checksum of a datagram whose headers emit_outer_headers() wrote. `packet`: from the IP header
// on.
inline void complete_outer_checksum(Bytes packet) {
  std::uint8_t* const ip = packet.data();
  const bool v4 = ip[0] >> 4 == 4;
  const Bytes udp = packet.subspan(v4 ? net::Ip4View::kMinHeaderBytes : net::Ip6View::kHeaderBytes);
  const auto udp_bytes = static_cast<std::uint32_t>(udp.size());
  const std::uint64_t pseudo = v4 ? net::pseudo_header_sum_v4(ip + net::Ip4View::kSourceAt,
                                                              ip + net::Ip4View::kDestinationAt,
                                                              net::kProtocolUdp, udp_bytes)
                                  : net::pseudo_header_sum_v6(ip + net::Ip6View::kSourceAt,
                                                              ip + net::Ip6View::kDestinationAt,
                                                              net::kProtocolUdp, udp_bytes);
  store_le(udp.data() + net::UdpView::kChecksumAt,
           net::checksum_finish_udp(net::checksum_sum(udp, pseudo)));
}

// Both.
inline void encapsulate(const Encapsulation& outer, Bytes payload) {
  std::uint8_t* const ip = emit_outer_headers(outer, payload);
  complete_outer_checksum({ip, payload.data() + payload.size()});
}

}  // namespace ringway::forwarding
