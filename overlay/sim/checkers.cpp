#include "overlay/sim/checkers.hpp"

#include <algorithm>
#include <cstdio>
#include <set>
#include <string_view>
#include <unordered_set>

#include "overlay/sim/dht_checkers.hpp"
#include "overlay/sim/history.hpp"
#include "overlay/sim/sampled_lookups.hpp"

namespace ringway::overlay::sim {
namespace {

std::string node_text(NodeIndex node) {
  return "node " + std::to_string(node);
}

// --- Safety --------------------------------------------------------------------------------------

// A link is with the node that the link table says: nobody stands in another's place.
class TrueLinks final : public Checker {
 public:
  explicit TrueLinks(const CheckedRun& run) : simulation_(run.simulation) {}
  [[nodiscard]] const char* name() const override { return "true links"; }
  [[nodiscard]] std::string broken() override {
    for (const NodeIndex node : simulation_.alive())
      for (const Link& link : simulation_.overlay(node).links())
        if (simulation_.id(simulation_.other_end(link.id)) != link.node)
          return node_text(node) + " takes " + node_text(simulation_.other_end(link.id)) +
                 " for another";
    return {};
  }

 private:
  const Simulation& simulation_;
};

// What a node holds stays within its parameters, whatever it is told.
class Bounds final : public Checker {
 public:
  explicit Bounds(const CheckedRun& run) : simulation_(run.simulation) {}
  [[nodiscard]] const char* name() const override { return "bounds"; }
  [[nodiscard]] std::string broken() override {
    const Parameters p;
    for (const NodeIndex node : simulation_.alive()) {
      const Overlay& overlay = simulation_.overlay(node);
      const struct {
        const char* what;
        std::size_t is;
        std::size_t may_be;
      } kept[] = {
          {"links", overlay.links().size(), p.max_links + p.max_leaves},
          {"attempts", overlay.linker().attempts(), p.max_attempts},
          {"remembered failures", overlay.linker().failures(), p.remembered_failures},
          {"remembered nodes", overlay.joining().remembered(), p.remembered_nodes},
          {"requests", overlay.rpc().pending(), p.max_requests},
          {"messages in flight", overlay.router().in_flight(), p.max_in_flight},
          {"seen messages", overlay.router().replays().size(), p.replay_entries},
          {"relayed links", overlay.relayed_links().peers(), p.relay.max_peers},
          {"pairs to relay for", overlay.relay_service().pairs(), p.relay.max_pairs},
          {"values", overlay.dht().replica().values().size(), p.dht.max_values},
          {"subscriptions", overlay.dht().replica().subscribers().size(), p.dht.max_subscriptions},
          {"operations", overlay.dht().client().operations(), p.dht.max_operations},
          {"values and subscriptions of its own", overlay.dht().upkeep().size(),
           p.dht.max_published + p.dht.max_own_subscriptions},
      };
      for (const auto& each : kept)
        if (each.is > each.may_be)
          return node_text(node) + " has " + std::to_string(each.is) + " " + each.what +
                 ", more than " + std::to_string(each.may_be);
    }
    return {};
  }

 private:
  const Simulation& simulation_;
};

// No signed message counts twice.
class AcceptedOnce final : public Checker, public Onlooker {
 public:
  explicit AcceptedOnce(const CheckedRun& run) : simulation_(run.simulation) {}
  [[nodiscard]] const char* name() const override { return "accepted once"; }
  [[nodiscard]] std::string broken() override { return broken_; }
  [[nodiscard]] Onlooker* onlooker() override { return this; }

  void on_sent(NodeIndex, NodeIndex, ConstBytes) override {}
  void on_open(NodeIndex, NodeIndex) override {}
  void on_accepted(NodeIndex by, const NodeId&, ConstBytes text) override {
    if (!std::equal(kRouted.begin(), kRouted.end(), text.begin())) return;
    History fingerprint;
    fingerprint.add((std::uint64_t{by} << 32) | simulation_.incarnation(by));
    fingerprint.add(text);
    if (!seen_.insert(fingerprint.hash()).second && broken_.empty())
      broken_ = node_text(by) + " accepted a message twice";
  }

