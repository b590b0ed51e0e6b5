// What the bandwidth limits held back (shaper.hpp) goes on when its time has come: from peers at
// stage 7 from the tunnel, to peers at stage 3 to the tunnel. Worker thread.
#pragma once

#include <cstddef>

#include "base/time.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// How many packets went on.
std::size_t release_held(WorkerState& worker, Instant now);

}  // namespace ringway
