// The way of a packet from the Internet into the tunnel at a gateway that translates by itself
// (docs/PACKET_FLOW.md, "from the Internet"):
//
//   1 receive    a burst of IP packets from the Internet port
//   2 translate  the NAT says whose each is, and rewrites it
//   3 send       stages 3 to 6 of "to the tunnel", to that subscriber
#pragma once

#include <cstddef>

#include "base/time.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// Takes one burst from the Internet port; how many slots it brought. None without an Internet side.
std::size_t from_internet(WorkerState& worker, Instant now);

}  // namespace ringway
