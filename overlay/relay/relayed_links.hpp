// Links with nodes that no direct link can be had with: the ring carries a request for the other's
// neighbours, those that both ends have a direct link with are asked to relay, and the driver opens
// the link through them. Where there are none, this node links with some of the other's neighbours
// first. To the rest of the overlay such a link is one like others.
//
//             seek()              list, a common neighbour            grant
//   (none) ──────────► SEEKING ───────────────────────────► ASKED ────────────► GRANTED
//      ▲                │ ▲ a link with one of its neighbours │                    │ link_up
//      │ seek_timeout   │ └───────────────────────────────────┘ refused            ▼
//      ├────────────────┘                                                        RELAYED
//      └──────────────────────────────────────────────────── direct link up, gone ─┘
//
// While RELAYED both ends send each other what they measure of their legs, each takes the best
// relay for what it sends (two granted, others known), with hysteresis; and both try a direct link
// again.
#pragma once

#include <vector>

#include "overlay/core.hpp"
#include "overlay/linker.hpp"
#include "overlay/relay/relay_messages.hpp"
#include "overlay/rpc.hpp"

namespace ringway::overlay {

class RelayedLinks {
 public:
  RelayedLinks(Core& core, Rpc& rpc, Linker& linker) : core_(core), rpc_(rpc), linker_(linker) {}

  // The node is there, but no link with it came up.
  void seek(const NodeId& node, std::uint8_t wants);
  // Another node seeks this one: its list came, ours is the answer.
  void on_request(const wire::RoutedMessage& message, const wire::Request& request);
  void on_answer(const Answer& answer);

  void handle(const Link& link, const wire::NeighbourList& list);
  void handle(Link& link, const wire::RelayOffer& offer);
  void handle(const Link& link, const wire::RelayGrant& grant);
  void handle(const Link& link, const wire::RelayRelease& release);
  void handle(const Link& link, const wire::RelaySilence&);

  // Direct or relayed; `link` may have taken another's place.
  void on_link_up(Link& link);
  void on_link_gone(const Link& link);
  void tick();

  struct Relay {
    enum class State : std::uint8_t { kAsked, kGranted, kRefused };
    NodeId node;
    State state = State::kAsked;
    bool ours = false;      // this end asked for it, and asks again before its lease ends
    bool renewing = false;  // it did, and waits
    std::uint8_t load = 0;
    std::uint32_t send_label = 0;
    std::uint32_t receive_label = 0;
    Instant due;  // of the answer, the renewal, or the end of a refusal
  };
  // Of the relayed link with `node`; that in use first.
  [[nodiscard]] std::vector<Relay> relays_of(const NodeId& node) const;
  [[nodiscard]] std::size_t peers() const { return peers_.size(); }

 private:
  struct Peer {
    NodeId node;
    std::uint8_t wants = 0;
    std::size_t trials = 0;  // links with its neighbours that were tried
    int better_rounds = 0;   // in which another relay was clearly better
    wire::NeighbourList list;
    std::vector<Relay> relays;
    Instant deadline;                              // until the link is up
    Instant left_relay = Instant::distant_past();  // since it was silent, for the next one
    Duration exchange_interval;
    Instant exchange_due = Instant::never();
    Duration direct_interval;
    Instant direct_due = Instant::never();
  };
  [[nodiscard]] Peer* find(const NodeId& node);
  Peer* find_or_add(const NodeId& node);
  void erase(std::size_t index);
  void ask_for_list(const NodeId& node);
  [[nodiscard]] wire::NeighbourList list_for(const NodeId& node) const;

  // Asks common neighbours to relay, until enough do; links with the other's where there are none.
  void recruit(Peer& peer);
  [[nodiscard]] const wire::Neighbour* best_to_ask(const Peer& peer) const;
  void ask(Peer& peer, Link& relay);
  void try_neighbours(Peer& peer, Duration below);
  void open_or_use(Peer& peer);
  void set_relays(const Peer& peer);
  void drop_relay(Peer& peer, const NodeId& node);
  [[nodiscard]] static std::size_t find_relay(const Peer& peer, const NodeId& node);
  [[nodiscard]] std::uint32_t new_label() const;

  // Of a direct link with a relay; the longest of all where it is not there.
  [[nodiscard]] Duration cost_of(const Peer& peer, const NodeId& relay) const;
  void compare(Peer& peer);
  // False where there is no other, or this one was taken only just now.
  bool leave_relay(Peer& peer);
  void leave_silent_relay(Peer& peer, const Link& link);
  void renew(Peer& peer);
  void care_for(Peer& peer, Link& link);
  void release_unused();

  Core& core_;
  Rpc& rpc_;
  Linker& linker_;
  std::vector<Peer> peers_;
  Instant housekeeping_due_ = Instant::never();
};

}  // namespace ringway::overlay
