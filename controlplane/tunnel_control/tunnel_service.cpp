#include "controlplane/tunnel_control/tunnel_service.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace ringway::control {
namespace {

using tunnel::Suite;

constexpr Duration kChallengeInterval = Duration::milliseconds(500);
constexpr std::size_t kHandshakesPerCall = 64;  // some milliseconds of public-key operations
constexpr Duration kWaitingCommandsRetry = Duration::milliseconds(1);
constexpr std::size_t kReachedPerTick = 16;  // likewise
constexpr Duration kChallengeLifetime = Duration::seconds(5);

tunnel::Path to_path(const tunnel::DatagramSource& source) {
  return {source.remote, source.local, source.interface};
}

constexpr std::uint8_t suite_bit(Suite suite) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(suite));
}

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

TunnelService::TunnelService(const tunnel::PrivateKey& key, unsigned session_slot_bits,
                             ControlLink& link, TimestampStore& timestamps, Rng& rng)
    : link_(link),
      timestamps_(timestamps),
      rng_(rng),
      indices_(session_slot_bits, rng),
      handshaker_(key, timestamps.last_sent(), indices_, rng) {}

TunnelService::PeerRecord* TunnelService::find(PeerId id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second;
}

// --- peers -------------------------------------------------------------------------------------

Result<PeerId> TunnelService::add_peer(const TunnelPeer& peer, Instant now) {
  const PeerId id = free_ids_.empty() ? PeerId{next_id_} : free_ids_.back();
  if (!handshaker_.add_peer(id, peer.settings,
                            timestamps_.last_received(peer.settings.public_key))) {
    return failure("the peer's public key is this node's own, another peer's, or not a valid key");
  }
  if (free_ids_.empty()) {
    ++next_id_;
  } else {
    free_ids_.pop_back();
  }
  auto worker_peer = std::make_unique<Peer>(id, peer.settings.ringway);
  worker_peer->timers.set_persistent_keepalive(peer.persistent_keepalive, now);
  PeerRecord record;
  record.peer = peer;
  if (peer.endpoint) {
    worker_peer->paths.prefer({*peer.endpoint, {}, 0});
    record.state.endpoint = *peer.endpoint;
  }
  peers_.emplace(id, std::move(record));
  send(command::AddPeer{std::move(worker_peer)});
  return id;
}

void TunnelService::change_peer(PeerId id, const TunnelPeer& peer) {
  PeerRecord* record = find(id);
  CHECK(record != nullptr);
  const TunnelPeer before = std::exchange(record->peer, peer);
  if (before.settings.suite != peer.settings.suite ||
      !(before.settings.preshared_key == peer.settings.preshared_key)) {
    handshaker_.change_peer(id, peer.settings);
    send(command::EraseSessions{id});
  }
  if (before.persistent_keepalive != peer.persistent_keepalive) {
    send(command::SetKeepalive{id, peer.persistent_keepalive});
  }
  if (peer.endpoint && before.endpoint != peer.endpoint) {
    send(command::PreferPath{id, {*peer.endpoint, {}, 0}});
    record->state.endpoint = *peer.endpoint;
  }
  take_handshaker_outputs(WallTime{});
}

void TunnelService::remove_peer(PeerId id) {
  CHECK(find(id) != nullptr);
  handshaker_.remove_peer(id);
  take_handshaker_outputs(WallTime{});
  peers_.erase(id);
  send(command::RemovePeer{id});
}

void TunnelService::assume_endpoint(PeerId id, const net::Endpoint& endpoint) {
  PeerRecord* record = find(id);
  CHECK(record != nullptr && endpoint.valid());
  if (record->state.endpoint.valid()) return;
  record->state.endpoint = endpoint;
  send(command::PreferPath{id, {endpoint, {}, 0}});
}

void TunnelService::apply_allowed_ips() {
  std::vector<tunnel::AllowedIp> entries;
  for (const auto& [id, record] : peers_) {
    for (const net::Prefix& prefix : record.peer.allowed_ips)
      entries.push_back({prefix, id});
  }
  send(command::SetAllowedIps{std::make_unique<const tunnel::AllowedIps>(entries)});
}

void TunnelService::set_forwarding_table(std::shared_ptr<const forwarding::ForwardingTable> table) {
  send(command::SetForwardingTable{std::move(table)});
}

void TunnelService::set_surroundings(std::unique_ptr<Surroundings> surroundings) {
  send(command::SetSurroundings{std::move(surroundings)});
}

const TunnelPeerState* TunnelService::peer_state(PeerId id) const {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second.state;
}

void TunnelService::request_snapshot(std::function<void(const WorkerSnapshot&)> done) {
  auto snapshot = std::make_unique<WorkerSnapshot>();
  snapshot->peers.reserve(peers_.size());
  for (const auto& [id, record] : peers_)
    snapshot->peers.push_back({.id = id, .path = {}});
  snapshot_requests_.push_back(std::move(done));
  send(command::Snapshot{std::move(snapshot)});
}

