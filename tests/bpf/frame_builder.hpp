// Frames for the steering program, built header by header in the plainest way. Checksums are left
// zero where the program does not look at them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringway::bpf_test {

using Frame = std::vector<std::uint8_t>;

// `first` and what follows it.
[[nodiscard]] Frame operator+(Frame first, const Frame& rest);

// An Ethernet header whose type says what `packet` is, behind tags of the given types.
[[nodiscard]] Frame ethernet(const Frame& packet, const std::vector<std::uint16_t>& tags = {});
[[nodiscard]] Frame ethernet_of_type(std::uint16_t type, const Frame& packet);

struct Ip4 {
  std::string source = "198.51.100.9";
  std::string destination = "192.0.2.1";
  std::uint8_t protocol = 17;
  std::uint8_t option_bytes = 0;    // a multiple of four
  std::uint16_t fragment_word = 0;  // flags and offset as in the header
  std::uint16_t identification = 7;
};
[[nodiscard]] Frame ip4(const Ip4& header, const Frame& payload);

struct Ip6 {
  std::string source = "2001:db8:9::9";
  std::string destination = "2001:db8::1";
  std::uint8_t next = 17;  // what `payload` begins with
};
[[nodiscard]] Frame ip6(const Ip6& header, const Frame& payload);
// Extension headers; `next` is what follows.
[[nodiscard]] Frame options_header(std::uint8_t next, std::uint8_t extra_units = 0);
[[nodiscard]] Frame routing_header(std::uint8_t next, std::uint8_t segments_left);
[[nodiscard]] Frame authentication_header(std::uint8_t next);
[[nodiscard]] Frame fragment_header(std::uint8_t next, std::uint16_t word,
                                    std::uint32_t identification = 7);

// The start of a TCP or UDP header, and twelve bytes more.
[[nodiscard]] Frame ports(std::uint16_t source, std::uint16_t destination);
[[nodiscard]] Frame icmp(std::uint8_t type, std::uint16_t identifier, const Frame& body = {});

}  // namespace ringway::bpf_test
