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
#include "controlplane/host/gateway_nat.hpp"
#include "controlplane/logging.hpp"

namespace ringway::control {
namespace {

namespace asio = boost::asio;

constexpr Duration kMirrorPatience = Duration::seconds(5);  // until the first table
// Nobody tells when a program is taken off a device.
constexpr Duration kProgramWatchInterval = Duration::seconds(1);
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
    gateway->interfaces_.push_back({name, index, nullptr, XdpMode::kNative, {}});
  }
  if (auto opened = gateway->open_mirror(); !opened) return tl::unexpected(opened.error());
  if (auto opened = gateway->open_ports(); !opened) return tl::unexpected(opened.error());

  std::vector<io::Port*> ports;
  for (const auto& port : gateway->ports_)
    ports.push_back(port.get());
  forwarding::LinkOptions options;
  options.tunnel_port = gateway->tunnel_port_;
  for (const Interface& interface : gateway->interfaces_) {
    for (const net::IpAddress& address : gateway->addresses_of(interface))
      add_once(options.tunnel_addresses, address);
  }
  if (options.tunnel_addresses.empty()) {
    return failure("none of the interfaces of gateway.xdp_interfaces has an address",
                   "give them their addresses first");
  }
  if (gateway->external_addresses().empty()) {
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

// One of each family, of the interface towards the Internet.
std::vector<net::IpAddress> XdpGateway::external_addresses() const {
  std::vector<net::IpAddress> external;
  for (const Interface& interface : interfaces_) {
    if (interface.name != internet_interface()) continue;
    for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
      const auto addresses = addresses_of(interface);
      const auto found = std::ranges::find(addresses, family, &net::IpAddress::family);
      if (found != addresses.end()) external.push_back(*found);
    }
  }
  return external;
}

nat::Config XdpGateway::nat_config() const {
  nat::Config config;
  config.external_addresses = external_addresses();
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
    config.inner_prefixes.push_back(address.network());
  }
  for (const PeerConfig& peer : config_.peers) {
    for (const net::Prefix& prefix : peer.allowed_ips) {
      if (prefix.length != 0) config.inner_prefixes.push_back(prefix);
    }
  }
  for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    const auto& denied = denied_destinations(family);
    config.denied.insert(config.denied.end(), denied.begin(), denied.end());
  }
  return config;
}

// All addresses on every interface: what is for one of them may come by any, as for the kernel.
Result<void> XdpGateway::configure_steering() {
  std::vector<net::IpAddress> own;
  for (const Interface& interface : interfaces_) {
    for (const net::IpAddress& address : addresses_of(interface))
      add_once(own, address);
  }
  const std::vector<net::IpAddress> external = external_addresses();
  std::vector<SteeredAddress> steered;
  for (const net::IpAddress& address : own) {
    SteeredAddress ours{address, {tunnel_port_}, 0, 0};
    if (std::ranges::find(external, address) != external.end()) {
      ours.nat_first = nat_ports_.first;
      ours.nat_last = nat_ports_.last;
    }
    steered.push_back(std::move(ours));
  }
  for (const Interface& interface : interfaces_) {
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
    interface.mode = attachment.mode();
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
  bool generic = false;
  for (const Interface& interface : interfaces_) {
    if (!interface.lost.empty()) return "off";
    generic = generic || interface.mode == XdpMode::kGeneric;
  }
  return generic ? "generic" : "native";
}

std::string XdpGateway::reason() const {
  for (const Interface& interface : interfaces_) {
    if (!interface.lost.empty()) return interface.lost;
  }
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
    deadline_timer_.cancel();  // deadlines may have moved closer
  }
}

asio::awaitable<void> XdpGateway::serve_deadlines() {
  while (!stopping_) {
    const Duration wait =
        std::clamp(mirror_->next_deadline() - Instant::now(), Duration{}, kProgramWatchInterval);
    deadline_timer_.expires_after(std::chrono::nanoseconds(wait.count_ns()));
    (void)co_await deadline_timer_.async_wait(kAwait);
    if (stopping_) co_return;
    const Instant now = Instant::now();
    mirror_->tick(now);
    pass_on_table();
    watch_programs(now);
  }
}

// Without its program an interface hands our packets to the kernel: the tunnel goes on by the
// socket that holds its port, and what the Internet answers is dropped by the guard. So nothing
// leaks meanwhile, and what is to be done is to put the program back as soon as it can be.
void XdpGateway::watch_programs(Instant now) {
  if (now - programs_watched_ < kProgramWatchInterval) return;
  programs_watched_ = now;
  for (Interface& interface : interfaces_) {
    const auto& attachment = interface.steering->attachment();
    if (!attachment || !attachment->in_place()) put_back(interface);
  }
}

void XdpGateway::put_back(Interface& interface) const {
  if (interface.lost.empty()) {
    log_warn("somebody has taken the XDP program off " + interface.name + "; putting it back");
  }
  interface.steering->detach();
  Result<void> attached;
  if (::if_nametoindex(interface.name.c_str()) != interface.index) {
    attached = failure(interface.name + " is gone, or another interface has its name now",
                       "restart the gateway once it is there");
  } else {
    // The socket was opened for this mode.
    const bool native = interface.mode == XdpMode::kNative;
    attached = interface.steering->attach(interface.name, {native, !native});
  }
  const std::string lost = attached ? std::string() : attached.error().text();
  if (lost.empty()) log_info("the XDP program is on " + interface.name + " again");
  if (!lost.empty() && lost != interface.lost) log_warn("no packets by AF_XDP: " + lost);
  interface.lost = lost;
}

}  // namespace ringway::control