void TunnelService::hear_of_blocks(std::function<void(const BlockEventBatch&)> heard) {
  CHECK(!heard_of_blocks_);
  heard_of_blocks_ = std::move(heard);
  for (std::size_t i = 0; i < kBlockEventBatches; ++i)
    send(command::LendBlockEvents{std::make_unique<BlockEventBatch>()});
}

void TunnelService::request_mappings(std::uint32_t cursor,
                                     std::function<void(const MappingPage&)> done) {
  auto page = std::make_unique<MappingPage>();
  page->cursor = cursor;
  mapping_requests_.push_back(std::move(done));
  send(command::ListMappings{std::move(page)});
}

void TunnelService::reach(const std::vector<PeerId>& peers) {
  to_reach_.insert(to_reach_.end(), peers.begin(), peers.end());
}

// --- to the worker -----------------------------------------------------------------------------

void TunnelService::send(Command&& command) {
  // Order matters: nothing overtakes what is waiting already.
  flush_commands();
  if (waiting_head_ != waiting_.size() || !link_.commands.try_push(std::move(command))) {
    waiting_.push_back(std::move(command));  // NOLINT(bugprone-use-after-move): not taken when full
  }
  link_.worker_doorbell.ring();
}

void TunnelService::flush_commands() {
  while (waiting_head_ < waiting_.size() &&
         link_.commands.try_push(std::move(waiting_[waiting_head_]))) {
    ++waiting_head_;
  }
  if (waiting_head_ == waiting_.size()) {
    waiting_.clear();
    waiting_head_ = 0;
  }
}

void TunnelService::send_frame(PeerId id, const tunnel::Path& to,
                               const tunnel::ControlFrame& frame) {
  // Frames are said again; behind a full ring they would only pile up.
  if (waiting_head_ != waiting_.size()) return;
  command::SendControlFrame command{id, to, {}};
  const auto bytes = tunnel::emit_control_frame(frame);
  std::copy(bytes.begin(), bytes.end(), command.frame.data.begin());
  command.frame.length = static_cast<std::uint16_t>(bytes.size());
  send(std::move(command));
}

// --- from the handshaker -----------------------------------------------------------------------

void TunnelService::take_handshaker_outputs(WallTime wall) {
  tunnel::HandshakeOutput output;
  while (handshaker_.poll_output(output))
    handle(output, wall);
}

void TunnelService::handle(tunnel::HandshakeOutput& output, WallTime wall) {
  namespace out = tunnel::handshake_output;
  std::visit(Overloaded{
                 [&](out::SendToPeer& o) {
                   send(command::SendHandshake{o.peer, o.message});
                 },
                 [&](out::SendTo& o) {
                   send(command::SendDatagram{o.to, o.message});
                 },
                 [&](out::InstallSession& o) {
                   ++counters_.handshakes_completed;
                   PeerRecord* record = find(o.keys.peer);
                   CHECK(record != nullptr);
                   record->state.latest_handshake = wall;
                   const PeerId id = o.keys.peer;
                   const bool greet = o.keys.initiator && record->peer.settings.ringway;
                   const Suite suite = o.keys.suite;
                   send(command::InstallSession{std::make_unique<tunnel::Session>(o.keys)});
                   if (greet) send_frame(id, {}, tunnel::HelloFrame{suite_bit(suite), suite});
                 },
                 [&](out::EndpointSeen& o) {
                   PeerRecord* record = find(o.peer);
                   CHECK(record != nullptr);
                   // A Ringway peer's known endpoint moves by a validated path only.
                   if (!record->peer.settings.ringway || !record->state.endpoint.valid()) {
                     adopt_endpoint(o.peer, *record, o.from);
                   }
                 },
                 [&](out::GaveUp& o) { send(command::DropStaged{o.peer}); },
                 [&](out::EraseSessions& o) { send(command::EraseSessions{o.peer}); },
                 [&](out::TimestampSent& o) { timestamps_.store_sent(o.timestamp); },
                 [&](out::TimestampReceived& o) {
                   if (const PeerRecord* record = find(o.peer)) {
                     timestamps_.store_received(record->peer.settings.public_key, o.timestamp);
                   }
                 },
             },
             output);
}

void TunnelService::adopt_endpoint(PeerId id, PeerRecord& record,
                                   const tunnel::DatagramSource& source) {
  record.state.endpoint = source.remote;
  send(command::PreferPath{id, to_path(source)});
}

// --- from the worker ---------------------------------------------------------------------------

void TunnelService::handle_events(Instant now, WallTime wall) {
  latest_ = now;
  flush_commands();
  // Bounded, so that a flood leaves room for everything else.
  for (std::size_t i = 0; i < kEventRingEntries; ++i) {
    auto event = link_.events.try_pop();
    if (!event) break;
    handle(*event, now, wall);
  }
  for (std::size_t i = 0; i < kHandshakesPerCall; ++i) {
    const auto received = link_.handshakes.try_pop();
    if (!received) break;
    handshaker_.input(now, wall, received->message.view(), received->from);
    take_handshaker_outputs(wall);
  }
  take_handshaker_outputs(wall);
  flush_commands();
}

