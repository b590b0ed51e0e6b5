#include "controlplane/xdp_gateway.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include <net/if.h>
#include <poll.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>

#include "controlplane/asio_await.hpp"
#include "controlplane/logging.hpp"
#include "dataplane/nat/address_policy.hpp"
#include "dataplane/surroundings.hpp"

namespace ringway::control {
namespace {

namespace asio = boost::asio;

constexpr Duration kMirrorPatience = Duration::seconds(5);  // until the first table
constexpr Duration kLongestWait = Duration::seconds(5);
constexpr std::uint32_t kFrames = 8192;  // of all ports together: 16 MiB

bool is_global(const net::IpAddress& address) {
  const bool link_local =
      !address.is_v4() && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
  return !link_local;
}

// As sysfs lists them; 1 where it does not.
std::size_t receive_queues(const std::string& interface) {
  std::error_code error;
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/sys/class/net/" + interface + "/queues", error)) {
    if (entry.path().filename().string().starts_with("rx-")) ++count;
  }
  return std::max<std::size_t>(count, 1);
}

void add_once(std::vector<net::IpAddress>& to, const net::IpAddress& address) {
  if (std::ranges::find(to, address) == to.end()) to.push_back(address);
}

}  // namespace

XdpGateway::XdpGateway(const Config& config, PortRange nat_ports, asio::io_context& io)
    : config_(config), nat_ports_(nat_ports), io_(io), mirror_readable_(io), deadline_timer_(io) {}

Result<std::unique_ptr<XdpGateway>> XdpGateway::open(const Config& config, io::UdpPort& kernel,
                                                     PortRange nat_ports, asio::io_context& io) {
  auto gateway = std::unique_ptr<XdpGateway>(new XdpGateway(config, nat_ports, io));
  gateway->tunnel_port_ = kernel.local_port();
  for (const std::string& name : config.gateway.xdp_interfaces) {
    const std::uint32_t index = ::if_nametoindex(name.c_str());
    if (index == 0) return failure("there is no interface " + name, "see: ip link");
    // What arrives at a queue without a socket goes to the kernel, which would drop it.
    if (const std::size_t queues = receive_queues(name); queues > 1) {
      return failure(
          name + " has " + std::to_string(queues) + " receive queues, and the gateway serves one",
          "set one: ethtool -L " + name + " combined 1");
    }
    gateway->interfaces_.push_back({name, index, nullptr});
  }
  if (auto opened = gateway->open_mirror(); !opened) return tl::unexpected(opened.error());
  if (auto opened = gateway->open_ports(); !opened) return tl::unexpected(opened.error());

  std::vector<io::Port*> ports;
  for (const auto& port : gateway->ports_)
    ports.push_back(port.get());
  forwarding::LinkOptions options;
  options.tunnel_port = gateway->tunnel_port_;
  options.tunnel_addresses = gateway->tunnel_addresses();
  if (options.tunnel_addresses.empty()) {
    return failure("none of the interfaces of gateway.xdp_interfaces has an address",
                   "give them their addresses first");
  }
  gateway->external_ = {{{}, net::Family::kIpv4}, {{}, net::Family::kIpv6}};
  gateway->choose_external_addresses();
  if (std::ranges::all_of(gateway->external_, nat::is_unspecified)) {
    return failure(gateway->internet_interface() + " has no address to be seen by on the Internet",
                   "give it one, or name another gateway.interface");
  }
  gateway->link_ = std::make_unique<forwarding::EthernetLink>(ports, kernel, options);
  return gateway;
}

XdpGateway::~XdpGateway() {
  stop();
}

Result<void> XdpGateway::open_mirror() {
  RouteMirrorOptions options;
  for (std::size_t i = 0; i < interfaces_.size(); ++i)
    options.interfaces.push_back({interfaces_[i].index, static_cast<std::uint8_t>(i)});
  options.on_notice = [](std::string_view line) { log_info(std::string(line)); };
  const Instant start = Instant::now();
  auto mirror = RouteMirror::open(std::move(options), start);
  if (!mirror) return tl::unexpected(mirror.error());
  mirror_ = std::move(*mirror);
  // The first table is complete when every part was listed.
  while (mirror_->counters().tables == 0) {
    const Instant now = Instant::now();
    if (now - start > kMirrorPatience) {
      return failure("the kernel did not list its routes and neighbours in time");
    }
    const Duration wait = std::clamp(mirror_->next_deadline() - now, Duration{}, kMirrorPatience);
    pollfd readable{mirror_->fd(), POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(wait.count_ms()) + 1) > 0) {
      mirror_->handle_readable(Instant::now());
    }
    mirror_->tick(Instant::now());
  }
  return {};
}

