// Any bytes as an inner packet: the parser, the ECN helper and the views of what is inside.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/net/icmp.hpp"
#include "base/net/inner_packet.hpp"
#include "base/net/tcp.hpp"
#include "base/net/udp.hpp"

namespace {

using namespace ringway;

// Reads all that a view offers, so that the sanitizers see it.
void read_transport(ConstBytes payload, std::uint8_t protocol) {
  volatile std::uint64_t sink = 0;
  if (protocol == net::kProtocolTcp) {
    if (const auto tcp = net::TcpView::parse(payload)) {
      sink = sink + tcp->checksum_valid(0) + tcp->payload().size() + tcp->options().size();
      if (const auto at = tcp->mss_value_offset()) CHECK(*at + 2 <= tcp->header_bytes());
    }
  } else if (protocol == net::kProtocolUdp) {
    if (const auto udp = net::UdpView::parse(payload)) {
      CHECK(udp->total_bytes() <= payload.size());
      sink = sink + udp->checksum_valid(0) + udp->payload().size();
    }
  } else if (const auto icmp = net::IcmpView::parse(payload)) {
    sink = sink + icmp->checksum_valid(0) + icmp->body().size();
  }
}

void read_packet(ConstBytes bytes) {
  if (const auto ip4 = net::Ip4View::parse(bytes)) {
    read_transport(ip4->payload(), ip4->protocol());
  }
  if (const auto ip6 = net::Ip6View::parse(bytes)) {
    if (const auto upper = net::ip6_upper_layer(ip6->packet())) {
      CHECK(upper->offset <= ip6->total_bytes());
      read_transport(ip6->packet().subspan(upper->offset), upper->protocol);
    }
  }
}

void check_ecn(ConstBytes bytes, const net::InnerPacket& inner, std::uint8_t outer_ecn) {
  std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  const auto before = net::Ip4View::parse(bytes);
  if (!net::decapsulate_ecn(copy, outer_ecn)) {
    CHECK(inner.ecn == net::kNotEct && outer_ecn == net::kCe);
    return;
  }
  net::InnerPacket after;
  CHECK(net::parse_inner_packet(copy, after));
  CHECK(after.total_bytes == inner.total_bytes && after.family == inner.family);
  if (before && before->checksum_valid()) CHECK(net::Ip4View::parse(copy)->checksum_valid());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> exact(data, data + size);
  net::InnerPacket inner;
  if (!net::parse_inner_packet(exact, inner)) return 0;
  const bool v4 = inner.family == net::Family::kIpv4;
  CHECK(inner.total_bytes <= size && inner.total_bytes >= (v4 ? 20 : 40));
  CHECK(inner.source > exact.data());
  CHECK(inner.destination + (v4 ? 4 : 16) <= exact.data() + inner.total_bytes);
  for (std::uint8_t outer_ecn = 0; outer_ecn < 4; ++outer_ecn)
    check_ecn(exact, inner, outer_ecn);
  read_packet(exact);
  return 0;
}
