#include "overlay/sim/scenario_run.hpp"

#include <algorithm>

#include "overlay/sim/checkers.hpp"
#include "overlay/sim/distributions.hpp"
#include "overlay/sim/latency_choice.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kCheckEvery = Duration::seconds(1);

// One onlooker for a simulation, many checkers.
class OnlookerList final : public Onlooker {
 public:
  void add(Onlooker* onlooker) {
    if (onlooker != nullptr) all_.push_back(onlooker);
  }
  void on_sent(NodeIndex from, NodeIndex to, ConstBytes message) override {
    for (Onlooker* const each : all_)
      each->on_sent(from, to, message);
  }
  void on_open(NodeIndex from, NodeIndex to) override {
    for (Onlooker* const each : all_)
      each->on_open(from, to);
  }
  void on_accepted(NodeIndex by, const NodeId& signer, ConstBytes text) override {
    for (Onlooker* const each : all_)
      each->on_accepted(by, signer, text);
  }

 private:
  std::vector<Onlooker*> all_;
};

class ScenarioRun {
 public:
  ScenarioRun(const Scenario& scenario, std::unique_ptr<LatencyModel> latency,
              const ScenarioHooks& hooks)
      : scenario_(scenario),
        hooks_(hooks),
        simulation_(options(scenario), std::move(latency)),
        ledger_(simulation_, scenario.seed),
        checkers_(make_checkers({simulation_, scenario_, ledger_})) {
    for (const auto& checker : checkers_)
      onlookers_.add(checker->onlooker());
    simulation_.set_onlooker(&onlookers_);
  }

  ScenarioResult run() {
    begin();
    while (since_begin() < scenario_.duration) {
      pass();
      check_safety();
    }
    end_faults(scenario_, simulation_);
    wait_for_liveness();
    if (hooks_.end) hooks_.end(simulation_);
    result_.history_hash = simulation_.history_hash();
    result_.alive = simulation_.alive().size();
    result_.statistics = simulation_.statistics();
    return result_;
  }

 private:
  static Options options(const Scenario& scenario) {
    Options options;
    options.seed = scenario.seed;
    options.well_known = std::min(scenario.well_known, scenario.nodes);
    options.lookup_interval = scenario.lookup_interval;
    options.linkable_ppm = scenario.linkable_ppm;
    return options;
  }

  void begin() {
    if (scenario_.conditions != Conditions{}) simulation_.set_conditions(scenario_.conditions);
    std::vector<Instant> starts(scenario_.nodes);
    SeededRng rng(scenario_.seed ^ 0x6265676e);
    for (Instant& start : starts)
      start = Instant::from_ns(0) + draw_uniform(rng, scenario_.joining);
    std::fill_n(starts.begin(), std::min(scenario_.well_known, scenario_.nodes),
                Instant::from_ns(0));
    for (const Incident& incident : scenario_.incidents)
      if (incident.what == IncidentKind::kJoin)
        for (const NodeIndex node : incident.nodes)
          if (node < starts.size()) starts[node] = Instant::from_ns(0) + incident.at;
    for (const Instant start : starts)
      simulation_.add_node(start);
    for (const NatGroup& group : scenario_.nats)
      for (const NodeIndex node : group.nodes)
        if (node < starts.size()) simulation_.set_nat(node, group.behaviour);
    if (scenario_.read_interval > Duration{}) ledger_.keep_reading(scenario_.read_interval);
    for (const Incident& incident : scenario_.incidents)
      simulation_.schedule(Instant::from_ns(0) + incident.at, [this, &incident] {
        for (const auto& checker : checkers_)
          checker->on_incident(incident);
        apply(incident, simulation_, ledger_);
      });
  }

  [[nodiscard]] Duration since_begin() const { return simulation_.now() - Instant::from_ns(0); }
  void pass() {
    simulation_.run_for(kCheckEvery);
    if (hooks_.progress) hooks_.progress(simulation_);
  }
  void violated(const Checker& checker, const std::string& what) {
    const bool known = std::any_of(
        result_.violations.begin(), result_.violations.end(),
        [&](const Violation& violation) { return violation.checker == checker.name(); });
    if (!known) result_.violations.push_back({checker.name(), what, since_begin()});
  }
  void check_safety() {
    for (const auto& checker : checkers_)
      if (const std::string what = checker->broken(); !what.empty()) violated(*checker, what);
  }

  void wait_for_liveness() {
    const Duration faults_ended = since_begin();
    std::vector<Checker*> waiting;
    for (const auto& checker : checkers_)
      waiting.push_back(checker.get());
    while (since_begin() < faults_ended + scenario_.promise.ring_right_within) {
      pass();
      check_safety();
      std::erase_if(waiting, [](Checker* checker) { return checker->missing().empty(); });
      if (waiting.empty()) {
        result_.settled_after = since_begin() - faults_ended;
        return;
      }
    }
    for (Checker* const checker : waiting)
      if (const std::string what = checker->missing(); !what.empty()) violated(*checker, what);
  }

  const Scenario& scenario_;
  const ScenarioHooks& hooks_;
  Simulation simulation_;
  DhtLedger ledger_;
  std::vector<std::unique_ptr<Checker>> checkers_;
  OnlookerList onlookers_;
  ScenarioResult result_;
};

}  // namespace

Result<ScenarioResult> run_scenario(const Scenario& scenario, const std::string& data_folder,
                                    const ScenarioHooks& hooks) {
  auto latency = choose_latency(scenario.latency, scenario.seed, data_folder);
  if (!latency) return tl::unexpected(latency.error());
  ScenarioRun run(scenario, std::move(*latency), hooks);
  return run.run();
}

}  // namespace ringway::overlay::sim
