// The way of an inner packet to its peer (docs/PACKET_FLOW.md, "to the tunnel"):
//
//   1 receive   a burst of packets and trains from the inner port
//   2 route     inner header checked, destination looked up in the allowed IPs: once a train
//   3 reserve   a session that may send, and a counter for each segment: once a train
//   4 frame     each segment is cut, checksummed and copied behind its message header, in one pass
//   5 seal      the whole vector, in place
//   6 transmit  trains of one peer leave as one
#pragma once

#include <cstddef>
#include <span>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "dataplane/outbound.hpp"
#include "dataplane/segmenter.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// Takes one burst from the inner port; how many slots it brought.
std::size_t to_tunnel(WorkerState& worker, Instant now);

// Stages 2 to 6 for slots that are already here, at most kVectorSegments. Takes ownership.
void send_inner(WorkerState& worker, std::span<Slot> slots, Instant now);

// Stages 3 to 6: whole IP packets, each to its peer, whatever the destination (the NAT knows whose
// a packet is); where PeerId::none() stands, the allowed IPs say whose it is. At most
// kVectorSegments. Takes ownership, and uses `ids` up.
void send_to_peers(WorkerState& worker, std::span<Slot> slots, std::span<PeerId> ids, Instant now);

// Stages 3 and 4 for a packet or train that the peer's limit allows, which is charged for it. Takes
// ownership; to be followed by outbound.flush().
void send_allowed(WorkerState& worker, Outbound& outbound, Segmenter& segmenter, Peer& peer,
                  const Slot& slot, Instant now);

// What waited for a session of this peer goes out, or a keepalive where nothing did: the responder
// may not send before it has heard from us on the new session.
void send_staged_or_keepalive(WorkerState& worker, Peer& peer, Instant now);

// An empty message; nothing when there is no session to carry it.
void send_keepalive(WorkerState& worker, Peer& peer, Instant now);

// A control frame in the peer's current session, to `path`. False when there is no session.
bool send_control_frame(WorkerState& worker, Peer& peer, const tunnel::Path& path, ConstBytes frame,
                        Instant now);

}  // namespace ringway
