// Rings in which not all pairs of nodes can link: who can still be routed to, and how long it takes
// over relays.
#include <algorithm>

#include "base/check.hpp"
#include "overlay/sim/experiments/experiment.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::uint32_t kPairs = 10'000;  // asked of 1,000,000
constexpr Duration kAsking = Duration::seconds(60);
constexpr Duration kAnswering = Duration::seconds(30);
// So that nobody is without a single one that he can reach: 0.3^16.
constexpr std::size_t kWellKnown = 16;
constexpr std::uint32_t kPercent = 10'000;  // in parts of a million

struct Asked {
  double routable_percent = 0;
  double latency_ms = 0;  // of one way, mean
};

// Random nodes ask for random others' places, once: the very one must answer.
Asked ask_pairs(Simulation& simulation, std::uint32_t pairs) {
  struct Question {
    NodeIndex asking;
    std::uint64_t id;
    NodeId of;
  };
  std::vector<Question> questions;
  std::uint64_t answered = 0;
  double total_ms = 0;
  bool measuring = true;
  simulation.add_observer([&](NodeIndex node, const Event& event) {
    const auto* const done = std::get_if<output::LookupDone>(&event);
    if (!measuring || done == nullptr || !done->answered) return;
    const auto found = std::find_if(questions.begin(), questions.end(), [&](const Question& each) {
      return each.asking == node && each.id == done->request_id;
    });
    if (found == questions.end() || done->responder != found->of) return;
    ++answered;
    total_ms += done->took.count_s() * 1000 / 2;
  });
  const std::vector<NodeIndex> nodes = simulation.alive();
  for (std::uint32_t i = 0; i < pairs; ++i) {
    const NodeIndex from = nodes[simulation.rng().below(nodes.size())];
    const NodeIndex to = nodes[simulation.rng().below(nodes.size())];
    simulation.run_for(Duration::nanoseconds(kAsking.count_ns() / pairs));
    if (from == to) {
      --i;
      continue;
    }
    const NodeId place = simulation.overlay(to).self();
    const std::uint64_t id = simulation.act(
        from, [&](Overlay& overlay, Clock clock) { return overlay.lookup(clock, place, 1); });
    questions.push_back({from, id, place});
  }
  simulation.run_for(kAnswering);
  measuring = false;
  const auto count = static_cast<double>(std::max<std::uint64_t>(answered, 1));
  return {100 * static_cast<double>(answered) / pairs, total_ms / count};
}

Row routable_row(std::string what, const char* published, std::optional<double> promised,
                 double percent) {
  return {std::move(what), published, "%", Better::kHigher, promised, {percent}};
}

Options without_relays(Options settings) {
  settings.parameters.relay.enabled = false;
  return settings;
}

std::vector<Row> compare(const ExperimentOptions& options, std::uint64_t seed,
                         const Options& settings, const char* published_without,
                         const char* published) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kThousand;
  const auto without = grow_ring(options, seed, nodes, without_relays(settings));
  const auto with = grow_ring(options, seed, nodes, settings);
  return {routable_row("pairs, without relays", published_without, {},
                       ask_pairs(*without, kPairs).routable_percent),
          routable_row("pairs, with relays", published, 99.9,
                       ask_pairs(*with, kPairs).routable_percent),
          {"nodes out of place",
           "",
           "nodes",
           Better::kLower,
           0,
           {static_cast<double>(with->misplaced_nodes())}}};
}

std::vector<Row> run_routability(const ExperimentOptions& options, std::uint64_t seed) {
  Options settings;
  settings.well_known = kWellKnown;
  settings.linkable_ppm = 70 * kPercent;
  return compare(options, seed, settings, "90 %", "99 %");
}

std::vector<Row> run_nats(const ExperimentOptions& options, std::uint64_t seed) {
  Options settings;
  settings.nat_ppm = 70 * kPercent;
  return compare(options, seed, settings, "under 95 %", "over 99 %");
}

