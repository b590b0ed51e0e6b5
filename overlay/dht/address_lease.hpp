// An address of this node in a network that all of the group share: it tries addresses that follow
// from its node ID until one is free, keeps it, and takes another one when it loses it to a node
// that prevails after a division of the ring.
//
//   NONE ── take_from() ──► TRYING ── created ──► HELD ── renewed ──┐
//                           ▲   │ held by another      │  ▲         │
//                           └───┘ next address         │  └─────────┘
//                           └────── lost: says so ─────┘
#pragma once

#include <cstdint>
#include <optional>

#include "base/net/address.hpp"
#include "overlay/core.hpp"
#include "overlay/dht/client.hpp"

namespace ringway::overlay::dht {

class AddressLease {
 public:
  explicit AddressLease(Core& core) : core_(core) {}

  // An IPv4 network: inside, IPv6 addresses derive from node IDs. `fixed`: by the certificate,
  // where there is one: no other is tried.
  void take_from(const net::Prefix& network, std::optional<net::IpAddress> fixed = {});
  void on_done(const Done& done);
  void on_lost(const std::vector<std::uint8_t>& lost, const NodeId& holder);
  void tick();

  // To be begun by whoever holds this.
  [[nodiscard]] std::optional<Order> take_order();
  [[nodiscard]] const std::optional<net::IpAddress>& address() const { return held_; }

 private:
  [[nodiscard]] net::IpAddress candidate() const;
  void try_next();
  [[nodiscard]] std::vector<std::uint8_t> name() const;

  Core& core_;
  bool wanted_ = false;
  net::Prefix network_;
  std::optional<net::IpAddress> fixed_;
  std::optional<net::IpAddress> held_;
  net::IpAddress trying_;
  std::uint32_t attempt_ = 0;
  std::optional<Order> order_;
  Instant due_ = Instant::never();
};

}  // namespace ringway::overlay::dht
