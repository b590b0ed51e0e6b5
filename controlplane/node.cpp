#include "controlplane/node.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "base/check.hpp"
#include "controlplane/asio_await.hpp"
#include "controlplane/endpoint_resolver.hpp"
#include "controlplane/host/gateway_nat.hpp"
#include "controlplane/host/interface_facts.hpp"
#include "controlplane/logging.hpp"
#include "controlplane/version.hpp"

namespace ringway::control {
namespace {

namespace asio = boost::asio;

// Pages of mappings that one request of the API takes from the worker, unless it has found enough.
constexpr std::size_t kPagesPerRequest = 64;
constexpr std::size_t kMappingsPerRequest = 2048;
// Who was away for longer has to be called by its peers: their own NATs have forgotten us.
constexpr Duration kReachWithin = Duration::seconds(600);
constexpr Duration kSnapshotPatience = Duration::seconds(1);
// After suspension the timer runs on where it stood: deadlines that passed must not wait for it.
constexpr Duration kLongestWait = Duration::seconds(5);

Result<TunnelPeer> to_tunnel_peer(const PeerConfig& config) {
  TunnelPeer peer;
  peer.settings.public_key = config.public_key;
  peer.settings.preshared_key = config.preshared_key;
  peer.settings.suite = config.suite;
  peer.settings.ringway = config.is_ringway();
  peer.allowed_ips = config.allowed_ips;
  peer.persistent_keepalive = Duration::seconds(config.persistent_keepalive_s);
  peer.limits = config.limits;
  if (config.endpoint) {
    auto resolved = resolve_endpoint(*config.endpoint);
    if (!resolved) {
      Error error = resolved.error();
      error.message = "peer " + config.name + ": " + error.message;
      return tl::unexpected(std::move(error));
    }
    peer.endpoint = *resolved;
  }
  return peer;
}

// The worker's peer has its key and type for life: with others it is a new one.
bool is_same_peer(const PeerConfig& a, const PeerConfig& b) {
  return a.public_key == b.public_key && a.type == b.type;
}

GatewayIoFacts gateway_io_facts(const Config& config) {
  const std::string& interface = config.gateway.interface;
  GatewayIoFacts facts{driver_of(interface), has_xdp_zero_copy(interface), {}};
  if (auto addressed = addressed_interfaces()) facts.addressed = std::move(*addressed);
  return facts;
}

bool carries_default_route(const PeerConfig& peer) {
  return std::any_of(peer.allowed_ips.begin(), peer.allowed_ips.end(),
                     [](const net::Prefix& prefix) { return prefix.length == 0; });
}

}  // namespace

Node::Node(const Config& config, asio::io_context& io)
    : config_(config),
      io_(io),
      deadline_timer_(io),
      started_(Instant::now()),
      started_at_(WallTime::now()) {}

Result<std::unique_ptr<Node>> Node::start(const Config& config, asio::io_context& io) {
  auto node = std::unique_ptr<Node>(new Node(config, io));
  if (auto opened = node->open_ports(); !opened) return tl::unexpected(opened.error());
  auto timestamps = TimestampFile::open(config.state.directory);
  if (!timestamps) return tl::unexpected(timestamps.error());
  node->timestamps_ = std::move(*timestamps);
  node->service_ =
      std::make_unique<TunnelService>(config.interface.private_key, kSessionSlotBits,
                                      node->crew_->links(), *node->timestamps_, node->rng_);
  if (auto opened = node->open_gateway_state(); !opened) return tl::unexpected(opened.error());
  node->make_workers();
  if (auto added = node->add_configured_peers(); !added) return tl::unexpected(added.error());
  node->restore_mappings();
  if (auto running = node->crew_->run(config.worker); !running) {
    return tl::unexpected(running.error());
  }
  auto host = HostSetup::apply(node->host_plan());
  if (!host) return tl::unexpected(host.error());
  node->host_ = std::move(*host);
  if (node->xdp_ != nullptr) {
    if (auto steered = node->xdp_->steer(*node->service_); !steered) {
      return tl::unexpected(steered.error());
    }
  }
  node->reach_kept_peers();
  for (ControlLink* link : node->crew_->links()) {
    node->doorbells_.emplace_back(io, ::dup(link->control_doorbell.fd()));
    asio::co_spawn(io, node->serve_worker_events(*link, node->doorbells_.back()), end_on_exception);
  }
  asio::co_spawn(io, node->serve_deadlines(), end_on_exception);
  return node;
}

Node::~Node() {
  (void)stop();
}

Result<void> Node::stop() {
  stopping_ = true;
  if (host_ != nullptr) keep_last_state();
  if (xdp_ != nullptr) xdp_->stop();
  Result<void> taken_back;
  if (host_ != nullptr) {
    const bool restarts = stop_kind_ == StopKind::kForRestart;
    taken_back = restarts ? host_->leave_guarded() : host_->take_back();
    host_.reset();
  }
  close_ports();
  if (nat_records_ != nullptr) nat_records_->close_log(WallTime::now());
  nat_records_.reset();
  return taken_back;
}

// The next start shall find what there is now. With more than a second's worth of mappings, what
// the last round wrote remains.
void Node::keep_last_state() {
  if (keeper_ == nullptr) return;
  keeper_->begin_last(Instant::now());
  (void)wait_for_worker([this] { return !keeper_->under_way(); });
}

// Buffers that one worker lent another have to come home before the memory goes.
void Node::close_ports() {
  if (crew_ == nullptr) return;
  crew_->stop([this] { take_worker_events(); });
  if (xdp_ != nullptr) xdp_->close_ports();
  crew_->dissolve();
  if (xdp_ != nullptr) {
    const std::uint32_t away = xdp_->interfaces().frames_away();
    if (away != 0) log_error(std::to_string(away) + " AF_XDP frames did not come home");
  }
  xdp_.reset();
  crew_->close_ports();
}

void Node::request_stop(StopKind kind) {
  stopping_ = true;
  stop_kind_ = kind;
  // Posted, so that whoever asked gets an answer first.
  asio::post(io_, [this] { io_.stop(); });
}

// --- start ---------------------------------------------------------------------------------------

Result<void> Node::open_ports() {
  auto crew = WorkerCrew::open(config_);
  if (!crew) return tl::unexpected(crew.error());
  crew_ = std::move(*crew);
  return config_.gateway.enabled ? open_gateway() : Result<void>();
}

Result<void> Node::open_gateway() {
  auto choice = settle_gateway_io(config_, {[this] { return gateway_io_facts(config_); },
                                            [this] { return open_xdp_gateway(); }});
  if (!choice) return tl::unexpected(choice.error());
  io_choice_ = std::move(*choice);
  if (!io_choice_.reason.empty()) {
    log_info("gateway.io = \"auto\" takes " + std::string(gateway_io_name(io_choice_.io)) + ": " +
             io_choice_.reason);
  }
  return {};
}

Result<void> Node::open_xdp_gateway() {
  const auto ports = free_nat_ports(crew_->local_port());
  if (!ports) return tl::unexpected(ports.error());
  nat_ports_ = *ports;
  auto gateway = XdpGateway::open(config_, crew_->sockets(), crew_->mesh(), nat_ports_, io_);
  if (!gateway) return tl::unexpected(gateway.error());
  const XdpInterfaces& interfaces = (*gateway)->interfaces();
  if (config_.gateway.io == GatewayIo::kAuto && interfaces.mode() != "native") {
    return failure("not in native mode: " + interfaces.reason());
  }
  xdp_ = std::move(*gateway);
  return {};
}

Result<void> Node::add_configured_peers() {
  for (const PeerConfig& peer : config_.peers) {
    auto usable = to_tunnel_peer(peer);
    if (!usable) return tl::unexpected(usable.error());
    const KeptPeer* kept = kept_peer(peer.public_key);
    const auto owner = kept == nullptr ? std::nullopt : kept_owners_[place_of(*kept)];
    if (auto added = apply_peer(peer, *usable, owner); !added) return added;
    if (kept != nullptr && kept->endpoint.valid()) {
      service_->assume_endpoint(peer_ids_.at(peer.name), kept->endpoint);
    }
  }
  service_->apply_allowed_ips();
  return {};
}

// --- what outlives a restart ---------------------------------------------------------------------

Result<void> Node::open_gateway_state() {
  if (!config_.gateway.enabled) return {};
  kept_ = load_kept_state(config_.state.directory);
  if (kept_) {
    for (const KeptPeer& peer : kept_->peers)
      kept_peers_.emplace(peer.public_key, &peer);
    kept_owners_.resize(kept_->peers.size());
    if (xdp_ != nullptr) kept_owners_ = owners_by_mappings(*kept_, xdp_->nat_shares());
  }
  keeper_ =
      std::make_unique<StateKeeper>(config_.state.directory, xdp_ != nullptr, *service_, [this] {
        std::vector<StateKeeper::KnownPeer> known;
        for (const PeerConfig& peer : config_.peers) {
          const auto id = peer_ids_.find(peer.name);
          if (id != peer_ids_.end()) known.push_back({id->second, peer.public_key});
        }
        return known;
      });
  if (xdp_ == nullptr) return {};
  auto records = NatRecords::open(config_.gateway.nat_log);
  if (!records) return tl::unexpected(records.error());
  nat_records_ = std::make_unique<NatRecords>(std::move(*records));
  return {};
}

const KeptPeer* Node::kept_peer(const tunnel::PublicKey& key) const {
  const auto found = kept_peers_.find(key);
  return found == kept_peers_.end() ? nullptr : found->second;
}

std::size_t Node::place_of(const KeptPeer& peer) const {
  return static_cast<std::size_t>(&peer - kept_->peers.data());
}

void Node::restore_mappings() {
  if (!kept_ || xdp_ == nullptr || kept_->mappings.empty()) return;
  const auto away = time_between(kept_->moment, kept_moment_now());
  if (!away) {
    log_warn("the clock has gone back since the last run: its mappings are not restored");
    return;
  }
  std::vector<std::optional<KeptOwner>> owners(kept_->peers.size());
  std::map<PeerId, WorkerId> workers;
  for (const PeerConfig& peer : config_.peers) {
    const KeptPeer* kept = kept_peer(peer.public_key);
    if (kept == nullptr) continue;
    const std::size_t place = place_of(*kept);
    owners[place] = KeptOwner{peer_ids_.at(peer.name), peer.allowed_ips};
    if (kept_owners_[place]) workers.emplace(peer_ids_.at(peer.name), *kept_owners_[place]);
  }
  std::vector<std::vector<nat::MappingRecord>> records(crew_->size());
  for (const nat::MappingRecord& record : mappings_after(*kept_, *away, owners)) {
    const auto worker = workers.find(record.subscriber);
    if (worker != workers.end()) records[worker->second.value].push_back(record);
  }
  std::size_t restored = 0;
  for (std::size_t i = 0; i < records.size(); ++i)
    restored += crew_->restore_mappings({static_cast<std::uint8_t>(i)}, records[i]);
  log_info("restored " + std::to_string(restored) + " of the " +
           std::to_string(kept_->mappings.size()) + " mappings of the last run");
}

// They still send by sessions that we have forgotten, and may not notice for a while.
void Node::reach_kept_peers() {
  if (!kept_) return;
  const auto away = time_between(kept_->moment, kept_moment_now());
  std::vector<PeerId> peers;
  for (const PeerConfig& peer : config_.peers) {
    const KeptPeer* kept = kept_peer(peer.public_key);
    if (kept != nullptr && kept->had_session) peers.push_back(peer_ids_.at(peer.name));
  }
  if (away && *away <= kReachWithin) service_->reach(peers);
  kept_peers_.clear();
  kept_owners_.clear();
  kept_.reset();
}

void Node::make_workers() {
  crew_->make_workers(service_->public_key(), xdp_.get());
  if (xdp_ == nullptr) return;
  service_->hear_of_blocks([this](WorkerId worker, const BlockEventBatch& batch) {
    nat_records_->take_blocks(worker, batch, Instant::now(), WallTime::now());
  });
}

HostPlan Node::host_plan() const {
  HostPlan plan;
  plan.tun_name = crew_->tun_name();
  for (const InterfaceAddress& address : config_.interface.addresses) {
    plan.addresses.push_back({address.address, address.length});
  }
  plan.mtu = config_.interface.mtu;
  plan.fwmark = config_.interface.fwmark;
  plan.listen_port = crew_->local_port();
  for (const PeerConfig& peer : config_.peers) {
    plan.peer_prefixes.insert(plan.peer_prefixes.end(), peer.allowed_ips.begin(),
                              peer.allowed_ips.end());
  }
  plan.full_tunnel = config_.edge.full_tunnel;
  plan.masquerade = config_.gateway.masquerade && xdp_ == nullptr;
  plan.own_nat = xdp_ != nullptr;
  plan.nat_ports = nat_ports_;
  plan.wan_interface = config_.gateway.interface;
  plan.state_directory = config_.state.directory;
  return plan;
}

// --- peers ---------------------------------------------------------------------------------------

Result<void> Node::apply_peer(const PeerConfig& config, const TunnelPeer& peer,
                              std::optional<WorkerId> owner) {
  if (const auto known = peer_ids_.find(config.name); known != peer_ids_.end()) {
    service_->change_peer(known->second, peer);
    return {};
  }
  auto id = service_->add_peer(peer, Instant::now(), owner);
  if (!id) {
    Error error = id.error();
    error.message = "peer " + config.name + ": " + error.message;
    return tl::unexpected(std::move(error));
  }
  peer_ids_.emplace(config.name, *id);
  if (nat_records_ != nullptr) nat_records_->note_subscriber(*id, config.name, config.public_key);
  return {};
}

void Node::forget_peer(const std::string& name) {
  const auto known = peer_ids_.find(name);
  if (known == peer_ids_.end()) return;
  service_->remove_peer(known->second);
  peer_ids_.erase(known);
  if (keeper_ != nullptr) keeper_->peers_changed();
}

Result<void> Node::apply_routes() {
  service_->apply_allowed_ips();
  if (xdp_ != nullptr) xdp_->pass_on_surroundings();
  return host_->change_to(host_plan());
}

Result<void> Node::set_peer(const PeerConfig& peer) {
  auto usable = to_tunnel_peer(peer);  // before anything is taken away
  if (!usable) return tl::unexpected(usable.error());
  const auto known = std::find_if(config_.peers.begin(), config_.peers.end(),
                                  [&](const PeerConfig& other) { return other.name == peer.name; });
  if (known != config_.peers.end() && !is_same_peer(*known, peer)) forget_peer(peer.name);
  if (auto applied = apply_peer(peer, *usable); !applied) {
    drop_unapplied_peers();
    return applied;
  }
  if (known != config_.peers.end()) {
    *known = peer;
  } else {
    config_.peers.push_back(peer);
  }
  log_info("peer " + peer.name + " set");
  return apply_routes();
}

// After a change that failed half-way: what is configured is what the tunnel knows.
void Node::drop_unapplied_peers() {
  std::erase_if(config_.peers,
                [&](const PeerConfig& peer) { return !peer_ids_.contains(peer.name); });
  service_->apply_allowed_ips();
}

Result<void> Node::remove_peer(const std::string& name) {
  forget_peer(name);
  std::erase_if(config_.peers, [&](const PeerConfig& peer) { return peer.name == name; });
  log_info("peer " + name + " removed");
  return apply_routes();
}

Result<ReloadReport> Node::reload() {
  // Whatever becomes of the configuration: a log that was rotated is not to be written to.
  if (nat_records_ != nullptr) {
    if (auto opened = nat_records_->reopen_log(); !opened) log_error(opened.error().text());
  }
  auto fresh = load_config(config_.path);
  if (!fresh) return tl::unexpected(fresh.error());
  const ConfigDiff diff = diff_config(config_, *fresh);
  // Names are resolved before anything changes: a reload happens as a whole or not at all.
  std::map<std::string, TunnelPeer> usable;
  for (const PeerConfig& peer : fresh->peers) {
    auto resolved = to_tunnel_peer(peer);
    if (!resolved) return tl::unexpected(resolved.error());
    usable.emplace(peer.name, std::move(*resolved));
  }
  ReloadReport report;
  report.removed = diff.removed;
  report.needs_restart = diff.needs_restart;
  for (const std::string& name : diff.removed)
    forget_peer(name);
  std::vector<PeerConfig> to_apply = diff.added;
  for (const PeerConfig& peer : diff.added)
    report.added.push_back(peer.name);
  for (const PeerChange& change : diff.changed) {
    const PeerConfig* before = config_.find_peer(change.now.name);
    if (before == nullptr || !is_same_peer(*before, change.now)) forget_peer(change.now.name);
    to_apply.push_back(change.now);
    report.changed.push_back(change.now.name);
  }
  for (const PeerConfig& peer : to_apply) {
    if (auto applied = apply_peer(peer, usable.at(peer.name)); !applied) {
      drop_unapplied_peers();
      return tl::unexpected(applied.error());
    }
  }
  config_.peers = fresh->peers;
  config_.gateway.subscriber_limits = fresh->gateway.subscriber_limits;
  if (diff.log_level) {
    config_.log.level = fresh->log.level;
    set_log_level(config_.log.level);
  }
  if (auto routed = apply_routes(); !routed) return tl::unexpected(routed.error());
  log_info("configuration reloaded: " + std::to_string(report.added.size()) + " peers added, " +
           std::to_string(report.changed.size()) + " changed, " +
           std::to_string(report.removed.size()) + " removed");
  for (const std::string& setting : report.needs_restart) {
    log_warn("takes effect at the next start: " + setting);
  }
  return report;
}

// --- the control loop
// ------------------------------------------------------------------------------

void Node::take_worker_events() {
  if (service_ != nullptr) service_->handle_events(Instant::now(), WallTime::now());
}

asio::awaitable<void> Node::serve_worker_events(ControlLink& link,
                                                asio::posix::stream_descriptor& readable) {
  Doorbell& doorbell = link.control_doorbell;
  while (!stopping_) {
    take_worker_events();
    deadline_timer_.cancel();  // deadlines may have moved closer
    doorbell.announce_sleep();
    if (!link.events.empty() || !link.handshakes.empty() || !link.for_kernel.empty()) {
      doorbell.awake();
      // A flood must not keep the API and the timers from their turn.
      co_await asio::post(io_, kAwait);
      continue;
    }
    const auto [error] =
        co_await readable.async_wait(asio::posix::descriptor_base::wait_read, kAwait);
    if (error) co_return;
    doorbell.awake();
    doorbell.clear();
  }
}

asio::awaitable<void> Node::serve_deadlines() {
  while (!stopping_) {
    Instant deadline = service_->next_deadline();
    if (keeper_ != nullptr) deadline = std::min(deadline, keeper_->next_deadline());
    const Duration wait = std::clamp(deadline - Instant::now(), Duration{}, kLongestWait);
    deadline_timer_.expires_after(std::chrono::nanoseconds(wait.count_ns()));
    const auto [error] = co_await deadline_timer_.async_wait(kAwait);
    if (!error || error == asio::error::operation_aborted) {
      service_->tick(Instant::now(), WallTime::now());
      if (keeper_ != nullptr) keeper_->tick(Instant::now());
    } else {
      co_return;
    }
  }
}

// --- status
// ----------------------------------------------------------------------------------------

namespace {

SessionState session_state(const PeerSnapshot& peer, bool handshaking, bool had_one) {
  if (peer.has_session) return SessionState::kEstablished;
  if (handshaking) return SessionState::kHandshaking;
  return had_one ? SessionState::kExpired : SessionState::kNone;
}

}  // namespace

// The worker answers between two bursts; a suspended machine may let the time pass unused.
template <typename Done>
bool Node::wait_for_worker(Done&& done) {
  const Instant give_up = Instant::now() + kSnapshotPatience;
  while (!done() && Instant::now() < give_up) {
    take_worker_events();  // without a word to the doorbell: the event loop sleeps at it
    if (!done()) ::usleep(20);
  }
  return done();
}

Result<MappingList> Node::mappings(const MappingQuery& query) {
  if (xdp_ == nullptr) {
    return failure("this node has no NAT of its own",
                   "a gateway with io = \"af_xdp\" has one; the kernel's: conntrack -L");
  }
  if (auto checked = check_query(query); !checked) return tl::unexpected(checked.error());
  // Shared with the callbacks, which may come after we have given up.
  struct Answer {
    bool done = false;
    MappingList list;
  };
  const auto answer = std::make_shared<Answer>();
  answer->list.next = query.cursor;
  for (std::size_t pages = 0; pages < kPagesPerRequest; ++pages) {
    answer->done = false;
    service_->request_mappings(answer->list.next, [this, answer, query](const MappingPage& page) {
      nat_records_->add_mappings(page, query, answer->list);
      answer->done = true;
    });
    if (!wait_for_worker([&] { return answer->done; })) {
      return failure("the worker did not answer in time");
    }
    if (answer->list.next == 0 || answer->list.mappings.size() >= kMappingsPerRequest) break;
  }
  return std::move(answer->list);
}

void Node::take_snapshot(NodeStatus& status) {
  // Shared with the callback, which may come after we have given up.
  struct Answer {
    bool done = false;
    std::map<PeerId, PeerSnapshot> figures;
    nat::Counters nat;
  };
  const auto answer = std::make_shared<Answer>();
  service_->request_snapshot([answer](const WorkerSnapshot& snapshot) {
    for (const PeerSnapshot& peer : snapshot.peers)
      answer->figures.emplace(peer.id, peer);
    answer->nat = snapshot.nat;
    answer->done = true;
  });
  if (!wait_for_worker([&] { return answer->done; })) {
    log_warn("a worker did not answer in time: a status without its figures");
    return;
  }
  status.gateway.mappings = answer->nat.mappings;
  status.gateway.blocks_in_use = answer->nat.blocks_in_use;
  status.gateway.blocks_total = answer->nat.blocks_total;
  const std::int64_t now_s = WallTime::now().unix_seconds();
  for (PeerStatus& peer : status.peers) {
    const PeerId id = peer_ids_.at(peer.name);
    const auto found = answer->figures.find(id);
    if (found == answer->figures.end()) continue;
    const PeerSnapshot& figure = found->second;
    const TunnelPeerState& state = *service_->peer_state(id);
    if (figure.path.remote.valid()) peer.endpoint = figure.path.remote;
    peer.rx_packets = figure.rx_packets;
    peer.rx_bytes = figure.rx_bytes;
    peer.tx_packets = figure.tx_packets;
    peer.tx_bytes = figure.tx_bytes;
    const std::int64_t handshake_s = state.latest_handshake.unix_seconds();
    if (handshake_s != 0) {
      peer.latest_handshake_unix_s = static_cast<std::uint64_t>(handshake_s);
      peer.latest_handshake_age_s =
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_s - handshake_s));
    }
    peer.session =
        session_state(figure, service_->handshaker().handshake_in_progress(id), handshake_s != 0);
  }
}

