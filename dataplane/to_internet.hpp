// The way on of an inner packet at a gateway that translates by itself (docs/PACKET_FLOW.md, "to
// the Internet"). What left the tunnel and passed the source check goes one of three ways:
//
//   to the gateway itself     to the inner port, as far as host_access lets it
//   to another subscriber     back into the tunnel
//   to the Internet           translated, then to the Internet port; a hairpin comes back
#pragma once

#include <span>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// slots: whole inner packets, at most kVectorSegments; subscribers: whose each one is. Takes
// ownership of the slots. The worker has an Internet side.
void to_internet(WorkerState& worker, std::span<Slot> slots, std::span<const PeerId> subscribers,
                 Instant now);

// Sends what the NAT made or had held back: ICMP errors and fragments, either way.
void send_nat_outputs(WorkerState& worker, Instant now);

}  // namespace ringway
