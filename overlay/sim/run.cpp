#include "overlay/sim/run.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>

#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "overlay/sim/churn.hpp"
#include "overlay/sim/crawl_recorder.hpp"
#include "overlay/sim/dht_workload.hpp"
#include "overlay/sim/latency_choice.hpp"
#include "overlay/sim/simulation.hpp"
#include "overlay/sim/svg.hpp"
#include "overlay/sim/terminal.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::uint32_t kNodesASecond = 10;
constexpr Duration kSettling = Duration::seconds(60);  // from the last join to the first lookup

void show_progress(ProgressLine& line, const Simulation& simulation, double hours) {
  if (!line.due()) return;
  const double done_s = static_cast<double>(simulation.now().ns()) * 1e-9;
  char text[160];
  std::snprintf(
      text, sizeof text, "%5.1f %%  %.0f s virtual, %zu nodes, %zu misplaced, %.1f M events",
      100 * done_s / (hours * 3600), done_s, simulation.alive().size(),
      simulation.misplaced_nodes(), static_cast<double>(simulation.statistics().events) * 1e-6);
  line.show(text);
}

double peak_memory_mb() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

nlohmann::ordered_json drops(const Simulation& simulation) {
  nlohmann::ordered_json result;
  for (std::size_t i = 0; i < kDropTexts.size(); ++i) {
    std::uint64_t sum = 0;
    for (const NodeIndex node : simulation.alive())
      sum += simulation.overlay(node).drops().value(static_cast<Drop>(i));
    if (sum > 0) result[std::string(kDropTexts[i].label)] = sum;
  }
  return result;
}

nlohmann::ordered_json dht_figures(const DhtWorkload& workload) {
  const DhtStatistics& statistics = workload.statistics();
  const auto confirmed = std::count_if(
      workload.values().begin(), workload.values().end(),
      [&](const auto& value) { return value.confirmed && workload.owner_lives(value); });
  return {
      {"values_now", confirmed},
      {"puts", statistics.puts},
      {"puts_confirmed", statistics.puts_confirmed},
      {"values_lost", statistics.lost},
      {"fewest_holders", statistics.fewest_holders},
      {"reads", statistics.reads},
      {"reads_ok", statistics.reads_ok},
      {"reads_below_majority", statistics.reads_below_majority},
      {"reads_missing", statistics.reads_missing},
      {"reads_wrong", statistics.reads_wrong},
      {"slowest_read_s", statistics.slowest_read.count_s()},
  };
}

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

Duration milliseconds_of(double count, double unit_ms) {
  return Duration::milliseconds(static_cast<std::int64_t>(count * unit_ms));
}

constexpr double kSecondMs = 1000;
constexpr double kMinuteMs = 60'000;
constexpr double kHourMs = 3'600'000;

Duration joining_time(const RunOptions& options) {
  return options.all_at_once ? Duration{} : Duration::seconds(options.nodes / kNodesASecond);
}

