// What subscribers may say to the gateway itself: echo requests and name lookups (SECURITY:
// gateways, 21). Everything else that is addressed to it is dropped before the kernel sees it.
#pragma once

#include "base/bytes.hpp"
#include "base/net/icmp.hpp"
#include "base/net/inner_packet.hpp"

namespace ringway {

inline constexpr std::uint16_t kDnsPort = 53;

// `packet`: whole, as parse_inner_packet accepted it. Fragments and IPv6 extension headers have no
// business here.
[[nodiscard]] inline bool may_reach_host(ConstBytes packet) {
  std::uint8_t protocol = 0;
  ConstBytes payload;
  if (const auto ip4 = net::Ip4View::parse(packet)) {
    if (ip4->is_fragment()) return false;
    protocol = ip4->protocol();
    payload = ip4->payload();
  } else if (const auto ip6 = net::Ip6View::parse(packet)) {
    protocol = ip6->next_header();
    payload = ip6->payload();
  } else {
    return false;
  }
  switch (protocol) {
    case net::kProtocolIcmp:
      return packet[0] >> 4 == 4 && !payload.empty() && payload[0] == net::kIcmpEchoRequest;
    case net::kProtocolIcmpv6:
      return packet[0] >> 4 == 6 && !payload.empty() && payload[0] == net::kIcmpv6EchoRequest;
    case net::kProtocolUdp:
    case net::kProtocolTcp:
      return payload.size() >= 4 && load_be<std::uint16_t>(payload.data() + 2) == kDnsPort;
    default:
      return false;
  }
}

}  // namespace ringway
