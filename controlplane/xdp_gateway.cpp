#include "controlplane/xdp_gateway.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>

#include "base/rng.hpp"
#include "controlplane/asio_await.hpp"
#include "controlplane/logging.hpp"
#include "dataplane/nat/address_policy.hpp"
#include "dataplane/surroundings.hpp"

namespace ringway::control {
namespace {

namespace asio = boost::asio;

constexpr Duration kProgramWatchInterval = Duration::seconds(1);

void note_following(const std::string& failure) {
  if (failure.empty()) {
    log_info("the steering program follows the addresses of our interfaces again");
  } else {
    log_error("following the addresses of our interfaces: " + failure);
  }
}

void add_once(std::vector<net::IpAddress>& to, const net::IpAddress& address) {
  if (std::ranges::find(to, address) == to.end()) to.push_back(address);
}

}  // namespace

XdpGateway::XdpGateway(const Config& config, PortRange nat_ports, std::size_t workers,
                       asio::io_context& io)
    : config_(config),
      nat_ports_(nat_ports),
      shares_(nat_ports.first, nat_ports.last, workers, nat::Config{}.block_ports),
      follow_([this] { return configure_steering(); }, note_following),
      io_(io),
      mirror_readable_(io),
      deadline_timer_(io) {}

Result<std::unique_ptr<XdpGateway>> XdpGateway::open(const Config& config,
                                                     std::span<io::UdpPort* const> sockets,
                                                     HandoffMesh* mesh, PortRange nat_ports,
                                                     asio::io_context& io) {
  auto gateway = std::unique_ptr<XdpGateway>(new XdpGateway(config, nat_ports, sockets.size(), io));
  gateway->tunnel_port_ = sockets.front()->local_port();
  std::vector<XdpInterfaceOptions> wanted;
  for (const std::string& name : config.gateway.xdp_interfaces)
    wanted.push_back({name});
  auto interfaces =
      XdpInterfaces::open(wanted, [](std::string_view line) { log_info(std::string(line)); },
                          {mesh, config.gateway.xdp_frames});
  if (!interfaces) return tl::unexpected(interfaces.error());
  gateway->interfaces_ = std::move(*interfaces);

  if (gateway->tunnel_addresses().empty()) {
    return failure("none of the interfaces of gateway.xdp_interfaces has an address",
                   "give them their addresses first");
  }
  gateway->external_ = {{{}, net::Family::kIpv4}, {{}, net::Family::kIpv6}};
  gateway->choose_external_addresses();
  if (std::ranges::all_of(gateway->external_, nat::is_unspecified)) {
    return failure(gateway->internet_interface() + " has no address to be seen by on the Internet",
                   "give it one, or name another gateway.interface");
  }
  gateway->make_links(sockets);
  return gateway;
}

void XdpGateway::make_links(std::span<io::UdpPort* const> sockets) {
  SystemRng rng;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    const auto ports = interfaces_->ports_of({static_cast<std::uint8_t>(i)});
    forwarding::LinkOptions options;
    options.tunnel_port = tunnel_port_;
    options.tunnel_addresses = tunnel_addresses();
    options.first_identification = static_cast<std::uint16_t>(rng.next_u32());
    links_.push_back(std::make_unique<forwarding::EthernetLink>(ports, *sockets[i], options));
  }
}

void XdpGateway::close_ports() {
  links_.clear();
  interfaces_->close_ports();
}

XdpGateway::~XdpGateway() {
  stop();
}

const std::string& XdpGateway::internet_interface() const {
  return config_.gateway.interface;
}

std::size_t XdpGateway::internet_number() const {
  std::size_t number = 0;
  while (number < interfaces_->size() && interfaces_->name(number) != internet_interface())
    ++number;
  return number;
}

std::vector<std::vector<net::IpAddress>> XdpGateway::present_addresses() const {
  std::vector<std::vector<net::IpAddress>> present;
  for (std::size_t i = 0; i < interfaces_->size(); ++i)
    present.push_back(interfaces_->addresses(i));
  return present;
}

std::vector<net::IpAddress> XdpGateway::tunnel_addresses() const {
  std::vector<net::IpAddress> all;
  for (std::size_t i = 0; i < interfaces_->size(); ++i) {
    for (const net::IpAddress& address : interfaces_->addresses(i))
      add_once(all, address);
  }
  return all;
}