Options settings_of(const RunOptions& options) {
  Options settings;
  settings.seed = options.seed;
  settings.loss_ppm = static_cast<std::uint32_t>(options.loss_percent * 10'000);
  settings.linkable_ppm = static_cast<std::uint32_t>(options.linkable_percent * 10'000);
  settings.nat_ppm = static_cast<std::uint32_t>(options.nat_percent * 10'000);
  settings.well_known = std::min(options.nodes, options.well_known);
  settings.lookup_interval = milliseconds_of(options.lookup_interval_s, kSecondMs);
  settings.lookups_begin = joining_time(options) + kSettling;
  return settings;
}

// What was seen on the way.
struct Course {
  std::optional<Duration> right_after;
  double node_seconds = 0;
};

Course run_through(const RunOptions& options, Simulation& simulation, Churn& churn) {
  const auto begin = Instant::from_ns(0);
  const Instant end = begin + milliseconds_of(options.hours, kHourMs);
  ProgressLine progress;
  Course course;
  while (simulation.now() < end) {
    // Until the ring stands it is looked at closely, then twice a minute.
    const Duration look = course.right_after ? Duration::seconds(30) : Duration::milliseconds(200);
    const Instant until = std::min(end, simulation.now() + look);
    course.node_seconds +=
        static_cast<double>(simulation.alive().size()) * (until - simulation.now()).count_s();
    churn.run_until(until);
    if (!course.right_after && simulation.now() >= begin + joining_time(options) &&
        simulation.ring_right())
      course.right_after = simulation.now() - begin;
    show_progress(progress, simulation, options.hours);
  }
  return course;
}

struct LinksANode {
  double all = 0;
  double relayed = 0;
};

LinksANode links_of(const Simulation& simulation) {
  LinksANode sum;
  for (const NodeIndex node : simulation.alive()) {
    const LinkTable& table = simulation.overlay(node).links();
    sum.all += static_cast<double>(table.size());
    sum.relayed += static_cast<double>(
        std::count_if(table.begin(), table.end(), [](const Link& link) { return link.relayed; }));
  }
  const auto alive = static_cast<double>(std::max<std::size_t>(simulation.alive().size(), 1));
  return {sum.all / alive, sum.relayed / alive};
}

struct Cost {
  double wall_s = 0;
  double cpu_s = 0;
  double bytes_per_node = 0;
};

nlohmann::ordered_json figures_of(const RunOptions& options, const Simulation& simulation,
                                  const Course& course, const Cost& cost) {
  const Statistics& statistics = simulation.statistics();
  const std::size_t misplaced = simulation.misplaced_nodes();
  const LinksANode links = links_of(simulation);
  return {
      {"nodes", options.nodes},
      {"hours", options.hours},
      {"seed", options.seed},
      {"latency", options.latency},
      {"wall_s", cost.wall_s},
      {"cpu_s", cost.cpu_s},
      {"events", statistics.events},
      {"messages", statistics.messages},
      {"messages_per_node_s", static_cast<double>(statistics.messages) / course.node_seconds},
      {"traffic_bytes_per_node_s",
       static_cast<double>(statistics.message_bytes) / course.node_seconds},
      {"set_up_messages", statistics.set_up_messages},
      {"history_hash", hexadecimal(simulation.history_hash())},
      {"ring_ok", misplaced == 0},
      {"misplaced_nodes", misplaced},
      {"ring_right_after_s", course.right_after ? course.right_after->count_s() : -1},
      {"lookups", statistics.lookups},
      {"lookups_ok_ratio", ratio(statistics.lookups_ok, statistics.lookups_ended())},
      {"lookups_retried", statistics.lookups_retried},
      {"lookups_wrong", statistics.lookups_wrong},
      {"lookups_unanswered", statistics.lookups_unanswered},
      {"hops_mean", statistics.hops_mean()},
      {"hops_p99", statistics.hops_percentile(99)},
      {"links_per_node", links.all},
      {"linkable_percent", options.linkable_percent},
      {"nat_percent", options.nat_percent},
      {"relayed_links_per_node", links.relayed},
      {"relayed_messages", statistics.relayed_messages},
      {"bytes_per_node", cost.bytes_per_node},
      {"peak_memory_mb", peak_memory_mb()},
      {"drops", drops(simulation)},
  };
}

void print(const nlohmann::ordered_json& figures, bool json) {
  if (json) {
    std::printf("%s\n", figures.dump(2).c_str());
    return;
  }
  for (const auto& [name, value] : figures.items())
    std::printf("%-26s %s\n", name.c_str(), value.dump().c_str());
}

int could_not(const Error& error) {
  std::fprintf(stderr, "ringway-sim: %s\n", error.text().c_str());
  return 2;
}

}  // namespace

int run(const RunOptions& options) {
  const Stopwatch stopwatch;
  const CpuStopwatch cpu;
  auto latency = choose_latency(options.latency, options.seed, options.data_folder);
  if (!latency) return could_not(latency.error());
  const std::size_t heap_before = heap_bytes();
  const Options settings = settings_of(options);
  const Duration joined = joining_time(options);
  Simulation simulation(settings, std::move(*latency));
  simulation.add_nodes(settings.well_known, simulation.now(), {});
  simulation.add_nodes(options.nodes - settings.well_known, simulation.now(), joined);
  Churn churn(simulation, {milliseconds_of(options.session_minutes, kMinuteMs),
                           static_cast<unsigned>(options.crash_percent), settings.well_known,
                           joined + kSettling});
  std::optional<DhtWorkload> workload;
  if (options.values > 0) {
    DhtWorkloadOptions wanted;
    wanted.values = options.values;
    wanted.ttl = milliseconds_of(options.value_minutes, kMinuteMs);
    wanted.read_interval = milliseconds_of(options.read_interval_s, kSecondMs);
    workload.emplace(simulation, wanted);
    simulation.schedule(simulation.now() + joined + kSettling, [&] { workload->start(); });
  }
  std::optional<CrawlRecorder> recorder;
  if (!options.crawl_store.empty()) {
    auto store = store::CrawlStore::open(options.crawl_store);
    if (!store) return could_not(store.error());
    recorder.emplace(simulation, std::move(*store), joined + kSettling,
                     Duration::seconds(static_cast<std::int64_t>(options.crawl_interval_min * 60)));
  }

  const Course course = run_through(options, simulation, churn);
  if (!options.svg.empty()) {
    if (const auto drawn = save_svg(options.svg, simulation); !drawn)
      return could_not(drawn.error());
  }
  const auto alive = static_cast<double>(std::max<std::size_t>(simulation.alive().size(), 1));
  const Cost cost{stopwatch.seconds(), cpu.seconds(),
                  static_cast<double>(heap_bytes() - heap_before) / alive};
  nlohmann::ordered_json figures = figures_of(options, simulation, course, cost);
  if (workload) figures["dht"] = dht_figures(*workload);
  print(figures, options.json);
  if (recorder && !recorder->written()) return could_not(recorder->written().error());
  return simulation.ring_right() ? 0 : 1;
}

}  // namespace ringway::overlay::sim
