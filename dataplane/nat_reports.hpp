// What a gateway's worker tells the control plane of its NAT: which port blocks were given out and
// came back.
#pragma once

#include <cstddef>

#include "base/time.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// Once a turn: what happened in it goes home, as far as control has lent room for it.
void report_blocks(WorkerState& worker, Instant now);

// The last of a subscriber that is about to leave: whoever gets its PeerId next must not be taken
// for it. What cannot be told now is lost, and counted. Leaves `spare_events` places in the ring.
void report_last_blocks(WorkerState& worker, Instant now, std::size_t spare_events);

}  // namespace ringway
