// Who wants to be told when a key changes, and what is still to be told. Soft state of a replica:
// a subscription that is not renewed goes. Notices leave a few at a time, and of a value that
// changed again meanwhile the last version only.
#pragma once

#include <optional>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/dht/messages.hpp"
#include "overlay/dht/store.hpp"
#include "overlay/router.hpp"

namespace ringway::overlay::dht {

class Subscribers {
 public:
  Subscribers(Core& core, Router& router, const DhtParameters& parameters, const Store& store)
      : core_(core), router_(router), parameters_(parameters), store_(store) {}

  Outcome subscribe(const NodeId& node, const SubscribeRequest& request);
  // All subscribers of the key shall have the owner's version.
  void on_change(const Key& key, const NodeId& owner);
  // Somebody else shall have it, subscribed or not.
  void tell(const NodeId& to, const Key& key, const NodeId& owner);
  void tick();
  void expire();

  // A change that this node itself wants to know of.
  struct Local {
    Key key;
    NodeId owner;
  };
  [[nodiscard]] std::optional<Local> take_local();
  [[nodiscard]] std::size_t size() const { return subscriptions_.size(); }

 private:
  struct Subscription {
    Key key;
    NodeId node;
    Instant until;
  };
  struct Notice {
    NodeId to;
    Key key;
    NodeId owner;
    [[nodiscard]] bool operator==(const Notice&) const = default;
  };
  // False when the router has no room now.
  bool send(const Notice& notice);

  Core& core_;
  Router& router_;
  const DhtParameters& parameters_;
  const Store& store_;
  std::vector<Subscription> subscriptions_;
  std::vector<Notice> notices_;
  std::vector<Local> local_;
  Instant due_ = Instant::never();
};

}  // namespace ringway::overlay::dht
