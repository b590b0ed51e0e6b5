#include "dataplane/session_slots.hpp"

#include <utility>

namespace ringway {
namespace {

constexpr Duration kRequestInterval = Duration::seconds(1);

// Unlinks the session from the packet path and queues it for control, which frees it.
void retire(WorkerState& worker, std::unique_ptr<tunnel::Session> session) {
  if (session == nullptr) return;
  WorkerState::SessionEntry& entry = worker.session_entry(session->local_index());
  if (entry.session == session.get()) entry = {};
  session->next_retired = worker.retired;
  worker.retired = session.release();
}

}  // namespace

void install_session(WorkerState& worker, std::unique_ptr<tunnel::Session> session,
                     const net::Endpoint& answered, Instant now) {
  Peer* peer = worker.find_peer(session->peer());
  if (peer == nullptr) {
    retire(worker, std::move(session));
    return;
  }
  worker.session_entry(session->local_index()) = {session.get(), peer};
  session->set_limited(peer->limited);
  if (session->initiator()) {
    if (peer->next != nullptr) {
      // The peer answered us before it used the session that we had answered: both stay readable.
      retire(worker, std::exchange(peer->previous, std::move(peer->next)));
      retire(worker, std::move(peer->current));
    } else {
      retire(worker, std::exchange(peer->previous, std::move(peer->current)));
    }
    peer->current = std::move(session);
  } else {
    retire(worker, std::exchange(peer->next, std::move(session)));
    peer->answered = answered;
    retire(worker, std::move(peer->previous));
  }
  // The handshake was authenticated traffic both ways.
  peer->timers.on_packet_received(now);
  peer->timers.on_packet_sent(now);
  arm_timers(worker, *peer);
}

void confirm_next_session(WorkerState& worker, Peer& peer, const tunnel::Path& from) {
  if (from.same_remote(peer.answered)) peer.paths.prefer(from);
  retire(worker, std::exchange(peer.previous, std::move(peer.current)));
  peer.current = std::move(peer.next);
  report_confirmation(worker, peer);
}

void report_confirmation(WorkerState& worker, Peer& peer) {
  event::SessionConfirmed confirmed{peer.id, {}};
  if (!peer.paths.empty() && peer.paths.best().same_remote(peer.answered)) {
    confirmed.answered = peer.answered;
  }
  peer.confirmation_owed = !worker.push_event(std::move(confirmed));
}

void erase_sessions(WorkerState& worker, Peer& peer) {
  retire(worker, std::move(peer.previous));
  retire(worker, std::move(peer.current));
  retire(worker, std::move(peer.next));
}

void request_session(WorkerState& worker, Peer& peer, Instant now, bool new_data) {
  if (now - peer.session_requested < kRequestInterval) return;
  if (worker.push_event(event::SessionWanted{peer.id, new_data})) peer.session_requested = now;
}

void flush_retired_sessions(WorkerState& worker) {
  while (worker.retired != nullptr) {
    tunnel::Session* session = worker.retired;
    tunnel::Session* rest = session->next_retired;
    event::SessionRetired home{std::unique_ptr<tunnel::Session>(session)};
    Event event = std::move(home);
    worker.events_pushed = true;
    if (!worker.link.events.try_push(std::move(event))) {
      worker.retired = std::get<event::SessionRetired>(event).session.release();
      return;
    }
    worker.retired = rest;
  }
}

}  // namespace ringway