Instant TunnelService::next_deadline() const {
  if (!to_reach_.empty()) return latest_;
  const Instant deadline = handshaker_.next_deadline();
  if (waiting_head_ == waiting_.size()) return deadline;
  return std::min(deadline, latest_ + kWaitingCommandsRetry);
}

void TunnelService::tick(Instant now, WallTime wall) {
  latest_ = now;
  flush_commands();
  for (std::size_t i = 0; i < kReachedPerTick && !to_reach_.empty(); ++i) {
    handshaker_.request_session(to_reach_.front(), now, wall, true);
    to_reach_.pop_front();
  }
  handshaker_.tick(now, wall);
  take_handshaker_outputs(wall);
}

void TunnelService::handle(Event& event, Instant now, WallTime wall) {
  std::visit(Overloaded{
                 [&](event::SessionWanted& e) {
                   if (find(e.peer) == nullptr) return;
                   handshaker_.request_session(e.peer, now, wall, e.new_data);
                   take_handshaker_outputs(wall);
                 },
                 [&](event::SourceSeen& e) {
                   PeerRecord* record = find(e.peer);
                   if (record == nullptr) return;
                   if (record->peer.settings.ringway && record->state.endpoint.valid()) {
                     challenge_path(e.peer, *record, e.from, now);
                   } else {
                     record->state.endpoint = e.from.remote;
                   }
                 },
                 [&](event::ControlFrameReceived& e) { handle_control_frame(e.peer, e, now); },
                 [&](event::SessionConfirmed& e) {
                   const PeerRecord* record = find(e.peer);
                   if (record == nullptr) return;
                   handshaker_.session_confirmed(e.peer);
                   if (!record->peer.settings.ringway) return;
                   const Suite suite = record->peer.settings.suite;
                   send_frame(e.peer, {}, tunnel::HelloFrame{suite_bit(suite), suite});
                 },
                 [&](event::SessionRetired& e) { indices_.release(e.session->local_index()); },
                 [&](event::PeerRemoved& e) { free_ids_.push_back(e.peer->id); },
                 [&](event::AllowedIpsRetired&) {},
                 [&](event::ForwardingTableRetired&) {},
                 [&](event::SurroundingsRetired&) {},
                 [&](event::NeighbourWanted& e) {
                   if (neighbours_ != nullptr) neighbours_->want(e.neighbour, now);
                 },
                 [&](event::NeighbourUsed& e) {
                   if (neighbours_ != nullptr) neighbours_->use(e.neighbour, now);
                 },
                 [&](event::SnapshotTaken& e) {
                   CHECK(!snapshot_requests_.empty());
                   const auto done = std::move(snapshot_requests_.front());
                   snapshot_requests_.erase(snapshot_requests_.begin());
                   done(*e.snapshot);
                 },
                 [&](event::BlocksChanged& e) {
                   heard_of_blocks_(*e.batch);
                   send(command::LendBlockEvents{std::move(e.batch)});
                 },
                 [&](event::MappingsListed& e) {
                   CHECK(!mapping_requests_.empty());
                   const auto done = std::move(mapping_requests_.front());
                   mapping_requests_.pop_front();
                   done(*e.page);
                 },
             },
             event);
}

// --- paths and hellos of Ringway peers -----------------------------------------------------------

void TunnelService::challenge_path(PeerId id, PeerRecord& record,
                                   const tunnel::DatagramSource& source, Instant now) {
  if (now - record.challenge_sent < kChallengeInterval) return;
  record.challenge_sent = now;
  record.challenge_open = true;
  record.challenged = source;
  rng_.fill(record.challenge_nonce);
  ++counters_.path_challenges_sent;
  send_frame(id, to_path(source), tunnel::PathChallengeFrame{record.challenge_nonce});
}

void TunnelService::handle_control_frame(PeerId id, const event::ControlFrameReceived& received,
                                         Instant now) {
  PeerRecord* record = find(id);
  if (record == nullptr) return;
  const auto frame = tunnel::parse_control_frame(received.frame.view());
  if (!frame) {
    ++counters_.control_frames_refused;
    return;
  }
  std::visit(
      Overloaded{
          [&](const tunnel::HelloFrame& hello) {
            const Suite ours = record->peer.settings.suite;
            if (hello.in_use == ours && (hello.suites & suite_bit(ours)) != 0) return;
            ++counters_.suite_disagreements;
            send(command::EraseSessions{id});
          },
          [&](const tunnel::PathChallengeFrame& challenge) {
            send_frame(id, to_path(received.from), tunnel::PathResponseFrame{challenge.nonce});
          },
          [&](const tunnel::PathResponseFrame& response) {
            if (!record->challenge_open || now - record->challenge_sent > kChallengeLifetime ||
                !constant_time_equal(response.nonce, record->challenge_nonce) ||
                received.from.remote != record->challenged.remote) {
              ++counters_.control_frames_refused;
              return;
            }
            record->challenge_open = false;
            ++counters_.paths_validated;
            adopt_endpoint(id, *record, received.from);
          },
      },
      *frame);
}

}  // namespace ringway::control
