// What control asks of a worker, carried out between bursts.
#pragma once

#include "base/time.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// Carries out waiting commands as long as there is room to send home what they replace.
void run_commands(WorkerState& worker, Instant now);

// Peers whose deadlines have passed: keepalives are sent, control is told what stays unanswered.
void run_timers(WorkerState& worker, Instant now);

}  // namespace ringway
