// What subscribers may say to the gateway itself: echo requests and name lookups (SECURITY:
// gateways, 21). Everything else that is addressed to it is dropped before the kernel sees it.
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "base/net/icmp.hpp"
#include "base/net/inner_packet.hpp"

namespace ringway {

inline constexpr std::uint16_t kDnsPort = 53;

// Of a TCP segment or UDP datagram; empty for anything else, fragments and packets with IPv6
// extension headers included. `packet`: whole, as parse_inner_packet accepted it.
[[nodiscard]] inline std::optional<std::uint16_t> destination_port(ConstBytes packet) {
  std::uint8_t protocol = 0;
  ConstBytes payload;
  if (const auto ip4 = net::Ip4View::parse(packet); ip4 && !ip4->is_fragment()) {
    protocol = ip4->protocol();
    payload = ip4->payload();
  } else if (const auto ip6 = net::Ip6View::parse(packet)) {
    protocol = ip6->next_header();
    payload = ip6->payload();
  }
  if (protocol != net::kProtocolTcp && protocol != net::kProtocolUdp) return std::nullopt;
  if (payload.size() < 4) return std::nullopt;
  return load_be<std::uint16_t>(payload.data() + 2);
}

// Likewise.
[[nodiscard]] inline bool may_reach_host(ConstBytes packet) {
  if (destination_port(packet) == kDnsPort) return true;
  if (const auto ip4 = net::Ip4View::parse(packet)) {
    return !ip4->is_fragment() && ip4->protocol() == net::kProtocolIcmp &&
           !ip4->payload().empty() && ip4->payload()[0] == net::kIcmpEchoRequest;
  }
  const auto ip6 = net::Ip6View::parse(packet);
  return ip6 && ip6->next_header() == net::kProtocolIcmpv6 && !ip6->payload().empty() &&
         ip6->payload()[0] == net::kIcmpv6EchoRequest;
}

}  // namespace ringway
