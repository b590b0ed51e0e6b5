// Messages to the whole ring: how many hops and how long they take, and whom they reach.
#include <algorithm>

#include "overlay/sim/experiments/experiment.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kSpreading = Duration::seconds(60);
constexpr std::uint32_t kPublishedNodes = 256;
constexpr std::size_t kRevocationBytes = 400;  // a certificate's serial numbers and a signature

// What became of one message, as an onlooker sees it.
struct Spread {
  std::vector<std::uint8_t> hops;  // sorted, of each node that it reached
  std::vector<Duration> after;     // sorted
  std::size_t twice = 0;           // it came to a node that had it
  std::uint64_t messages = 0;      // that it took, acknowledgements among them
  std::uint32_t estimate = 0;      // of the origin
};

Spread broadcast_once(const ExperimentOptions& options, std::uint64_t seed, std::uint32_t nodes) {
  const auto simulation = make_simulation(options, seed);
  simulation->add_nodes(nodes, simulation->now(), kJoining);
  simulation->run_for(kUntilSettled);
  Spread spread;
  std::vector<bool> reached(nodes, false);
  const Instant begin = simulation->now();
  simulation->add_observer([&](NodeIndex node, const Event& event) {
    if (const auto* const received = std::get_if<output::BroadcastReceived>(&event)) {
      if (reached[node]) ++spread.twice;
      reached[node] = true;
      spread.hops.push_back(received->hops);
      spread.after.push_back(simulation->now() - begin);
    } else if (const auto* const measured = std::get_if<output::BroadcastMeasured>(&event)) {
      spread.estimate = measured->reached;
    }
  });
  const std::vector<std::uint8_t> payload(kRevocationBytes, 0x5a);
  const NodeIndex origin = simulation->alive()[simulation->rng().below(nodes)];
  simulation->act(origin,
                  [&](Overlay& overlay, Clock clock) { return overlay.broadcast(clock, payload); });
  simulation->run_for(kSpreading);
  std::sort(spread.hops.begin(), spread.hops.end());
  return spread;
}

// Until so many parts of a thousand of the other nodes have it.
std::optional<double> seconds_until(const Spread& spread, std::uint32_t nodes,
                                    std::uint32_t permille) {
  const std::size_t needed = (std::size_t{nodes - 1} * permille + 999) / 1000;
  if (needed == 0 || spread.after.size() < needed) return std::nullopt;
  return spread.after[needed - 1].count_s();
}

std::vector<Row> hop_rows(const Spread& spread, std::uint32_t nodes, bool compare) {
  if (spread.hops.empty()) return {};
  const auto published = [&](const char* text) { return std::string(compare ? text : ""); };
  const auto within_8 = static_cast<double>(
      std::upper_bound(spread.hops.begin(), spread.hops.end(), 8) - spread.hops.begin());
  const auto count = static_cast<double>(spread.hops.size());
  const std::string who = nodes_text(nodes);
  return {
      {who + ", hops",
       published("4 (median)"),
       "",
       Better::kLower,
       {},
       {static_cast<double>(spread.hops[spread.hops.size() / 2])}},
      {who + ", within 8 hops",
       published("96 %"),
       "%",
       Better::kHigher,
       {},
       {100 * within_8 / count}},
      {who + ", most hops",
       published("18"),
       "",
       Better::kLower,
       {},
       {static_cast<double>(spread.hops.back())}},
      {who + ", reached",
       "",
       "%",
       Better::kHigher,
       99.9,
       {100 * count / static_cast<double>(nodes - 1)}},
      {who + ", estimated",
       "",
       "% of those",
       Better::kHigher,
       {},
       {100 * static_cast<double>(spread.estimate) / count}},
  };
}

Row time_row(const Spread& spread, std::uint32_t nodes, const char* published) {
  return {nodes_text(nodes) + ", 99.9 %",     published, "s", Better::kLower, 2,
          {seconds_until(spread, nodes, 999)}};
}

std::vector<Row> run_broadcast(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t few = options.nodes > 0 ? options.nodes : kPublishedNodes;
  std::vector<Row> rows = hop_rows(broadcast_once(options, seed, few), few, few == kPublishedNodes);
  if (options.nodes == 0) {
    const Spread spread = broadcast_once(options, seed, kThousand);
    const std::vector<Row> more = hop_rows(spread, kThousand, false);
    rows.insert(rows.end(), more.begin(), more.end());
    rows.push_back(time_row(spread, kThousand, ""));
  }
  return rows;
}

std::vector<Row> revocation_by_broadcast(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kThousand;
  const Spread spread = broadcast_once(options, seed, nodes);
  return {time_row(spread, nodes, nodes == kThousand ? "about 7.0 s" : "")};
}

}  // namespace

std::vector<Experiment> broadcast_experiments() {
  return {
      {"broadcast", "one message to the whole ring: hops, and who is reached when", run_broadcast},
      {"revocation-broadcast", "a revocation sent to the whole ring: time until nodes have it",
       revocation_by_broadcast},
  };
}

}  // namespace ringway::overlay::sim
