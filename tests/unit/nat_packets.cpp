#include "tests/unit/nat_packets.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/net/udp.hpp"

namespace ringway::nat::testing_support {
namespace {

std::uint16_t get16(const PacketBytes& p, std::size_t at) {
  return static_cast<std::uint16_t>(p[at] << 8 | p[at + 1]);
}
void put16(PacketBytes& p, std::size_t at, std::size_t value) {
  p[at] = static_cast<std::uint8_t>(value >> 8);
  p[at + 1] = static_cast<std::uint8_t>(value);
}
void append(PacketBytes& to, ConstBytes from) {
  to.insert(to.end(), from.begin(), from.end());
}
bool is_v6(const PacketBytes& p) {
  return p[0] >> 4 == 6;
}

struct TransportPart {
  std::uint8_t protocol;
  std::size_t at;
};
TransportPart transport_of(const PacketBytes& p) {
  if (!is_v6(p)) return {p[9], (p[0] & 0x0fU) * 4};
  const auto upper = net::ip6_upper_layer(p);
  return {upper->protocol, upper->offset};
}
bool is_part(const PacketBytes& p) {
  if (!is_v6(p)) return (get16(p, 6) & 0x3fff) != 0;
  const auto upper = net::ip6_upper_layer(p);
  return upper->fragment && (get16(p, upper->fragment_at + 2U) & 0xfff9) != 0;
}
std::size_t checksum_at(TransportPart transport) {
  switch (transport.protocol) {
    case net::kProtocolTcp:
      return transport.at + 16;
    case net::kProtocolUdp:
      return transport.at + 6;
    default:
      return transport.at + 2;
  }
}

// RFC 1071, word by word in network order.
std::uint32_t sum_words(const PacketBytes& p, std::size_t from, std::size_t to) {
  std::uint32_t sum = 0;
  for (std::size_t at = from; at < to; at += 2) {
    sum += static_cast<std::uint32_t>(p[at] << 8 | (at + 1 < to ? p[at + 1] : 0));
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}
std::uint32_t folded(std::uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}
// Pseudo-header, transport header and payload, checksum field included.
std::uint32_t transport_sum(const PacketBytes& p) {
  const TransportPart transport = transport_of(p);
  std::uint32_t sum = sum_words(p, transport.at, p.size());
  if (transport.protocol == net::kProtocolIcmp) return folded(sum);
  sum += is_v6(p) ? sum_words(p, 8, 40) : sum_words(p, 12, 20);
  sum += transport.protocol;
  sum += static_cast<std::uint32_t>(p.size() - transport.at);
  return folded(sum);
}
std::uint32_t header_sum(const PacketBytes& p) {
  return folded(sum_words(p, 0, (p[0] & 0x0fU) * 4));
}
void fix_header_checksum(PacketBytes& p) {
  if (is_v6(p)) return;
  put16(p, 10, 0);
  put16(p, 10, static_cast<std::uint16_t>(~header_sum(p)));
}

PacketBytes ip_header(const PacketSpec& spec, std::size_t payload_bytes) {
  PacketBytes p;
  if (spec.source.is_v4()) {
    p.assign(20, 0);
    p[0] = static_cast<std::uint8_t>(0x45 + spec.ip_options.size() / 4);
    put16(p, 2, 20 + spec.ip_options.size() + payload_bytes);
    put16(p, 4, spec.identification);
    put16(p, 6, spec.dont_fragment ? 0x4000 : 0);
    p[8] = spec.ttl;
    p[9] = spec.protocol;
    std::ranges::copy(spec.source.view(), p.begin() + 12);
    std::ranges::copy(spec.destination.view(), p.begin() + 16);
    append(p, spec.ip_options);
    return p;
  }
  p.assign(40, 0);
  p[0] = 0x60;
  put16(p, 4, spec.extensions.size() + payload_bytes);
  p[6] = spec.extensions.empty() ? spec.protocol : spec.first_extension;
  p[7] = spec.ttl;
  std::ranges::copy(spec.source.view(), p.begin() + 8);
  std::ranges::copy(spec.destination.view(), p.begin() + 24);
  append(p, spec.extensions);
  return p;
}

PacketBytes transport_header(const PacketSpec& spec) {
  PacketBytes t(8, 0);
  if (spec.protocol == net::kProtocolTcp) {
    t.resize(20);
    t[7] = 1;
    t[12] = static_cast<std::uint8_t>((20 + spec.tcp_options.size()) / 4 << 4);
    t[13] = spec.tcp_flags;
    append(t, spec.tcp_options);
  }
  if (spec.protocol == net::kProtocolTcp || spec.protocol == net::kProtocolUdp) {
    put16(t, 0, spec.source_port);
    put16(t, 2, spec.destination_port);
  } else {
    const auto echo = spec.source.is_v4() ? net::kIcmpEchoRequest : net::kIcmpv6EchoRequest;
    t[0] = spec.icmp_type != 0 ? spec.icmp_type : echo;
    t[1] = spec.icmp_code;
    put16(t, 4, spec.source_port);
    t[7] = 1;
  }
  if (spec.protocol == net::kProtocolUdp) put16(t, 4, 8 + spec.payload.size());
  return t;
}

// The byte that says which protocol follows the headers of an IPv6 packet's unfragmentable part,
// which here is the fixed header alone.
constexpr std::size_t kNextHeaderByte = 6;

PacketBytes fragment6(const PacketBytes& packet, std::size_t from, std::size_t to,
                      std::uint32_t identification) {
  PacketBytes part(packet.begin(), packet.begin() + 40);
  const bool more = to < packet.size();
  part.insert(part.end(), {packet[kNextHeaderByte], 0, 0, 0, 0, 0, 0, 0});
  part[kNextHeaderByte] = net::kNextFragment;
  put16(part, 42, (from - 40) | (more ? 1U : 0U));
  put16(part, 44, identification >> 16);
  put16(part, 46, identification & 0xffff);
  append(part, ConstBytes(packet).subspan(from, to - from));
  put16(part, 4, part.size() - 40);
  return part;
}
PacketBytes fragment4(const PacketBytes& packet, std::size_t from, std::size_t to,
                      std::uint32_t identification) {
  const std::size_t header = (packet[0] & 0x0fU) * 4;
  PacketBytes part(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(header));
  const bool more = to < packet.size();
  put16(part, 4, identification & 0xffff);
  put16(part, 6, (from - header) / 8 | (more ? 0x2000U : 0U));
  append(part, ConstBytes(packet).subspan(from, to - from));
  put16(part, 2, part.size());
  fix_header_checksum(part);
  return part;
}

struct Part {
  std::size_t offset;
  bool more;
  ConstBytes data;
};
Part part_of(const PacketBytes& p) {
  if (is_v6(p)) {
    const std::uint16_t word = get16(p, 42);
    return {word & 0xfff8U, (word & 1) != 0, ConstBytes(p).subspan(48)};
  }
  const std::uint16_t word = get16(p, 6);
  return {(word & 0x1fffU) * 8, (word & 0x2000) != 0, ConstBytes(p).subspan((p[0] & 0x0fU) * 4)};
}

}  // namespace

PacketBytes build(const PacketSpec& spec) {
  const PacketBytes transport = transport_header(spec);
  PacketBytes packet = ip_header(spec, transport.size() + spec.payload.size());
  append(packet, transport);
  append(packet, spec.payload);
  fix_checksums(packet);
  if (spec.protocol == net::kProtocolUdp && !spec.udp_checksum) {
    put16(packet, checksum_at(transport_of(packet)), 0);
  }
  return packet;
}

PacketBytes build_error(const net::IpAddress& from, const net::IpAddress& to, std::uint8_t type,
                        std::uint8_t code, std::uint32_t rest, const PacketBytes& quoted) {
  PacketSpec spec;
  spec.protocol = from.is_v4() ? net::kProtocolIcmp : net::kProtocolIcmpv6;
  spec.source = from;
  spec.destination = to;
  spec.icmp_type = type;
  spec.icmp_code = code;
  spec.payload = quoted;
  PacketBytes packet = build(spec);
  const std::size_t at = transport_of(packet).at;
  put16(packet, at + 4, rest >> 16);
  put16(packet, at + 6, rest & 0xffff);
  fix_checksums(packet);
  return packet;
}

void fix_checksums(PacketBytes& packet) {
  fix_header_checksum(packet);
  if (is_part(packet)) return;
  const TransportPart transport = transport_of(packet);
  const std::size_t field = checksum_at(transport);
  put16(packet, field, 0);
  const auto checksum = static_cast<std::uint16_t>(~transport_sum(packet));
  const bool all_ones = transport.protocol == net::kProtocolUdp && checksum == 0;
  put16(packet, field, all_ones ? 0xffff : checksum);
}

bool checksums_right(const PacketBytes& packet) {
  if (!is_v6(packet) && header_sum(packet) != 0xffff) return false;
  if (is_part(packet)) return true;
  const TransportPart transport = transport_of(packet);
  if (transport.protocol == net::kProtocolUdp && get16(packet, checksum_at(transport)) == 0) {
    return !is_v6(packet);
  }
  return transport_sum(packet) == 0xffff;
}

PacketBytes random_bytes(std::size_t bytes, Rng& rng) {
  PacketBytes data(bytes);
  rng.fill(data);
  return data;
}

net::IpAddress random_address(net::Family family, Rng& rng) {
  const PacketBytes bytes = random_bytes(16, rng);
  return family == net::Family::kIpv4 ? net::IpAddress::v4(bytes.data())
                                      : net::IpAddress::v6(bytes.data());
}

PacketSpec random_spec(Rng& rng) {
  PacketSpec spec;
  const bool v4 = rng.below(2) == 0;
  const std::uint8_t icmp = v4 ? net::kProtocolIcmp : net::kProtocolIcmpv6;
  const std::uint8_t protocols[] = {net::kProtocolTcp, net::kProtocolUdp, icmp};
  spec.protocol = protocols[rng.below(3)];
  const PacketBytes ends = random_bytes(32, rng);
  spec.source = v4 ? net::IpAddress::v4(ends.data()) : net::IpAddress::v6(ends.data());
  spec.destination =
      v4 ? net::IpAddress::v4(ends.data() + 16) : net::IpAddress::v6(ends.data() + 16);
  spec.source_port = static_cast<std::uint16_t>(rng.next_u32());
  spec.destination_port = static_cast<std::uint16_t>(rng.next_u32());
  spec.tcp_flags = static_cast<std::uint8_t>(rng.next_u32());
  if (rng.below(3) == 0) spec.tcp_options = {2, 4, 5, 0xb4};
  if (rng.below(3) == 0) spec.ip_options = {0x94, 4, 0, 0};  // router alert
  if (rng.below(3) == 0) spec.extensions = {spec.protocol, 0, 1, 4, 0, 0, 0, 0};
  spec.udp_checksum = !v4 || rng.below(4) != 0;
  spec.ttl = static_cast<std::uint8_t>(2 + rng.below(250));
  spec.identification = static_cast<std::uint16_t>(rng.next_u32());
  spec.dont_fragment = rng.below(2) == 0;
  spec.payload = random_bytes(rng.below(200), rng);
  return spec;
}

std::vector<PacketBytes> cut(const PacketBytes& packet, std::size_t data_bytes,
                             std::uint32_t identification) {
  const bool v6 = is_v6(packet);
  const std::size_t header = v6 ? 40 : (packet[0] & 0x0fU) * 4;
  std::vector<PacketBytes> parts;
  for (std::size_t from = header; from < packet.size(); from += data_bytes) {
    const std::size_t to = std::min(from + data_bytes, packet.size());
    parts.push_back(v6 ? fragment6(packet, from, to, identification)
                       : fragment4(packet, from, to, identification));
  }
  return parts;
}

PacketBytes put_together(std::vector<PacketBytes> fragments) {
  std::ranges::sort(fragments, {}, [](const PacketBytes& p) { return part_of(p).offset; });
  PacketBytes whole;
  std::size_t filled = 0;
  bool more = true;
  for (const PacketBytes& fragment : fragments) {
    const Part part = part_of(fragment);
    if (part.offset != filled || !more) return {};
    if (filled == 0) {
      whole.assign(fragment.begin(), part.data.data() - fragment.data() + fragment.begin());
      if (is_v6(fragment)) {
        whole.resize(40);
        whole[kNextHeaderByte] = fragment[40];
      }
    }
    append(whole, part.data);
    filled += part.data.size();
    more = part.more;
  }
  if (more) return {};
  if (is_v6(whole)) {
    put16(whole, 4, whole.size() - 40);
  } else {
    put16(whole, 2, whole.size());
    put16(whole, 6, 0);
    fix_header_checksum(whole);
  }
  return whole;
}

}  // namespace ringway::nat::testing_support
