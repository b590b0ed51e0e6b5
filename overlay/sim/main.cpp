// ringway-sim: the overlay by the thousand, in virtual time, from a seed.
#include <CLI/CLI.hpp>

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

}  // namespace

int main(int argc, char** argv) {
  ringway::overlay::sim::RunOptions options;
  options.data_folder = RINGWAY_DATA_FOLDER;

  CLI::App app{"Simulates Ringway's overlay: thousands of nodes in virtual time, from a seed."};
  app.require_subcommand(1);
  CLI::App* const run =
      app.add_subcommand("run", "So many nodes for so long, and what comes of it");
  run->footer(kRunManual);
  run->add_option("--nodes", options.nodes, "How many")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  run->add_option("--hours", options.hours, "Of virtual time")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100'000.0));
  run->add_option("--seed", options.seed)->capture_default_str();
  run->add_option("--latency", options.latency,
                  "planetlab, geometric:MS (one way across the square), fixed:MS (one way)")
      ->capture_default_str();
  run->add_option("--data", options.data_folder, "Folder of the PlanetLab matrix")
      ->capture_default_str();
  run->add_option("--loss-percent", options.loss_percent, "Of messages")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 99.0));
  run->add_flag("--all-at-once", options.all_at_once, "All nodes start in the same moment");
  run->add_option("--session-min", options.session_minutes,
                  "Median session in minutes; who goes is replaced; 0: nobody goes")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
  run->add_option("--crash-percent", options.crash_percent,
                  "Of those who go; the others say goodbye")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  run->add_option("--lookup-interval-s", options.lookup_interval_s,
                  "A node asks for a random place this often; 0: never")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
  run->add_option("--well-known", options.well_known, "Nodes that every other is told of")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  run->add_flag("--json", options.json, "Machine-readable");
  CLI11_PARSE(app, argc, argv);
  return ringway::overlay::sim::run(options);
}