void Node::fill_full_tunnel(NodeStatus& status) const {
  if (!config_.edge.full_tunnel) return;
  status.full_tunnel.state = FullTunnelState::kStarting;
  for (std::size_t i = 0; i < config_.peers.size(); ++i) {
    if (!carries_default_route(config_.peers[i])) continue;
    status.full_tunnel.peer = config_.peers[i].name;
    if (status.peers[i].session == SessionState::kEstablished) {
      status.full_tunnel.state = FullTunnelState::kActive;
    } else {
      status.full_tunnel.detail = "no session with " + config_.peers[i].name + " at the moment";
    }
    return;
  }
  status.full_tunnel.state = FullTunnelState::kBlocked;
  status.full_tunnel.detail = "no peer has 0.0.0.0/0 or ::/0 in its allowed IPs";
}

void Node::fill_gateway(NodeStatus& status) const {
  GatewayStatus& gateway = status.gateway;
  if (!gateway.enabled) return;
  gateway.io = gateway_io_name(io_choice_.io);
  gateway.io_reason = io_choice_.reason;
  if (gateway.masquerade) gateway.nat = xdp_ == nullptr ? "kernel" : "ringway";
  if (xdp_ == nullptr) return;
  const XdpInterfaces& interfaces = xdp_->interfaces();
  gateway.xdp_mode = interfaces.mode();
  if (std::string reason = interfaces.reason(); !reason.empty()) gateway.io_reason = reason;
  gateway.nat_log = config_.gateway.nat_log;
  gateway.block_events_lost = nat_records_->lost();
  xdp_->fill(status);
}

NodeStatus Node::status() {
  NodeStatus status = status_from_config(config_);
  status.version = kVersion;
  status.pid = ::getpid();
  status.state = stopping_ ? NodeState::kStopping : NodeState::kRunning;
  status.since_unix_s = static_cast<std::uint64_t>(started_at_.unix_seconds());
  status.uptime_s = static_cast<std::uint64_t>((Instant::now() - started_).count_s());
  take_snapshot(status);
  fill_full_tunnel(status);
  crew_->fill(status, config_.worker);
  fill_gateway(status);
  for (std::size_t i = 0; i < tunnel::kHandshakeVerdictCount; ++i) {
    const auto verdict = static_cast<tunnel::HandshakeVerdict>(i);
    status.handshakes.push_back(
        {tunnel::verdict_label(verdict), service_->handshaker().verdict_count(verdict)});
  }
  return status;
}

}  // namespace ringway::control
