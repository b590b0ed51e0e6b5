// ringway-sim run: so many nodes for so long, and what came of it.
#pragma once

#include <cstdint>
#include <string>

namespace ringway::overlay::sim {

struct RunOptions {
  std::uint32_t nodes = 1000;
  double hours = 1;
  std::uint64_t seed = 1;
  std::string latency = "planetlab";  // or geometric:MS (one way across), fixed:MS (one way)
  std::string data_folder;            // of the PlanetLab matrix
  double loss_percent = 0;
  double linkable_percent = 100;  // of the pairs of nodes; the others need a relay
  double nat_percent = 0;         // of the nodes, except well-known ones
  bool all_at_once = false;       // else ten nodes a second
  double session_minutes = 0;     // the median; zero: nobody goes. Who goes is replaced by another
  double crash_percent = 100;     // of those who go; the others say goodbye
  double lookup_interval_s = 600;
  std::uint32_t values = 0;    // in the DHT, with living owners
  double value_minutes = 60;   // until a value must be renewed
  double read_interval_s = 1;  // of one of them by one node
  std::uint32_t well_known = 4;
  std::string crawl_store;  // a file; empty: no crawls
  double crawl_interval_min = 10;
  std::string svg;  // file for a picture of the ring in the end
  bool json = false;
};

// The exit status: 0 when the ring is right in the end, 1 when it is not, 2 when it could not run.
[[nodiscard]] int run(const RunOptions& options);

}  // namespace ringway::overlay::sim
