// Replicas tell each other what they hold, so that a node that came nearer to a key has its values
// before it is asked. All replicas of a key stand side by side on the ring, so near links are
// enough: whoever joins them has neighbours among them.
//
//   this node                               near neighbour
//      │ offer: versions that it should hold ──►│
//      │◄── want: those that it does not hold   │
//      │ hand-over: one value each ────────────►│ checks it like any store, and offers it on
//
// A change of the neighbourhood makes offers to all near neighbours; a value that came this way is
// offered on, and once more to the spare holder behind the last replica. Paged, paced, and
// repeated, for links may lose messages.
#pragma once

#include <vector>

#include "overlay/core.hpp"
#include "overlay/dht/neighbourhood.hpp"
#include "overlay/dht/store.hpp"

namespace ringway::overlay::dht {

class HandOver {
 public:
  HandOver(Core& core, const DhtParameters& parameters, const Neighbourhood& neighbourhood,
           const Store& store)
      : core_(core), parameters_(parameters), neighbourhood_(neighbourhood), store_(store) {}

  void on_neighbourhood_change();
  // A client stored a value: the other replicas should have it from the client, too.
  void on_store();
  // A value came by hand-over: others may lack it too.
  void on_news();
  void on_offer(const Link& link, const Versions& offered);
  void on_want(const Link& link, const Versions& wanted);
  void tick();

 private:
  struct Partner {
    NodeId node;
    Instant due = Instant::never();
    Instant last_offer = Instant::distant_past();
    bool under_way = false;  // some pages of an offer were sent; the rest begins behind these:
    Key after_key{};
    NodeId after_owner{};
    bool repeat = false;  // the offer is made once more, soon
  };
  void find_partners();
  void restart(Partner& partner, Duration delay);
  void offer(Partner& partner, const Link& link);
  void send(const Link& link, wire::LinkMessageType type, const Versions& versions);

  Core& core_;
  const DhtParameters& parameters_;
  const Neighbourhood& neighbourhood_;
  const Store& store_;
  std::vector<Partner> partners_;
};

}  // namespace ringway::overlay::dht
