// What a gateway's worker and the control plane tell each other about the links below: which
// neighbours are wanted, which are in use, and that time passes.
#pragma once

#include "base/time.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// Once a turn, before anything is sent. Nothing without an Ethernet link.
void run_ethernet(WorkerState& worker, Instant now);

}  // namespace ringway
