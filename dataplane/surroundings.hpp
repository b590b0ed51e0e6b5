// What changes around a gateway while its worker runs: its own addresses outside, and where its
// subscribers live. Made by control, whole; the worker exchanges its own for it, so that it neither
// allocates nor frees.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "dataplane/nat/address_policy.hpp"

namespace ringway {

// Addresses and prefixes of few entries, compared on the packet path without a lookup structure.
class PrefixSet {
 public:
  PrefixSet() = default;
  explicit PrefixSet(const std::vector<net::Prefix>& prefixes) {
    for (const net::Prefix& prefix : prefixes) {
      Entry entry{};
      entry.family = prefix.address.family;
      std::memcpy(entry.address, prefix.address.bytes.data(), sizeof entry.address);
      for (unsigned bit = 0; bit < prefix.length; ++bit)
        reinterpret_cast<std::uint8_t*>(entry.mask)[bit / 8] |=
            static_cast<std::uint8_t>(0x80 >> bit % 8);
      entries_.push_back(entry);
    }
  }

  // `address`: 4 or 16 bytes.
  [[nodiscard]] bool contains(net::Family family, const std::uint8_t* address) const {
    for (const Entry& entry : entries_) {
      if (entry.family == family && entry.matches(address)) return true;
    }
    return false;
  }

 private:
  struct Entry {
    std::uint64_t address[2];
    std::uint64_t mask[2];
    net::Family family;

    [[nodiscard]] bool matches(const std::uint8_t* bytes) const {
      if (family == net::Family::kIpv4) {
        const auto half = static_cast<std::uint32_t>(address[0]);
        return ((load_le<std::uint32_t>(bytes) ^ half) & static_cast<std::uint32_t>(mask[0])) == 0;
      }
      return ((load_le<std::uint64_t>(bytes) ^ address[0]) & mask[0]) == 0 &&
             ((load_le<std::uint64_t>(bytes + 8) ^ address[1]) & mask[1]) == 0;
    }
  };
  std::vector<Entry> entries_;
};

struct Surroundings {
  // The NAT's, in the places of its configuration; an unspecified one is not there yet.
  std::vector<net::IpAddress> external_addresses;
  std::vector<net::IpAddress> tunnel_addresses;  // as forwarding::LinkOptions has them
  PrefixSet host;                                // this machine's own addresses, inside and outside
  PrefixSet inner;                               // where subscribers live
  nat::PrefixList nat_inner{{}};                 // the same, as the NAT looks at it
};

// Of addresses, as prefixes of their whole length.
[[nodiscard]] inline std::vector<net::Prefix> host_prefixes(
    const std::vector<net::IpAddress>& addresses) {
  std::vector<net::Prefix> prefixes;
  prefixes.reserve(addresses.size());
  for (const net::IpAddress& address : addresses)
    prefixes.push_back({address, static_cast<std::uint8_t>(address.bit_length())});
  return prefixes;
}

}  // namespace ringway
