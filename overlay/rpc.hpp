// Requests to the ring and their replies. A reply is bound to its request by a random ID that only
// signed messages carry; an exact request is answered only by the node that it named. A request
// without a reply is asked again, by another message, a bounded number of times.
#pragma once

#include <optional>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/router.hpp"
#include "overlay/sealing.hpp"
#include "overlay/wire/rpc_messages.hpp"

namespace ringway::overlay {

// For which part of the overlay a reply is.
enum class Purpose : std::uint8_t {
  kNear,
  kReunion,
  kShortcut,
  kConnect,
  kWellKnown,
  kLookup,
  kCrawl,
  kDht,
  kRelay
};

// Over which link a request leaves.
enum class FirstHop : std::uint8_t {
  kBest,  // as the route says
  kFar,   // not a neighbour, where there is another: it shall see the ring from elsewhere
  kLink,  // this one
};

struct Query {
  Purpose purpose = Purpose::kLookup;
  wire::Method method = wire::Method::kLookup;
  NodeId destination;
  wire::Route route;
  FirstHop first_hop = FirstHop::kBest;
  LinkId link;                // kLink
  std::uint8_t wants = 0;     // find, connect
  std::optional<NodeId> via;  // has a link with the destination: the first try goes through it
  std::optional<SealingKey> seal_to;  // connect: the destination's, to tell it where to call
  int tries = 1;
  std::vector<std::uint8_t> body;  // of a service
};

struct Answer {
  Query query;
  std::uint64_t request_id = 0;
  bool answered = false;  // else the tries are used up
  NodeId responder;
  std::uint8_t hops = 0;
  int tries = 0;
  Duration took;
  SealingKey key{};                // find, connect: of the responder
  wire::Whereabouts whereabouts;   // find, connect
  std::vector<std::uint8_t> body;  // of a service
};

class Rpc {
 public:
  Rpc(Core& core, Router& router) : core_(core), router_(router) {}

  // Zero when it could not be sent. When this node itself is the destination, the answer is there
  // at once.
  std::uint64_t ask(const Query& query);
  // An authentic reply: its answer, when it belongs to a request.
  [[nodiscard]] std::optional<Answer> on_reply(const wire::RoutedMessage& message);
  // Answers to what came as `request` in `message`.
  // Lookups are told nothing of `here`; who finds or connects, this node's candidates besides.
  void reply(const wire::RoutedMessage& message, const wire::Request& request,
             wire::Whereabouts& here);
  void reply_for_service(const wire::RoutedMessage& message, const wire::Request& request,
                         ConstBytes body);
  // What a body of a service may have, in a request or a reply.
  [[nodiscard]] std::size_t max_body_bytes() const;
  void tick();
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  // Answers without a message: to ourselves, and failures.
  [[nodiscard]] bool has_answers() const { return !answers_.empty(); }
  [[nodiscard]] Answer take_answer();

  // Whether both sides of this node have a near neighbour: replies find it through the ring.
  void set_in_ring(bool in_ring) { in_ring_ = in_ring; }
  [[nodiscard]] bool in_ring() const { return in_ring_; }

 private:
  struct Pending {
    Query query;
    std::uint64_t request_id = 0;
    int tries = 0;
    Instant first_sent;
    Instant deadline;
  };
  [[nodiscard]] Router::Sent transmit(Pending& pending);
  [[nodiscard]] bool seal_candidates(const Query& query, std::uint64_t message_id,
                                     SealedPart& sealed);
  [[nodiscard]] Link* choose_first_hop(const Query& query);
  void send_reply(const wire::RoutedMessage& message, const wire::Request& request,
                  wire::Reply& reply, std::optional<std::uint64_t> message_id = std::nullopt);
  void fail(const Pending& pending);
  void remove(std::size_t index);

  Core& core_;
  Router& router_;
  RttEstimator rtt_;
  bool in_ring_ = false;
  std::vector<Pending> pending_;
  std::vector<Answer> answers_;
};

}  // namespace ringway::overlay
