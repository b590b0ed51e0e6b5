#include "overlay/sim/swarm_command.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/check.hpp"
#include "overlay/sim/scenario_file.hpp"
#include "overlay/sim/swarm.hpp"
#include "overlay/sim/terminal.hpp"

namespace ringway::overlay::sim {
namespace {

class Swarm {
 public:
  explicit Swarm(const SwarmOptions& options) : options_(options) {
    limits_.most_nodes = options.most_nodes;
  }

  int run() {
    for (std::uint32_t i = 0; i < options_.runs; ++i) {
      if (options_.minutes > 0 && stopwatch_.seconds() > options_.minutes * 60) break;
      if (!run_one(options_.seed + i)) return 2;
      if (line_.due()) show_progress(options_.seed + i);
    }
    print();
    return failures_.empty() ? 0 : 1;
  }

 private:
  // False when a scenario could not be written.
  bool run_one(std::uint64_t seed) {
    const Scenario scenario = draw_scenario(seed, limits_);
    const auto result = run_scenario(scenario, {});
    CHECK(result);  // a drawn scenario has latencies that are known
    ++runs_;
    events_ += result->statistics.events;
    virtual_s_ += (scenario.duration + result->settled_after.value_or(Duration{})).count_s();
    if (result->settled_after) settled_s_.push_back(result->settled_after->count_s());
    return result->held() || keep(scenario, result->violations.front());
  }

  bool keep(const Scenario& scenario, const Violation& violation) {
    const Scenario small =
        shrink(scenario, violation.checker, {}, options_.cutting_runs, [&](const Scenario& best) {
          if (line_.due())
            line_.show("seed " + std::to_string(scenario.seed) + " failed: cut to " +
                       std::to_string(best.nodes) + " nodes, " +
                       std::to_string(best.incidents.size()) + " incidents");
        });
    Scenario described = small;
    described.about = violation.checker + ": " + violation.what;
    const std::string path = options_.out + "/swarm-" + std::to_string(scenario.seed) + ".toml";
    if (const auto saved = save_scenario(path, described); !saved) {
      std::fprintf(stderr, "ringway-sim: %s\n", saved.error().text().c_str());
      return false;
    }
    failures_.push_back({{"seed", scenario.seed},
                         {"checker", violation.checker},
                         {"what", violation.what},
                         {"nodes", small.nodes},
                         {"incidents", small.incidents.size()},
                         {"repeat", "ringway-sim run --scenario " + path}});
    if (!options_.json) {
      std::printf("seed %llu: %s: %s\n  repeat: ringway-sim run --scenario %s\n",
                  static_cast<unsigned long long>(scenario.seed), violation.checker.c_str(),
                  violation.what.c_str(), path.c_str());
      std::fflush(stdout);  // a swarm runs for long
    }
    return true;
  }

  void show_progress(std::uint64_t seed) const {
    char text[120];
    std::snprintf(text, sizeof text, "%u of %u, seed %llu, %zu failed, %.1f M events, %.0f s",
                  runs_, options_.runs, static_cast<unsigned long long>(seed), failures_.size(),
                  static_cast<double>(events_) * 1e-6, stopwatch_.seconds());
    line_.show(text);
  }

  // How long after the end of the faults all that must hold held.
  nlohmann::ordered_json settled() const {
    if (settled_s_.empty()) return nullptr;
    std::vector<double> sorted = settled_s_;
    std::sort(sorted.begin(), sorted.end());
    return {{"median", sorted[sorted.size() / 2]},
            {"p99", sorted[sorted.size() * 99 / 100]},
            {"worst", sorted.back()}};
  }

  void print() const {
    const nlohmann::ordered_json result = {{"runs", runs_},
                                           {"failed", failures_.size()},
                                           {"first_seed", options_.seed},
                                           {"wall_s", stopwatch_.seconds()},
                                           {"cpu_s", cpu_.seconds()},
                                           {"events", events_},
                                           {"virtual_hours", virtual_s_ / 3600},
                                           {"settled_after_s", settled()},
                                           {"failures", failures_}};
    if (options_.json) {
      std::printf("%s\n", result.dump(2).c_str());
    } else {
      std::printf(
          "%u runs from seed %llu, %zu failed; %.1f virtual hours in %.1f s, %.1f s of one core\n",
          runs_, static_cast<unsigned long long>(options_.seed), failures_.size(),
          virtual_s_ / 3600, stopwatch_.seconds(), cpu_.seconds());
    }
  }

  const SwarmOptions& options_;
  SwarmLimits limits_;
  Stopwatch stopwatch_;
  CpuStopwatch cpu_;
  ProgressLine line_;
  unsigned runs_ = 0;
  std::uint64_t events_ = 0;
  double virtual_s_ = 0;
  std::vector<double> settled_s_;
  nlohmann::ordered_json failures_ = nlohmann::ordered_json::array();
};

}  // namespace

int run_swarm(const SwarmOptions& options) {
  return Swarm(options).run();
}

}  // namespace ringway::overlay::sim
