// ringway-sim: the overlay by the thousand, in virtual time, from a seed.
#include <CLI/CLI.hpp>

#include "overlay/sim/crawl_recorder.hpp"
#include "overlay/sim/experiments/experiments.hpp"
#include "overlay/sim/run.hpp"
#include "overlay/sim/scenario_command.hpp"
#include "overlay/sim/swarm_command.hpp"

namespace {

constexpr const char* kRunManual =
    "\n"
    "Nodes join (ten a second, or all at once), form a ring, and live there for so many hours of\n"
    "virtual time. The overlay is the one that the node runs: every message is encoded, signed\n"
    "and parsed; signatures are keyed hashes of the same size. The same seed gives the same\n"
    "history_hash.\n\n"
    "Examples:\n"
    "  ringway-sim run --nodes 1000 --hours 24 --seed 1 --json\n"
    "  ringway-sim run --nodes 256 --hours 0.05 --all-at-once --latency fixed:50\n"
    "  ringway-sim run --nodes 1000 --hours 2 --session-min 10      nodes crash and are replaced\n"
    "  ringway-sim run --scenario tests/sim/scenarios/FILE.toml     what a file says\n"
    "\n--scenario takes nodes, seed, network and what goes wrong from a file (docs/TESTING.md); "
    "with\n"
    "it, only --seed, --data, --json and --svg have a meaning.\n"
    "\nExit status: 0 when the ring is right in the end, 1 when it is not, 2 when it could not\n"
    "run, above 100 for a command line that is not understood.";

using ringway::overlay::sim::ExperimentOptions;
using ringway::overlay::sim::RunOptions;
using ringway::overlay::sim::ScenarioOptions;
using ringway::overlay::sim::SwarmOptions;

constexpr const char* kSwarmManual =
    "\n"
    "Draws random scenarios - rings of 2 to 200 nodes, among them hostile ones; crashes, "
    "restarts,\n"
    "pauses, partitions, wrong clocks, bad networks, NATs of every kind, pairs that cannot link,\n"
    "values and leases in the DHT - and runs each until all that must hold was\n"
    "checked. Where something did not hold, the scenario is cut down to the little that still "
    "shows\n"
    "it, written to a file, and the command printed that repeats it.\n\n"
    "Examples:\n"
    "  ringway-sim swarm --runs 100\n"
    "  ringway-sim swarm --minutes 60 --seed 1000 --out found\n"
    "\nExit status: 0 when everything held, 1 when something did not, 2 when it could not run.";

constexpr const char* kLatencies =
    "planetlab, geometric:MS (one way across the square), fixed:MS (one way)";

void add_run(CLI::App& app, RunOptions& options, ScenarioOptions& scenario) {
  app.footer(kRunManual);
  app.add_option("--nodes", options.nodes, "How many")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--hours", options.hours, "Of virtual time")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100'000.0));
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--latency", options.latency, kLatencies)->capture_default_str();
  app.add_option("--data", options.data_folder, "Folder of the PlanetLab matrix")
      ->capture_default_str();
  app.add_option("--loss-percent", options.loss_percent, "Of messages")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 99.0));
  app.add_option("--linkable-percent", options.linkable_percent,
                 "Of pairs of nodes; the others need a relay. Give more --well-known ones")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--nat-percent", options.nat_percent,
                 "Of nodes that are behind a NAT or firewall, except well-known ones")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  app.add_flag("--all-at-once", options.all_at_once, "All nodes start in the same moment");
  app.add_option("--session-min", options.session_minutes,
                 "Median session in minutes; who goes is replaced; 0: nobody goes")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--crash-percent", options.crash_percent,
                 "Of those who go; the others say goodbye")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--lookup-interval-s", options.lookup_interval_s,
                 "A node asks for a random place this often; 0: never")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--values", options.values, "In the DHT, each with a living owner")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--value-min", options.value_minutes, "Time to live of a value, in minutes")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 60.0));
  app.add_option("--read-interval-s", options.read_interval_s,
                 "Some node reads some value this often; 0: never")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--well-known", options.well_known, "Nodes that every other is told of")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--crawl-store", options.crawl_store,
                 "A file for crawls of the ring, which begin when the nodes have joined");
  app.add_option("--crawl-interval-min", options.crawl_interval_min, "A crawl so often")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 1e6));
  app.add_flag("--json", options.json, "Machine-readable");
  app.add_option("--svg", options.svg, "File for a picture of the ring as it is in the end");
  app.add_option("--scenario", scenario.file, "Nodes, network, faults and promises of this file");
}

