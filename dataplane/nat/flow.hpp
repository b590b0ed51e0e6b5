// A packet as the NAT sees it, in one look: family, protocol, ports or identifier, whether it is a
// fragment, and where the fields to rewrite stand. First on the packet's way through the NAT; the
// plain case (no IP options, no extension headers, no fragment) costs a few compares.
//
// Nothing that kind() calls kPlain, kIcmpError or a fragment has a field outside the packet. IP and
// transport checksums are not looked at: incremental rewriting keeps a wrong one wrong.
//
// Sources: RFC 791, 8200, 7112 (first fragments carry all headers), 1858 and 3128 (tiny fragments).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/net/icmp.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/tcp.hpp"
#include "base/net/udp.hpp"

namespace ringway::nat {

enum class Kind : std::uint8_t {
  kPlain,          // a whole TCP segment, UDP datagram or ICMP query: ports are known
  kIcmpError,      // whole; quotes another packet (nat/icmp_error.hpp)
  kFirstFragment,  // ports are known, more fragments exist
  kLaterFragment,  // addresses only (nat/fragments.hpp knows the ports)
  kMalformed,      // contradicts itself or its length
  kUnsupported,    // sound as far as was looked, but not to be translated
};

struct Flow {
  Kind kind = Kind::kMalformed;
  net::Family family = net::Family::kIpv4;
  std::uint8_t protocol = 0;  // IPv6 later fragments: the fragment header's next header
  std::uint8_t tcp_flags = 0;
  std::uint8_t icmp_type = 0;
  bool more_fragments = false;
  bool dont_fragment = true;           // IPv6: always
  std::uint16_t source_port = 0;       // host order, as all here; ICMP queries: the identifier
  std::uint16_t destination_port = 0;  // ICMP queries: the identifier
  std::uint16_t transport_at = 0;      // later fragments: where their part of the datagram begins
  std::uint16_t checksum_at = 0;       // the transport's checksum field; 0: not in this packet
  std::uint16_t fragment_at = 0;       // the IPv6 fragment header; 0: none
  std::uint16_t fragment_offset = 0;   // bytes
  std::uint32_t identification = 0;    // IPv4 always, IPv6 with a fragment header

