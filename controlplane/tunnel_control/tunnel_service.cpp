#include "controlplane/tunnel_control/tunnel_service.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.hpp"

namespace ringway::control {
namespace {

using tunnel::Suite;

constexpr Duration kChallengeInterval = Duration::milliseconds(500);
constexpr std::size_t kHandshakesPerCall = 64;  // some milliseconds of public-key operations
constexpr Duration kWaitingCommandsRetry = Duration::milliseconds(1);
constexpr std::size_t kReachedPerTick = 16;  // likewise
// One part in so many may a worker have more peers than the one with the fewest.
constexpr std::size_t kShareTolerance = 8;
constexpr Duration kChallengeLifetime = Duration::seconds(5);
// A cursor of request_mappings(): the worker, and below it the NAT's own.
constexpr unsigned kCursorBits = 28;
constexpr std::uint32_t kCursorMask = (1U << kCursorBits) - 1;

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
                             std::span<ControlLink* const> links, TimestampStore& timestamps,
                             Rng& rng)
    : timestamps_(timestamps),
      rng_(rng),
      indices_(session_slot_bits, rng),
      handshaker_(key, timestamps.last_sent(), indices_, rng) {
  CHECK(!links.empty() && links.size() <= kMaxWorkers);
  for (ControlLink* link : links)
    workers_.emplace_back(*link);
}

TunnelService::PeerRecord* TunnelService::find(PeerId id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second;
}

// --- peers -------------------------------------------------------------------------------------

Result<PeerId> TunnelService::add_peer(const TunnelPeer& peer, Instant now,
                                       std::optional<WorkerId> owner) {
  CHECK(!owner || owner->value < workers_.size());
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
  worker_peer->set_limits(peer.limits);
  PeerRecord record;
  record.peer = peer;
  if (peer.endpoint) {
    worker_peer->paths.prefer({*peer.endpoint, {}, 0});
    record.state.endpoint = *peer.endpoint;
  }
  record.unplaced = std::move(worker_peer);
  PeerRecord& added = peers_.emplace(id, std::move(record)).first->second;
  if (owner) place(id, added, *owner);
  place_if_to_be_reached(id, added);
  return id;
}

// Whom we may have to call is somebody's from the start. Where there is one worker, everybody is.
void TunnelService::place_if_to_be_reached(PeerId id, PeerRecord& record) {
  if (record.owner) return;
  if (workers_.size() > 1 && !record.state.endpoint.valid()) return;
  place(id, record, least_loaded());
}

void TunnelService::place(PeerId id, PeerRecord& record, WorkerId owner) {
  record.owner = owner;
  ++loads_[owner.value];
  handshaker_.set_owner(id, owner);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (i != owner.value) workers_[i].send(command::SetPeerOwner{id, owner});
  }
  channel(owner).send(command::AddPeer{std::move(record.unplaced)});
}

WorkerId TunnelService::least_loaded() const {
  const auto least = std::min_element(
      loads_.begin(), loads_.begin() + static_cast<std::ptrdiff_t>(workers_.size()));
  return {static_cast<std::uint8_t>(least - loads_.begin())};
}

// Where its first message arrived the rest will arrive too, if a device's queue decided that, and
// need not be handed over. But nobody gets much more than his share.
WorkerId TunnelService::owner_of_newcomer(WorkerId arrived_at) const {
  const WorkerId least = least_loaded();
  const std::size_t fewest = loads_[least.value];
  return loads_[arrived_at.value] <= fewest + fewest / kShareTolerance ? arrived_at : least;
}

void TunnelService::change_peer(PeerId id, const TunnelPeer& peer) {
  PeerRecord* record = find(id);
  CHECK(record != nullptr);
  const TunnelPeer before = std::exchange(record->peer, peer);
  if (before.settings.suite != peer.settings.suite ||
      !(before.settings.preshared_key == peer.settings.preshared_key)) {
    handshaker_.change_peer(id, peer.settings);
    send(*record, command::EraseSessions{id});
  }
  const bool moved = peer.endpoint && before.endpoint != peer.endpoint;
  if (moved) {
    record->state.endpoint = *peer.endpoint;
    place_if_to_be_reached(id, *record);
    send(*record, command::PreferPath{id, {*peer.endpoint, {}, 0}});
  }
  if (before.persistent_keepalive != peer.persistent_keepalive) {
    set_keepalive(id, *record, peer.persistent_keepalive);
  }
  if (before.limits != peer.limits) set_limits(id, *record, peer.limits);
  take_handshaker_outputs(WallTime{});
}

