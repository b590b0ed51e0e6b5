// What came past the kernel and proves the kernel's: fragments of the host's own packets that came
// before their first, and answers to its own pings. They go back by way of the control thread,
// since each costs a system call of some tens of microseconds (controlplane/bpf/steering.hpp,
// give_back), and no more than a worker's share of a core can be spent on them by whoever sends
// such packets on purpose. Worker thread.
#pragma once

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// An IP packet as it came. It is copied; what exceeds the rate or finds no room is dropped.
void give_back(WorkerState& worker, ConstBytes packet, Instant now);

}  // namespace ringway
