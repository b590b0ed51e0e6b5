// How sessions come and go in a peer's three key slots, and how control learns that one is wanted.
// Source: WireGuard whitepaper, section 6.3; the order of replacement is the Linux
// implementation's.
#pragma once

#include <memory>

#include "base/time.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// A finished handshake. As initiator the session is used at once; as responder it waits in `next`
// until the peer has used it; `answered` is where our response went. An unknown peer's session goes
// straight back to control.
void install_session(WorkerState& worker, std::unique_ptr<tunnel::Session> session,
                     const net::Endpoint& answered, Instant now);

// The first packet arrived on `next`, by this path: it becomes `current`.
void confirm_next_session(WorkerState& worker, Peer& peer, const tunnel::Path& from);
// Tells control so; while the ring is full the peer goes on owing it (Peer::confirmation_owed).
void report_confirmation(WorkerState& worker, Peer& peer);

void erase_sessions(WorkerState& worker, Peer& peer);

// The session to send on, or null: none, or it is past its limits.
[[nodiscard]] inline tunnel::Session* sendable_session(Peer& peer, Instant now) {
  tunnel::Session* session = peer.current.get();
  return session != nullptr && !session->expired(now) ? session : nullptr;
}

// Asks control for a (new) session, at most once a second for a peer.
void request_session(WorkerState& worker, Peer& peer, Instant now, bool new_data);

// Sends retired sessions home as far as the event ring has room.
void flush_retired_sessions(WorkerState& worker);

// The peer's deadlines may have moved closer.
inline void arm_timers(WorkerState& worker, Peer& peer) {
  worker.wheel.arm(peer, peer.timers.next_deadline());
}

}  // namespace ringway