void TunnelService::set_keepalive(PeerId id, PeerRecord& record, Duration interval) {
  if (record.unplaced != nullptr) {
    record.unplaced->timers.set_persistent_keepalive(interval, latest_);
  } else {
    send(record, command::SetKeepalive{id, interval});
  }
}

void TunnelService::set_limits(PeerId id, PeerRecord& record, const RateLimits& limits) {
  if (record.unplaced != nullptr) {
    record.unplaced->set_limits(limits);
  } else {
    send(record, command::SetRateLimits{id, limits});
  }
}

void TunnelService::remove_peer(PeerId id) {
  PeerRecord* record = find(id);
  CHECK(record != nullptr);
  handshaker_.remove_peer(id);
  take_handshaker_outputs(WallTime{});
  if (record->owner) {
    --loads_[record->owner->value];
    channel(*record->owner).send(command::RemovePeer{id});
  } else {
    free_ids_.push_back(id);
  }
  peers_.erase(id);
}

void TunnelService::assume_endpoint(PeerId id, const net::Endpoint& endpoint) {
  PeerRecord* record = find(id);
  CHECK(record != nullptr && endpoint.valid());
  if (record->state.endpoint.valid()) return;
  record->state.endpoint = endpoint;
  place_if_to_be_reached(id, *record);
  send(*record, command::PreferPath{id, {endpoint, {}, 0}});
}

void TunnelService::apply_allowed_ips() {
  std::vector<tunnel::AllowedIp> entries;
  for (const auto& [id, record] : peers_) {
    for (const net::Prefix& prefix : record.peer.allowed_ips)
      entries.push_back({prefix, id});
  }
  const auto allowed_ips = std::make_shared<const tunnel::AllowedIps>(entries);
  for (WorkerChannel& worker : workers_)
    worker.send(command::SetAllowedIps{allowed_ips});
}

void TunnelService::set_forwarding_table(std::shared_ptr<const forwarding::ForwardingTable> table) {
  for (WorkerChannel& worker : workers_)
    worker.send(command::SetForwardingTable{table});
}

void TunnelService::set_surroundings(const Surroundings& surroundings) {
  for (WorkerChannel& worker : workers_)
    worker.send(command::SetSurroundings{std::make_unique<Surroundings>(surroundings)});
}

const TunnelPeerState* TunnelService::peer_state(PeerId id) const {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second.state;
}

void TunnelService::request_snapshot(std::function<void(const WorkerSnapshot&)> done) {
  SnapshotRequest request{std::move(done), {}, (1U << workers_.size()) - 1};
  std::vector<std::unique_ptr<WorkerSnapshot>> parts(workers_.size());
  for (auto& part : parts)
    part = std::make_unique<WorkerSnapshot>();
  for (const auto& [id, record] : peers_) {
    auto& peers = record.owner ? parts[record.owner->value]->peers : request.sum.peers;
    peers.push_back({.id = id, .path = {}});
  }
  snapshot_requests_.push_back(std::move(request));
  for (std::size_t i = 0; i < workers_.size(); ++i)
    workers_[i].send(command::Snapshot{std::move(parts[i])});
}

void TunnelService::hear_of_blocks(std::function<void(WorkerId, const BlockEventBatch&)> heard) {
  CHECK(!heard_of_blocks_);
  heard_of_blocks_ = std::move(heard);
  for (WorkerChannel& worker : workers_) {
    for (std::size_t i = 0; i < kBlockEventBatches; ++i)
      worker.send(command::LendBlockEvents{std::make_unique<BlockEventBatch>()});
  }
}