// All usable addresses, as the kernel has them.
std::vector<net::IpAddress> XdpGateway::addresses_of(const Interface& interface) const {
  std::vector<net::IpAddress> addresses;
  for (const LocalAddress& local : mirror_->addresses(interface.index)) {
    if (is_global(local.address)) add_once(addresses, local.address);
  }
  return addresses;
}

const std::string& XdpGateway::internet_interface() const {
  return config_.gateway.interface;
}

std::vector<net::IpAddress> XdpGateway::tunnel_addresses() const {
  std::vector<net::IpAddress> all;
  for (const Interface& interface : interfaces_) {
    for (const net::IpAddress& address : addresses_of(interface))
      add_once(all, address);
  }
  return all;
}

// One of each family, of the interface towards the Internet. One that went stays, as its mappings
// may be reached again when it comes back: a link that flaps loses its IPv6 addresses.
void XdpGateway::choose_external_addresses() {
  const auto internet = std::ranges::find(interfaces_, internet_interface(), &Interface::name);
  if (internet == interfaces_.end()) return;
  const auto present = addresses_of(*internet);
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
  auto surroundings = std::make_unique<Surroundings>();
  surroundings->external_addresses = external_;
  surroundings->tunnel_addresses = tunnel_addresses();
  // Without any the tunnel cannot be reached; what is sent needs a source all the same.
  if (surroundings->tunnel_addresses.empty()) {
    surroundings->tunnel_addresses = external_;
    std::erase_if(surroundings->tunnel_addresses, nat::is_unspecified);
  }
  std::vector<net::IpAddress> own = surroundings->tunnel_addresses;
  own.insert(own.end(), external_.begin(), external_.end());
  for (const InterfaceAddress& address : config_.interface.addresses)
    own.push_back(address.address);
  const auto inner = inner_networks();
  surroundings->host = PrefixSet(host_prefixes(own));
  surroundings->inner = PrefixSet(inner);
  surroundings->nat_inner = nat::PrefixList(inner);
  service_->set_surroundings(std::move(surroundings));
}

void XdpGateway::follow_addresses() {
  std::vector<std::vector<net::IpAddress>> present;
  for (const Interface& interface : interfaces_)
    present.push_back(addresses_of(interface));
  if (service_ == nullptr || present == followed_) return;
  followed_ = std::move(present);
  choose_external_addresses();
  if (auto configured = configure_steering(); !configured) {
    log_error("following the addresses of our interfaces: " + configured.error().text());
  }
  pass_on_surroundings();
}

nat::Config XdpGateway::nat_config() const {
  nat::Config config;
  config.external_addresses = external_;
  config.first_port = nat_ports_.first;
  config.last_port = nat_ports_.last;
  config.max_subscribers = kMaxPeers;
  config.tunnel_mtu = config_.interface.mtu;
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    if (interfaces_[i].name == internet_interface()) {
      config.internet_mtu = ports_[i]->capabilities().mtu;
    }
  }
  for (const InterfaceAddress& address : config_.interface.addresses) {
    config.gateway_addresses.push_back(address.address);
  }
  config.inner_prefixes = inner_networks();
  config.denied = nat::default_denied();
  return config;
}

Result<void> XdpGateway::configure_steering() {
  for (Interface& interface : interfaces_) {
    std::vector<SteeredAddress> steered;
    for (const net::IpAddress& address : addresses_of(interface)) {
      SteeredAddress ours{address, {tunnel_port_}, 0, 0};
      if (std::ranges::find(external_, address) != external_.end()) {
        ours.nat_first = nat_ports_.first;
        ours.nat_last = nat_ports_.last;
      }
      steered.push_back(std::move(ours));
    }
    if (auto done = interface.steering->configure(steered); !done) return done;
  }
  return {};
}