  [[nodiscard]] bool is_v4() const { return family == net::Family::kIpv4; }
  [[nodiscard]] bool has_ports() const {
    return kind == Kind::kPlain || kind == Kind::kFirstFragment;
  }
  [[nodiscard]] bool is_fragment() const {
    return kind == Kind::kFirstFragment || kind == Kind::kLaterFragment;
  }
  // Nothing here translates what it is the first fragment of.
  [[nodiscard]] bool begins_unsupported() const {
    return kind == Kind::kUnsupported && more_fragments && fragment_offset == 0;
  }
  [[nodiscard]] bool is_icmp() const {
    return protocol == net::kProtocolIcmp || protocol == net::kProtocolIcmpv6;
  }
  // Where the part of the datagram begins that fragment_offset counts.
  [[nodiscard]] std::size_t fragment_data_at() const {
    return is_v4() ? transport_at : fragment_at + net::kFragmentHeaderBytes;
  }
};

enum class Side : std::uint8_t { kSource, kDestination };

[[nodiscard]] constexpr Side opposite(Side side) {
  return side == Side::kSource ? Side::kDestination : Side::kSource;
}
[[nodiscard]] constexpr std::size_t address_bytes(net::Family family) {
  return family == net::Family::kIpv4 ? 4 : 16;
}
[[nodiscard]] constexpr std::size_t address_at(net::Family family, Side side) {
  if (family == net::Family::kIpv4) {
    return side == Side::kSource ? net::Ip4View::kSourceAt : net::Ip4View::kDestinationAt;
  }
  return side == Side::kSource ? net::Ip6View::kSourceAt : net::Ip6View::kDestinationAt;
}

namespace detail {

[[nodiscard]] constexpr bool is_icmp_query(net::Family family, std::uint8_t type) {
  if (family == net::Family::kIpv6) {
    return type == net::kIcmpv6EchoRequest || type == net::kIcmpv6EchoReply;
  }
  return type == net::kIcmpEchoRequest || type == net::kIcmpEchoReply ||
         type == net::kIcmpTimestampRequest || type == net::kIcmpTimestampReply;
}
// Source Quench is none (RFC 6633), and neither is Redirect: both end here.
[[nodiscard]] constexpr bool is_icmp_error(net::Family family, std::uint8_t type) {
  if (family == net::Family::kIpv6) {
    return type >= net::kIcmpv6Unreachable && type <= net::kIcmpv6ParameterProblem;
  }
  return type == net::kIcmpUnreachable || type == net::kIcmpTimeExceeded ||
         type == net::kIcmpParameterProblem;
}

inline void read_ports(const std::uint8_t* transport, Flow& flow) {
  flow.source_port = load_be<std::uint16_t>(transport);
  flow.destination_port = load_be<std::uint16_t>(transport + 2);
}

// ICMP and ICMPv6, each in its own family only.
inline void read_icmp(ConstBytes message, Flow& flow) {
  const bool right_family = flow.is_v4() == (flow.protocol == net::kProtocolIcmp);
  if (message.size() < net::IcmpView::kHeaderBytes) {
    flow.kind = Kind::kMalformed;
    return;
  }
  flow.icmp_type = message[0];
  flow.checksum_at = static_cast<std::uint16_t>(flow.transport_at + net::IcmpView::kChecksumAt);
  if (right_family && is_icmp_query(flow.family, flow.icmp_type)) {
    flow.source_port = load_be<std::uint16_t>(message.data() + net::IcmpView::kIdentifierAt);
    flow.destination_port = flow.source_port;
  } else if (right_family && is_icmp_error(flow.family, flow.icmp_type) &&
             flow.kind == Kind::kPlain) {
    flow.kind = Kind::kIcmpError;
  } else {
    flow.kind = Kind::kUnsupported;  // errors in fragments too: no error needs to be that long
  }
}

// Reads the transport header of a whole datagram (kind kPlain) or of a first fragment, and changes
// the kind where that is something else.
inline void read_transport(ConstBytes packet, Flow& flow) {
  const ConstBytes transport = packet.subspan(flow.transport_at);
  if (flow.protocol == net::kProtocolTcp) {
    const auto tcp = net::TcpView::parse(transport);
    if (!tcp) {
      flow.kind = Kind::kMalformed;
      return;
    }
    read_ports(transport.data(), flow);
    flow.tcp_flags = tcp->flags();
    flow.checksum_at = static_cast<std::uint16_t>(flow.transport_at + net::TcpView::kChecksumAt);
  } else if (flow.protocol == net::kProtocolUdp) {
    // The length of a first fragment is its whole datagram's.
    const bool enough = transport.size() >= net::UdpView::kHeaderBytes;
    const std::size_t length =
        enough ? load_be<std::uint16_t>(transport.data() + net::UdpView::kLengthAt) : 0;
    if (length < net::UdpView::kHeaderBytes ||
        (flow.kind == Kind::kPlain && length > transport.size())) {
      flow.kind = Kind::kMalformed;
      return;
    }
    read_ports(transport.data(), flow);
    flow.checksum_at = static_cast<std::uint16_t>(flow.transport_at + net::UdpView::kChecksumAt);
  } else if (flow.is_icmp()) {
    read_icmp(transport, flow);
  } else {
    flow.kind = Kind::kUnsupported;
  }
}

// kPlain, kMalformed, or kUnsupported for source routes, whose transport checksum covers another
// destination and which RFC 7126 sections 4.3 and 4.4 drop anyway.
[[nodiscard]] inline Kind check_ip4_options(ConstBytes options) {
  for (std::size_t at = 0; at < options.size();) {
    const std::uint8_t option = options[at];
    if (option == net::kIp4OptionEnd) break;
    if (option == net::kIp4OptionNoOperation) {
      ++at;
      continue;
    }
    if (options.size() - at < 2) return Kind::kMalformed;
    const std::size_t length = options[at + 1];
    if (length < 2 || length > options.size() - at) return Kind::kMalformed;
    if (option == net::kIp4OptionLooseSourceRoute || option == net::kIp4OptionStrictSourceRoute) {
      return Kind::kUnsupported;
    }
    at += length;
  }
  return Kind::kPlain;
}

// `data_bytes`: the fragment's part of the datagram. `header_bytes`: what stands before the
// datagram's first byte when it is put together.
[[nodiscard]] inline Kind check_fragment(const Flow& flow, std::size_t data_bytes,
                                         std::size_t header_bytes) {
  const std::size_t end = flow.fragment_offset + data_bytes;
  if (data_bytes == 0 || end + header_bytes > UINT16_MAX) return Kind::kMalformed;
  if (flow.more_fragments && data_bytes % 8 != 0) return Kind::kMalformed;
  return flow.fragment_offset == 0 ? Kind::kFirstFragment : Kind::kLaterFragment;
}

inline void read_ip4_fragment(ConstBytes packet, Flow& flow) {
  const auto word = load_be<std::uint16_t>(packet.data() + net::Ip4View::kFragmentAt);
  flow.more_fragments = (word & 0x2000) != 0;
  flow.fragment_offset = static_cast<std::uint16_t>((word & 0x1fff) * 8);
  flow.kind = check_fragment(flow, packet.size() - flow.transport_at, flow.transport_at);
  if (flow.kind != Kind::kLaterFragment) return;
  const bool known = flow.protocol == net::kProtocolTcp || flow.protocol == net::kProtocolUdp ||
                     flow.protocol == net::kProtocolIcmp;
  if (!known) flow.kind = Kind::kUnsupported;
  // It would overwrite a part of the TCP header that the first fragment must have had.
  if (flow.protocol == net::kProtocolTcp && flow.fragment_offset < net::TcpView::kMinHeaderBytes) {
    flow.kind = Kind::kMalformed;
  }
}

inline void parse_ip4(ConstBytes packet, Flow& flow) {
  const auto ip = net::Ip4View::parse(packet);
  if (!ip || ip->total_bytes() != packet.size()) return;
  flow.kind = Kind::kPlain;
  flow.family = net::Family::kIpv4;
  flow.protocol = ip->protocol();
  flow.transport_at = static_cast<std::uint16_t>(ip->header_bytes());
  flow.identification = ip->identification();
  flow.dont_fragment = ip->dont_fragment();
  if (ip->header_bytes() > net::Ip4View::kMinHeaderBytes) [[unlikely]] {
    flow.kind = check_ip4_options(ip->header().subspan(net::Ip4View::kMinHeaderBytes));
    if (flow.kind != Kind::kPlain) return;
  }
  if (ip->is_fragment()) [[unlikely]] {
    read_ip4_fragment(packet, flow);
    if (flow.kind != Kind::kFirstFragment) return;
  }
  read_transport(packet, flow);
}

inline void read_ip6_fragment(ConstBytes packet, Flow& flow) {
  const std::uint8_t* const header = packet.data() + flow.fragment_at;
  const auto word = load_be<std::uint16_t>(header + net::kFragmentOffsetAt);
  flow.identification = load_be<std::uint32_t>(header + net::kFragmentIdentificationAt);
  flow.more_fragments = (word & 1) != 0;
  flow.fragment_offset = static_cast<std::uint16_t>(word & 0xfff8);
  if (flow.fragment_offset == 0 && !flow.more_fragments) return;  // whole all the same (RFC 6946)
  const std::size_t data_at = flow.fragment_data_at();
  flow.kind = check_fragment(flow, packet.size() - data_at, data_at);
}

// The walk over extension headers, of a packet or of what an ICMP error quotes of one.
inline void find_ip6_transport(ConstBytes packet, Flow& flow) {
  const auto upper = net::ip6_upper_layer(packet);
  if (!upper) return;
  flow.kind = upper->rerouted || upper->authenticated ? Kind::kUnsupported : Kind::kPlain;
  flow.protocol = upper->protocol;
  flow.transport_at = upper->offset;
  flow.fragment_at = upper->fragment_at;
}

inline void parse_ip6(ConstBytes packet, Flow& flow) {
  const auto ip = net::Ip6View::parse(packet);
  if (!ip || ip->total_bytes() != packet.size()) return;
  flow.family = net::Family::kIpv6;
  find_ip6_transport(packet, flow);
  if (flow.kind == Kind::kMalformed) return;
  const bool supported = flow.kind == Kind::kPlain;
  if (flow.fragment_at != 0) [[unlikely]] {
    read_ip6_fragment(packet, flow);
    if (flow.kind == Kind::kMalformed || (supported && flow.kind == Kind::kLaterFragment)) return;
  }
  if (!supported) {
    flow.kind = Kind::kUnsupported;
    return;
  }
  read_transport(packet, flow);
}

}  // namespace detail

// `packet`: exactly one IP packet; any bytes are allowed.
[[nodiscard]] inline Flow parse_flow(ConstBytes packet) {
  Flow flow;
  if (packet.empty()) return flow;
  if (packet[0] >> 4 == 4) {
    detail::parse_ip4(packet, flow);
  } else {
    detail::parse_ip6(packet, flow);
  }
  return flow;
}

}  // namespace ringway::nat
