// The Internet side of a worker that is a gateway by itself: its NAT, and the port to the network
// outside, on which whole IP packets with external addresses travel. A worker without one (an edge,
// or a gateway whose kernel forwards) hands everything to its inner port.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/net/address.hpp"
#include "base/net/prefix_table.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/nat/nat.hpp"

namespace ringway {

// Where an inner packet goes, by its destination.
enum class Way : std::uint8_t {
  kInternet,    // everything else
  kHost,        // this machine's own addresses, inside and outside
  kSubscriber,  // where subscribers live
};

struct InternetSide {
  InternetSide(io::Port& internet_port, const nat::Config& config, Rng& rng,
               forwarding::EthernetLink* ethernet_link)
      : port(internet_port),
        nat(config, rng),
        ethernet(ethernet_link),
        ways(ways_of(config, ethernet_link)),
        first_nat_port(config.first_port),
        last_nat_port(config.last_port) {}

  io::Port& port;
  nat::Nat nat;
  forwarding::EthernetLink* ethernet;  // below both ports; null where others look after frames
  Instant reported = Instant::distant_past();
  net::PrefixTable<Way> ways;
  std::uint16_t first_nat_port;
  std::uint16_t last_nat_port;

 private:
  static net::PrefixTable<Way> ways_of(const nat::Config& config,
                                       const forwarding::EthernetLink* ethernet) {
    struct Entry {
      net::Prefix prefix;
      Way way;
    };
    std::vector<Entry> entries;
    for (const net::Prefix& prefix : config.inner_prefixes)
      entries.push_back({prefix, Way::kSubscriber});
    const auto add = [&](const std::vector<net::IpAddress>& addresses) {
      for (const net::IpAddress& address : addresses)
        entries.push_back({{address, static_cast<std::uint8_t>(address.bit_length())}, Way::kHost});
    };
    add(config.gateway_addresses);
    add(config.external_addresses);
    if (ethernet != nullptr) add(ethernet->tunnel_addresses());
    return {std::span<const Entry>(entries), &Entry::way};
  }
};

}  // namespace ringway
