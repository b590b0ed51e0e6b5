// Thousands of nodes in virtual time, from a seed: the overlay as the node runs it, between
// simulated links. Every message is encoded, signed and parsed. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "overlay/overlay.hpp"
#include "overlay/sim/conditions.hpp"
#include "overlay/sim/connections.hpp"
#include "overlay/sim/event_queue.hpp"
#include "overlay/sim/history.hpp"
#include "overlay/sim/hostile.hpp"
#include "overlay/sim/latency.hpp"
#include "overlay/sim/modelled_signatures.hpp"
#include "overlay/sim/node_clocks.hpp"
#include "overlay/sim/onlooker.hpp"
#include "overlay/sim/reach.hpp"
#include "overlay/sim/relay_tables.hpp"

namespace ringway::overlay::sim {

struct Options {
  std::uint64_t seed = 1;
  // Parts of a million of the messages that are lost.
  std::uint32_t loss_ppm = 0;
  // Parts of a million of the pairs of nodes that can reach each other without a relay.
  std::uint32_t linkable_ppm = 1'000'000;
  // Parts of a million of the nodes that are behind a NAT or firewall; well-known ones never are.
  std::uint32_t nat_ppm = 0;
  // Each node is told of this many nodes that are meant to be there always: the first ones.
  std::size_t well_known = 4;
  // A node asks for a random place this often, on average; zero: never.
  Duration lookup_interval = Duration::seconds(600);
  int lookup_tries = 3;
  Duration lookups_begin = Duration::seconds(30);  // after the first node
  Parameters parameters;
  ModelledGrants grants;  // of every node's certificate
};

struct Statistics {
  std::uint64_t events = 0;
  std::uint64_t timers = 0;    // of nodes, that went off
  std::uint64_t messages = 0;  // over links that are up
  std::uint64_t message_bytes = 0;
  std::uint64_t set_up_messages = 0;   // handshakes and certificates
  std::uint64_t relayed_messages = 0;  // of either kind, by a relay
  std::uint64_t lookups = 0;
  std::uint64_t lookups_ok = 0;       // by the right node, at the first try
  std::uint64_t lookups_retried = 0;  // by the right node, later
  std::uint64_t lookups_wrong = 0;    // by another node
  std::uint64_t lookups_unanswered = 0;
  std::uint64_t lookups_abandoned = 0;  // the asking node crashed or left first
  std::uint64_t hops_total = 0;
  std::array<std::uint64_t, 256> hops{};  // of right answers, by their number

  [[nodiscard]] std::uint64_t lookups_ended() const {
    return lookups_ok + lookups_retried + lookups_wrong + lookups_unanswered;
  }
  [[nodiscard]] double hops_mean() const;
  [[nodiscard]] unsigned hops_percentile(unsigned percent) const;
};

class Simulation {
 public:
  // latency: null for links of 50 ms one way.
  explicit Simulation(const Options& options, std::unique_ptr<LatencyModel> latency = nullptr);
  ~Simulation();

  // --- What happens in the world
  NodeIndex add_node(Instant start);
  void add_nodes(std::size_t count, Instant first, Duration within);  // uniformly spread
  void crash(NodeIndex index);
  void leave(NodeIndex index);
  // Nodes of different parts cannot hear each other. All begin in part 0.
  void set_part(NodeIndex node, std::uint8_t part) { reach_.set_part(node, part); }
  // One direction between two nodes fails: `to` does not hear `from`.
  void set_deaf(NodeIndex to, NodeIndex from, bool deaf) { reach_.set_deaf(to, from, deaf); }
  // Of a node that is not started yet.
  void set_nat(NodeIndex node, const NatBehaviour& behaviour);

  // --- What goes wrong in it (simulation_faults.cpp)
  // The same node, with nothing that it knew before.
  void restart(NodeIndex index);
  // The node's machine is suspended: it hears and does nothing, and its clocks go on.
  void pause(NodeIndex index);
  void resume(NodeIndex index);
  void set_clock(NodeIndex node, const ClockError& error) { clocks_.set(node, now_, error); }
  // From the first call on they take the place of Options::loss_ppm.
  void set_conditions(const Conditions& conditions);
  void set_uplink(NodeIndex node, const Uplink& uplink);
  // From now on the node, which has started, is a hostile one, until it crashes.
  void make_hostile(NodeIndex node, HostileKind kind);

  // Something that the scenario does then. Of the same moment, in the order in which they were
  // made.
  void schedule(Instant when, std::function<void()> action);
  // An input to a node that is alive: call(overlay, clock), and what the node wants done after it.
  template <typename Call>
  auto act(NodeIndex node, Call&& call) {
    const auto result = call(input(node), clock(node));
    drain(node);
    return result;
  }
  // Is told what nodes tell their drivers, in the middle of an input: it may look and schedule().
  using Observer = std::function<void(NodeIndex, const Event&)>;
  void add_observer(Observer observer) { observers_.push_back(std::move(observer)); }

