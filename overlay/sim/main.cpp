// ringway-sim: the overlay by the thousand, in virtual time, from a seed.
#include <CLI/CLI.hpp>

#include "overlay/sim/experiments/experiments.hpp"
#include "overlay/sim/run.hpp"

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
    "\nExit status: 0 when the ring is right in the end, 1 when it is not, 2 when it could not\n"
    "run, above 100 for a command line that is not understood.";

using ringway::overlay::sim::ExperimentOptions;
using ringway::overlay::sim::RunOptions;

constexpr const char* kLatencies =
    "planetlab, geometric:MS (one way across the square), fixed:MS (one way)";

void add_run(CLI::App& app, RunOptions& options) {
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
  app.add_option("--well-known", options.well_known, "Nodes that every other is told of")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
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
  app.add_option("name", options.name, "Which")->required();
  app.add_option("--nodes", options.nodes, "Instead of the experiment's own numbers")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--seed", options.seed, "Of the first run")->capture_default_str();
  app.add_option("--runs", options.runs, "With that seed and those that follow")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--latency", options.latency, kLatencies)->capture_default_str();
  app.add_option("--data", options.data_folder, "Folder of the PlanetLab matrix")
      ->capture_default_str();
  app.add_flag("--json", options.json, "Machine-readable");
}

}  // namespace

int main(int argc, char** argv) {
  RunOptions run_options;
  ExperimentOptions experiment_options;
  run_options.data_folder = experiment_options.data_folder = RINGWAY_DATA_FOLDER;

  CLI::App app{"Simulates Ringway's overlay: thousands of nodes in virtual time, from a seed."};
  app.require_subcommand(1);
  CLI::App* const run =
      app.add_subcommand("run", "So many nodes for so long, and what comes of it");
  add_run(*run, run_options);
  add_experiment(*app.add_subcommand("experiment", "What others published, and the same of ours"),
                 experiment_options);
  CLI11_PARSE(app, argc, argv);
  return run->parsed() ? ringway::overlay::sim::run(run_options)
                       : ringway::overlay::sim::run_experiment(experiment_options);
}
