#include "dataplane/commands.hpp"

#include <utility>
#include <variant>

#include "dataplane/nat_reports.hpp"
#include "dataplane/session_slots.hpp"
#include "dataplane/to_internet.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {
namespace {

// The most events that one command sends home at once, sessions apart (they have a list).
constexpr std::size_t kEventsPerCommand = 2;

void send_handshake(WorkerState& worker, const tunnel::HandshakeBytes& message,
                    const tunnel::DatagramSource& to) {
  Slot slot;
  if (worker.outer.alloc_burst({&slot, 1}) == 0) {
    worker.drop(DropReason::kNoBuffer);
    return;
  }
  std::memcpy(slot.data, message.data.data(), message.length);
  slot.length = message.length;
  slot.tailroom -= slot.length;
  slot.traffic_class = tunnel::kHandshakeTrafficClass;
  slot.remote = to.remote;
  slot.local = to.local;
  slot.interface = to.interface;
  const std::size_t refused = worker.outer.tx_burst({&slot, 1});
  if (refused > 0) worker.drop(DropReason::kTxFailed, refused);
}

class Runner {
 public:
  Runner(WorkerState& worker, Instant now) : worker_(worker), now_(now) {}

  void operator()(command::AddPeer& add) {
    const PeerId id = add.peer->id;
    CHECK(id.value < worker_.peers.size() && worker_.peers[id.value] == nullptr);
    worker_.peers[id.value] = add.peer.release();
    if (worker_.handoff != nullptr) worker_.owners[id.value] = worker_.handoff->self();
    if (worker_.peers[id.value]->timers.persistent_keepalive() != Duration{}) {
      request_session(worker_, *worker_.peers[id.value], now_, true);
    }
    arm_timers(worker_, *worker_.peers[id.value]);
  }

  void operator()(command::RemovePeer& remove) {
    Peer* peer = worker_.find_peer(remove.peer);
    if (peer == nullptr) return;
    end_sessions(*peer);
    drop_held(*peer);
    worker_.wheel.disarm(*peer);
    worker_.peers[peer->id.value] = nullptr;
    if (worker_.internet != nullptr) {
      worker_.internet->nat.remove_subscriber(peer->id, now_);
      report_last_blocks(worker_, now_, kEventsPerCommand);
    }
    send_home(event::PeerRemoved{std::unique_ptr<Peer>(peer)});
  }

  void operator()(command::SetPeerOwner& set) { worker_.owners[set.peer.value] = set.owner; }

  void operator()(command::SetKeepalive& set) {
    Peer* peer = worker_.find_peer(set.peer);
    if (peer == nullptr) return;
    peer->timers.set_persistent_keepalive(set.interval, now_);
    arm_timers(worker_, *peer);
    if (set.interval != Duration{} && sendable_session(*peer, now_) == nullptr) {
      request_session(worker_, *peer, now_, true);
    }
  }

  void operator()(command::SetRateLimits& set) {
    if (Peer* peer = worker_.find_peer(set.peer)) peer->set_limits(set.limits);
  }

  void operator()(command::SetAllowedIps& set) {
    std::swap(worker_.allowed_ips, set.allowed_ips);
    send_home(event::AllowedIpsRetired{std::move(set.allowed_ips)});
  }

  void operator()(command::PreferPath& prefer) {
    if (Peer* peer = worker_.find_peer(prefer.peer)) peer->paths.prefer(prefer.path);
  }

  void operator()(command::InstallSession& install) {
    const bool initiator = install.session->initiator();
    const PeerId id = install.session->peer();
    install_session(worker_, std::move(install.session), install.answered, now_);
    Peer* peer = worker_.find_peer(id);
    // The responder may not send before it has heard from us on this session.
    if (initiator && peer != nullptr) send_staged_or_keepalive(worker_, *peer, now_);
  }

  void operator()(command::EraseSessions& erase) {
    if (Peer* peer = worker_.find_peer(erase.peer)) end_sessions(*peer);
  }

  void operator()(command::DropStaged& drop) {
    if (Peer* peer = worker_.find_peer(drop.peer)) drop_staged(*peer);
  }

  void operator()(command::SendHandshake& send) {
    Peer* peer = worker_.find_peer(send.peer);
    if (peer == nullptr) return;
    if (peer->paths.empty()) {
      worker_.drop(DropReason::kNoEndpoint);
      return;
    }
    const tunnel::Path& path = peer->paths.best();
    send_handshake(worker_, send.message, {path.remote, path.local, path.interface});
    peer->timers.on_packet_sent(now_);
    arm_timers(worker_, *peer);
  }

