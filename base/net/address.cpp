#include "base/net/address.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

namespace ringway::net {
namespace {

template <typename Integer>
bool parse_decimal(std::string_view text, Integer& out) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

// Clears the bits of `address` past `length`.
void clear_host_bits(IpAddress& address, unsigned length) {
  for (unsigned byte = 0; byte < address.bytes.size(); ++byte) {
    const unsigned first_bit = byte * 8;
    if (first_bit >= length) {
      address.bytes[byte] = 0;
    } else if (first_bit + 8 > length) {
      address.bytes[byte] =
          static_cast<std::uint8_t>(address.bytes[byte] & (0xff00U >> (length - first_bit)));
    }
  }
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  IpAddress address;
  if (text.find('\0') == std::string_view::npos) {
    if (::inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
    if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) {
      address.family = Family::kIpv6;
      return address;
    }
  }
  return failure("'" + terminated + "' is not an IP address",
                 "expected something like 192.0.2.1 or 2001:db8::1");
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  const auto bad = [&] {
    return failure("'" + std::string(text) + "' is not a prefix",
                   "expected something like 192.0.2.0/24 or 2001:db8::/32");
  };
  if (!address) return bad();
  unsigned length = address->bit_length();
  if (slash != std::string_view::npos) {
    if (!parse_decimal(text.substr(slash + 1), length) || length > address->bit_length())
      return bad();
  }
  Prefix prefix{*address, static_cast<std::uint8_t>(length)};
  clear_host_bits(prefix.address, length);
  return prefix;
}

bool Prefix::contains(const IpAddress& other) const {
  if (other.family != address.family) return false;
  IpAddress masked = other;
  clear_host_bits(masked, length);
  return masked == address;
}

bool Prefix::overlaps(const Prefix& other) const {
  return length <= other.length ? contains(other.address) : other.contains(address);
}

std::string Prefix::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const auto bad = [&] {
    return failure("'" + std::string(text) + "' is not an endpoint",
                   "expected something like 192.0.2.1:51820 or [2001:db8::1]:51820");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  std::uint16_t port = 0;
  if (!address || address->is_v4() == bracketed) return bad();
  if (!parse_decimal(text.substr(colon + 1), port) || port == 0) return bad();
  return Endpoint{*address, port};
}

std::string Endpoint::to_string() const {
  const std::string host = address.to_string();
  return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

}  // namespace ringway::net
