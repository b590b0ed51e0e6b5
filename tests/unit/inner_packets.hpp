// Inner packets for tests, built and cut up byte by byte in the plainest way: the reference that
// the fast code is compared with.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/io/tun_vnet.hpp"

namespace ringway::io {

using PacketBytes = std::vector<std::uint8_t>;

struct PacketSpec {
  bool v6 = false;
  bool udp = false;
  std::uint8_t flow = 1;  // last byte of the source address, and in the source port
  std::uint32_t sequence = 1000;
  std::uint32_t acknowledgment = 77;
  std::uint8_t flags = 0x10;
  std::uint16_t window = 500;
  std::vector<std::uint8_t> tcp_options{};  // a multiple of four bytes
  std::uint8_t tos = 0;
  std::uint8_t ttl = 64;
  std::uint16_t identification = 1;
  std::uint16_t fragment_word = 0x4000;  // DF
  std::uint32_t flow_label = 0;
  PacketBytes payload{};
};

[[nodiscard]] PacketBytes make_payload(std::size_t bytes, std::uint32_t seed);
// Complete, with right checksums.
[[nodiscard]] PacketBytes build_packet(const PacketSpec& spec);
// Writes right checksums into a packet without IP options or extension headers.
void fix_checksums(PacketBytes& packet);
[[nodiscard]] bool checksums_are_right(const PacketBytes& packet);

// What a kernel makes of a packet written under a vnet_hdr: its segments, checksums complete.
// Empty when header and packet do not fit together.
[[nodiscard]] std::vector<PacketBytes> cut_up(const VnetHeader& header, const PacketBytes& packet);

}  // namespace ringway::io
