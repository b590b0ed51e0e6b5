// What this node has put into the DHT, removed, and wants to be told of: soft state of others,
// which it renews at half of its time (a removal not), and sooner when much of the ring is gone at
// once, or when its own part of the ring has met a larger one: then others stand around its keys,
// whom no hand-over reaches.
#pragma once

#include <vector>

#include "overlay/core.hpp"
#include "overlay/dht/client.hpp"

namespace ringway::overlay::dht {

class Upkeep {
 public:
  Upkeep(Core& core, Client& client, const DhtParameters& parameters)
      : core_(core), client_(client), parameters_(parameters) {}

  // A value that the driver puts, creates or removes; a key that it wants to be told of. False: no
  // room for another.
  bool add(const Order& order);
  void forget(const Order& order);  // a create that failed, a subscription that ends
  void on_done(const Done& done);
  // A link died without a goodbye.
  void on_link_lost();
  // Other nodes are known around this one than before.
  void on_neighbourhood_change();
  void tick();

  [[nodiscard]] bool holds(Kind kind, const std::vector<std::uint8_t>& name) const;
  // This node wants to be told of such a value: it subscribed to its key, or holds the key itself.
  [[nodiscard]] bool awaits(const Value& value) const;
  [[nodiscard]] std::size_t size() const { return items_.size(); }

 private:
  struct Item {
    Order order;
    Instant due = Instant::never();  // never while an operation is under way
    // Of a removal: then what it removed is over wherever it was.
    Instant until = Instant::never();
  };
  [[nodiscard]] Item* find(const Order& order);
  [[nodiscard]] bool has_room_for(const Order& order);
  void renew_soon();

  Core& core_;
  Client& client_;
  const DhtParameters& parameters_;
  std::vector<Item> items_;
  std::size_t links_lost_ = 0;
  Instant alarm_window_ends_ = Instant::distant_past();
  // Who stood around this node when a window began, and who did at the last change.
  std::vector<NodeId> stood_around_;
  std::vector<NodeId> stand_around_;
  Instant meeting_window_ends_ = Instant::distant_past();
};

}  // namespace ringway::overlay::dht