void TunnelService::request_mappings(std::uint32_t cursor,
                                     std::function<void(const MappingPage&)> done) {
  const std::size_t worker = cursor >> kCursorBits;
  auto page = std::make_unique<MappingPage>();
  if (worker >= workers_.size()) return done(*page);
  page->cursor = cursor & kCursorMask;
  mapping_requests_.push_back({{static_cast<std::uint8_t>(worker)}, std::move(done)});
  workers_[worker].send(command::ListMappings{std::move(page)});
}

void TunnelService::reach(const std::vector<PeerId>& peers) {
  to_reach_.insert(to_reach_.end(), peers.begin(), peers.end());
}

// --- to the worker -----------------------------------------------------------------------------

// Whoever has no worker has no sessions, no path and nothing that waits: there is nothing to tell.
void TunnelService::send(const PeerRecord& record, Command&& command) {
  if (record.owner) channel(*record.owner).send(std::move(command));
}

void TunnelService::flush_commands() {
  for (WorkerChannel& worker : workers_)
    worker.flush();
}

bool TunnelService::commands_wait() const {
  return !std::ranges::all_of(workers_, &WorkerChannel::idle);
}

void TunnelService::send_frame(PeerId id, const PeerRecord& record, const tunnel::Path& to,
                               const tunnel::ControlFrame& frame) {
  // Frames are said again; behind a full ring they would only pile up.
  if (!record.owner || !channel(*record.owner).idle()) return;
  command::SendControlFrame command{id, to, {}};
  const auto bytes = tunnel::emit_control_frame(frame);
  std::copy(bytes.begin(), bytes.end(), command.frame.data.begin());
  command.frame.length = static_cast<std::uint16_t>(bytes.size());
  send(record, std::move(command));
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
                   const PeerRecord* record = find(o.peer);
                   CHECK(record != nullptr);
                   send(*record, command::SendHandshake{o.peer, o.message});
                 },
                 [&](out::SendTo& o) {
                   channel(o.owner).send(command::SendDatagram{o.to, o.message});
                 },
                 [&](out::InstallSession& o) {
                   ++counters_.handshakes_completed;
                   PeerRecord* record = find(o.keys.peer);
                   CHECK(record != nullptr);
                   record->state.latest_handshake = wall;
                   const PeerId id = o.keys.peer;
                   const bool greet = o.keys.initiator && record->peer.settings.ringway;
                   const Suite suite = o.keys.suite;
                   send(*record, command::InstallSession{std::make_unique<tunnel::Session>(o.keys),
                                                         o.answered});
                   if (greet)
                     send_frame(id, *record, {}, tunnel::HelloFrame{suite_bit(suite), suite});
                 },
                 [&](out::EndpointSeen& o) {
                   PeerRecord* record = find(o.peer);
                   CHECK(record != nullptr);
                   if (!record->owner) place(o.peer, *record, o.owner);
                   // A Ringway peer's known endpoint moves by a validated path only.
                   if (!record->peer.settings.ringway || !record->state.endpoint.valid()) {
                     adopt_endpoint(o.peer, *record, o.from);
                   }
                 },
                 [&](out::GaveUp& o) {
                   if (const PeerRecord* record = find(o.peer)) {
                     send(*record, command::DropStaged{o.peer});
                   }
                 },
                 [&](out::EraseSessions& o) {
                   if (const PeerRecord* record = find(o.peer)) {
                     send(*record, command::EraseSessions{o.peer});
                   }
                 },
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
  send(record, command::PreferPath{id, to_path(source)});
}

// --- from the worker ---------------------------------------------------------------------------

void TunnelService::handle_events(Instant now, WallTime wall) {
  latest_ = now;
  flush_commands();
  for (std::size_t i = 0; i < workers_.size(); ++i)
    handle_events_of({static_cast<std::uint8_t>(i)}, now, wall);
  take_handshaker_outputs(wall);
  flush_commands();
}

