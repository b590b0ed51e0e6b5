#include "overlay/sim/swarm.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/check.hpp"
#include "overlay/sim/distributions.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kLongestPause = Duration::seconds(180);
constexpr Duration kLongestPartition = Duration::seconds(180);
constexpr std::int64_t kMostSkewS = 100;  // a message is accepted 120 s before and after its time
constexpr std::int64_t kMostDriftPpm = 500;
constexpr std::uint32_t kMostIncidents = 12;
constexpr std::uint32_t kMostDhtUses = 12;
constexpr std::uint32_t kMostNumbers = 2;  // of a node's values; of addresses
constexpr std::uint32_t kAllPairs = 1'000'000;
constexpr unsigned kMostUnlinkablePercent = 40;
constexpr std::uint32_t kMostWellKnown = 16;
// From what cheap routers have to what RFC 4787 asks for; links that are not with neighbours speak
// every 30 s.
constexpr std::array<Duration, 4> kNatTimeouts = {Duration::seconds(40), Duration::seconds(60),
                                                  Duration::seconds(120), Duration::seconds(300)};
constexpr std::uint32_t kMostQueuedPerKbitS = 5;  // packets: some 10 s of them

class Drawing {
 public:
  Drawing(std::uint64_t seed, const SwarmLimits& limits) : rng_(seed), limits_(limits) {
    scenario_.seed = seed;
  }

  Scenario draw() {
    draw_world();
    for (std::uint64_t left = below(kMostIncidents + 1); left > 0; --left)
      draw_incident();
    if (chance(70))
      for (std::uint64_t left = below(kMostDhtUses + 1); left > 0; --left)
        draw_dht_use();
    std::stable_sort(scenario_.incidents.begin(), scenario_.incidents.end(),
                     [](const Incident& a, const Incident& b) { return a.at < b.at; });
    return scenario_;
  }

