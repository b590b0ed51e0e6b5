// Addresses, prefixes and endpoints, IPv4 and IPv6 alike. An IpAddress is sixteen bytes in network
// order with its family beside it; an IPv4 address stands in the first four.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace ringway::net {

enum class Family : std::uint8_t { kIpv4 = 4, kIpv6 = 6 };

struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  Family family = Family::kIpv4;

  [[nodiscard]] static IpAddress v4(const std::uint8_t* four_bytes) {
    IpAddress address;
    std::memcpy(address.bytes.data(), four_bytes, 4);
    return address;
  }
  [[nodiscard]] static IpAddress v6(const std::uint8_t* sixteen_bytes) {
    IpAddress address;
    address.family = Family::kIpv6;
    std::memcpy(address.bytes.data(), sixteen_bytes, 16);
    return address;
  }
  // "192.0.2.1", "2001:db8::1". Nothing else is accepted: no ports, no names, no scopes.
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool is_v4() const { return family == Family::kIpv4; }
  // 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291).
  [[nodiscard]] bool is_link_local() const {
    return is_v4() ? bytes[0] == 169 && bytes[1] == 254
                   : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
  }
  [[nodiscard]] unsigned bit_length() const { return is_v4() ? 32 : 128; }
  [[nodiscard]] ConstBytes view() const { return {bytes.data(), is_v4() ? 4U : 16U}; }
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const IpAddress&) const = default;
  // In two words: each packet's source is compared.
  bool operator==(const IpAddress& other) const {
    return family == other.family &&
           load_le<std::uint64_t>(bytes.data()) == load_le<std::uint64_t>(other.bytes.data()) &&
           load_le<std::uint64_t>(bytes.data() + 8) ==
               load_le<std::uint64_t>(other.bytes.data() + 8);
  }
};

// An address and a length, host bits zero.
struct Prefix {
  IpAddress address;
  std::uint8_t length = 0;

  // "192.0.2.0/24", or a bare address as a host prefix. Host bits are cleared, as wg(8) does.
  [[nodiscard]] static Result<Prefix> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& other) const;
  [[nodiscard]] bool overlaps(const Prefix& other) const;
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const Prefix&) const = default;
};

// An address and a UDP port in host order. Port 0 means "none".
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  [[nodiscard]] bool valid() const { return port != 0; }
  // "192.0.2.1:51820", "[2001:db8::1]:51820".
  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const Endpoint&) const = default;
};

}  // namespace ringway::net