 private:
  static constexpr std::string_view kRouted = "Ringway routed message";
  const Simulation& simulation_;
  std::unordered_set<std::uint64_t> seen_;
  std::string broken_;
};

// Who answers was asked: the request of the asking node came to it, and it found it authentic.
class AskedAnswers final : public Checker, public Onlooker {
 public:
  explicit AskedAnswers(const CheckedRun& run) : simulation_(run.simulation) {
    run.simulation.add_observer([this](NodeIndex node, const Event& event) {
      if (const auto* const done = std::get_if<output::LookupDone>(&event)) on_answer(node, *done);
    });
  }
  [[nodiscard]] const char* name() const override { return "asked answers"; }
  [[nodiscard]] std::string broken() override { return broken_; }
  [[nodiscard]] Onlooker* onlooker() override { return this; }

  void on_sent(NodeIndex, NodeIndex, ConstBytes) override {}
  void on_open(NodeIndex, NodeIndex) override {}
  void on_accepted(NodeIndex by, const NodeId& signer, ConstBytes) override {
    asked_.insert({simulation_.id(by), signer});
  }

 private:
  void on_answer(NodeIndex node, const output::LookupDone& done) {
    const NodeId& self = simulation_.id(node);
    if (!done.answered || done.responder == self || asked_.contains({done.responder, self})) return;
    // A hostile node answers what it should have passed on; it stands by that with its signature.
    for (NodeIndex other = 0; other < simulation_.nodes(); ++other)
      if (simulation_.id(other) == done.responder && simulation_.was_hostile(other)) return;
    broken_ = node_text(node) + " has an answer of a node that it never asked";
  }

  const Simulation& simulation_;
  std::set<std::pair<NodeId, NodeId>> asked_;  // who, by whom
  std::string broken_;
};

// A node does not talk more than it has reason to: storms that feed themselves, and nodes that make
// much out of little.
class Quiet final : public Checker, public Onlooker {
 public:
  explicit Quiet(const CheckedRun& run) : simulation_(run.simulation) {}
  [[nodiscard]] const char* name() const override { return "quiet"; }
  [[nodiscard]] Onlooker* onlooker() override { return this; }

  void on_sent(NodeIndex from, NodeIndex to, ConstBytes) override {
    counts_.resize(std::max(counts_.size(), simulation_.nodes()));
    ++counts_[from].sent;
    ++counts_[to].received;
  }
  void on_open(NodeIndex, NodeIndex) override {}
  void on_accepted(NodeIndex, const NodeId&, ConstBytes) override {}

  [[nodiscard]] std::string broken() override {
    if (++looks_ % kWindow != 0) return {};
    std::string found;
    for (NodeIndex node = 0; node < counts_.size(); ++node) {
      const Count count = std::exchange(counts_[node], {});
      if (!simulation_.was_hostile(node) && count.sent > kFree + kEach * count.received &&
          found.empty())
        found = node_text(node) + " sent " + std::to_string(count.sent) + " messages in " +
                std::to_string(kWindow) + " s and received " + std::to_string(count.received);
    }
    return found;
  }

 private:
  static constexpr unsigned kWindow = 10;      // looks, one a second
  static constexpr std::uint64_t kFree = 400;  // messages in a window, of its own will
  // For each that it received: an acknowledgement, and each next hop that it may try, whose silence
  // costs a probe.
  static constexpr std::uint64_t kEach = 6;
  struct Count {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };
  const Simulation& simulation_;
  std::vector<Count> counts_;
  unsigned looks_ = 0;
};

// A node sleeps until something is due: one whose deadline never lies ahead keeps its core busy.
class Sleeps final : public Checker {
 public:
  explicit Sleeps(const CheckedRun& run) : simulation_(run.simulation) {}
  [[nodiscard]] const char* name() const override { return "sleeps"; }
  [[nodiscard]] std::string broken() override {
    const Statistics& now = simulation_.statistics();
    const std::uint64_t timers = now.timers - before_.timers;
    const std::uint64_t messages = now.messages - before_.messages;
    before_ = now;
    if (timers <= kANode * simulation_.nodes() + kAMessage * messages) return {};
    return std::to_string(timers) + " timers went off in a second, with " +
           std::to_string(messages) + " messages";
  }

