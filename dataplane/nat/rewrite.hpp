// Rewrites one end of a packet in place: its address, and its port or ICMP query identifier, with
// every checksum that covers them kept right incrementally (RFC 1624). On the fast path.
//
// A transport checksum covers its whole datagram, so that of a first fragment changes like that of
// a whole packet; later fragments have none. What comes out as zero is written as 0xffff: for UDP
// zero would mean "none" (RFC 768), and every other receiver takes the two for the same.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/net/checksum.hpp"
#include "dataplane/nat/flow.hpp"

namespace ringway::nat {

namespace detail {

template <net::Family kFamily>
[[nodiscard]] inline std::uint64_t address_sum(const std::uint8_t* address) {
  if constexpr (kFamily == net::Family::kIpv4) {
    return load_le<std::uint32_t>(address);
  } else {
    return std::uint64_t{load_le<std::uint32_t>(address)} + load_le<std::uint32_t>(address + 4) +
           load_le<std::uint32_t>(address + 8) + load_le<std::uint32_t>(address + 12);
  }
}

// `before` and `after`: sums of the changed fields.
inline void update_checksum(std::uint8_t* field, std::uint64_t before, std::uint64_t after) {
  const std::uint16_t updated = net::checksum_update(load_le<std::uint16_t>(field), before, after);
  store_le(field, updated == 0 ? std::uint16_t{0xffff} : updated);
}

[[nodiscard]] inline std::size_t port_at(const Flow& flow, Side side) {
  if (flow.is_icmp()) return flow.transport_at + net::IcmpView::kIdentifierAt;
  return flow.transport_at + (side == Side::kSource ? 0U : 2U);
}

}  // namespace detail

// `flow` describes the packet; its ports are not updated. address: 4 or 16 bytes in network order.
// `port` counts where flow.has_ports(); an ICMP query has one identifier, whatever the side.
template <net::Family kFamily>
inline void rewrite(std::uint8_t* packet, const Flow& flow, Side side, const std::uint8_t* address,
                    std::uint16_t port) {
  DCHECK(flow.family == kFamily);
  std::uint8_t* const field = packet + address_at(kFamily, side);
  std::uint64_t before = detail::address_sum<kFamily>(field);
  std::uint64_t after = detail::address_sum<kFamily>(address);
  std::memcpy(field, address, address_bytes(kFamily));
  if constexpr (kFamily == net::Family::kIpv4) {
    std::uint8_t* const checksum = packet + net::Ip4View::kChecksumAt;
    store_le(checksum, net::checksum_update(load_le<std::uint16_t>(checksum), before, after));
    if (flow.protocol == net::kProtocolIcmp) before = after = 0;  // no pseudo-header
  }
  if (flow.has_ports()) {
    std::uint8_t* const word = packet + detail::port_at(flow, side);
    before += load_le<std::uint16_t>(word);
    store_be(word, port);
    after += load_le<std::uint16_t>(word);
  }
  if (flow.checksum_at == 0) return;
  std::uint8_t* const checksum = packet + flow.checksum_at;
  const bool none = flow.protocol == net::kProtocolUdp && load_le<std::uint16_t>(checksum) == 0;
  if (!none) detail::update_checksum(checksum, before, after);
}

inline void rewrite(std::uint8_t* packet, const Flow& flow, Side side, const std::uint8_t* address,
                    std::uint16_t port) {
  if (flow.is_v4()) {
    rewrite<net::Family::kIpv4>(packet, flow, side, address, port);
  } else {
    rewrite<net::Family::kIpv6>(packet, flow, side, address, port);
  }
}

// TTL or hop limit less one. The caller has seen that it is above 1.
inline void decrement_ttl(std::uint8_t* packet, net::Family family) {
  if (family == net::Family::kIpv6) {
    --packet[net::Ip6View::kHopLimitAt];
    return;
  }
  std::uint8_t* const word = packet + net::Ip4View::kTtlAt;
  std::uint8_t* const checksum = packet + net::Ip4View::kChecksumAt;
  const auto before = load_le<std::uint16_t>(word);
  --word[0];
  store_le(checksum, net::checksum_update16(load_le<std::uint16_t>(checksum), before,
                                            load_le<std::uint16_t>(word)));
}
[[nodiscard]] inline std::uint8_t ttl(const std::uint8_t* packet, net::Family family) {
  return packet[family == net::Family::kIpv4 ? net::Ip4View::kTtlAt : net::Ip6View::kHopLimitAt];
}

// The identification by which the receiver puts fragments together (RFC 6864), with the checksum of
// the header.
inline void rewrite_identification4(std::uint8_t* packet, std::uint16_t identification) {
  std::uint8_t* const word = packet + net::Ip4View::kIdentificationAt;
  std::uint8_t* const checksum = packet + net::Ip4View::kChecksumAt;
  const auto before = load_le<std::uint16_t>(word);
  store_be(word, identification);
  store_le(checksum, net::checksum_update16(load_le<std::uint16_t>(checksum), before,
                                            load_le<std::uint16_t>(word)));
}

// Of either family. IPv4 takes the low 16 bits; IPv6 has one only in a fragment header, which no
// checksum covers.
inline void rewrite_identification(std::uint8_t* packet, const Flow& flow,
                                   std::uint32_t identification) {
  if (flow.is_v4()) {
    rewrite_identification4(packet, static_cast<std::uint16_t>(identification));
  } else if (flow.fragment_at != 0) {
    store_be(packet + flow.fragment_at + net::kFragmentIdentificationAt, identification);
  }
}

}  // namespace ringway::nat
