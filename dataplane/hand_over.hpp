// What a worker received and another one owns leaves for it, by the process's mesh of rings
// (handoff.hpp). A worker that is alone has no mesh, and owns everything.
#pragma once

#include <cstddef>
#include <span>

#include "dataplane/handoff.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// Slots of one kind on their way to others, at most a vector of them.
class Leaving {
 public:
  void add(const Slot& slot, WorkerId owner) {
    slots_[count_] = slot;
    owners_[count_++] = owner;
  }
  // Hands them over, each worker's in one go, and is empty again. What finds no room is dropped.
  void hand_over(WorkerState& worker, HandoffKind kind);

 private:
  Scratch<Slot, kVectorSegments> slots_;
  Scratch<WorkerId, kVectorSegments> owners_;
  std::size_t count_ = 0;
};

// Of datagrams as they came from the outer port, those of other workers' sessions leave. How many
// stay, at the front and in order. A train goes where its first message belongs.
[[nodiscard]] std::size_t keep_own_sealed(WorkerState& worker, std::span<Slot> datagrams);

// Of packets that are routed to peers, those of other workers' leave; likewise, and `peers` with
// them.
[[nodiscard]] std::size_t keep_own_routed(WorkerState& worker, std::span<Slot> packets,
                                          std::span<PeerId> peers);

// Sends what workers without a port on an interface have handed over for it; how many frames.
std::size_t send_frames_of_others(WorkerState& worker);

}  // namespace ringway
