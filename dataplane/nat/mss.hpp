// Lowers the MSS that a SYN announces to what fits through the narrower side of the gateway, so
// that TCP does not depend on path MTU discovery. In the packet's way after its translation, or
// before: the checksum is kept right incrementally.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/net/tcp.hpp"
#include "dataplane/nat/flow.hpp"

namespace ringway::nat {

// The largest segment of an IP packet of `mtu` bytes without options (RFC 9293 section 3.7.1).
[[nodiscard]] constexpr std::uint16_t mss_of_mtu(net::Family family, std::uint16_t mtu) {
  const std::size_t ip =
      family == net::Family::kIpv4 ? net::Ip4View::kMinHeaderBytes : net::Ip6View::kHeaderBytes;
  const std::size_t headers = ip + net::TcpView::kMinHeaderBytes;
  return static_cast<std::uint16_t>(mtu > headers ? mtu - headers : 0);
}

// True when the packet was a SYN that announced more. A SYN without the option stays as it is: the
// default of 536 or 1220 bytes fits.
inline bool clamp_mss(Bytes packet, const Flow& flow, std::uint16_t mtu) {
  if (flow.protocol != net::kProtocolTcp || (flow.tcp_flags & net::kTcpSyn) == 0) return false;
  auto tcp = net::TcpMutableView::parse(packet.subspan(flow.transport_at));
  const auto value_at = tcp ? tcp->mss_value_offset() : std::nullopt;
  if (!value_at) return false;
  const std::uint16_t limit = mss_of_mtu(flow.family, mtu);
  if (load_be<std::uint16_t>(packet.data() + flow.transport_at + *value_at) <= limit) return false;
  tcp->set_mss(*value_at, limit);
  return true;
}

}  // namespace ringway::nat
