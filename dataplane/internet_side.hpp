// The Internet side of a worker that is a gateway by itself: its NAT, and the port to the network
// outside, on which whole IP packets with external addresses travel. A worker without one (an edge,
// or a gateway whose kernel forwards) hands everything to its inner port.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/net/address.hpp"
#include "base/net/prefix_table.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/control_api.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/nat/nat.hpp"
#include "dataplane/nat/token_bucket.hpp"
#include "dataplane/surroundings.hpp"

namespace ringway {

struct InternetSide {
  InternetSide(io::Port& internet_port, const nat::Config& config, Rng& rng,
               forwarding::EthernetLink* ethernet_link)
      : port(internet_port),
        nat(config, rng),
        ethernet(ethernet_link),
        ways(ways_of(own_addresses(config, ethernet_link), config.inner_prefixes)),
        first_nat_port(config.first_port),
        last_nat_port(config.last_port) {
    for (const nat::OtherShard& shard : config.other_shards) {
      first_nat_port = std::min(first_nat_port, shard.first_port);
      last_nat_port = std::max(last_nat_port, shard.last_port);
    }
  }

  // At most kBlockEventBatches at once.
  void lend(std::unique_ptr<BlockEventBatch> batch) {
    CHECK(lent_count_ < lent_.size());
    lent_[lent_count_++] = std::move(batch);
  }
  [[nodiscard]] bool has_lent() const { return lent_count_ > 0; }
  // Only where there is one.
  [[nodiscard]] std::unique_ptr<BlockEventBatch> take_lent() {
    return std::move(lent_[--lent_count_]);
  }

  // Exchanges what changes while the worker runs.
  void swap_surroundings(Surroundings& other, Instant now) {
    for (std::size_t i = 0; i < other.external_addresses.size(); ++i)
      nat.set_external_address(i, other.external_addresses[i], now);
    nat.swap_inner_prefixes(other.nat_inner);
    std::swap(ways, other.ways);
    if (ethernet != nullptr) ethernet->swap_tunnel_addresses(other.tunnel_addresses);
  }

  io::Port& port;
  nat::Nat nat;
  forwarding::EthernetLink* ethernet;  // below both ports; null where others look after frames
  Instant reported = Instant::distant_past();
  nat::TokenBucket given_back;          // to the kernel
  std::uint64_t fragments_expired = 0;  // as reported, of the NAT's counters
  std::uint64_t fragments_lost = 0;
  net::PrefixTable<Way> ways;
  std::uint16_t first_nat_port;  // of all workers' shards
  std::uint16_t last_nat_port;

 private:
  static std::vector<net::IpAddress> own_addresses(const nat::Config& config,
                                                   const forwarding::EthernetLink* ethernet) {
    std::vector<net::IpAddress> addresses = config.gateway_addresses;
    const auto add = [&](const std::vector<net::IpAddress>& more) {
      addresses.insert(addresses.end(), more.begin(), more.end());
    };
    add(config.external_addresses);
    if (ethernet != nullptr) add(ethernet->tunnel_addresses());
    return addresses;
  }

  std::array<std::unique_ptr<BlockEventBatch>, kBlockEventBatches> lent_;
  std::size_t lent_count_ = 0;
};

}  // namespace ringway
