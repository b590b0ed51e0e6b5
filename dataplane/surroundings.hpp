// What changes around a gateway while its worker runs: its own addresses outside, and where its
// subscribers live. Made by control, whole; the worker exchanges its own for it, so that it neither
// allocates nor frees.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/net/address.hpp"
#include "base/net/prefix_table.hpp"
#include "dataplane/nat/address_policy.hpp"

namespace ringway {

// Where an inner packet goes, by its destination.
enum class Way : std::uint8_t {
  kInternet,    // everything else
  kHost,        // this machine's own addresses, inside and outside
  kSubscriber,  // where subscribers live
};

struct Surroundings {
  // The NAT's, in the places of its configuration; an unspecified one is not there yet.
  std::vector<net::IpAddress> external_addresses;
  std::vector<net::IpAddress> tunnel_addresses;  // as forwarding::LinkOptions has them
  net::PrefixTable<Way> ways;
  nat::PrefixList nat_inner{{}};  // where subscribers live, as the NAT looks at it
};

[[nodiscard]] inline net::PrefixTable<Way> ways_of(const std::vector<net::IpAddress>& own,
                                                   const std::vector<net::Prefix>& inner) {
  struct Entry {
    net::Prefix prefix;
    Way way;
  };
  std::vector<Entry> entries;
  entries.reserve(inner.size() + own.size());
  for (const net::Prefix& prefix : inner)
    entries.push_back({prefix, Way::kSubscriber});
  for (const net::IpAddress& address : own)
    entries.push_back({{address, static_cast<std::uint8_t>(address.bit_length())}, Way::kHost});
  return {std::span<const Entry>(entries), &Entry::way};
}

}  // namespace ringway
