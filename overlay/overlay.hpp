// One node's part in the ring. A state machine: the driver gives it links, messages and the time,
// and does what it says. It never sees a socket, a thread or a clock of its own. Control thread in
// the node; the simulator holds thousands.
//
// A node's life, in the order in which the parts take it up:
//   1. Joining         calls well-known nodes and hangs on them as a leaf
//   2. NearNeighbours  asks the ring for its place and links with the two nearest of each side
//   3. Shortcuts       links across the ring, by the harmonic law
//   4. Router, Rpc     carry signed requests and replies, hop by hop
//   5. Liveness        notices who is gone; NearNeighbours closes the gap
//   6. Joining         calls those who were lost, so that separated rings become one again
//   7. RelayedLinks    links through a third node where a direct one is not to be had
//   8. Dht             keeps signed values near their keys, and its own alive at other nodes
// docs/OVERLAY.md says why each does what it does, docs/PROTOCOL.md what is on the wire.
#pragma once

#include <cstdint>

#include "overlay/broadcast/broadcast.hpp"
#include "overlay/coordinates/coordinates.hpp"
#include "overlay/core.hpp"
#include "overlay/crawl/crawl.hpp"
#include "overlay/dht/dht.hpp"
#include "overlay/joining.hpp"
#include "overlay/linker.hpp"
#include "overlay/liveness.hpp"
#include "overlay/near_neighbours.hpp"
#include "overlay/relay/observed_addresses.hpp"
#include "overlay/relay/relay_service.hpp"
#include "overlay/relay/relayed_links.hpp"
#include "overlay/router.hpp"
#include "overlay/rpc.hpp"
#include "overlay/shortcuts.hpp"

namespace ringway::overlay {

struct LinkUp {
  LinkId link;
  NodeId node;             // authenticated
  net::Endpoint observed;  // where the node's packets come from
  Duration rtt;            // of the handshake; zero where this end did not measure it
  AttemptId attempt;       // of the Open that it answers; none: the other end opened the link
  bool relayed = false;    // `observed` is a relay's then, and of no use
};

class Overlay {
 public:
  // Parameters, signer, sealer, verifier and rng must outlive the overlay.
  Overlay(const Parameters& parameters, const Identity& identity, Signer& signer, Sealer& sealer,
          Verifier& verifier, Rng& rng);

  // The addresses at which others may call this node.
  void set_candidates(const Candidates& candidates) { core_.candidates = candidates; }
  // What addresses of others are measured by: with each change of the node's interfaces.
  void set_networks(const Networks& networks) { core_.networks = networks; }
  // Addresses that the user chose: they are not measured.
  void add_well_known(const Candidates& candidates) { joining_.add_well_known(candidates); }
  // A member of the same group, found by way of another overlay (meeting/meeting.hpp).
  void meet(Clock clock, const Contact& member) {
    enter(clock);
    joining_.meet(member);
  }

  // Inputs. Each may change next_deadline() and make outputs.
  void start(Clock clock);
  void leave(Clock clock);  // says goodbye on all links; nothing more is expected of this object
  void link_up(Clock clock, const LinkUp& up);
  void link_down(Clock clock, LinkId id);  // the driver closed it, or the other end did
  void open_failed(Clock clock, AttemptId attempt);
  void receive(Clock clock, LinkId id, ConstBytes message);
  // How many packets wait to be sent on the link, at every look at it.
  void send_queue(Clock clock, LinkId id, std::size_t packets);
  void tick(Clock clock);  // at next_deadline() or later
  [[nodiscard]] Instant next_deadline() const { return core_.deadline; }

