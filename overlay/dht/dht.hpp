// The DHT of a node, as one part of its overlay: what it does for others (Replica) and for its
// driver (Client, Upkeep, AddressLease). A state machine like the rest of the overlay.
//
//   driver ──► Upkeep ──► Client ══ requests, replies ══► Replica (of other nodes)
//              renews     counts                          Store, HandOver, Subscribers
//
// docs/OVERLAY.md says why it is made like this, docs/PROTOCOL.md what is on the wire.
#pragma once

#include "overlay/core.hpp"
#include "overlay/dht/address_lease.hpp"
#include "overlay/dht/client.hpp"
#include "overlay/dht/replica.hpp"
#include "overlay/dht/upkeep.hpp"
#include "overlay/rpc.hpp"

namespace ringway::overlay::dht {

class Dht {
 public:
  Dht(Core& core, Router& router, Rpc& rpc)
      : core_(core),
        rpc_(rpc),
        replica_(core, router, core.parameters.dht),
        client_(core, rpc, replica_, core.parameters.dht),
        upkeep_(core, client_, core.parameters.dht),
        lease_(core) {}

  // The driver's operations; each ends in an output::DhtDone. Zero: too many wait already, or this
  // node may not write that. Values are renewed, and subscriptions too, until they are removed.
  std::uint64_t begin(Order order);
  void unsubscribe(const Order& subscription) { upkeep_.forget(subscription); }
  void take_address(const net::Prefix& network, std::optional<net::IpAddress> fixed = {}) {
    lease_.take_from(network, fixed);
  }

  // From the overlay.
  void on_request(const wire::RoutedMessage& message, const wire::Request& request);
  void on_notice(const wire::RoutedMessage& message);
  void on_answer(const Answer& answer) { client_.on_answer(answer); }
  void on_link_message(const Link& link, wire::LinkMessageType type, ConstBytes body) {
    replica_.on_link_message(link, type, body);
  }
  void on_link_lost() { upkeep_.on_link_lost(); }
  void begin_turn();
  void tick();

  [[nodiscard]] const Replica& replica() const { return replica_; }
  [[nodiscard]] const Client& client() const { return client_; }
  [[nodiscard]] const Upkeep& upkeep() const { return upkeep_; }
  [[nodiscard]] const AddressLease& lease() const { return lease_; }
  // This node holds what the order creates.
  [[nodiscard]] bool holds(const Order& order) const {
    return upkeep_.holds(order.kind, order.name);
  }
  [[nodiscard]] Key key(const Order& order) const;

 private:
  void on_done(Done done);
  void on_news(const Client::News& news);

  Core& core_;
  Rpc& rpc_;
  Replica replica_;
  Client client_;
  Upkeep upkeep_;
  AddressLease lease_;
  std::uint32_t neighbourhood_version_ = 0;
};

[[nodiscard]] constexpr bool is_dht(wire::Method method) {
  return method >= kStoreMethod && method <= kCredentialMethod;
}
[[nodiscard]] constexpr bool is_dht(wire::LinkMessageType type) {
  return type >= kOfferMessage && type <= kHandOverMessage;
}

}  // namespace ringway::overlay::dht
