// Routed messages of this node: sent, passed on, delivered. Each hop is acknowledged; where an
// acknowledgement stays away the message takes another next hop and the link is probed, so that a
// node's death costs those that route over it a moment and no message.
//
//   1. originate()  sign, choose the first hop       4. on_hop_ack()  the next node has it
//   2. on_routed()  parse, acknowledge, choose       5. tick()        it does not: another hop
//   3. forward()    count the hop, keep a copy       6. deliver()     time, signature, replay
#pragma once

#include <optional>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/replay_cache.hpp"
#include "overlay/routing.hpp"

namespace ringway::overlay {

struct Outgoing {
  NodeId destination;
  wire::Route route;
  std::optional<NodeId> via;
  wire::PayloadType type = wire::PayloadType::kRequest;
  ConstBytes payload;
  LinkId first_hop;                         // none: as the route says
  std::optional<std::uint64_t> message_id;  // where the payload is bound to it; else drawn
};

class Router {
 public:
  explicit Router(Core& core)
      : core_(core), replays_(core.parameters.message_lifetime, core.parameters.replay_entries) {}

  enum class Sent : std::uint8_t { kOnItsWay, kHere, kNoRoute };
  // kHere: no other node is closer; nothing was sent.
  Sent originate(const Outgoing& outgoing);
  // The message if it is for this node, authentic and new; its parts point into `bytes`.
  [[nodiscard]] std::optional<wire::RoutedMessage> on_routed(Link& link, ConstBytes bytes);
  void on_hop_ack(Link& link, std::uint16_t sequence);
  // A message for this node, in place of a closer one that is silent. Its parts point into the
  // router until the next call.
  [[nodiscard]] bool has_arrived() const { return !arrived_.empty(); }
  [[nodiscard]] std::optional<wire::RoutedMessage> take_arrived();
  // What went over it goes another way.
  void on_link_gone(LinkId link);
  void tick();

  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
  [[nodiscard]] const ReplayCache& replays() const { return replays_; }

 private:
  struct InFlight {
    LinkId over;
    LinkId came_from;
    std::uint16_t sequence = 0;
    Instant sent;
    Instant deadline;
    int repeats = 0;  // over the same link, where none else is closer
    BoundedList<LinkId, 8> tried;
    std::vector<std::uint8_t> bytes;
  };
  void forward(Link& link, ConstBytes bytes, const wire::RoutedMessage& message, bool detour,
               InFlight&& state);
  void send_elsewhere(InFlight&& state);
  void retry_or_take(InFlight&& state, const wire::RoutedMessage& message);
  [[nodiscard]] std::optional<wire::RoutedMessage> deliver(const wire::RoutedMessage& message);

  Core& core_;
  ReplayCache replays_;
  std::vector<InFlight> in_flight_;
  std::vector<std::vector<std::uint8_t>> arrived_;
  std::vector<std::uint8_t> taken_;
};

}  // namespace ringway::overlay
