#include "controlplane/node.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
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

// 2^20 sessions and handshakes at once: three for each peer that a configuration may have.
constexpr unsigned kSessionSlotBits = 20;
// Twice what may wait for handshakes, so that staging never starves the port.
constexpr std::uint32_t kInnerBuffers = 2 * WorkerOptions{}.max_staged_packets;
// A burst on its way in, one on its way out, cookie replies, and what the port prepares.
constexpr std::uint32_t kOuterBuffers = 4 * kBurstSlots;
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
      link_(std::make_unique<ControlLink>()),
      doorbell_(io, ::dup(link_->control_doorbell.fd())),
      deadline_timer_(io),
      started_(Instant::now()),
      started_at_(WallTime::now()) {}

Result<std::unique_ptr<Node>> Node::start(const Config& config, asio::io_context& io) {
  auto node = std::unique_ptr<Node>(new Node(config, io));
  if (auto opened = node->open_ports(); !opened) return tl::unexpected(opened.error());
  auto timestamps = TimestampFile::open(config.state.directory);
  if (!timestamps) return tl::unexpected(timestamps.error());
  node->timestamps_ = std::move(*timestamps);
  ControlLink* const link = node->link_.get();
  node->service_ =
      std::make_unique<TunnelService>(config.interface.private_key, kSessionSlotBits,
                                      std::span(&link, 1), *node->timestamps_, node->rng_);
  if (auto opened = node->open_gateway_state(); !opened) return tl::unexpected(opened.error());
  node->make_worker();
  if (auto added = node->add_configured_peers(); !added) return tl::unexpected(added.error());
  node->restore_mappings();
  if (auto running = node->run_worker(); !running) return tl::unexpected(running.error());
  auto host = HostSetup::apply(node->host_plan());
  if (!host) return tl::unexpected(host.error());
  node->host_ = std::move(*host);
  if (node->xdp_ != nullptr) {
    if (auto steered = node->xdp_->steer(*node->service_); !steered) {
      return tl::unexpected(steered.error());
    }
  }
  node->reach_kept_peers();
  asio::co_spawn(io, node->serve_worker_events(), end_on_exception);
  asio::co_spawn(io, node->serve_deadlines(), end_on_exception);
  return node;
}

Node::~Node() {
  (void)stop();
}

Result<void> Node::stop() {
  stopping_ = true;
  if (xdp_ != nullptr) xdp_->stop();
  Result<void> taken_back;
  if (host_ != nullptr) {
    const bool restarts = stop_kind_ == StopKind::kForRestart;
    taken_back = restarts ? host_->leave_guarded() : host_->take_back();
    host_.reset();
  }
  stop_worker();
  if (nat_records_ != nullptr) nat_records_->close_log(WallTime::now());
  nat_records_.reset();
  xdp_.reset();
  inner_.reset();
  outer_.reset();
  return taken_back;
}

void Node::request_stop(StopKind kind) {
  stopping_ = true;
  stop_kind_ = kind;
  // Posted, so that whoever asked gets an answer first.
  asio::post(io_, [this] { io_.stop(); });
}

// --- start ---------------------------------------------------------------------------------------

