#include "dataplane/nat/address_policy.hpp"

#include <algorithm>
#include <bit>

#include "base/check.hpp"
#include "dataplane/nat/nat.hpp"

namespace ringway::nat {

ExternalAddresses::ExternalAddresses(std::span<const net::IpAddress> addresses)
    : addresses_(addresses.begin(), addresses.end()) {
  CHECK(addresses.size() < kNone);
  const std::size_t size = std::bit_ceil(addresses.size() * 2 + 1);
  mask_ = size - 1;
  for (auto& places : places_)
    places.resize(size);
  for (const net::IpAddress& address : addresses_)
    words_.push_back(wide_address(address.family, address.bytes.data()));
  index_all();
}

void ExternalAddresses::index_all() {
  for (auto& places : places_)
    std::ranges::fill(places, kNone);
  for (std::uint16_t index = 0; index < count(); ++index) {
    if (is_unspecified(addresses_[index])) continue;  // nobody's packets go there
    auto& places = places_[family_index(addresses_[index].family)];
    std::size_t at = hash(words_[index]) & mask_;
    while (places[at] != kNone)
      at = (at + 1) & mask_;
    places[at] = index;
  }
}

void ExternalAddresses::replace(std::uint16_t index, const net::IpAddress& address) {
  addresses_[index] = address;
  words_[index] = wide_address(address.family, address.bytes.data());
  index_all();
}

std::uint16_t ExternalAddresses::first_of(net::Family family) const {
  for (std::uint16_t index = 0; index < count(); ++index) {
    if (addresses_[index].family == family) return index;
  }
  return kNone;
}

PrefixList::PrefixList(std::span<const net::Prefix> prefixes) {
  for (const net::Prefix& prefix : prefixes) {
    std::array<std::uint8_t, 16> mask{};
    for (unsigned bit = 0; bit < prefix.length; ++bit) {
      mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | 0x80U >> bit % 8);
    }
    const std::uint8_t* const value = prefix.address.bytes.data();
    if (prefix.address.is_v4()) {
      v4_.push_back({load_le<std::uint32_t>(mask.data()), load_le<std::uint32_t>(value)});
    } else {
      v6_.push_back({{load_le<std::uint64_t>(mask.data()), load_le<std::uint64_t>(&mask[8])},
                     {load_le<std::uint64_t>(value), load_le<std::uint64_t>(value + 8)}});
    }
  }
}

bool PrefixList::contains(net::Family family, const std::uint8_t* address) const {
  bool found = false;
  if (family == net::Family::kIpv4) {
    const auto word = load_le<std::uint32_t>(address);
    for (const Ip4Range& range : v4_)
      found |= (word & range.mask) == range.value;
    return found;
  }
  const auto high = load_le<std::uint64_t>(address);
  const auto low = load_le<std::uint64_t>(address + 8);
  for (const Ip6Range& range : v6_) {
    found |= (high & range.mask[0]) == range.value[0] && (low & range.mask[1]) == range.value[1];
  }
  return found;
}

AddressPolicy::AddressPolicy(const Config& config)
    : denied_(config.denied), allowed_(config.allowed), inner_(config.inner_prefixes) {}

namespace {

// What no packet of a subscriber has business with (IANA's special-purpose registry, RFC 6890).
constexpr const char* kDeniedIp4[] = {
    "0.0.0.0/8",       // this network
    "10.0.0.0/8",      // RFC 1918
    "100.64.0.0/10",   // shared address space, RFC 6598
    "127.0.0.0/8",     // loopback
    "169.254.0.0/16",  // link-local; clouds' metadata services
    "172.16.0.0/12",   // RFC 1918
    "192.0.0.0/24",    // protocol assignments, DS-Lite
    "192.168.0.0/16",  // RFC 1918
    "198.18.0.0/15",   // benchmarking
    "224.0.0.0/4",     // multicast
    "240.0.0.0/4",     // class E, limited broadcast
};
constexpr const char* kDeniedIp6[] = {
    "::/96",           // unspecified, loopback, v4-compatible
    "::ffff:0:0/96",   // v4-mapped: never on the wire
    "64:ff9b:1::/48",  // local NAT64, RFC 8215
    "100::/64",        // discard, RFC 6666
    "2001::/32",       // Teredo: its addresses hold IPv4 addresses in disguise
    "fc00::/7",        // ULA
    "fe80::/10",       // link-local
    "fec0::/10",       // site-local, RFC 3879
    "ff00::/8",        // multicast
};
// IPv6 prefixes that an IPv4 address follows at once, and their lengths.
struct Embedding {
  const char* prefix;
  std::uint8_t length;
};
constexpr Embedding kEmbeddings[] = {
    {"2002::", 16},        // 6to4, RFC 3056
    {"64:ff9b::", 96},     // NAT64, RFC 6052
    {"::ffff:0:0:0", 96},  // SIIT, RFC 2765
};

net::Prefix embedded(const Embedding& embedding, const net::Prefix& ip4) {
  net::Prefix prefix{*net::IpAddress::parse(embedding.prefix),
                     static_cast<std::uint8_t>(embedding.length + ip4.length)};
  std::memcpy(&prefix.address.bytes[embedding.length / 8], ip4.address.bytes.data(), 4);
  return prefix;
}

}  // namespace

std::vector<net::Prefix> default_denied() {
  std::vector<net::Prefix> denied;
  for (const char* text : kDeniedIp4) {
    const net::Prefix ip4 = *net::Prefix::parse(text);
    denied.push_back(ip4);
    for (const Embedding& embedding : kEmbeddings)
      denied.push_back(embedded(embedding, ip4));
  }
  for (const char* text : kDeniedIp6)
    denied.push_back(*net::Prefix::parse(text));
  return denied;
}

}  // namespace ringway::nat
