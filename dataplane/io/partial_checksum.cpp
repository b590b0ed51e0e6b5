#include "dataplane/io/partial_checksum.hpp"

#include <optional>

#include "base/bytes.hpp"
#include "base/net/checksum.hpp"
#include "base/net/ethernet.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"

namespace ringway::io {
namespace {

constexpr std::uint16_t kEtherTypeVlan = 0x8100;         // IEEE 802.1Q
constexpr std::uint16_t kEtherTypeServiceVlan = 0x88a8;  // IEEE 802.1ad
constexpr std::size_t kVlanTagBytes = 4;
constexpr unsigned kMaxTags = 2;

constexpr std::uint16_t kTcpChecksumAt = 16;
constexpr std::uint16_t kTcpMinBytes = 20;
constexpr std::uint16_t kUdpChecksumAt = 6;
constexpr std::uint16_t kUdpMinBytes = 8;

// A whole transport message in its packet.
struct Transport {
  std::uint8_t protocol = 0;
  ConstBytes message;
  std::uint64_t pseudo_header_sum = 0;
};

ConstBytes ip_packet(ConstBytes frame) {
  if (frame.size() < net::EthernetView::kHeaderBytes) return {};
  std::size_t at = net::EthernetView::kHeaderBytes;
  for (unsigned tags = 0; tags < kMaxTags; ++tags) {
    const auto type = load_be<std::uint16_t>(frame.data() + at - 2);
    if (type != kEtherTypeVlan && type != kEtherTypeServiceVlan) break;
    at += kVlanTagBytes;
    if (frame.size() < at) return {};
  }
  const auto type = load_be<std::uint16_t>(frame.data() + at - 2);
  if (type != net::kEtherTypeIpv4 && type != net::kEtherTypeIpv6) return {};
  return frame.subspan(at);
}

std::optional<Transport> find_transport(ConstBytes packet) {
  if (const auto ip4 = net::Ip4View::parse(packet)) {
    if (ip4->is_fragment()) return std::nullopt;
    return Transport{ip4->protocol(), ip4->payload(), ip4->pseudo_header_sum()};
  }
  const auto ip6 = net::Ip6View::parse(packet);
  if (!ip6) return std::nullopt;
  const auto upper = net::ip6_upper_layer(ip6->packet());
  if (!upper || upper->fragment || upper->rerouted) return std::nullopt;
  const ConstBytes message = ip6->packet().subspan(upper->offset);
  return Transport{upper->protocol, message,
                   net::pseudo_header_sum_v6(ip6->source(), ip6->destination(), upper->protocol,
                                             static_cast<std::uint32_t>(message.size()))};
}

}  // namespace

void mark_partial_checksum(Slot& frame) {
  const auto transport = find_transport(ip_packet({frame.data, frame.length}));
  if (!transport) return;
  const bool tcp = transport->protocol == net::kProtocolTcp;
  if (!tcp && transport->protocol != net::kProtocolUdp) return;
  const ConstBytes message = transport->message;
  if (message.size() < (tcp ? kTcpMinBytes : kUdpMinBytes)) return;
  const std::uint16_t offset = tcp ? kTcpChecksumAt : kUdpChecksumAt;
  const auto field = load_le<std::uint16_t>(message.data() + offset);
  if (field != net::checksum_fold(transport->pseudo_header_sum)) return;
  if (message.data() + message.size() != frame.data + frame.length) {
    // Padding follows, which whoever completes it later would sum as well.
    store_le(frame.data + (message.data() - frame.data) + offset,
             net::checksum_finish_udp(net::checksum_sum(message)));
    frame.checksum = ChecksumState::kVerified;
    return;
  }
  frame.checksum = ChecksumState::kPartial;
  frame.checksum_start = static_cast<std::uint16_t>(message.data() - frame.data);
  frame.checksum_offset = offset;
}

bool complete_checksum(Slot& slot) {
  if (slot.checksum != ChecksumState::kPartial) return true;
  const std::uint32_t field = std::uint32_t{slot.checksum_start} + slot.checksum_offset;
  if (field + 2 > slot.length || slot.checksum_start > slot.length) return false;
  // The field holds the pseudo-header's sum and so adds it. Zero is sent as 0xffff, which every
  // checksum takes for the same and UDP needs.
  const std::uint64_t sum = net::checksum_sum(
      {slot.data + slot.checksum_start, std::size_t{slot.length} - slot.checksum_start});
  store_le(slot.data + field, net::checksum_finish_udp(sum));
  slot.checksum = ChecksumState::kVerified;
  return true;
}

}  // namespace ringway::io
