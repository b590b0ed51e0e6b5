// A ring to begin with, for tests of what comes after.
#pragma once

#include <gtest/gtest.h>

#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

// `count` nodes that started together and had a minute to settle.
inline void settle(Simulation& simulation, std::size_t count) {
  simulation.add_nodes(count, simulation.now(), {});
  simulation.run_for(Duration::seconds(60));
  ASSERT_TRUE(simulation.ring_right()) << simulation.misplaced_nodes() << " nodes misplaced";
}

}  // namespace ringway::overlay::sim