// One of each family, of the interface towards the Internet. One that went stays, as its mappings
// may be reached again when it comes back: a link that flaps loses its IPv6 addresses.
void XdpGateway::choose_external_addresses() {
  const std::size_t internet = internet_number();
  if (internet == interfaces_->size()) return;
  const auto present = interfaces_->addresses(internet);
  for (net::IpAddress& external : external_) {
    if (std::ranges::find(present, external) != present.end()) continue;
    const auto other = std::ranges::find(present, external.family, &net::IpAddress::family);
    if (other == present.end()) continue;
    if (!nat::is_unspecified(external)) {
      log_warn("the Internet sees us as " + other->to_string() + " from now on, no longer as " +
               external.to_string() + ": connections of that family have to begin anew");
    }
    external = *other;
  }
}

std::vector<net::Prefix> XdpGateway::inner_networks() const {
  HostPlan plan;
  for (const InterfaceAddress& address : config_.interface.addresses)
    plan.addresses.push_back({address.address, address.length});
  for (const PeerConfig& peer : config_.peers) {
    plan.peer_prefixes.insert(plan.peer_prefixes.end(), peer.allowed_ips.begin(),
                              peer.allowed_ips.end());
  }
  auto networks = inner_prefixes(plan, net::Family::kIpv4);
  const auto networks6 = inner_prefixes(plan, net::Family::kIpv6);
  networks.insert(networks.end(), networks6.begin(), networks6.end());
  return networks;
}

void XdpGateway::pass_on_surroundings() {
  if (service_ == nullptr) return;
  Surroundings surroundings;
  surroundings.external_addresses = external_;
  surroundings.tunnel_addresses = tunnel_addresses();
  // Without any the tunnel cannot be reached; what is sent needs a source all the same.
  if (surroundings.tunnel_addresses.empty()) {
    surroundings.tunnel_addresses = external_;
    std::erase_if(surroundings.tunnel_addresses, nat::is_unspecified);
  }
  std::vector<net::IpAddress> own = surroundings.tunnel_addresses;
  own.insert(own.end(), external_.begin(), external_.end());
  for (const InterfaceAddress& address : config_.interface.addresses)
    own.push_back(address.address);
  const auto inner = inner_networks();
  surroundings.ways = ways_of(own, inner);
  surroundings.nat_inner = nat::PrefixList(inner);
  service_->set_surroundings(surroundings);
}

void XdpGateway::follow_addresses(Instant now) {
  if (service_ == nullptr) return;
  auto present = present_addresses();
  if (present == followed_) {
    follow_.retry(now);
    return;
  }
  followed_ = std::move(present);
  choose_external_addresses();
  follow_.run(now);
  pass_on_surroundings();
}

nat::Config XdpGateway::nat_config(WorkerId worker) const {
  nat::Config config;
  config.external_addresses = external_;
  shares_.fill(config, worker);
  config.max_subscribers = kMaxPeers;
  config.tunnel_mtu = config_.interface.mtu;
  if (const std::size_t internet = internet_number(); internet < interfaces_->size()) {
    config.internet_mtu = interfaces_->ports()[internet]->capabilities().mtu;
  }
  for (const InterfaceAddress& address : config_.interface.addresses) {
    config.gateway_addresses.push_back(address.address);
  }
  config.inner_prefixes = inner_networks();
  config.denied = nat::default_denied();
  return config;
}

// All addresses on every interface: what is for one of them may come by any, as for the kernel.
Result<void> XdpGateway::configure_steering() {
  std::vector<SteeredAddress> steered;
  for (const net::IpAddress& address : tunnel_addresses()) {
    SteeredAddress ours{address, {tunnel_port_}, 0, 0};
    if (std::ranges::find(external_, address) != external_.end()) {
      ours.nat_first = nat_ports_.first;
      ours.nat_last = nat_ports_.last;
    }
    steered.push_back(std::move(ours));
  }
  for (std::size_t i = 0; i < interfaces_->size(); ++i) {
    if (auto done = interfaces_->configure(i, steered); !done) return done;
  }
  return {};
}

