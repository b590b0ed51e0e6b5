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

struct Encapsulation {
  net::Endpoint source;
  net::Endpoint destination;  // of the same family
  std::uint8_t traffic_class = 0;
  std::uint16_t identification = 0;  // IPv4; datagrams may be fragmented on their way
};

// Writes encapsulation_bytes() before `payload`, and completes the checksums. headers + payload:
// at most 65,535 bytes.
inline void encapsulate(const Encapsulation& outer, Bytes payload) {
  const auto udp_bytes = static_cast<std::uint16_t>(net::UdpView::kHeaderBytes + payload.size());
  std::uint8_t* const udp = payload.data() - net::UdpView::kHeaderBytes;
  net::emit_udp(udp, outer.source.port, outer.destination.port, udp_bytes);
  const std::uint8_t* const source = outer.source.address.bytes.data();
  const std::uint8_t* const destination = outer.destination.address.bytes.data();
  std::uint64_t pseudo = 0;
  if (outer.destination.address.is_v4()) {
    pseudo = net::pseudo_header_sum_v4(source, destination, net::kProtocolUdp, udp_bytes);
    std::uint8_t* const ip = udp - net::Ip4View::kMinHeaderBytes;
    ip[0] = 0x45;
    ip[1] = outer.traffic_class;
    store_be(ip + net::Ip4View::kTotalLengthAt,
             static_cast<std::uint16_t>(net::Ip4View::kMinHeaderBytes + udp_bytes));
    store_be(ip + net::Ip4View::kIdentificationAt, outer.identification);
    store_be(ip + net::Ip4View::kFragmentAt, std::uint16_t{0});
    ip[net::Ip4View::kTtlAt] = kOuterTtl;
    ip[net::Ip4View::kProtocolAt] = net::kProtocolUdp;
    store_le(ip + net::Ip4View::kChecksumAt, std::uint16_t{0});
    std::memcpy(ip + net::Ip4View::kSourceAt, source, 4);
    std::memcpy(ip + net::Ip4View::kDestinationAt, destination, 4);
    store_le(ip + net::Ip4View::kChecksumAt, net::checksum_finish(net::ip4_plain_header_sum(ip)));
  } else {
    pseudo = net::pseudo_header_sum_v6(source, destination, net::kProtocolUdp, udp_bytes);
    std::uint8_t* const ip = udp - net::Ip6View::kHeaderBytes;
    store_be(ip, std::uint32_t{6} << 28 | std::uint32_t{outer.traffic_class} << 20);
    store_be(ip + net::Ip6View::kPayloadLengthAt, udp_bytes);
    ip[net::Ip6View::kNextHeaderAt] = net::kProtocolUdp;
    ip[net::Ip6View::kHopLimitAt] = kOuterTtl;
    std::memcpy(ip + net::Ip6View::kSourceAt, source, 16);
    std::memcpy(ip + net::Ip6View::kDestinationAt, destination, 16);
  }
  store_le(udp + net::UdpView::kChecksumAt,
           net::checksum_finish_udp(net::checksum_sum({udp, udp_bytes}, pseudo)));
}

}  // namespace ringway::forwarding