// The program first: how it could be attached decides how the socket is opened. Without addresses,
// and without a socket, it lets everything pass to the kernel.
Result<void> XdpGateway::open_ports() {
  auto umem = io::Umem::create({.frames = kFrames});
  if (!umem) return tl::unexpected(umem.error());
  umem_ = std::move(*umem);
  const auto pool = umem_->make_pool(kFrames);
  if (!pool) return tl::unexpected(pool.error());
  for (Interface& interface : interfaces_) {
    auto steering = Steering::load();
    if (!steering) return tl::unexpected(steering.error());
    interface.steering = std::move(*steering);
    if (auto attached = interface.steering->attach(interface.name); !attached) return attached;
    const XdpAttachment& attachment = *interface.steering->attachment();
    io::XskOptions options;
    options.device = interface.name;
    options.native = attachment.mode() == XdpMode::kNative;
    options.generic_reason = attachment.reason();
    auto port = io::XskPort::open(*umem_, **pool, options);
    if (!port) return tl::unexpected(port.error());
    ports_.push_back(std::move(*port));
  }
  return {};
}

Result<void> XdpGateway::steer(TunnelService& service) {
  service_ = &service;
  service.set_neighbour_keeper(this);
  pass_on_table();
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    const int socket_fd = ports_[i]->socket_fd();
    if (auto added = interfaces_[i].steering->add_socket(0, socket_fd); !added) return added;
    log_info("AF_XDP takes over " + ports_[i]->describe());
  }
  if (auto configured = configure_steering(); !configured) return configured;
  for (const Interface& interface : interfaces_)
    followed_.push_back(addresses_of(interface));
  mirror_readable_.assign(::dup(mirror_->fd()));
  asio::co_spawn(io_, serve_mirror(), end_on_exception);
  asio::co_spawn(io_, serve_deadlines(), end_on_exception);
  return {};
}

void XdpGateway::stop() {
  if (std::exchange(stopping_, true)) return;
  for (Interface& interface : interfaces_) {
    if (interface.steering != nullptr) interface.steering->detach();
  }
  if (service_ != nullptr) service_->set_neighbour_keeper(nullptr);
  service_ = nullptr;
  boost::system::error_code ignored;
  mirror_readable_.close(ignored);
  deadline_timer_.cancel();
}

std::string XdpGateway::mode() const {
  for (const Interface& interface : interfaces_) {
    const auto& attachment = interface.steering->attachment();
    if (attachment && attachment->mode() == XdpMode::kGeneric) return "generic";
  }
  return "native";
}

std::string XdpGateway::reason() const {
  for (const Interface& interface : interfaces_) {
    const auto& attachment = interface.steering->attachment();
    if (attachment && !attachment->reason().empty()) {
      return interface.name + ": " + attachment->reason();
    }
  }
  return {};
}

void XdpGateway::want(const forwarding::Neighbour& neighbour, Instant now) {
  mirror_->want(neighbour, now);
}

void XdpGateway::use(const forwarding::Neighbour& neighbour, Instant now) {
  mirror_->note_use(neighbour, now);
}

void XdpGateway::pass_on_table() {
  if (service_ == nullptr) return;
  if (auto table = mirror_->take_table()) service_->set_forwarding_table(std::move(table));
}

asio::awaitable<void> XdpGateway::serve_mirror() {
  while (!stopping_) {
    const auto [error] =
        co_await mirror_readable_.async_wait(asio::posix::descriptor_base::wait_read, kAwait);
    if (error || stopping_) co_return;
    mirror_->handle_readable(Instant::now());
    pass_on_table();
    follow_addresses();
    deadline_timer_.cancel();  // deadlines may have moved closer
  }
}

asio::awaitable<void> XdpGateway::serve_deadlines() {
  while (!stopping_) {
    const Duration wait =
        std::clamp(mirror_->next_deadline() - Instant::now(), Duration{}, kLongestWait);
    deadline_timer_.expires_after(std::chrono::nanoseconds(wait.count_ns()));
    (void)co_await deadline_timer_.async_wait(kAwait);
    if (stopping_) co_return;
    mirror_->tick(Instant::now());
    pass_on_table();
    follow_addresses();
  }
}

}  // namespace ringway::control
