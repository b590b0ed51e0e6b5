// Hostile members in a settled ring: which share of the lookups between honest nodes succeeds, and
// what a victim whose address is misused gets to hear.
#include <algorithm>
#include <cmath>

#include "overlay/sim/experiments/experiment.hpp"
#include "overlay/sim/sampled_lookups.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::uint32_t kHostileRing = 256;
constexpr Duration kHostility = Duration::seconds(150);
constexpr Duration kLookupEvery = Duration::milliseconds(50);
constexpr Duration kLastReplies = Duration::seconds(40);
constexpr int kTries = 3;
constexpr int kLookupsBefore = 2000;

std::vector<NodeIndex> honest_nodes(const Simulation& simulation) {
  std::vector<NodeIndex> honest;
  for (const NodeIndex node : simulation.alive())
    if (!simulation.is_hostile(node)) honest.push_back(node);
  return honest;
}

void turn_hostile(Simulation& simulation, std::size_t count, HostileKind kind) {
  while (count > 0) {
    const NodeIndex node = simulation.alive()[simulation.rng().below(simulation.alive().size())];
    if (simulation.is_hostile(node)) continue;
    simulation.make_hostile(node, kind);
    --count;
  }
}

// Of the lookups, in percent: those that meet no hostile node if each between the two is one with
// this probability; on the answer's way there are as many others.
double expected_percent(const SampledLookups& lookups, double hostile_share, HostileKind kind) {
  if (kind != HostileKind::kDropper && kind != HostileKind::kMisdirector) return 100;
  const int ways = kind == HostileKind::kDropper ? 2 : 1;  // a misdirector lets answers pass
  double sum = 0;
  double all = 0;
  for (std::size_t hops = 0; hops < lookups.hops().size(); ++hops) {
    const auto count = static_cast<double>(lookups.hops()[hops]);
    const double between = hops == 0 ? 0 : static_cast<double>(hops - 1);
    sum += count * std::pow(1 - hostile_share, ways * between);
    all += count;
  }
  return all == 0 ? 0 : 100 * sum / all;
}

// What addresses hear at which no member is, beside what the hostile nodes sent.
class Strangers final : public Onlooker {
 public:
  explicit Strangers(Simulation& simulation) : simulation_(simulation) {
    simulation.set_onlooker(this);
  }
  ~Strangers() override { simulation_.set_onlooker(nullptr); }
  Strangers(const Strangers&) = delete;
  Strangers& operator=(const Strangers&) = delete;

  void on_sent(NodeIndex from, NodeIndex, ConstBytes message) override {
    if (simulation_.is_hostile(from)) hostile_bytes_ += message.size();
  }
  void on_open(NodeIndex, NodeIndex to) override {
    if (to >= simulation_.nodes()) bytes_ += kInitiationBytes * kInitiations;
  }
  void on_accepted(NodeIndex, const NodeId&, ConstBytes) override {}

  [[nodiscard]] double bytes_a_byte() const {
    return hostile_bytes_ == 0 ? 0
                               : static_cast<double>(bytes_) / static_cast<double>(hostile_bytes_);
  }

 private:
  static constexpr std::uint64_t kInitiationBytes = 148;
  static constexpr std::uint64_t kInitiations = 2;  // within an attempt's 10 s, 5 s apart
  Simulation& simulation_;
  std::uint64_t bytes_ = 0;
  std::uint64_t hostile_bytes_ = 0;
};

void add_rows(const ExperimentOptions& options, std::uint64_t seed, HostileKind kind,
              unsigned share_percent, std::vector<Row>& rows) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kHostileRing;
  const auto simulation = make_simulation(options, seed);
  simulation->add_nodes(nodes, simulation->now(), kJoining);
  simulation->run_for(kUntilSettled);
  SampledLookups before(*simulation, seed);
  for (int i = 0; i < kLookupsBefore; ++i) {
    before.ask(simulation->alive(), 1);
    simulation->run_for(Duration::milliseconds(10));
  }
  simulation->run_for(kLastReplies);

  const Strangers strangers(*simulation);
  turn_hostile(*simulation, nodes * share_percent / 100, kind);
  const std::vector<NodeIndex> honest = honest_nodes(*simulation);
  SampledLookups lookups(*simulation, seed + 1);
  for (Duration passed; passed < kHostility; passed = passed + kLookupEvery) {
    lookups.ask(honest, kTries);
    simulation->run_for(kLookupEvery);
  }
  simulation->run_for(kLastReplies);

  const std::string who = std::to_string(share_percent) + " % " +
                          std::string(kHostileNames[static_cast<std::size_t>(kind)]) + "s";
  const auto add = [&](const std::string& what, double value) {
    rows.push_back({who + ", " + what, "", "%", Better::kHigher, {}, {value}});
  };
  add("by theory", expected_percent(before, share_percent / 100.0, kind));
  add("at first try", percent(lookups.found_at_first(), lookups.ended()));
  add("in " + std::to_string(kTries) + " tries", percent(lookups.found(), lookups.ended()));
  if (kind == HostileKind::kLiar)
    rows.push_back({who + ", bytes to strangers a byte sent",
                    "",
                    "",
                    Better::kLower,
                    {},
                    {strangers.bytes_a_byte()}});
}

std::vector<Row> run_hostile(const ExperimentOptions& options, std::uint64_t seed) {
  std::vector<Row> rows;
  for (std::size_t kind = 0; kind < kHostileNames.size(); ++kind)
    for (const unsigned share_percent : {1U, 10U})
      add_rows(options, seed, static_cast<HostileKind>(kind), share_percent, rows);
  return rows;
}

}  // namespace

std::vector<Experiment> hostile_experiments() {
  return {{"hostile", "hostile members in a settled ring: lookups between honest nodes",
           run_hostile, 1}};
}

}  // namespace ringway::overlay::sim
