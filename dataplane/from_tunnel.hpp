// The way of a sealed datagram to the inner side (docs/PACKET_FLOW.md, "from the tunnel"):
//
//   1 receive   a burst of datagrams and trains from the outer port
//   2 classify  type and suite; handshake messages take the gate to the control plane
//   3 find      the session by receiver index; suite and age checked
//   4 open      the whole vector, in place
//   5 accept    replay window, then the session's confirmation, the peer's endpoint and timers
//   6 admit     inner header, ECN, source in the allowed IPs; what carries no packet leaves here
//   7 deliver   to the inner port, which merges what belongs together; at a gateway that
//               translates by itself, on to the Internet (to_internet.hpp)
#pragma once

#include <cstddef>
#include <span>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// Takes one burst from the outer port; how many slots it brought.
std::size_t from_tunnel(WorkerState& worker, Instant now);

// Stage 7, for packets that their senders may send, at most kVectorSegments. Takes ownership.
void deliver(WorkerState& worker, std::span<Slot> slots, std::span<const PeerId> senders,
             Instant now);

}  // namespace ringway
