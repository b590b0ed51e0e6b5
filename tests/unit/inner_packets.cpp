#include "tests/unit/inner_packets.hpp"

#include <algorithm>

#include "base/bytes.hpp"

namespace ringway::io {
namespace {

std::uint16_t get16(const PacketBytes& p, std::size_t at) {
  return static_cast<std::uint16_t>(p[at] << 8 | p[at + 1]);
}
void put16(PacketBytes& p, std::size_t at, std::size_t value) {
  p[at] = static_cast<std::uint8_t>(value >> 8);
  p[at + 1] = static_cast<std::uint8_t>(value);
}
void put32(PacketBytes& p, std::size_t at, std::uint32_t value) {
  put16(p, at, value >> 16);
  put16(p, at + 2, value & 0xffff);
}

bool is_v6(const PacketBytes& p) {
  return p[0] >> 4 == 6;
}
std::size_t transport_at(const PacketBytes& p) {
  return is_v6(p) ? 40 : 20;
}
bool is_udp(const PacketBytes& p) {
  return p[is_v6(p) ? 6 : 9] == 17;
}
std::size_t checksum_at(const PacketBytes& p) {
  return transport_at(p) + (is_udp(p) ? 6 : 16);
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

std::uint32_t pseudo_sum(const PacketBytes& p) {
  std::uint32_t sum = is_v6(p) ? sum_words(p, 8, 40) : sum_words(p, 12, 20);
  sum += is_udp(p) ? 17U : 6U;
  sum += static_cast<std::uint32_t>(p.size() - transport_at(p));
  return (sum & 0xffff) + (sum >> 16);
}

std::uint16_t transport_checksum(PacketBytes p) {
  put16(p, checksum_at(p), 0);
  std::uint32_t sum = pseudo_sum(p) + sum_words(p, transport_at(p), p.size());
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  const auto field = static_cast<std::uint16_t>(~sum);
  return is_udp(p) && field == 0 ? 0xffff : field;
}

std::uint16_t ip_checksum(PacketBytes p) {
  put16(p, 10, 0);
  return static_cast<std::uint16_t>(~sum_words(p, 0, 20));
}

void put_ip_header(PacketBytes& p, const PacketSpec& spec, std::size_t total) {
  if (spec.v6) {
    p[0] = static_cast<std::uint8_t>(0x60 | spec.tos >> 4);
    p[1] = static_cast<std::uint8_t>(spec.tos * 16U | spec.flow_label >> 16);
    put16(p, 2, spec.flow_label & 0xffff);
    put16(p, 4, total - 40);
    p[6] = spec.udp ? 17 : 6;
    p[7] = spec.ttl;
    p[8] = p[24] = 0xfd;
    p[23] = spec.flow;
    p[39] = 200;
    return;
  }
  p[0] = 0x45;
  p[1] = spec.tos;
  put16(p, 2, total);
  put16(p, 4, spec.identification);
  put16(p, 6, spec.fragment_word);
  p[8] = spec.ttl;
  p[9] = spec.udp ? 17 : 6;
  p[12] = p[16] = 10;
  p[15] = spec.flow;
  p[19] = 200;
}

void put_transport_header(PacketBytes& p, std::size_t at, const PacketSpec& spec) {
  put16(p, at, 40000U + spec.flow);
  put16(p, at + 2, 443);
  if (spec.udp) {
    put16(p, at + 4, p.size() - at);
    return;
  }
  put32(p, at + 4, spec.sequence);
  put32(p, at + 8, spec.acknowledgment);
  p[at + 12] = static_cast<std::uint8_t>((20 + spec.tcp_options.size()) / 4 << 4);
  p[at + 13] = spec.flags;
  put16(p, at + 14, spec.window);
  std::ranges::copy(spec.tcp_options, p.begin() + static_cast<std::ptrdiff_t>(at + 20));
}

// Length fields, identification, sequence number and flags of segment `index` of `count`.
void put_segment_fields(PacketBytes& p, const VnetHeader& header, std::size_t index,
                        std::size_t count) {
  const std::size_t at = transport_at(p);
  if (is_v6(p)) {
    put16(p, 4, p.size() - 40);
  } else {
    put16(p, 2, p.size());
    put16(p, 4, (get16(p, 4) + index) & 0xffff);
  }
  if (is_udp(p)) {
    put16(p, at + 4, p.size() - at);
    return;
  }
  const auto sequence = static_cast<std::uint32_t>(get16(p, at + 4)) << 16 | get16(p, at + 6);
  put32(p, at + 4, static_cast<std::uint32_t>(sequence + index * header.segment_bytes));
  if (index != 0) p[at + 13] &= 0x7f;
  if (index + 1 != count) p[at + 13] &= 0xf6;
}

bool gso_type_fits(const VnetHeader& header, const PacketBytes& p) {
  if (is_udp(p)) return header.gso_type == VnetHeader::kGsoUdp;
  return header.gso_type == (is_v6(p) ? VnetHeader::kGsoTcp6 : VnetHeader::kGsoTcp4);
}

}  // namespace

PacketBytes make_payload(std::size_t bytes, std::uint32_t seed) {
  PacketBytes payload(bytes);
  std::uint32_t state = seed * 2654435761U + 12345;
  for (std::uint8_t& byte : payload) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return payload;
}

PacketBytes build_packet(const PacketSpec& spec) {
  const std::size_t at = spec.v6 ? 40 : 20;
  const std::size_t header = at + (spec.udp ? 8 : 20 + spec.tcp_options.size());
  PacketBytes packet(header + spec.payload.size());
  std::ranges::copy(spec.payload, packet.begin() + static_cast<std::ptrdiff_t>(header));
  put_ip_header(packet, spec, packet.size());
  put_transport_header(packet, at, spec);
  fix_checksums(packet);
  return packet;
}

void fix_checksums(PacketBytes& packet) {
  if (!is_v6(packet)) put16(packet, 10, ip_checksum(packet));
  put16(packet, checksum_at(packet), transport_checksum(packet));
}

bool checksums_are_right(const PacketBytes& packet) {
  if (!is_v6(packet) && get16(packet, 10) != ip_checksum(packet)) return false;
  return get16(packet, checksum_at(packet)) == transport_checksum(packet);
}

std::vector<PacketBytes> cut_up(const VnetHeader& header, const PacketBytes& packet) {
  if (header.gso_type == VnetHeader::kGsoNone) return {packet};
  const std::size_t length_field = is_v6(packet) ? get16(packet, 4) + 40U : get16(packet, 2);
  const bool fits =
      gso_type_fits(header, packet) && header.segment_bytes != 0 &&
      header.flags == VnetHeader::kNeedsChecksum && header.checksum_start == transport_at(packet) &&
      header.checksum_start + header.checksum_offset == checksum_at(packet) &&
      length_field == packet.size() && get16(packet, checksum_at(packet)) == pseudo_sum(packet) &&
      (is_v6(packet) || get16(packet, 10) == ip_checksum(packet));
  if (!fits) return {};
  std::vector<PacketBytes> segments;
  const std::size_t body = packet.size() - header.header_bytes;
  const std::size_t count = (body + header.segment_bytes - 1) / header.segment_bytes;
  for (std::size_t index = 0; index < count; ++index) {
    const std::size_t from = header.header_bytes + index * header.segment_bytes;
    const std::size_t to = std::min(from + header.segment_bytes, packet.size());
    PacketBytes segment(packet.begin(), packet.begin() + header.header_bytes);
    segment.insert(segment.end(), packet.begin() + static_cast<std::ptrdiff_t>(from),
                   packet.begin() + static_cast<std::ptrdiff_t>(to));
    put_segment_fields(segment, header, index, count);
    fix_checksums(segment);
    segments.push_back(std::move(segment));
  }
  return segments;
}

}  // namespace ringway::io