 private:
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return rng_.below(bound); }
  [[nodiscard]] bool chance(unsigned percent) { return below(100) < percent; }
  [[nodiscard]] std::uint32_t ppm_up_to(unsigned percent) {
    return static_cast<std::uint32_t>(below(percent * std::uint64_t{10'000} + 1));
  }
  [[nodiscard]] Duration ms_up_to(Duration most) {
    const auto ms = static_cast<std::uint64_t>(most.count_ms());
    return Duration::milliseconds(static_cast<std::int64_t>(below(ms + 1)));
  }
  // From 2 up: as many numbers are drawn between 2 and 4 as between 64 and 128.
  [[nodiscard]] std::uint32_t draw_size() {
    std::uint32_t most = 2;
    while (most < limits_.most_nodes && chance(80))
      most *= 2;
    return 2 + static_cast<std::uint32_t>(below(std::min(most, limits_.most_nodes) - 1));
  }

  void draw_world() {
    scenario_.nodes = draw_size();
    scenario_.well_known = 1 + static_cast<std::uint32_t>(below(4));
    switch (below(3)) {
      case 0:
        scenario_.latency = "fixed:" + std::to_string(1 + below(150));
        break;
      default:
        scenario_.latency = "geometric:" + std::to_string(1 + below(200));
    }
    scenario_.joining = chance(50) ? Duration{} : ms_up_to(Duration::seconds(60));
    scenario_.duration = Duration::seconds(30) + ms_up_to(limits_.longest - Duration::seconds(30));
    if (chance(50)) scenario_.conditions = draw_conditions();
    if (chance(35)) draw_nats();
    if (chance(35)) draw_unlinkable_pairs();
  }

  // Of every kind. Well-known nodes are called by those who know nothing but their addresses, and
  // have none.
  void draw_nats() {
    const unsigned percent = 10 + static_cast<unsigned>(below(81));
    for (NodeIndex node = scenario_.well_known; node < scenario_.nodes; ++node) {
      if (!chance(percent)) continue;
      NatBehaviour behaviour;
      behaviour.mapping = static_cast<Mapping>(below(kMappingNames.size()));
      behaviour.filtering = static_cast<Filtering>(below(kFilteringNames.size()));
      behaviour.timeout = kNatTimeouts[below(kNatTimeouts.size())];
      const auto same =
          std::find_if(scenario_.nats.begin(), scenario_.nats.end(),
                       [&](const NatGroup& group) { return group.behaviour == behaviour; });
      if (same == scenario_.nats.end()) {
        scenario_.nats.push_back({{node}, behaviour});
      } else {
        same->nodes.push_back(node);
      }
    }
  }
  // Few enough that what must hold in the end can: with few well-known nodes that is less.
  void draw_unlinkable_pairs() {
    scenario_.well_known = 1 + static_cast<std::uint32_t>(below(kMostWellKnown));
    for (NatGroup& group : scenario_.nats)
      std::erase_if(group.nodes, [&](NodeIndex node) { return node < scenario_.well_known; });
    std::erase_if(scenario_.nats, [](const NatGroup& group) { return group.nodes.empty(); });
    scenario_.linkable_ppm = kAllPairs - ppm_up_to(kMostUnlinkablePercent);
    while (!scenario_.can_be_kept())
      scenario_.linkable_ppm += (kAllPairs - scenario_.linkable_ppm) / 4 + 1;
  }

  [[nodiscard]] Conditions draw_conditions() {
    Conditions conditions;
    if (chance(60)) conditions.loss_ppm = ppm_up_to(chance(80) ? 5 : 30);
    if (chance(40)) conditions.duplicate_ppm = ppm_up_to(20);
    if (chance(40)) conditions.jitter = ms_up_to(Duration::milliseconds(300));
    if (chance(30)) {
      conditions.spike_ppm = ppm_up_to(5);
      conditions.spike = ms_up_to(Duration::seconds(5));
    }
    return conditions;
  }

  // A few nodes, or a share of all.
  [[nodiscard]] std::vector<NodeIndex> draw_nodes(unsigned most_percent) {
    const std::uint64_t most =
        chance(50) ? 2 : std::max<std::uint64_t>(scenario_.nodes * most_percent / 100, 1);
    std::vector<NodeIndex> nodes;
    for (std::uint64_t i = 0; i < 1 + below(most); ++i) {
      const auto node = static_cast<NodeIndex>(below(scenario_.nodes));
      if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
    }
    std::sort(nodes.begin(), nodes.end());
    return nodes;
  }

  Incident& add(IncidentKind what, Duration at, std::vector<NodeIndex> nodes) {
    Incident& incident = scenario_.incidents.emplace_back();
    incident.what = what;
    incident.at = at;
    incident.nodes = std::move(nodes);
    return incident;
  }

  void draw_incident() {
    const Duration at = ms_up_to(scenario_.duration);
    switch (below(10)) {
      case 0:
        draw_join(at);
        break;
      case 1:
        add(IncidentKind::kCrash, at, draw_nodes(60));
        break;
      case 2:
        add(IncidentKind::kLeave, at, draw_nodes(60));
        break;
      case 3:
        draw_restart(at);
        break;
      case 4:
        draw_pause(at);
        break;
      case 5:
        draw_partition(at);
        break;
      case 6: {
        ClockError& clock = add(IncidentKind::kClock, at, draw_nodes(40)).clock;
        clock.skew =
            Duration::seconds(static_cast<std::int64_t>(below(2 * kMostSkewS + 1)) - kMostSkewS);
        clock.drift_ppm = static_cast<std::int32_t>(
            static_cast<std::int64_t>(below(2 * kMostDriftPpm + 1)) - kMostDriftPpm);
        break;
      }
      case 7:
        add(IncidentKind::kHostile, at, draw_nodes(20)).hostile =
            static_cast<HostileKind>(below(kHostileNames.size()));
        break;
      case 8:
        add(IncidentKind::kConditions, at, {}).conditions = draw_conditions();
        break;
      default:
        add(IncidentKind::kUplink, at, draw_nodes(40)).uplink = draw_uplink();
    }
  }

  // Owners write more than once, and several nodes want the same address. Some values end with
  // their time, if the owner is not there to renew them.
  void draw_dht_use() {
    constexpr IncidentKind kUses[] = {IncidentKind::kPut,    IncidentKind::kPut,
                                      IncidentKind::kRemove, IncidentKind::kLease,
                                      IncidentKind::kLease,  IncidentKind::kRelease};
    const IncidentKind what = kUses[below(std::size(kUses))];
    std::vector<NodeIndex> nodes = draw_nodes(30);
    if (what == IncidentKind::kRemove || what == IncidentKind::kRelease) {
      const auto before = std::find_if(
          scenario_.incidents.begin(), scenario_.incidents.end(), [&](const Incident& each) {
            return each.what ==
                   (what == IncidentKind::kRemove ? IncidentKind::kPut : IncidentKind::kLease);
          });
      if (before != scenario_.incidents.end()) nodes = before->nodes;
    }
    Incident& use = add(what, ms_up_to(scenario_.duration), std::move(nodes));
    use.number = static_cast<std::uint32_t>(below(kMostNumbers));
    const bool writes = what == IncidentKind::kPut || what == IncidentKind::kLease;
    if (writes && chance(30)) use.ttl = Duration::seconds(60) + ms_up_to(Duration::seconds(240));
  }

  [[nodiscard]] Uplink draw_uplink() {
    const std::uint32_t kbit_s = 16U << below(8);
    const std::uint32_t queue_packets = 16U << below(9);
    // Longer queues talk for minutes in the place of a node that is gone.
    return {kbit_s, std::min(queue_packets, kbit_s * kMostQueuedPerKbitS)};
  }

  void draw_join(Duration at) {
    std::vector<NodeIndex> nodes = draw_nodes(60);
    const std::vector<NodeIndex> late = scenario_.late_nodes();
    std::erase_if(nodes, [&](NodeIndex node) {
      return node < scenario_.well_known || std::find(late.begin(), late.end(), node) != late.end();
    });
    if (!nodes.empty()) add(IncidentKind::kJoin, at, nodes);
  }
  void draw_restart(Duration at) {
    const std::vector<NodeIndex> nodes = draw_nodes(60);
    add(chance(70) ? IncidentKind::kCrash : IncidentKind::kLeave, at, nodes);
    add(IncidentKind::kRestart, at + ms_up_to(chance(50) ? Duration::seconds(2) : kLongestPause),
        nodes);
  }
  void draw_pause(Duration at) {
    const std::vector<NodeIndex> nodes = draw_nodes(60);
    add(IncidentKind::kPause, at, nodes);
    add(IncidentKind::kResume, at + ms_up_to(kLongestPause), nodes);
  }
  void draw_partition(Duration at) {
    for (unsigned part = 1; part <= 1 + below(2); ++part)
      add(IncidentKind::kPart, at, draw_nodes(80)).part = static_cast<std::uint8_t>(part);
    add(IncidentKind::kHeal, at + ms_up_to(kLongestPartition), {});
  }

  SeededRng rng_;
  SwarmLimits limits_;
  Scenario scenario_;
};

// --- Shrinking -----------------------------------------------------------------------------------

class Shrinking {
 public:
  Shrinking(const Scenario& failing, const std::string& checker, const std::string& data_folder,
            unsigned runs, const std::function<void(const Scenario&)>& progress)
      : best_(failing),
        checker_(checker),
        data_folder_(data_folder),
        runs_left_(runs),
        progress_(progress) {}

  Scenario shrink() {
    bool smaller = true;
    while (smaller && runs_left_ > 0) {
      smaller = drop_incidents();
      smaller |= drop_nodes();
      smaller |= drop_world();
      smaller |= drop_subjects();
    }
    return best_;
  }

 private:
  [[nodiscard]] bool still_fails(const Scenario& scenario) {
    if (runs_left_ == 0 || !scenario.can_be_kept()) return false;
    --runs_left_;
    const auto result = run_scenario(scenario, data_folder_);
    CHECK(result);  // its latencies were known before
    const bool fails =
        std::any_of(result->violations.begin(), result->violations.end(),
                    [&](const Violation& violation) { return violation.checker == checker_; });
    if (!fails) return false;
    best_ = scenario;
    if (progress_) progress_(best_);
    return true;
  }

  // Groups of incidents first, then each by itself.
  bool drop_incidents() {
    bool smaller = false;
    for (std::size_t group = std::max<std::size_t>(best_.incidents.size() / 2, 1); group > 0;
         group /= 2) {
      for (std::size_t at = 0; at < best_.incidents.size();) {
        Scenario cut = best_;
        const auto first = cut.incidents.begin() + static_cast<std::ptrdiff_t>(at);
        const std::size_t count = std::min(group, cut.incidents.size() - at);
        cut.incidents.erase(first, first + static_cast<std::ptrdiff_t>(count));
        if (still_fails(cut)) {
          smaller = true;
        } else {
          at += count;
        }
      }
    }
    return smaller;
  }

  bool drop_nodes() {
    bool smaller = false;
    for (std::uint32_t step = best_.nodes / 2; step > 0;) {
      if (best_.nodes < step + 2) {
        step /= 2;
        continue;
      }
      Scenario cut = best_;
      cut.nodes -= step;
      const auto is_gone = [&](NodeIndex node) { return node >= cut.nodes; };
      for (Incident& incident : cut.incidents)
        std::erase_if(incident.nodes, is_gone);
      for (NatGroup& group : cut.nats)
        std::erase_if(group.nodes, is_gone);
      if (still_fails(cut)) {
        smaller = true;
      } else {
        step /= 2;
      }
    }
    return smaller;
  }

  // What is unlike a plain network, one after the other.
  bool drop_world() {
    bool smaller = reset(&Scenario::conditions, {});
    smaller |= reset(&Scenario::linkable_ppm, kAllPairs);
    smaller |= reset(&Scenario::nats, {});
    return smaller;
  }
  template <typename Part>
  bool reset(Part Scenario::*part, const Part& plain) {
    if (best_.*part == plain) return false;
    Scenario cut = best_;
    cut.*part = plain;
    return still_fails(cut);
  }

  // Nodes of an incident, one by one.
  bool drop_subjects() {
    bool smaller = false;
    for (std::size_t i = 0; i < best_.incidents.size(); ++i) {
      for (std::size_t at = 0; at < best_.incidents[i].nodes.size();) {
        Scenario cut = best_;
        auto& nodes = cut.incidents[i].nodes;
        nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(at));
        if (still_fails(cut)) {
          smaller = true;
        } else {
          ++at;
        }
      }
    }
    return smaller;
  }

  Scenario best_;
  const std::string& checker_;
  const std::string& data_folder_;
  unsigned runs_left_;
  const std::function<void(const Scenario&)>& progress_;
};

}  // namespace

Scenario draw_scenario(std::uint64_t seed, const SwarmLimits& limits) {
  return Drawing(seed, limits).draw();
}

Scenario shrink(const Scenario& failing, const std::string& checker, const std::string& data_folder,
                unsigned runs, const std::function<void(const Scenario&)>& progress) {
  return Shrinking(failing, checker, data_folder, runs, progress).shrink();
}

}  // namespace ringway::overlay::sim
