// The Internet side of a worker that is a gateway by itself: its NAT, and the port to the network
// outside, on which whole IP packets with external addresses travel. A worker without one (an edge,
// or a gateway whose kernel forwards) hands everything to its inner port.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "base/net/address.hpp"
#include "base/net/inner_packet.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/nat/nat.hpp"

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

struct InternetSide {
  InternetSide(io::Port& internet_port, const nat::Config& config, Rng& rng,
               forwarding::EthernetLink* ethernet_link)
      : port(internet_port),
        nat(config, rng),
        ethernet(ethernet_link),
        host(host_prefixes(config, ethernet_link)),
        inner(config.inner_prefixes),
        first_nat_port(config.first_port),
        last_nat_port(config.last_port) {}

  io::Port& port;
  nat::Nat nat;
  forwarding::EthernetLink* ethernet;  // below both ports; null where others look after frames
  Instant reported = Instant::distant_past();
  std::uint64_t fragments_expired = 0;  // as reported, of the NAT's counters
  std::uint64_t fragments_lost = 0;
  PrefixSet host;   // this machine's own addresses, inside and outside
  PrefixSet inner;  // where subscribers live
  std::uint16_t first_nat_port;
  std::uint16_t last_nat_port;

 private:
  static std::vector<net::Prefix> host_prefixes(const nat::Config& config,
                                                const forwarding::EthernetLink* ethernet) {
    std::vector<net::IpAddress> addresses = config.gateway_addresses;
    const auto add = [&](const std::vector<net::IpAddress>& more) {
      addresses.insert(addresses.end(), more.begin(), more.end());
    };
    add(config.external_addresses);
    if (ethernet != nullptr) add(ethernet->tunnel_addresses());
    std::vector<net::Prefix> prefixes;
    prefixes.reserve(addresses.size());
    for (const net::IpAddress& address : addresses)
      prefixes.push_back({address, static_cast<std::uint8_t>(address.bit_length())});
    return prefixes;
  }
};

}  // namespace ringway