Result<void> Node::open_ports() {
  io::UdpOptions udp;
  udp.port = config_.interface.listen_port;
  if (config_.interface.fwmark != 0) udp.mark = config_.interface.fwmark;
  udp.pool_buffers = kOuterBuffers;
  udp.data_type = static_cast<std::uint8_t>(tunnel::MessageType::kData);
  auto outer = io::UdpPort::open(udp);
  if (!outer) return tl::unexpected(outer.error());
  outer_ = std::move(*outer);

  io::TunOptions tun;
  tun.name = config_.interface.name;
  tun.mtu = config_.interface.mtu;
  tun.limit_super_packets = !config_.gateway.enabled;
  tun.pool_buffers = kInnerBuffers;
  auto inner = io::TunPort::open(tun);
  if (!inner) return tl::unexpected(inner.error());
  inner_ = std::move(*inner);
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
  const auto ports = free_nat_ports(outer_->local_port());
  if (!ports) return tl::unexpected(ports.error());
  nat_ports_ = *ports;
  auto gateway = XdpGateway::open(config_, *outer_, nat_ports_, io_);
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
    if (auto added = apply_peer(peer, *usable); !added) return added;
    const KeptPeer* kept = kept_peer(peer.public_key);
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

void Node::restore_mappings() {
  if (!kept_ || xdp_ == nullptr || kept_->mappings.empty()) return;
  const auto away = time_between(kept_->moment, kept_moment_now());
  if (!away) {
    log_warn("the clock has gone back since the last run: its mappings are not restored");
    return;
  }
  std::vector<std::optional<KeptOwner>> owners(kept_->peers.size());
  for (const PeerConfig& peer : config_.peers) {
    const KeptPeer* kept = kept_peer(peer.public_key);
    if (kept == nullptr) continue;
    const auto place = static_cast<std::size_t>(kept - kept_->peers.data());
    owners[place] = KeptOwner{peer_ids_.at(peer.name), peer.allowed_ips};
  }
  const auto records = mappings_after(*kept_, *away, owners);
  const std::size_t restored = worker_->restore_mappings(records, Instant::now());
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
  kept_.reset();
}

void Node::make_worker() {
  WorkerOptions options;
  options.own_key = service_->public_key();
  options.session_slot_bits = kSessionSlotBits;
  io::Port& outer = xdp_ == nullptr ? *outer_ : xdp_->link().datagrams();
  worker_ = std::make_unique<Worker>(options, *inner_, outer, *link_, worker_rng_);
  if (xdp_ != nullptr) {
    worker_->open_internet_side(xdp_->link().packets(), xdp_->nat_config(), &xdp_->link());
    service_->hear_of_blocks([this](const BlockEventBatch& batch) {
      nat_records_->take_blocks(batch, Instant::now(), WallTime::now());
    });
  }
}

Result<void> Node::run_worker() {
  const ringway::PollMode mode = config_.worker.poll == PollMode::kBusy
                                     ? ringway::PollMode::kBusy
                                     : ringway::PollMode::kAdaptive;
  worker_thread_ = std::thread([this, mode] {
    worker_->run(mode);
    worker_finished_ = true;
  });
  pthread_setname_np(worker_thread_.native_handle(), "rw-worker");
  if (!config_.worker.cpu) return {};
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(*config_.worker.cpu, &cpus);
  const int refused = pthread_setaffinity_np(worker_thread_.native_handle(), sizeof cpus, &cpus);
  if (refused != 0) {
    return system_failure("pinning the worker to CPU " + std::to_string(*config_.worker.cpu),
                          refused, "set [worker] cpu to one that this process may use");
  }
  return {};
}

void Node::stop_worker() {
  if (!worker_thread_.joinable()) return;
  // The worker takes commands as long as it can send home what they replace: both rings have to be
  // kept moving until it is through.
  Command stop = command::Stop{};
  bool asked = false;
  while (!worker_finished_) {
    // NOLINTNEXTLINE(bugprone-use-after-move): not taken when full
    asked = asked || link_->commands.try_push(std::move(stop));
    link_->worker_doorbell.ring();
    take_worker_events();
    ::usleep(200);
  }
  worker_thread_.join();
  worker_.reset();
}

HostPlan Node::host_plan() const {
  HostPlan plan;
  plan.tun_name = inner_->name();
  for (const InterfaceAddress& address : config_.interface.addresses) {
    plan.addresses.push_back({address.address, address.length});
  }
  plan.mtu = config_.interface.mtu;
  plan.fwmark = config_.interface.fwmark;
  plan.listen_port = outer_->local_port();
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

Result<void> Node::apply_peer(const PeerConfig& config, const TunnelPeer& peer) {
  if (const auto known = peer_ids_.find(config.name); known != peer_ids_.end()) {
    service_->change_peer(known->second, peer);
    return {};
  }
  auto id = service_->add_peer(peer, Instant::now());
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
  service_->handle_events(Instant::now(), WallTime::now());
}

asio::awaitable<void> Node::serve_worker_events() {
  Doorbell& doorbell = link_->control_doorbell;
  while (!stopping_) {
    take_worker_events();
    deadline_timer_.cancel();  // deadlines may have moved closer
    doorbell.announce_sleep();
    if (!link_->events.empty() || !link_->handshakes.empty()) {
      doorbell.awake();
      // A flood must not keep the API and the timers from their turn.
      co_await asio::post(io_, kAwait);
      continue;
    }
    const auto [error] =
        co_await doorbell_.async_wait(asio::posix::descriptor_base::wait_read, kAwait);
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

WorkerStatus worker_status(const Worker& worker, const WorkerConfig& config) {
  WorkerStatus status;
  status.poll = poll_mode_name(config.poll);
  status.cpu = config.cpu;
  status.crypto = worker.describe_crypto();
  status.loops = worker.counters().turns.value();
  status.idle_loops = worker.counters().idle_turns.value();
  status.sleeps = worker.counters().sleeps.value();
  return status;
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
    log_warn("the worker did not answer in time: a status without its figures");
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
  for (std::size_t i = 0; i < interfaces.size(); ++i) {
    PortStatus& port =
        status.ports.emplace_back(port_status(interfaces.name(i), *interfaces.ports()[i]));
    for (const SteeringCounter& counter : interfaces.steering_counters(i))
      port.steering.push_back({std::string(counter.label), counter.packets});
    for (const RingLoss& loss : interfaces.ring_losses(i))
      port.ring_losses.push_back({std::string(loss.label), loss.count});
  }
  add_drops(status.drops, xdp_->link().drops());
}

NodeStatus Node::status() {
  NodeStatus status = status_from_config(config_);
  status.version = kVersion;
  status.pid = ::getpid();
  status.interface = inner_->name();
  status.listen_port = outer_->local_port();
  status.state = stopping_ ? NodeState::kStopping : NodeState::kRunning;
  status.since_unix_s = static_cast<std::uint64_t>(started_at_.unix_seconds());
  status.uptime_s = static_cast<std::uint64_t>((Instant::now() - started_).count_s());
  take_snapshot(status);
  fill_full_tunnel(status);
  status.ports = {port_status("inner", *inner_), port_status("outer", *outer_)};
  fill_gateway(status);
  status.workers = {worker_status(*worker_, config_.worker)};
  add_drops(status.drops, worker_->counters().drops);
  for (std::size_t i = 0; i < tunnel::kHandshakeVerdictCount; ++i) {
    const auto verdict = static_cast<tunnel::HandshakeVerdict>(i);
    status.handshakes.push_back(
        {tunnel::verdict_label(verdict), service_->handshaker().verdict_count(verdict)});
  }
  return status;
}

}  // namespace ringway::control
