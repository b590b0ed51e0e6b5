// Which addresses are ours, and to which no packet may go and from which none may come. Looked at
// once for each remote address of a mapping; what was allowed is remembered in the mapping.
// Built once, then only read. Source: SECURITY, gateways.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/net/address.hpp"
#include "dataplane/nat/keyed_hash.hpp"
#include "dataplane/nat/remote_overflow.hpp"

namespace ringway::nat {

struct Config;

// All zero: no address of anybody's.
[[nodiscard]] inline bool is_unspecified(const net::IpAddress& address) {
  return address.bytes == net::IpAddress{}.bytes;
}

// The external addresses: by index, and from packet to index without a search.
class ExternalAddresses {
 public:
  static constexpr std::uint16_t kNone = UINT16_MAX;

  explicit ExternalAddresses(std::span<const net::IpAddress> addresses);

  template <net::Family kFamily>
  [[nodiscard]] std::uint16_t find(const std::uint8_t* address) const {
    const WideAddress wanted = wide_address(kFamily, address);
    const auto& places = places_[family_index(kFamily)];
    for (std::size_t at = hash(wanted) & mask_;; at = (at + 1) & mask_) {
      const std::uint16_t index = places[at];
      if (index == kNone || same(words_[index], wanted)) return index;
    }
  }
  [[nodiscard]] std::uint16_t find(net::Family family, const std::uint8_t* address) const {
    return family == net::Family::kIpv4 ? find<net::Family::kIpv4>(address)
                                        : find<net::Family::kIpv6>(address);
  }
  [[nodiscard]] const std::uint8_t* bytes(std::uint16_t index) const {
    return reinterpret_cast<const std::uint8_t*>(words_[index].data());
  }
  [[nodiscard]] const net::IpAddress& operator[](std::uint16_t index) const {
    return addresses_[index];
  }
  [[nodiscard]] std::uint16_t count() const {
    return static_cast<std::uint16_t>(addresses_.size());
  }
  // The first of a family; kNone without one.
  [[nodiscard]] std::uint16_t first_of(net::Family family) const;
  // Of the same family.
  void replace(std::uint16_t index, const net::IpAddress& address);

 private:
  void index_all();
  [[nodiscard]] static std::size_t hash(const WideAddress& address) {
    const std::uint64_t word = (address[0] ^ address[2]) | std::uint64_t{address[1] ^ address[3]}
                                                               << 32;
    return static_cast<std::size_t>(KeyedHash::fold(word, 0x9e37'79b9'7f4a'7c15));
  }

  // Compilers make a call of the comparison of two arrays: 15 cycles for each packet that comes in.
  [[nodiscard]] static bool same(const WideAddress& a, const WideAddress& b) {
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) == 0;
  }

  std::vector<net::IpAddress> addresses_;
  std::vector<WideAddress> words_;
  // Open addressing, at most half full; kNone is an empty place.
  std::array<std::vector<std::uint16_t>, kFamilies> places_;
  std::size_t mask_ = 0;
};

// A set of prefixes of both families, searched one by one: some dozens at most.
class PrefixList {
 public:
  explicit PrefixList(std::span<const net::Prefix> prefixes);

  [[nodiscard]] bool contains(net::Family family, const std::uint8_t* address) const;

 private:
  struct Ip4Range {
    std::uint32_t mask;
    std::uint32_t value;
  };
  struct Ip6Range {
    std::array<std::uint64_t, 2> mask;
    std::array<std::uint64_t, 2> value;
  };
  std::vector<Ip4Range> v4_;  // in memory order
  std::vector<Ip6Range> v6_;
};

class AddressPolicy {
 public:
  explicit AddressPolicy(const Config& config);
  void swap_inner(PrefixList& other) { std::swap(inner_, other); }

  // Of a packet to the Internet. Our external addresses are a matter of hairpinning, not of this.
  [[nodiscard]] bool destination_denied(net::Family family, const std::uint8_t* address) const {
    return inner_.contains(family, address) ||
           (denied_.contains(family, address) && !allowed_.contains(family, address));
  }
  [[nodiscard]] bool is_inner(net::Family family, const std::uint8_t* address) const {
    return inner_.contains(family, address);
  }

 private:
  PrefixList denied_;
  PrefixList allowed_;
  PrefixList inner_;
};

}  // namespace ringway::nat