std::vector<Row> run_pool(const ExperimentOptions& options, std::uint64_t seed) {
  constexpr std::uint32_t kPool = 180;
  Options settings;
  settings.well_known = kWellKnown;
  settings.linkable_ppm = 81 * kPercent;
  const auto connected = [&](const Options& with) {
    const auto simulation =
        grow_ring(options, seed, options.nodes > 0 ? options.nodes : kPool, with);
    // Those in their place, that all others find.
    return static_cast<double>(simulation->alive().size() - simulation->misplaced_nodes());
  };
  const double all = options.nodes > 0 ? options.nodes : kPool;
  return {{"without relays",
           "160",
           "nodes",
           Better::kHigher,
           {},
           {connected(without_relays(settings))}},
          {"with relays", "180", "nodes", Better::kHigher, all, {connected(settings)}}};
}

struct RelayedPaths {
  double direct_ms = 0;
  double relayed_ms = 0;
};

// What a message takes over the relays that were chosen, and what it would take directly: means
// over all relayed links, both directions.
RelayedPaths relayed_paths(const Simulation& simulation) {
  RelayedPaths sum;
  std::size_t count = 0;
  for (const NodeIndex from : simulation.alive()) {
    for (const NodeIndex to : simulation.alive()) {
      if (from == to || !simulation.relay_between(from, to)) continue;
      sum.direct_ms += simulation.one_way(from, to).count_s() * 1000;
      sum.relayed_ms += simulation.link_latency(from, to)->count_s() * 1000;
      ++count;
    }
  }
  const auto links = static_cast<double>(std::max<std::size_t>(count, 1));
  return {sum.direct_ms / links, sum.relayed_ms / links};
}

std::vector<Row> run_relay_latency(const ExperimentOptions& options, std::uint64_t seed) {
  constexpr std::uint32_t kRelayed = 500;
  struct Size {
    std::uint32_t nodes;
    const char* published;
  };
  constexpr Size kSizes[] = {{10, "about 250 ms"},
                             {100, "about 410 ms"},
                             {200, "about 505 ms"},
                             {1000, "about 720 ms"},
                             {10'000, "about 1,010 ms"}};
  Options settings;
  settings.well_known = kWellKnown;
  settings.linkable_ppm = 70 * kPercent;
  const auto simulation =
      grow_ring(options, seed, options.nodes > 0 ? options.nodes : kRelayed, settings);
  // Besides those of the ring, links that applications want.
  const std::vector<NodeIndex> nodes = simulation->alive();
  for (const NodeIndex from : nodes) {
    const NodeIndex to = nodes[simulation->rng().below(nodes.size())];
    if (from == to || simulation->reach().linkable(from, to)) continue;
    simulation->act(from, [&](Overlay& overlay, Clock clock) {
      overlay.connect(clock, simulation->overlay(to).self());
      return 0;
    });
  }
  simulation->run_for(Duration::seconds(240));
  const RelayedPaths paths = relayed_paths(*simulation);
  std::vector<Row> rows = {
      {"direct, one way", "about 80 ms", "ms", Better::kLower, {}, {paths.direct_ms}},
      {"over relays", "145 to 150 ms", "ms", Better::kLower, {}, {paths.relayed_ms}},
      {"relays / direct",
       "1.85",
       "times",
       Better::kLower,
       1.5,
       {paths.relayed_ms / paths.direct_ms}}};
  for (const Size& size : kSizes) {
    if (options.nodes > 0 && size.nodes > options.nodes) continue;
    const auto ring = grow_ring(options, seed, size.nodes);
    rows.push_back({"routed, " + std::to_string(size.nodes) + " nodes",
                    size.published,
                    "ms",
                    Better::kLower,
                    {},
                    {ask_pairs(*ring, 2000).latency_ms}});
  }
  return rows;
}

}  // namespace

std::vector<Experiment> relay_experiments() {
  return {
      {"routability", "70 % of pairs can link directly: pairs of which one finds the other",
       run_routability},
      {"nats", "70 % of nodes are behind NATs: pairs of which one finds the other", run_nats},
      {"pool", "180 nodes, 81 % of pairs can link directly: nodes in their place", run_pool},
      {"relay-latency",
       "two-hop relays against direct links and against routing (for --latency planetlab)",
       run_relay_latency},
  };
}

}  // namespace ringway::overlay::sim
