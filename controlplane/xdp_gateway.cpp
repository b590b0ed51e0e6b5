#include "controlplane/xdp_gateway.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>

#include "base/rng.hpp"
#include "controlplane/asio_await.hpp"
#include "controlplane/host/gateway_nat.hpp"
#include "controlplane/logging.hpp"

namespace ringway::control {
namespace {

namespace asio = boost::asio;

constexpr Duration kProgramWatchInterval = Duration::seconds(1);

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
  std::vector<XdpInterfaceOptions> wanted;
  for (const std::string& name : config.gateway.xdp_interfaces)
    wanted.push_back({name});
  auto interfaces =
      XdpInterfaces::open(wanted, [](std::string_view line) { log_info(std::string(line)); });
  if (!interfaces) return tl::unexpected(interfaces.error());
  gateway->interfaces_ = std::move(*interfaces);

  forwarding::LinkOptions options;
  options.tunnel_port = gateway->tunnel_port_;
  SystemRng rng;
  options.first_identification = static_cast<std::uint16_t>(rng.next_u32());
  for (std::size_t i = 0; i < gateway->interfaces_->size(); ++i) {
    for (const net::IpAddress& address : gateway->interfaces_->addresses(i))
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
  gateway->link_ = std::make_unique<forwarding::EthernetLink>(gateway->interfaces_->port_pointers(),
                                                              kernel, options);
  return gateway;
}

XdpGateway::~XdpGateway() {
  stop();
}

const std::string& XdpGateway::internet_interface() const {
  return config_.gateway.interface;
}

std::vector<net::IpAddress> XdpGateway::external_addresses() const {
  for (std::size_t i = 0; i < interfaces_->size(); ++i) {
    if (interfaces_->name(i) == internet_interface()) return interfaces_->external_addresses(i);
  }
  return {};
}

nat::Config XdpGateway::nat_config() const {
  nat::Config config;
  config.external_addresses = external_addresses();
  config.first_port = nat_ports_.first;
  config.last_port = nat_ports_.last;
  config.max_subscribers = kMaxPeers;
  config.tunnel_mtu = config_.interface.mtu;
  for (std::size_t i = 0; i < interfaces_->size(); ++i) {
    if (interfaces_->name(i) == internet_interface()) {
      config.internet_mtu = interfaces_->ports()[i]->capabilities().mtu;
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
  for (std::size_t i = 0; i < interfaces_->size(); ++i) {
    for (const net::IpAddress& address : interfaces_->addresses(i))
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
  for (std::size_t i = 0; i < interfaces_->size(); ++i) {
    if (auto done = interfaces_->configure(i, steered); !done) return done;
  }
  return {};
}

Result<void> XdpGateway::steer(TunnelService& service) {
  service_ = &service;
  service.set_neighbour_keeper(this);
  pass_on_table();
  if (auto steered = interfaces_->steer(); !steered) return steered;
  for (const auto& port : interfaces_->ports())
    log_info("AF_XDP takes over " + port->describe());
  if (auto configured = configure_steering(); !configured) return configured;
  mirror_readable_.assign(::dup(interfaces_->mirror().fd()));
  asio::co_spawn(io_, serve_mirror(), end_on_exception);
  asio::co_spawn(io_, serve_deadlines(), end_on_exception);
  return {};
}

void XdpGateway::stop() {
  if (std::exchange(stopping_, true)) return;
  if (interfaces_ != nullptr) interfaces_->stop();
  if (service_ != nullptr) service_->set_neighbour_keeper(nullptr);
  service_ = nullptr;
  boost::system::error_code ignored;
  mirror_readable_.close(ignored);
  deadline_timer_.cancel();
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
    interfaces_->mirror().handle_readable(Instant::now());
    pass_on_table();
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
    if (now - programs_watched_ < kProgramWatchInterval) continue;
    programs_watched_ = now;
    interfaces_->watch_programs();
  }
}

}  // namespace ringway::control
