#include "base/net/address_scope.hpp"

#include "base/bytes.hpp"

namespace ringway::net {
namespace {

// `first` is as wide as what is compared; lengths are at most that.
template <typename Word>
struct Range {
  Word first;
  unsigned length;
  AddressScope scope;

  [[nodiscard]] constexpr bool contains(Word address) const {
    const unsigned width = sizeof(Word) * 8;
    return (address ^ first) >> (width - length) == 0;
  }
};

// The first that contains the address counts.
constexpr Range<std::uint32_t> kIpv4[] = {
    {0x00000000, 8, AddressScope::kUnspecified},  // "this network", RFC 791
    {0x0a000000, 8, AddressScope::kPrivate},      // RFC 1918
    {0x64400000, 10, AddressScope::kPrivate},     // behind carriers' NATs, RFC 6598
    {0x7f000000, 8, AddressScope::kLoopback},
    {0xa9fe0000, 16, AddressScope::kLinkLocal},  // RFC 3927
    {0xac100000, 12, AddressScope::kPrivate},
    {0xc0000000, 24, AddressScope::kReserved},  // 192.0.0.0/24: protocols, RFC 6890
    {0xc0586300, 24, AddressScope::kReserved},  // 192.88.99.0/24: 6to4 relays, RFC 7526
    {0xc0a80000, 16, AddressScope::kPrivate},
    {0xc6120000, 15, AddressScope::kPrivate},  // benchmarks, RFC 2544
    {0xe0000000, 4, AddressScope::kMulticast},
    {0xffffffff, 32, AddressScope::kBroadcast},
    {0xf0000000, 4, AddressScope::kReserved},  // class E
};

// By the leading 64 bits. Of global unicast addresses none lie outside of 2000::/3 (RFC 4291,
// IANA): the rest is reserved, and with it all that embeds IPv4 addresses, as ::ffff:0:0/96 and
// 64:ff9b::/96.
constexpr Range<std::uint64_t> kIpv6[] = {
    {0x2001'0000'0000'0000, 32, AddressScope::kReserved},  // Teredo, embeds IPv4
    {0x2001'0002'0000'0000, 48, AddressScope::kPrivate},   // benchmarks, RFC 5180
    {0x2001'0010'0000'0000, 28, AddressScope::kReserved},  // ORCHID, RFC 4843
    {0x2001'0020'0000'0000, 28, AddressScope::kReserved},  // ORCHIDv2, RFC 7343
    {0x2002'0000'0000'0000, 16, AddressScope::kReserved},  // 6to4, embeds IPv4
    {0x2000'0000'0000'0000, 3, AddressScope::kGlobal},
    {0xfc00'0000'0000'0000, 7, AddressScope::kPrivate},     // ULA, RFC 4193
    {0xfe80'0000'0000'0000, 10, AddressScope::kLinkLocal},  // RFC 4291
    {0xff00'0000'0000'0000, 8, AddressScope::kMulticast},
};

template <typename Word, std::size_t kCount>
AddressScope look_up(const Range<Word> (&ranges)[kCount], Word address) {
  for (const Range<Word>& range : ranges)
    if (range.contains(address)) return range.scope;
  return sizeof(Word) == 4 ? AddressScope::kGlobal : AddressScope::kReserved;
}

}  // namespace

AddressScope scope_of(const IpAddress& address) {
  if (address.is_v4()) return look_up(kIpv4, load_be<std::uint32_t>(address.bytes.data()));
  const auto leading = load_be<std::uint64_t>(address.bytes.data());
  const auto trailing = load_be<std::uint64_t>(address.bytes.data() + 8);
  if (leading == 0 && trailing == 0) return AddressScope::kUnspecified;
  if (leading == 0 && trailing == 1) return AddressScope::kLoopback;
  return look_up(kIpv6, leading);
}

bool is_broadcast_of(const Prefix& subnet, const IpAddress& address) {
  constexpr unsigned kLongestWithBroadcast = 30;
  if (!address.is_v4() || subnet.length > kLongestWithBroadcast || subnet.length == 0 ||
      !subnet.contains(address))
    return false;
  const std::uint32_t host_bits = UINT32_MAX >> subnet.length;
  const std::uint32_t host = load_be<std::uint32_t>(address.bytes.data()) & host_bits;
  return host == 0 || host == host_bits;
}

}  // namespace ringway::net
