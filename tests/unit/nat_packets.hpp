// Packets for the NAT's tests, built, checked, cut and put together byte by byte in the plainest
// way: the reference that the fast code is compared with.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/net/address.hpp"
#include "base/net/icmp.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/tcp.hpp"
#include "base/rng.hpp"
#include "tests/unit/samples.hpp"

namespace ringway::nat::testing_support {

using PacketBytes = std::vector<std::uint8_t>;

using ringway::testing_support::address;

struct PacketSpec {
  std::uint8_t protocol = net::kProtocolUdp;
  net::IpAddress source = address("192.0.2.1");
  net::IpAddress destination = address("198.51.100.7");
  std::uint16_t source_port = 40'000;  // ICMP: the identifier
  std::uint16_t destination_port = 53;
  std::uint8_t tcp_flags = net::kTcpAck;
  PacketBytes tcp_options{};   // a multiple of four bytes
  std::uint8_t icmp_type = 0;  // 0: an echo request of the family
  std::uint8_t icmp_code = 0;
  bool udp_checksum = true;
  PacketBytes ip_options{};  // IPv4, a multiple of four bytes
  PacketBytes extensions{};  // IPv6 headers; the first byte of the last names the protocol
  std::uint8_t first_extension = net::kNextDestinationOptions;
  std::uint8_t ttl = 64;
  std::uint16_t identification = 1;
  bool dont_fragment = false;
  PacketBytes payload{};  // ICMP: all after the first eight bytes
};

// Complete, with right checksums.
[[nodiscard]] PacketBytes build(const PacketSpec& spec);
// An ICMP error of the family of `from`, about `quoted`. `rest`: the second word of the header.
[[nodiscard]] PacketBytes build_error(const net::IpAddress& from, const net::IpAddress& to,
                                      std::uint8_t type, std::uint8_t code, std::uint32_t rest,
                                      const PacketBytes& quoted);
// Writes right checksums into a whole packet; a UDP checksum of zero over IPv4 stays.
void fix_checksums(PacketBytes& packet);
// Of a whole packet, or of a fragment's IP header.
[[nodiscard]] bool checksums_right(const PacketBytes& packet);

[[nodiscard]] PacketBytes random_bytes(std::size_t bytes, Rng& rng);
[[nodiscard]] net::IpAddress random_address(net::Family family, Rng& rng);
// UDP, TCP or ICMP echo of either family, some with IP options or extension headers.
[[nodiscard]] PacketSpec random_spec(Rng& rng);

// Cuts a whole packet into fragments of at most `data_bytes` (a multiple of 8) of it.
[[nodiscard]] std::vector<PacketBytes> cut(const PacketBytes& packet, std::size_t data_bytes,
                                           std::uint32_t identification);
// The whole packet again, checksum of the IP header as if never cut; empty when parts are missing
// or overlap.
[[nodiscard]] PacketBytes put_together(std::vector<PacketBytes> fragments);

}  // namespace ringway::nat::testing_support
