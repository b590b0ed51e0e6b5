// The DHT: what survives when nodes go, one by one or half of them at once, whose a lease is when a
// ring was divided, and how soon all know of a revocation.
#include <algorithm>
#include <map>

#include "overlay/dht/records.hpp"
#include "overlay/sim/churn.hpp"
#include "overlay/sim/dht_workload.hpp"
#include "overlay/sim/experiments/dht_rows.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::sim {
namespace {

std::string with_nodes(std::uint32_t nodes, const char* what) {
  return nodes_text(nodes) + ": " + what;
}

}  // namespace

// --- Half of all vanish --------------------------------------------------------------------------

VanishRows::VanishRows(Simulation& simulation, std::uint32_t nodes)
    : simulation_(simulation), nodes_(nodes), workload_(simulation, workload_options(nodes)) {}

DhtWorkloadOptions VanishRows::workload_options(std::uint32_t nodes) {
  DhtWorkloadOptions options;
  options.values = nodes;
  return options;
}

void VanishRows::before() {
  workload_.put_all();
  simulation_.run_for(Duration::seconds(60));
}

// In the middle of the mending: whatever is said must be true.
void VanishRows::read_soon() {
  simulation_.schedule(simulation_.now() + Duration::seconds(8), [this] { workload_.read_all(); });
}

void VanishRows::after(Instant vanished) {
  const auto at = [&](int second) {
    simulation_.run_until(std::max(simulation_.now(), vanished + Duration::seconds(second)));
  };
  at(35);
  const DhtStatistics early = workload_.statistics();
  false_absences_ = early.reads_missing + early.reads_wrong;
  below_majority_ = early.reads_below_majority;
  workload_.forget_reads();
  at(45);
  workload_.read_all();
  at(60);
}

std::vector<Row> VanishRows::rows() const {
  std::uint64_t owned = 0;
  std::uint64_t unreadable = 0;
  std::uint64_t ownerless = 0;
  std::uint64_t lost = 0;
  for (const DhtWorkload::Value& value : workload_.values()) {
    if (!value.confirmed) continue;
    if (workload_.owner_lives(value)) {
      ++owned;
      if (!value.readable) ++unreadable;
    } else {
      ++ownerless;
      if (workload_.holders(value) == 0) ++lost;
    }
  }
  return {
      {with_nodes(nodes_, "values with an owner, not readable after 60 s"),
       "",
       "%",
       Better::kLower,
       0,
       {percent(unreadable, owned)}},
      {with_nodes(nodes_, "values without one, lost"),
       "",
       "%",
       Better::kLower,
       0.5,
       {percent(lost, ownerless)}},
      {with_nodes(nodes_, "reads in between that a majority answered wrongly"),
       "",
       "reads",
       Better::kLower,
       0,
       {static_cast<double>(false_absences_)}},
      {with_nodes(nodes_, "reads in between below a majority, and said so"),
       "",
       "reads",
       Better::kLower,
       {},
       {static_cast<double>(below_majority_)}},
  };
}

// --- Two halves hold the same lease --------------------------------------------------------------

namespace {

constexpr std::size_t kLeases = 100;
constexpr std::uint32_t kFirstAddress = 0xcb007100;  // 203.0.113.0/24, for documentation

dht::Order lease_of(std::size_t number) {
  dht::Order order;
  order.task = dht::Task::kCreate;
  order.kind = dht::Kind::kLease;
  order.name.resize(4);
  store_be(order.name.data(), kFirstAddress + static_cast<std::uint32_t>(number));
  return order;
}

}  // namespace

LeaseRows::LeaseRows(Simulation& simulation)
    : simulation_(simulation), rng_(simulation.rng().next_u64()) {}

void LeaseRows::during(const std::vector<NodeIndex>& one_half,
                       const std::vector<NodeIndex>& other_half) {
  for (std::size_t number = 0; number < kLeases; ++number) {
    for (const auto* const half : {&one_half, &other_half}) {
      const NodeIndex node = (*half)[rng_.below(half->size())];
      claims_.push_back({node, number});
      simulation_.act(node, [&](Overlay& overlay, Clock clock) {
        return overlay.dht(clock).begin(lease_of(number));
      });
    }
    simulation_.run_for(Duration::milliseconds(200));
  }
  simulation_.run_for(Duration::seconds(30));
  for (const Claim& claim : claims_)
    if (holds(claim)) ++held_before_;
}

bool LeaseRows::holds(const Claim& claim) const {
  return simulation_.overlay(claim.node).dht().holds(lease_of(claim.number));
}

std::size_t LeaseRows::double_leases() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i + 1 < claims_.size(); i += 2)
    if (holds(claims_[i]) && holds(claims_[i + 1])) ++count;
  return count;
}

std::size_t LeaseRows::wrongly_settled() const {
  ModelledVerifier verifier;
  std::size_t count = 0;
  for (std::size_t i = 0; i + 1 < claims_.size(); i += 2) {
    const auto weight = [&](const Claim& claim) {
      wire::ByteWriter text;
      text.bytes(lease_of(claim.number).name);
      text.node_id(simulation_.id_of(claim.node));
      return verifier.place_of(text.view());
    };
    const bool first_prevails = weight(claims_[i]) < weight(claims_[i + 1]);
    const Claim& winner = first_prevails ? claims_[i] : claims_[i + 1];
    if (!holds(winner)) ++count;
  }
  return count;
}