  void run_until(Instant end);
  void run_for(Duration duration) { run_until(now_ + duration); }
  // The time that passes until the ring is right, looked at every 50 ms; none within `limit`.
  [[nodiscard]] std::optional<Duration> time_until_right(Duration limit);

  // --- What an onlooker who sees everything sees
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] Clock clock(NodeIndex node) const { return clocks_.read(node, now_); }
  // Nodes alive whose two neighbours of either side are not those that they should be.
  [[nodiscard]] std::vector<NodeIndex> misplaced() const;
  [[nodiscard]] std::size_t misplaced_nodes() const { return misplaced().size(); }
  [[nodiscard]] bool ring_right() const { return misplaced_nodes() == 0; }
  [[nodiscard]] const std::vector<NodeIndex>& alive() const { return ring_order_; }
  [[nodiscard]] std::size_t nodes() const { return nodes_.size(); }  // dead and future ones too
  [[nodiscard]] const NodeId& id(NodeIndex node) const { return nodes_[node].id; }
  [[nodiscard]] bool is_alive(NodeIndex node) const { return nodes_[node].alive; }
  [[nodiscard]] bool is_paused(NodeIndex node) const { return nodes_[node].paused; }
  [[nodiscard]] bool is_hostile(NodeIndex node) const { return hostile(node) != nullptr; }
  [[nodiscard]] bool was_hostile(NodeIndex node) const { return nodes_[node].was_hostile; }
  [[nodiscard]] bool has_ended(NodeIndex node) const { return nodes_[node].program == nullptr; }
  // How often the node started: counted from its first program on.
  [[nodiscard]] std::uint32_t incarnation(NodeIndex node) const { return nodes_[node].incarnation; }
  // Who is at the other end of a node's link.
  [[nodiscard]] NodeIndex other_end(LinkId link) const {
    const Side side = Side::of(link);
    return connections_[side.connection].node[1 - side.side];
  }
  void set_onlooker(Onlooker* onlooker);  // or null; must outlive the simulation
  // Of a node that is alive, or not started yet.
  [[nodiscard]] const Overlay& overlay(NodeIndex node) const {
    return nodes_[node].program->overlay;
  }
  [[nodiscard]] Duration one_way(NodeIndex a, NodeIndex b) const { return latency_->between(a, b); }
  [[nodiscard]] const NodeId& id_of(NodeIndex node) const { return nodes_[node].id; }
  [[nodiscard]] const Reach& reach() const { return reach_; }
  // One way, as messages go at the moment; none where two nodes have no link.
  [[nodiscard]] std::optional<Duration> link_latency(NodeIndex from, NodeIndex to) const;
  // Who relays what `from` sends to `to`; none where nobody does.
  [[nodiscard]] std::optional<NodeIndex> relay_between(NodeIndex from, NodeIndex to) const;
  [[nodiscard]] const RelayTables& relay_tables(NodeIndex node) const {
    return nodes_[node].relay_tables;
  }
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }
  [[nodiscard]] std::uint64_t history_hash() const { return history_.hash(); }
  [[nodiscard]] Rng& rng() { return world_rng_; }
  // The node that is nearest to a place, of those that have neighbours on both sides: one that only
  // just started cannot answer for any place yet. If there is none, any.
  [[nodiscard]] NodeIndex nearest_in_ring(const NodeId& place) const;

 private:
  struct Program {  // what runs on a node
    Program(const Options& options, const NodeId& id, std::uint64_t seed, Verifier& verifier)
        : rng(seed),
          signer(id, options.grants),
          sealer(id, rng),
          overlay(options.parameters, {id, {}}, signer, sealer, verifier, rng) {}
    SeededRng rng;
    ModelledSigner signer;
    ModelledSealer sealer;
    Overlay overlay;
  };
  struct Node {
    NodeId id;
    std::unique_ptr<Program> program;  // until it crashes or leaves
    Instant timer_at = Instant::never();
    bool alive = false;
    bool paused = false;
    bool was_hostile = false;  // now or before
    std::uint32_t incarnation = 0;
    RelayTables relay_tables;
  };
  enum class Happening : std::uint8_t {
    kTimer,
    kMessage,
    kSetUp,
    kInitiate,
    kDown,
    kOpenTimeout,
    kStart,
    kLookup,
    kAction
  };
  struct Occurrence {
    Happening what = Happening::kTimer;
    std::uint8_t step = 0;         // of a link's set-up
    bool at_relay = false;         // on the first of two legs
    std::uint32_t subject = 0;     // node, action, or the LinkId of the end that it reaches
    std::uint32_t generation = 0;  // of the connection
    std::uint32_t buffer = 0;      // of the message
    std::uint32_t header = 0;      // source and destination port, or a relay's label
    NodeIndex relay = 0;           // whose label it is
  };
  // Where a message goes first: to the other end, or to a relay.
  struct FirstLeg {
    Duration one_way;
    bool to_relay = false;
    NodeIndex relay = 0;
    std::uint32_t header = 0;
  };
  struct Lookup {
    std::uint64_t request_id;
    NodeIndex asking;
    NodeId place;
    NodeIndex nearest_at_first;
  };

  void handle(const Occurrence& occurrence);
  void handle_message(const Occurrence& occurrence);
  void handle_set_up(const Occurrence& occurrence);
  void handle_down(const Occurrence& occurrence);
  void handle_open_timeout(const Occurrence& occurrence);
  void start_node(NodeIndex index);
  void start_lookup();
  void end_lookup(NodeIndex node, const output::LookupDone& done);

  // The node's overlay, which is about to be given something.
  [[nodiscard]] Overlay& input(NodeIndex node) {
    acting_ = node;
    return nodes_[node].program->overlay;
  }
  [[nodiscard]] std::unique_ptr<Program> make_program(NodeIndex index);
  // Does what the node's overlay wants done, and sets its timer.
  void drain(NodeIndex index);
  void send(NodeIndex from, LinkId link, ConstBytes bytes);
  void post(Instant arrival, Side to, ConstBytes bytes, const FirstLeg& leg);
  void send_by_network(NodeIndex from, LinkId link, ConstBytes bytes, const FirstLeg& leg);
  [[nodiscard]] Instant set_up_arrival(NodeIndex from, LinkId link, Duration one_way);
  void open(NodeIndex from, const output::Open& open);
  void close(LinkId link);
  void set_timer(NodeIndex index);
  void send_set_up(std::uint32_t index, std::uint8_t step, std::uint16_t port);
  void bring_up(Side side);
  [[nodiscard]] bool reaches(NodeIndex from, NodeIndex to) const;
  [[nodiscard]] bool lost() {
    return options_.loss_ppm > 0 && network_rng_.below(1'000'000) < options_.loss_ppm;
  }
  // --- Through NATs and relays (simulation_paths.cpp)
  void initiate(std::uint32_t index, const Candidates& candidates);
  void handle_initiate(const Occurrence& occurrence);
  // Of what that end sends, to that port of the other; none where there is no relay.
  [[nodiscard]] std::optional<FirstLeg> first_leg(Side from, std::uint16_t port);
  void handle_at_relay(const Occurrence& occurrence);
  // Whether it gets through to the end that it is for: the last leg, and the NAT there.
  [[nodiscard]] bool arrives(const Occurrence& occurrence, Side at) const;
  [[nodiscard]] const output::RelayPath* path_of(NodeIndex from, const NodeId& to) const;
  [[nodiscard]] NodeIndex relay_of(const output::RelayPath& path) const;
  [[nodiscard]] std::optional<NodeIndex> find(const NodeId& id) const;

  [[nodiscard]] Hostile* hostile(NodeIndex node) const {
    return node < hostiles_.size() ? hostiles_[node].get() : nullptr;
  }
  // Gives a message to a hostile node; false: its overlay is to have it.
  [[nodiscard]] bool hostile_takes(NodeIndex node, LinkId link, ConstBytes bytes);
  void let_hostile_act(NodeIndex node, std::uint32_t generation);
  [[nodiscard]] Hostile::View hostile_view(NodeIndex node);
  void send_altered(NodeIndex node, const output::Send& sent);
  void send_letters(NodeIndex node, const Hostile::Letters& letters);
  void take_out(NodeIndex index);

  Options options_;
  std::unique_ptr<LatencyModel> latency_;
  ModelledVerifier verifier_;
  SeededRng world_rng_;    // who comes, goes and asks
  SeededRng network_rng_;  // what is lost
  NodeClocks clocks_;
  std::unique_ptr<Network> network_;                // once conditions were set
  std::vector<std::unique_ptr<Hostile>> hostiles_;  // by node, as far as one is
  std::uint32_t hostile_generations_ = 0;
  Onlooker* onlooker_ = nullptr;
  NodeIndex acting_ = 0;  // who is given an input
  std::vector<Node> nodes_;
  std::vector<NodeIndex> ring_order_;  // nodes alive, by ID
  Connections connections_;
  Reach reach_;
  EventQueue<Occurrence> queue_;
  std::vector<std::function<void()>> actions_;
  std::vector<Observer> observers_;
  std::vector<std::vector<std::uint8_t>> buffers_;
  std::vector<std::uint32_t> free_buffers_;
  std::vector<Lookup> lookups_;
  bool lookups_scheduled_ = false;
  Instant now_ = Instant::from_ns(0);
  History history_;
  Statistics statistics_;
};

}  // namespace ringway::overlay::sim