  void operator()(command::SendDatagram& send) { send_handshake(worker_, send.message, send.to); }

  void operator()(command::SendControlFrame& send) {
    Peer* peer = worker_.find_peer(send.peer);
    if (peer == nullptr) return;
    if (!send.to.remote.valid() && peer->paths.empty()) return;
    send_control_frame(worker_, *peer, send.to.remote.valid() ? send.to : peer->paths.best(),
                       send.frame.view(), now_);
  }

  void operator()(command::Snapshot& take) {
    for (PeerSnapshot& entry : take.snapshot->peers) {
      if (const Peer* peer = worker_.find_peer(entry.id)) fill(entry, *peer);
    }
    if (worker_.internet != nullptr) take.snapshot->nat = worker_.internet->nat.counters();
    send_home(event::SnapshotTaken{std::move(take.snapshot)});
  }

  void operator()(command::SetForwardingTable& set) {
    if (worker_.internet != nullptr && worker_.internet->ethernet != nullptr) {
      set.table = worker_.internet->ethernet->swap_table(std::move(set.table), now_);
    }
    send_home(event::ForwardingTableRetired{std::move(set.table)});
  }

  void operator()(command::SetSurroundings& set) {
    CHECK(worker_.internet != nullptr);
    worker_.internet->swap_surroundings(*set.surroundings, now_);
    send_home(event::SurroundingsRetired{std::move(set.surroundings)});
  }

  void operator()(command::LendBlockEvents& lend) {
    CHECK(worker_.internet != nullptr);
    worker_.internet->lend(std::move(lend.batch));
  }

  void operator()(command::ListMappings& list) {
    MappingPage& page = *list.page;
    page.at = now_;
    page.count = 0;
    page.cursor = worker_.internet == nullptr
                      ? 0
                      : worker_.internet->nat.list(page.cursor, page.records, page.count, now_);
    send_home(event::MappingsListed{std::move(list.page)});
  }

  void operator()(command::Stop&) { worker_.stop_requested = true; }

 private:
  // Room was made sure of before the command was taken.
  void send_home(Event&& event) { CHECK(worker_.push_event(std::move(event))); }

  void drop_staged(Peer& peer) {
    const std::uint32_t dropped = worker_.staging.drop_all(peer);
    if (dropped > 0) worker_.drop(DropReason::kStageExpired, dropped);
  }

  void drop_held(Peer& peer) {
    worker_.drop(DropReason::kRateLimited, worker_.shaper.drop_all(peer.id, peer.up, peer.down));
  }

  void end_sessions(Peer& peer) {
    erase_sessions(worker_, peer);
    drop_staged(peer);
    peer.timers.stop();
  }

  void fill(PeerSnapshot& entry, const Peer& peer) const {
    entry.rx_bytes = peer.rx_bytes;
    entry.tx_bytes = peer.tx_bytes;
    entry.rx_packets = peer.rx_packets;
    entry.tx_packets = peer.tx_packets;
    entry.staged_packets = peer.staged_count;
    entry.has_session = peer.current != nullptr && !peer.current->expired(now_);
    if (!peer.paths.empty()) entry.path = peer.paths.best();
  }

  WorkerState& worker_;
  Instant now_;
};

}  // namespace

void run_commands(WorkerState& worker, Instant now) {
  Runner runner(worker, now);
  while (worker.link.events.capacity() - worker.link.events.size() > kEventsPerCommand) {
    auto command = worker.link.commands.try_pop();
    if (!command) return;
    std::visit(runner, *command);
  }
}

void run_timers(WorkerState& worker, Instant now) {
  if (worker.internet != nullptr && now >= worker.internet->nat.next_deadline()) {
    worker.internet->nat.tick(now);
    send_nat_outputs(worker, now);
  }
  report_blocks(worker, now);
  worker.wheel.advance(now, [&](Peer& peer) {
    const tunnel::DataTimers::Due due = peer.timers.take_due(now);
    if (due.send_keepalive) {
      if (sendable_session(peer, now) != nullptr) {
        send_keepalive(worker, peer, now);
      } else if (peer.timers.persistent_keepalive() != Duration{}) {
        request_session(worker, peer, now, true);
      }
    }
    if (due.unanswered) {
      // The source address that we learned may be what keeps answers away.
      peer.paths.forget_sources();
      request_session(worker, peer, now, false);
    }
    arm_timers(worker, peer);
  });
}

}  // namespace ringway