std::optional<Duration> LeaseRows::time_until_settled(Instant merged) {
  while (simulation_.now() - merged < Duration::seconds(300)) {
    if (double_leases() == 0) return simulation_.now() - merged;
    simulation_.run_for(Duration::milliseconds(250));
  }
  return std::nullopt;
}

std::vector<Row> LeaseRows::rows(std::optional<Duration> settled) const {
  return {
      {"leases held twice in the end of the hour",
       "",
       "leases",
       Better::kHigher,
       {},
       {static_cast<double>(held_before_) - kLeases}},
      {"until each has one holder", "", "s", Better::kLower, 60, {seconds(settled)}},
      {"held by another than the rule says",
       "",
       "leases",
       Better::kLower,
       0,
       {static_cast<double>(wrongly_settled())}},
  };
}

// --- Churn ---------------------------------------------------------------------------------------

namespace {

std::vector<Row> run_durability(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kThousand;
  const auto simulation = make_simulation(options, seed);
  simulation->add_nodes(nodes, simulation->now(), kJoining);
  simulation->run_for(kUntilSettled);
  DhtWorkloadOptions wanted;
  wanted.values = nodes;
  wanted.read_interval = Duration::milliseconds(500);
  DhtWorkload workload(*simulation, wanted);
  workload.start();
  Churn churn(*simulation, {Duration::seconds(600), 100, 4, {}});
  churn.run_until(simulation->now() + Duration::seconds(3600));
  const DhtStatistics& statistics = workload.statistics();
  return {
      {with_nodes(nodes, "values lost whose owner lived"),
       "",
       "values",
       Better::kLower,
       0,
       {static_cast<double>(statistics.lost)}},
      {with_nodes(nodes, "of 8 replicas, the fewest at any time"),
       "",
       "replicas",
       Better::kHigher,
       {},
       {static_cast<double>(statistics.fewest_holders)}},
      {with_nodes(nodes, "reads right at the first try"),
       "",
       "%",
       Better::kHigher,
       99.9,
       {percent(statistics.reads_ok, statistics.reads)}},
      {with_nodes(nodes, "reads that a majority answered wrongly"),
       "",
       "reads",
       Better::kLower,
       0,
       {static_cast<double>(statistics.reads_missing + statistics.reads_wrong)}},
  };
}

// --- A revocation --------------------------------------------------------------------------------

std::vector<Row> revocation_by_dht(const ExperimentOptions& options, std::uint64_t seed) {
  const std::uint32_t nodes = options.nodes > 0 ? options.nodes : kThousand;
  Options settings;
  settings.grants.roles = true;
  const auto simulation = make_simulation(options, seed, settings);
  simulation->add_nodes(nodes, simulation->now(), kJoining);
  simulation->run_for(kUntilSettled);
  for (const NodeIndex node : simulation->alive()) {
    simulation->act(node, [&](Overlay& overlay, Clock clock) {
      return overlay.dht(clock).begin(dht::watch_revocations(overlay.self()));
    });
    simulation->run_for(Duration::milliseconds(20));
  }
  simulation->run_for(Duration::seconds(60));

  std::map<NodeIndex, Instant> told;
  simulation->add_observer([&](NodeIndex node, const Event& event) {
    const auto* const changed = std::get_if<output::DhtChanged>(&event);
    if (changed != nullptr && changed->value.kind == dht::Kind::kRevocation)
      told.emplace(node, simulation->now());
  });
  const NodeIndex issuer = simulation->alive()[simulation->rng().below(simulation->alive().size())];
  dht::RevocationEntry entry;
  entry.list_number = 1;
  entry.revoked.add(simulation->id_of(issuer == 0 ? 1 : 0));
  const Instant began = simulation->now();
  for (std::uint8_t shard = 0; shard < dht::kRevocationShards; ++shard)
    simulation->act(issuer, [&](Overlay& overlay, Clock clock) {
      return overlay.dht(clock).begin(dht::revoke(shard, entry));
    });
  told.emplace(issuer, began);
  simulation->run_for(Duration::seconds(30));

  std::vector<Duration> times;
  times.reserve(told.size());
  for (const auto& [node, when] : told)
    times.push_back(when - began);
  std::sort(times.begin(), times.end());
  const std::size_t all = simulation->alive().size();
  const auto time_of = [&](std::size_t ppm) -> std::optional<double> {
    const std::size_t needed = (all * ppm + 999'999) / 1'000'000;
    if (times.size() < needed) return std::nullopt;
    return times[needed - 1].count_s();
  };
  return {
      {with_nodes(nodes, "99.9 % know of it"),
       "7.6 s (all)",
       "s",
       Better::kLower,
       2,
       {time_of(999'000)}},
      {with_nodes(nodes, "half of them do"), "", "s", Better::kLower, {}, {time_of(500'000)}},
      {with_nodes(nodes, "who know in the end"),
       "",
       "%",
       Better::kHigher,
       99.9,
       {percent(times.size(), all)}},
  };
}

}  // namespace

std::vector<Experiment> dht_experiments() {
  return {
      {"durability",
       "values in the DHT for an hour, while nodes with sessions of 10 minutes come and go",
       run_durability},
      {"revocation", "a revocation is put into the DHT: until those who subscribed know of it",
       revocation_by_dht},
  };
}

}  // namespace ringway::overlay::sim
