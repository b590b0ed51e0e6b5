// Nodes come and go: sessions of exponentially distributed length; who goes is replaced by a node
// with another place on the ring, so that their number stays.
#pragma once

#include <cstdint>

#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

struct ChurnOptions {
  Duration median_session;       // zero: nobody goes
  unsigned crash_percent = 100;  // of those who go; the others say goodbye
  std::size_t permanent = 0;     // the first nodes stay
  Duration begins;               // after the beginning of the run
};

class Churn {
 public:
  Churn(Simulation& simulation, const ChurnOptions& options);
  // Runs the simulation.
  void run_until(Instant end);

 private:
  void replace_one();
  void draw_next();

  Simulation& simulation_;
  ChurnOptions options_;
  SeededRng rng_;
  Instant next_ = Instant::never();
};

}  // namespace ringway::overlay::sim