  // Asks which node is nearest to a place; ends in an output::LookupDone. Zero: not sent.
  std::uint64_t lookup(Clock clock, const NodeId& place, int tries);
  // A link with that very node, kept while messages are routed over it.
  void connect(Clock clock, const NodeId& node);
  // A message to every node of the ring; ends in an output::BroadcastMeasured. Its ID; zero: not
  // sent, since it is too long, the last ones were not long ago, or this node has no ring.
  std::uint64_t broadcast(Clock clock, ConstBytes payload);
  // Asks every node of the ring for its neighbours; ends in an output::CrawlDone. False when one is
  // under way.
  bool start_crawl(Clock clock);

  // The DHT, for an input: what follows of it comes with the next tick.
  [[nodiscard]] dht::Dht& dht(Clock clock) {
    enter(clock);
    core_.wake_at(clock.now);
    return dht_;
  }
  [[nodiscard]] const dht::Dht& dht() const { return dht_; }

  // The oldest output not yet taken; false when there is none.
  [[nodiscard]] bool poll_output(Output& output) { return core_.output.poll(output); }

  [[nodiscard]] const NodeId& self() const { return core_.self(); }
  [[nodiscard]] const Candidates& candidates() const { return core_.candidates; }
  [[nodiscard]] const LinkTable& links() const { return core_.links; }
  [[nodiscard]] const NearNeighbours& near_neighbours() const { return near_; }
  [[nodiscard]] const DropCounters& drops() const { return core_.drops; }
  [[nodiscard]] const Linker& linker() const { return linker_; }
  [[nodiscard]] const Router& router() const { return router_; }
  [[nodiscard]] const RelayedLinks& relayed_links() const { return relayed_; }
  [[nodiscard]] const RelayService& relay_service() const { return relay_service_; }
  [[nodiscard]] const Coordinate& coordinate() const { return core_.coordinate; }
  [[nodiscard]] const Broadcast& broadcasts() const { return broadcast_; }
  [[nodiscard]] const CrawlResult* crawl_result() const { return crawl_.result(); }
  [[nodiscard]] const Rpc& rpc() const { return rpc_; }
  [[nodiscard]] const Joining& joining() const { return joining_; }
  [[nodiscard]] bool in_ring() const { return rpc_.in_ring(); }

 private:
  void enter(Clock clock) { core_.clock = clock; }
  void settle();  // after each input: what parts have for each other
  void replace_link(Link& older, const LinkUp& up, std::uint8_t wants);
  [[nodiscard]] wire::Hello hello(const Link& link, const LinkUp& up) const;
  [[nodiscard]] bool has_room(const NodeId& node, std::uint8_t wants) const;
  void drop_link(LinkId id, bool lost);
  void say_goodbye(const Link& link, wire::GoodbyeReason reason);
  void expire_links();

  void handle(Link& link, const wire::Hello& hello);
  void handle(Link& link, const wire::Heartbeat& heartbeat);
  void handle(Link& link, const wire::Ping& ping);
  void handle(Link& link, const wire::Pong& pong);
  void handle(Link& link, const wire::StatusRequest&);
  void handle(Link& link, const wire::Status& status);
  void handle(Link& link, const wire::Goodbye& goodbye);
  void handle(Link& link, const wire::HopAck& ack);
  void handle_relay_message(Link& link, ConstBytes bytes);
  void handle_routed(Link& link, ConstBytes bytes);
  void handle_delivered(const wire::RoutedMessage& message);
  void handle_request(const wire::RoutedMessage& message);
  bool call_source(const wire::RoutedMessage& message, const wire::Request& request);
  void handle_service_request(const wire::RoutedMessage& message, const wire::Request& request);
  void handle_answer(const Answer& answer);

  Core core_;
  Router router_;
  Rpc rpc_;
  Linker linker_;
  NearNeighbours near_;
  Shortcuts shortcuts_;
  Joining joining_;
  Liveness liveness_;
  RelayedLinks relayed_;
  RelayService relay_service_;
  ObservedAddresses observed_;
  Broadcast broadcast_;
  Crawl crawl_;
  Coordinates coordinates_;
  dht::Dht dht_;
};

}  // namespace ringway::overlay
