// A node's duty to others: it keeps values near its place, answers for them, tells those who
// subscribed, and hands them over to neighbours. Knows no more of a value than that its owner
// signed it and may write there.
//
//   1. store()      a client's request; limits, then accept()
//   2. accept()     for this node? newer? authentic? does another hold the key?
//   3. get()        values of a key, page by page
//   4. subscribe()  told of changes from then on
#pragma once

#include <vector>

#include "overlay/core.hpp"
#include "overlay/dht/hand_over.hpp"
#include "overlay/dht/neighbourhood.hpp"
#include "overlay/dht/store.hpp"
#include "overlay/dht/subscribers.hpp"

namespace ringway::overlay::dht {

class Replica {
 public:
  Replica(Core& core, Router& router, const DhtParameters& parameters)
      : core_(core),
        parameters_(parameters),
        neighbourhood_(core, parameters),
        store_(parameters),
        hand_over_(core, parameters, neighbourhood_, store_),
        subscribers_(core, router, parameters, store_) {}

  // A request from `source`, whose credential came with it. `room`: bytes for the reply.
  [[nodiscard]] StoreReply store(const NodeId& source, ConstBytes credential, const Record& asked,
                                 std::size_t room);
  [[nodiscard]] GetReply get(const GetRequest& request, std::size_t room);
  [[nodiscard]] SubscribeReply subscribe(const NodeId& source, const SubscribeRequest& request);
  [[nodiscard]] ConstBytes credential_of(const NodeId& owner) const {
    return store_.credential_of(owner);
  }
  // What a near neighbour says of what it holds.
  void on_link_message(const Link& link, wire::LinkMessageType type, ConstBytes body);

  void tick();
  // Once a turn: the neighbourhood, and what has expired. Whether other nodes stand around.
  bool begin_turn(bool neighbours_changed);

  [[nodiscard]] Subscribers& subscribers() { return subscribers_; }
  [[nodiscard]] const Subscribers& subscribers() const { return subscribers_; }
  [[nodiscard]] const Neighbourhood& neighbourhood() const { return neighbourhood_; }
  [[nodiscard]] const Store& values() const { return store_; }

 private:
  enum class By : std::uint8_t { kClient, kHandOver };
  struct Accepted {
    Outcome outcome = Outcome::kDone;
    bool news = false;  // a version that was not here
  };
  [[nodiscard]] Accepted accept(const Record& record, By by);
  // Whether the value stands against the owner who holds its key. A loser is told.
  enum class Contest : std::uint8_t { kWon, kLost };
  [[nodiscard]] Contest settle_contest(const Store::Entry& holder, const Value& value,
                                       ConstBytes credential, By by);
  void schedule_review();
  [[nodiscard]] bool within_limits(const NodeId& source);
  void review();

  struct Source {
    NodeId node;
    Instant window_ends;
    std::uint32_t stores = 0;
  };

  Core& core_;
  const DhtParameters& parameters_;
  Neighbourhood neighbourhood_;
  Store store_;
  HandOver hand_over_;
  Subscribers subscribers_;
  std::vector<Source> sources_;
  std::uint32_t stores_left_ = 0;
  Instant refilled_at_ = Instant::distant_past();
  Instant review_due_ = Instant::never();
};

}  // namespace ringway::overlay::dht