// Bounded, so that a flood leaves room for everything else.
void TunnelService::handle_events_of(WorkerId worker, Instant now, WallTime wall) {
  for (std::size_t i = 0; i < kEventRingEntries; ++i) {
    auto event = channel(worker).events().try_pop();
    if (!event) break;
    handle(*event, worker, now, wall);
  }
  for (std::size_t i = 0; i < kForKernelRingEntries; ++i) {
    const auto packet = channel(worker).for_kernel().try_pop();
    if (!packet) break;
    if (give_back_) give_back_(packet->view());
  }
  for (std::size_t i = 0; i < kHandshakesPerCall / workers_.size(); ++i) {
    const auto received = channel(worker).handshakes().try_pop();
    if (!received) break;
    handshaker_.input(now, wall, received->message.view(), received->from,
                      owner_of_newcomer(worker));
    take_handshaker_outputs(wall);
  }
}

Instant TunnelService::next_deadline() const {
  if (!to_reach_.empty()) return latest_;
  const Instant deadline = handshaker_.next_deadline();
  return commands_wait() ? std::min(deadline, latest_ + kWaitingCommandsRetry) : deadline;
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

void TunnelService::handle(Event& event, WorkerId from, Instant now, WallTime wall) {
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
                   PeerRecord* record = find(e.peer);
                   if (record == nullptr) return;
                   if (e.answered.valid()) record->state.endpoint = e.answered;
                   handshaker_.session_confirmed(e.peer);
                   if (!record->peer.settings.ringway) return;
                   const Suite suite = record->peer.settings.suite;
                   send_frame(e.peer, *record, {}, tunnel::HelloFrame{suite_bit(suite), suite});
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
                 [&](event::SnapshotTaken& e) { add_to_snapshot(from, *e.snapshot); },
                 [&](event::BlocksChanged& e) {
                   heard_of_blocks_(from, *e.batch);
                   channel(from).send(command::LendBlockEvents{std::move(e.batch)});
                 },
                 [&](event::MappingsListed& e) {
                   name_next_cursor(*e.page, from);
                   answer_mapping_request(from, *e.page);
                 },
             },
             event);
}

// Each worker answers in order, and workers do not wait for each other.
void TunnelService::answer_mapping_request(WorkerId from, const MappingPage& page) {
  const auto request = std::ranges::find(mapping_requests_, from, &MappingRequest::worker);
  CHECK(request != mapping_requests_.end());
  const auto done = std::move(request->done);
  mapping_requests_.erase(request);
  done(page);
}

void TunnelService::add_to_snapshot(WorkerId from, const WorkerSnapshot& part) {
  const std::uint32_t answered = 1U << from.value;
  const auto request = std::ranges::find_if(
      snapshot_requests_, [&](const SnapshotRequest& r) { return (r.missing & answered) != 0; });
  CHECK(request != snapshot_requests_.end());
  request->missing &= ~answered;
  request->sum.peers.insert(request->sum.peers.end(), part.peers.begin(), part.peers.end());
  request->sum.nat += part.nat;
  if (request->missing != 0) return;
  // Requests before this one are complete as well: each worker answers in order.
  const SnapshotRequest complete = std::move(snapshot_requests_.front());
  snapshot_requests_.pop_front();
  complete.done(complete.sum);
}

// At the end of one worker's mappings the next one's begin.
void TunnelService::name_next_cursor(MappingPage& page, WorkerId from) const {
  const std::uint32_t worker = page.cursor != 0 ? from.value : from.value + 1U;
  page.cursor = worker < workers_.size() ? worker << kCursorBits | page.cursor : 0;
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
  send_frame(id, record, to_path(source), tunnel::PathChallengeFrame{record.challenge_nonce});
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
  std::visit(Overloaded{
                 [&](const tunnel::HelloFrame& hello) {
                   const Suite ours = record->peer.settings.suite;
                   if (hello.in_use == ours && (hello.suites & suite_bit(ours)) != 0) return;
                   ++counters_.suite_disagreements;
                   send(*record, command::EraseSessions{id});
                 },
                 [&](const tunnel::PathChallengeFrame& challenge) {
                   send_frame(id, *record, to_path(received.from),
                              tunnel::PathResponseFrame{challenge.nonce});
                 },
                 [&](const tunnel::PathResponseFrame& response) {
                   if (!record->challenge_open ||
                       now - record->challenge_sent > kChallengeLifetime ||
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
