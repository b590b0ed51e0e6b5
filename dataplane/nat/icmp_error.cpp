#include "dataplane/nat/icmp_error.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "dataplane/nat/rewrite.hpp"

namespace ringway::nat {

using net::IcmpView;
using net::Ip4MutableView;
using net::Ip4View;
using net::Ip6View;

namespace {

constexpr std::size_t kQuotedTransportBytes = 8;  // RFC 792: "64 bits of data"
constexpr std::uint8_t kErrorTtl = 64;
constexpr std::uint8_t kErrorTos = 0xc0;  // internetwork control (RFC 1812 section 4.3.2.5)

// RFC 4884 section 4: where an error gives the length of what it quotes, and in what unit.
constexpr std::size_t kLengthAt4 = 5;
constexpr std::size_t kLengthUnit4 = 4;
constexpr std::size_t kLengthAt6 = 4;
constexpr std::size_t kLengthUnit6 = 8;

struct TypeAndCode {
  std::uint8_t type;
  std::uint8_t code;
};
[[nodiscard]] TypeAndCode numbers_of(Report report, bool v4) {
  switch (report) {
    case Report::kTtlExpired:
      return {v4 ? net::kIcmpTimeExceeded : net::kIcmpv6TimeExceeded, 0};
    case Report::kTooBig:
      return v4 ? TypeAndCode{net::kIcmpUnreachable, net::kIcmpCodeFragmentationNeeded}
                : TypeAndCode{net::kIcmpv6PacketTooBig, 0};
    case Report::kPortUnreachable:
      return v4 ? TypeAndCode{net::kIcmpUnreachable, net::kIcmpCodePortUnreachable}
                : TypeAndCode{net::kIcmpv6Unreachable, net::kIcmpv6CodePortUnreachable};
    case Report::kProhibited:
      return v4 ? TypeAndCode{net::kIcmpUnreachable, net::kIcmpCodeProhibited}
                : TypeAndCode{net::kIcmpv6Unreachable, net::kIcmpv6CodeProhibited};
    case Report::kHostUnreachable:
      break;
  }
  return v4 ? TypeAndCode{net::kIcmpUnreachable, net::kIcmpCodeHostUnreachable}
            : TypeAndCode{net::kIcmpv6Unreachable, net::kIcmpv6CodeAddressUnreachable};
}

// 0/8, 127/8, and from 224/4 on: multicast, reserved and broadcast.
[[nodiscard]] bool one_host4(const std::uint8_t* address) {
  return address[0] != 0 && address[0] != 127 && address[0] < 224;
}
// Neither ::, ::1 nor multicast.
[[nodiscard]] bool one_host6(const std::uint8_t* address) {
  const bool low = load_le<std::uint64_t>(address) == 0 && load_be<std::uint64_t>(address + 8) <= 1;
  return !low && address[0] != 0xff;
}
[[nodiscard]] bool one_host(const std::uint8_t* packet, net::Family family, Side side) {
  const std::uint8_t* const address = packet + address_at(family, side);
  return family == net::Family::kIpv4 ? one_host4(address) : one_host6(address);
}

void emit_ip4_header(std::uint8_t* out, std::size_t total, const std::uint8_t* from,
                     const std::uint8_t* to) {
  std::memset(out, 0, Ip4View::kMinHeaderBytes);
  out[0] = 0x45;
  out[1] = kErrorTos;
  store_be(out + Ip4View::kTotalLengthAt, static_cast<std::uint16_t>(total));
  // Small enough for every link in practice, and atomic, so without an identification (RFC 6864).
  store_be(out + Ip4View::kFragmentAt, std::uint16_t{0x4000});
  out[Ip4View::kTtlAt] = kErrorTtl;
  out[Ip4View::kProtocolAt] = net::kProtocolIcmp;
  std::memcpy(out + Ip4View::kSourceAt, from, 4);
  std::memcpy(out + Ip4View::kDestinationAt, to, 4);
  auto ip = Ip4MutableView::parse({out, total});
  DCHECK(ip);
  ip->recompute_checksum();
}

void emit_ip6_header(std::uint8_t* out, std::size_t total, const std::uint8_t* from,
                     const std::uint8_t* to) {
  std::memset(out, 0, Ip6View::kHeaderBytes);
  out[0] = 0x60 | kErrorTos >> 4;
  store_be(out + Ip6View::kPayloadLengthAt,
           static_cast<std::uint16_t>(total - Ip6View::kHeaderBytes));
  out[Ip6View::kNextHeaderAt] = net::kProtocolIcmpv6;
  out[Ip6View::kHopLimitAt] = kErrorTtl;
  std::memcpy(out + Ip6View::kSourceAt, from, 16);
  std::memcpy(out + Ip6View::kDestinationAt, to, 16);
}

[[nodiscard]] std::uint64_t pseudo_header_of(const std::uint8_t* packet, const Flow& flow,
                                             std::size_t message_bytes) {
  if (flow.is_v4()) return 0;
  return net::pseudo_header_sum_v6(packet + Ip6View::kSourceAt, packet + Ip6View::kDestinationAt,
                                   net::kProtocolIcmpv6, static_cast<std::uint32_t>(message_bytes));
}

// The body of an error as far as it quotes; empty when the error's own length lies.
[[nodiscard]] ConstBytes quoted_bytes(const IcmpView& icmp, ConstBytes message,
                                      net::Family family) {
  const bool v4 = family == net::Family::kIpv4;
  const bool has_length =
      v4 || icmp.type() == net::kIcmpv6Unreachable || icmp.type() == net::kIcmpv6TimeExceeded;
  const std::size_t length =
      has_length ? (v4 ? message[kLengthAt4] * kLengthUnit4 : message[kLengthAt6] * kLengthUnit6)
                 : 0;
  const ConstBytes body = icmp.body();
  if (length > body.size()) return {};
  return length == 0 ? body : body.first(length);
}

// `packet` is all that is there of the quoted packet, headers up to `flow.transport_at` checked.
void read_quoted_transport(ConstBytes packet, Flow& flow) {
  const std::uint8_t* const transport = packet.data() + flow.transport_at;
  std::size_t checksum_at = 0;
  if (flow.protocol == net::kProtocolTcp || flow.protocol == net::kProtocolUdp) {
    detail::read_ports(transport, flow);
    checksum_at =
        flow.protocol == net::kProtocolTcp ? net::TcpView::kChecksumAt : net::UdpView::kChecksumAt;
  } else if (flow.is_icmp() && flow.is_v4() == (flow.protocol == net::kProtocolIcmp) &&
             detail::is_icmp_query(flow.family, transport[0])) {
    flow.icmp_type = transport[0];
    flow.source_port = load_be<std::uint16_t>(transport + IcmpView::kIdentifierAt);
    flow.destination_port = flow.source_port;
    checksum_at = IcmpView::kChecksumAt;
  } else {
    flow.kind = Kind::kUnsupported;  // errors about errors among them
    return;
  }
  checksum_at += flow.transport_at;
  if (checksum_at + 2 <= packet.size()) flow.checksum_at = static_cast<std::uint16_t>(checksum_at);
}

[[nodiscard]] bool parse_ip4_quote(ConstBytes bytes, Quote& quote, Drop& why) {
  why = Drop::kMalformed;
  if (bytes.size() < Ip4View::kMinHeaderBytes || bytes[0] >> 4 != 4) return false;
  const std::size_t header = (bytes[0] & 0x0fU) * 4;
  // What is quoted may be shorter than its total length says, and some hosts change that field.
  const std::size_t total = load_be<std::uint16_t>(bytes.data() + Ip4View::kTotalLengthAt);
  const std::size_t there = std::min(bytes.size(), total);
  if (header < Ip4View::kMinHeaderBytes || header + kQuotedTransportBytes > there) return false;
  if (net::checksum_fold(net::checksum_sum(bytes.first(header))) != 0xffff) {
    why = Drop::kBadChecksum;
    return false;
  }
  const auto word = load_be<std::uint16_t>(bytes.data() + Ip4View::kFragmentAt);
  why = Drop::kUnsupported;
  if ((word & 0x1fff) != 0) return false;  // a later fragment has no ports
  Flow& flow = quote.flow;
  flow.kind = (word & 0x2000) != 0 ? Kind::kFirstFragment : Kind::kPlain;
  flow.family = net::Family::kIpv4;
  flow.protocol = bytes[Ip4View::kProtocolAt];
  flow.transport_at = static_cast<std::uint16_t>(header);
  quote.bytes = static_cast<std::uint16_t>(there);
  read_quoted_transport(bytes.first(there), flow);
  return flow.has_ports();
}

[[nodiscard]] bool parse_ip6_quote(ConstBytes bytes, Quote& quote, Drop& why) {
  why = Drop::kMalformed;
  if (bytes.size() < Ip6View::kHeaderBytes || bytes[0] >> 4 != 6) return false;
  const std::size_t payload = load_be<std::uint16_t>(bytes.data() + Ip6View::kPayloadLengthAt);
  const std::size_t there = std::min(bytes.size(), Ip6View::kHeaderBytes + payload);
  Flow& flow = quote.flow;
  flow.family = net::Family::kIpv6;
  detail::find_ip6_transport(bytes.first(there), flow);
  if (flow.kind == Kind::kMalformed) return false;
  if (flow.fragment_at != 0) {
    const auto word =
        load_be<std::uint16_t>(bytes.data() + flow.fragment_at + net::kFragmentOffsetAt);
    if ((word & 0xfff8) != 0) flow.kind = Kind::kUnsupported;
  }
  why = Drop::kUnsupported;
  if (flow.kind != Kind::kPlain) return false;
  if (flow.transport_at + kQuotedTransportBytes > there) {
    why = Drop::kMalformed;
    return false;
  }
  quote.bytes = static_cast<std::uint16_t>(there);
  read_quoted_transport(bytes.first(there), flow);
  return flow.has_ports();
}

}  // namespace

bool may_report(ConstBytes packet, const Flow& flow) {
  if (flow.kind == Kind::kMalformed || flow.kind == Kind::kLaterFragment) return false;
  if (flow.is_icmp() && !flow.has_ports()) return false;
  return one_host(packet.data(), flow.family, Side::kSource) &&
         one_host(packet.data(), flow.family, Side::kDestination);
}

std::size_t emit_icmp_error(ConstBytes packet, const Flow& flow, Report report,
                            const net::IpAddress& from, std::uint16_t mtu, Bytes out) {
  if (!may_report(packet, flow)) return 0;
  CHECK(from.family == flow.family);
  const bool v4 = flow.is_v4();
  const std::size_t header = v4 ? Ip4View::kMinHeaderBytes : Ip6View::kHeaderBytes;
  const std::size_t limit = v4 ? kMaxIcmp4ErrorBytes : kMaxIcmp6ErrorBytes;
  CHECK(out.size() >= limit);
  const std::size_t quoted = std::min(packet.size(), limit - header - IcmpView::kHeaderBytes);
  const std::size_t total = header + IcmpView::kHeaderBytes + quoted;
  const std::uint8_t* const to = packet.data() + address_at(flow.family, Side::kSource);
  if (v4) {
    emit_ip4_header(out.data(), total, from.bytes.data(), to);
  } else {
    emit_ip6_header(out.data(), total, from.bytes.data(), to);
  }
  const TypeAndCode numbers = numbers_of(report, v4);
  std::uint8_t* const icmp = out.data() + header;
  std::memset(icmp, 0, IcmpView::kHeaderBytes);
  icmp[0] = numbers.type;
  icmp[1] = numbers.code;
  // RFC 1191 section 4 and RFC 4443 section 3.2: the low half of the same word.
  if (report == Report::kTooBig) store_be(icmp + 6, mtu);
  std::memcpy(icmp + IcmpView::kHeaderBytes, packet.data(), quoted);
  const Bytes message = out.subspan(header, total - header);
  const std::uint64_t pseudo = pseudo_header_of(out.data(), flow, message.size());
  store_le(icmp + IcmpView::kChecksumAt, net::checksum_finish(net::checksum_sum(message, pseudo)));
  return total;
}

bool parse_icmp_error(ConstBytes packet, const Flow& flow, Quote& quote, Drop& why) {
  DCHECK(flow.kind == Kind::kIcmpError);
  quote = {};
  why = Drop::kMalformed;
  const ConstBytes message = packet.subspan(flow.transport_at);
  const auto icmp = IcmpView::parse(message);
  if (!icmp) return false;
  if (!icmp->checksum_valid(pseudo_header_of(packet.data(), flow, message.size()))) {
    why = Drop::kBadChecksum;
    return false;
  }
  quote.at = static_cast<std::uint16_t>(flow.transport_at + IcmpView::kHeaderBytes);
  const ConstBytes quoted = quoted_bytes(*icmp, message, flow.family);
  return flow.is_v4() ? parse_ip4_quote(quoted, quote, why) : parse_ip6_quote(quoted, quote, why);
}

void rewrite_icmp_error(std::uint8_t* packet, const Flow& flow, const Quote& quote, Side side,
                        const std::uint8_t* address, std::uint16_t port) {
  std::uint8_t* const quoted = packet + quote.at;
  // Everything that can change lies before the end of a TCP header's checksum.
  const std::size_t touched =
      std::min<std::size_t>(quote.bytes, quote.flow.transport_at + net::TcpView::kMinHeaderBytes);
  const std::uint64_t before = net::checksum_sum({quoted, touched});
  rewrite(quoted, quote.flow, side, address, port);
  const std::uint64_t after = net::checksum_sum({quoted, touched});
  detail::update_checksum(packet + flow.checksum_at, before, after);
  rewrite(packet, flow, opposite(side), address, 0);
}

}  // namespace ringway::nat