 private:
  // A second: paced work, such as notices, has intervals of 50 ms or more.
  static constexpr std::uint64_t kANode = 200;
  static constexpr std::uint64_t kAMessage = 4;  // a deadline or two each
  const Simulation& simulation_;
  Statistics before_;
};

// --- Liveness ------------------------------------------------------------------------------------

// Each node has its true neighbours, and who goes from neighbour to neighbour meets all.
class OneRing final : public Checker {
 public:
  explicit OneRing(const CheckedRun& run) : simulation_(run.simulation) {}
  [[nodiscard]] const char* name() const override { return "one ring"; }
  [[nodiscard]] std::string missing() override {
    if (const std::size_t misplaced = simulation_.misplaced_nodes(); misplaced > 0)
      return std::to_string(misplaced) + " of " + std::to_string(simulation_.alive().size()) +
             " nodes misplaced";
    return walk() == simulation_.alive().size() ? "" : "more than one ring";
  }

 private:
  // The nodes that one meets clockwise, until one meets the first again.
  [[nodiscard]] std::size_t walk() const {
    const std::vector<NodeIndex>& alive = simulation_.alive();
    if (alive.empty()) return 0;
    std::size_t place = 0;
    std::size_t met = 0;
    do {
      const auto& right = simulation_.overlay(alive[place]).near_neighbours().right();
      if (right.empty()) return met + 1;
      const auto next = std::lower_bound(
          alive.begin(), alive.end(), right[0],
          [&](NodeIndex node, const NodeId& id) { return simulation_.id(node) < id; });
      if (next == alive.end() || simulation_.id(*next) != right[0]) return met;
      place = static_cast<std::size_t>(next - alive.begin());
      ++met;
    } while (place != 0 && met <= alive.size());
    return met;
  }

  const Simulation& simulation_;
};

// Any node finds any other: pairs are drawn, one asks for the other's place, and the other answers
// at the first try.
class Reachable final : public Checker {
 public:
  explicit Reachable(const CheckedRun& run)
      : simulation_(run.simulation),
        wanted_percent_(run.scenario.promise.lookups_ok_percent),
        lookups_(run.simulation, run.scenario.seed ^ 0x7265616368) {}
  [[nodiscard]] const char* name() const override { return "reachable"; }
  [[nodiscard]] std::string missing() override {
    const std::vector<NodeIndex> alive = simulation_.alive();
    if (alive.size() < 2) return {};  // who is alone asks nobody
    if (lookups_.under_way() > 0) return text();
    if (lookups_.ended() > 0 && lookups_.found() * 100 >= lookups_.ended() * wanted_percent_)
      return {};
    if (!simulation_.ring_right()) return "the ring is not right";
    std::string result = text();
    lookups_.forget_results();
    for (std::size_t i = 0; i < kPairs; ++i)
      lookups_.ask(alive, 1);
    return result;
  }

 private:
  static constexpr std::size_t kPairs = 60;
  [[nodiscard]] std::string text() const {
    return "of " + std::to_string(lookups_.ended() + lookups_.under_way()) + " pairs " +
           std::to_string(lookups_.found()) + " found each other at the first try";
  }

  const Simulation& simulation_;
  std::uint64_t wanted_percent_;
  SampledLookups lookups_;
};

template <typename Kind>
std::unique_ptr<Checker> make(const CheckedRun& run) {
  return std::make_unique<Kind>(run);
}

constexpr std::unique_ptr<Checker> (*kMakers[])(const CheckedRun&) = {
    make<TrueLinks>,  make<Bounds>,    make<AcceptedOnce>,   make<AskedAnswers>,
    make<Quiet>,      make<Sleeps>,    make<OneRing>,        make<Reachable>,
    make_true_values, make_one_holder, make_readable_values, make_unique_leases,
};

}  // namespace

std::vector<std::unique_ptr<Checker>> make_checkers(const CheckedRun& run) {
  std::vector<std::unique_ptr<Checker>> checkers;
  for (const auto& maker : kMakers)
    checkers.push_back(maker(run));
  return checkers;
}

}  // namespace ringway::overlay::sim