Result<void> XdpGateway::steer(TunnelService& service) {
  service_ = &service;
  service.set_neighbour_keeper(this);
  service.set_give_back([this](ConstBytes packet) { give_back(packet); });
  pass_on_table();
  if (auto steered = interfaces_->steer(); !steered) return steered;
  for (std::size_t i = 0; i < interfaces_->ports().size(); ++i) {
    log_info("AF_XDP takes over " + interfaces_->ports()[i]->describe() + ", for worker " +
             std::to_string(interfaces_->queue(i).worker.value));
  }
  if (auto configured = configure_steering(); !configured) return configured;
  followed_ = present_addresses();
  mirror_readable_.assign(::dup(interfaces_->mirror().fd()));
  asio::co_spawn(io_, serve_mirror(), end_on_exception);
  asio::co_spawn(io_, serve_deadlines(), end_on_exception);
  return {};
}

void XdpGateway::stop() {
  if (std::exchange(stopping_, true)) return;
  if (interfaces_ != nullptr) interfaces_->stop();
  if (service_ != nullptr) {
    service_->set_neighbour_keeper(nullptr);
    service_->set_give_back({});
  }
  service_ = nullptr;
  boost::system::error_code ignored;
  mirror_readable_.close(ignored);
  deadline_timer_.cancel();
}

void XdpGateway::fill(NodeStatus& status) const {
  const auto& ports = interfaces_->ports();
  for (std::size_t i = 0; i < ports.size(); ++i) {
    PortStatus& port = status.ports.emplace_back(port_status(interfaces_->port_name(i), *ports[i]));
    for (const RingLoss& loss : interfaces_->ring_losses(i))
      port.ring_losses.push_back({std::string(loss.label), loss.count});
    // Its program counts for all queues of an interface.
    if (i >= interfaces_->size()) continue;
    for (const SteeringCounter& counter : interfaces_->steering_counters(i))
      port.steering.push_back({std::string(counter.label), counter.packets});
  }
  for (const auto& link : links_)
    add_drops(status.drops, link->drops());
}

// By the interface whose address it came to: fragments and answers to queries are taken only where
// they are for the NAT's addresses.
void XdpGateway::give_back(ConstBytes packet) {
  const std::size_t internet = internet_number();
  if (internet == interfaces_->size()) return;
  const auto given = interfaces_->give_back(internet, packet);
  const bool failed_before = std::exchange(cannot_give_back_, !given);
  if (given || failed_before) return;
  log_warn(given.error().text() +
           "; what this host itself gets in fragments out of order, and answers to some of its "
           "pings, is lost");
}

void XdpGateway::want(const forwarding::Neighbour& neighbour, Instant now) {
  interfaces_->mirror().want(neighbour, now);
}

void XdpGateway::use(const forwarding::Neighbour& neighbour, Instant now) {
  interfaces_->mirror().note_use(neighbour, now);
}

void XdpGateway::pass_on_table() {
  if (service_ == nullptr) return;
  if (auto table = interfaces_->mirror().take_table())
    service_->set_forwarding_table(std::move(table));
}

asio::awaitable<void> XdpGateway::serve_mirror() {
  while (!stopping_) {
    const auto [error] =
        co_await mirror_readable_.async_wait(asio::posix::descriptor_base::wait_read, kAwait);
    if (error || stopping_) co_return;
    const Instant now = Instant::now();
    interfaces_->mirror().handle_readable(now);
    pass_on_table();
    follow_addresses(now);
    deadline_timer_.cancel();  // deadlines may have moved closer
  }
}

asio::awaitable<void> XdpGateway::serve_deadlines() {
  while (!stopping_) {
    const Duration wait = std::clamp(interfaces_->mirror().next_deadline() - Instant::now(),
                                     Duration{}, kProgramWatchInterval);
    deadline_timer_.expires_after(std::chrono::nanoseconds(wait.count_ns()));
    (void)co_await deadline_timer_.async_wait(kAwait);
    if (stopping_) co_return;
    const Instant now = Instant::now();
    interfaces_->mirror().tick(now);
    pass_on_table();
    follow_addresses(now);
    if (now - programs_watched_ < kProgramWatchInterval) continue;
    programs_watched_ = now;
    interfaces_->watch_programs();
  }
}

}  // namespace ringway::control