void add_swarm(CLI::App& app, SwarmOptions& options) {
  app.footer(kSwarmManual);
  app.add_option("--runs", options.runs, "How many scenarios")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000'000));
  app.add_option("--seed", options.seed, "Of the first; the others follow")->capture_default_str();
  app.add_option("--minutes", options.minutes, "No new one begins after so long")
      ->check(CLI::Range(0.0, 100'000.0));
  app.add_option("--most-nodes", options.most_nodes, "In a ring")
      ->capture_default_str()
      ->check(CLI::Range(2, 10'000));
  app.add_option("--out", options.out, "Folder for scenarios that failed")->capture_default_str();
  app.add_option("--cutting-runs", options.cutting_runs,
                 "At most so many runs to cut down one that failed; 0: it is kept as it is")
      ->capture_default_str()
      ->check(CLI::Range(0, 100'000));
  app.add_flag("--json", options.json, "Machine-readable");
}

void add_experiment(CLI::App& app, ExperimentOptions& options) {
  std::string manual = "\nExperiments:\n";
  for (const auto& each : ringway::overlay::sim::list_experiments())
    manual += "  " + each.name + "\n      " + each.what + "\n";
  manual +=
      "\nTimes are virtual and include the set-up of secured links.\n"
      "Exit status: 0 when every run came to its end and kept what is promised, 1 when one did\n"
      "not, 2 when it could not run.";
  app.footer(manual);
  app.add_option("name", options.name, "Which, or all")->required();
  app.add_option("--nodes", options.nodes, "Instead of the experiment's own numbers")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--seed", options.seed, "Of the first run")->capture_default_str();
  app.add_option("--runs", options.runs, "With that seed and those that follow; else one or five")
      ->check(CLI::Range(1, 1000));
  app.add_option("--latency", options.latency, kLatencies)->capture_default_str();
  app.add_option("--data", options.data_folder, "Folder of the PlanetLab matrix")
      ->capture_default_str();
  app.add_flag("--json", options.json, "Machine-readable");
}

void add_crawls(CLI::App& app, std::string& file, bool& json) {
  app.footer(
      "\nOne line a crawl: nodes that answered, those that the crawl before had not found and "
      "those\n"
      "that only it had found; nodes that were named and did not answer; neighbours that a node\n"
      "names other than the crawl found them; requests that were repeated, which is what was "
      "lost;\n"
      "means of links and of the hops of a request. The file is SQLite: tables crawls, nodes,\n"
      "inconsistencies.\n"
      "\nExit status: 0, or 2 when the file cannot be read.");
  app.add_option("file", file, "Which")->required()->check(CLI::ExistingFile);
  app.add_flag("--json", json, "Machine-readable");
}

}  // namespace

int main(int argc, char** argv) {
  RunOptions run_options;
  ScenarioOptions scenario_options;
  SwarmOptions swarm_options;
  ExperimentOptions experiment_options;
  run_options.data_folder = experiment_options.data_folder = RINGWAY_DATA_FOLDER;

  CLI::App app{"Simulates Ringway's overlay: thousands of nodes in virtual time, from a seed."};
  app.require_subcommand(1);
  CLI::App* const run =
      app.add_subcommand("run", "So many nodes for so long, and what comes of it");
  add_run(*run, run_options, scenario_options);
  CLI::App* const swarm =
      app.add_subcommand("swarm", "Random scenarios, and whether all that must hold held");
  add_swarm(*swarm, swarm_options);
  add_experiment(*app.add_subcommand("experiment", "What others published, and the same of ours"),
                 experiment_options);
  CLI::App* const crawls = app.add_subcommand("crawls", "What run --crawl-store has kept");
  std::string crawl_store;
  bool crawls_json = false;
  add_crawls(*crawls, crawl_store, crawls_json);
  CLI11_PARSE(app, argc, argv);
  if (crawls->parsed()) return ringway::overlay::sim::print_crawls(crawl_store, crawls_json);
  if (swarm->parsed()) return ringway::overlay::sim::run_swarm(swarm_options);
  if (!run->parsed()) return ringway::overlay::sim::run_experiment(experiment_options);
  if (scenario_options.file.empty()) return ringway::overlay::sim::run(run_options);
  scenario_options.data_folder = run_options.data_folder;
  scenario_options.json = run_options.json;
  scenario_options.svg = run_options.svg;
  if (run->count("--seed") > 0) scenario_options.seed = run_options.seed;
  return ringway::overlay::sim::run_scenario_file(scenario_options);
}
