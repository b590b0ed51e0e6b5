// Replicas tell each other what they hold, so that a node that came nearer to a key has its values
// before it is asked. All replicas of a key stand side by side on the ring, so near links are
// enough: whoever joins them has neighbours among them.
//
//   this node                               near neighbour
//      │◄── want: nothing yet                   │ answers for more keys than it knows
//      │ offer: versions that it should hold ──►│
//      │◄── want: those that it does not hold   │
//      │ hand-over: one value each ────────────►│ checks it like any store, and offers it on
//
// A change of the neighbourhood makes offers to all near neighbours; a value that came this way is
// offered on, and once more to the spare holder behind the last replica. Paged, paced, and
// repeated, for links may lose messages. An offer says for which keys it is all that is there: who
// lacks nothing of its pages knows these keys (neighbourhood.hpp), and who does not asks again.
#pragma once

#include <optional>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/dht/neighbourhood.hpp"
#include "overlay/dht/store.hpp"

namespace ringway::overlay::dht {

class HandOver {
 public:
  HandOver(Core& core, const DhtParameters& parameters, Neighbourhood& neighbourhood,
           const Store& store)
      : core_(core), parameters_(parameters), neighbourhood_(neighbourhood), store_(store) {}

  void on_neighbourhood_change();
  // A client stored a value: the other replicas should have it from the client, too.
  void on_store();
  // A value came by hand-over: others may lack it too.
  void on_news();
  void on_offer(const Link& link, const Offer& offer);
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
    std::uint8_t page = 0;           // of them, the next
    std::optional<KeyRange> word{};  // said with all of them
    bool repeat = false;             // the offer is made once more, soon
    bool kept = false;          // of its offer to this node, all pages so far came and are here
    std::uint8_t expected = 0;  // its next page
  };
  void find_partners();
  [[nodiscard]] Partner* partner(const NodeId& node);
  void ask();
  void answer(const Link& link);
  // Whether an offer has come to its end, of which nothing is missing here.
  [[nodiscard]] bool ends_kept(const NodeId& node, const Offer& offer, bool page_kept);
  void hasten(Partner& partner, Duration delay);
  void restart(Partner& partner, Duration delay);
  void offer(Partner& partner, const Link& link);
  template <typename Content>
  void send(const Link& link, wire::LinkMessageType type, const Content& content);

  Core& core_;
  const DhtParameters& parameters_;
  Neighbourhood& neighbourhood_;
  const Store& store_;
  std::vector<Partner> partners_;
  Instant ask_due_ = Instant::never();
};

}  // namespace ringway::overlay::dht
