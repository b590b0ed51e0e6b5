#include "controlplane/xdp_interfaces.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <utility>

#include <net/if.h>
#include <poll.h>

#include "base/net/ethernet.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"

namespace ringway::control {
namespace {

constexpr Duration kMirrorPatience = Duration::seconds(5);  // until the first table
// Of a worker: 16 MiB, for as many ports as make use of them.
constexpr std::uint32_t kLeastFrames = 8192;
constexpr std::uint32_t kLeastRing = 64;
// What a port's fill and receive ring hold when nobody empties them.
constexpr std::uint32_t frames_per_port(std::uint32_t ring_entries) {
  return 2 * ring_entries;
}
// Of one interface, by one worker: each costs a look in every turn, and frames.
constexpr std::size_t kMostQueues = 8;
static_assert(kMostQueues * forwarding::EthernetLink::kMaxInterfaces <=
              forwarding::EthernetLink::kMaxPorts);

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

}  // namespace

Result<std::unique_ptr<XdpInterfaces>> XdpInterfaces::open(
    std::span<const XdpInterfaceOptions> options, std::function<void(std::string_view)> on_notice,
    const XdpResources& resources) {
  auto opened = std::unique_ptr<XdpInterfaces>(new XdpInterfaces());
  opened->notice_ = std::move(on_notice);
  opened->mesh_ = resources.mesh;
  opened->frames_ = resources.frames;
  if (opened->mesh_ != nullptr) opened->workers_ = opened->mesh_->workers();
  auto done = opened->find(options);
  if (done) done = opened->open_mirror();
  if (done) done = opened->attach_programs(options);
  opened->deal_queues();
  if (done) done = opened->make_pools();
  if (done) done = opened->open_ports();
  if (!done) return tl::unexpected(done.error());
  opened->lend_ports();
  return opened;
}

XdpInterfaces::~XdpInterfaces() {
  stop();
}

Result<void> XdpInterfaces::find(std::span<const XdpInterfaceOptions> options) {
  for (const XdpInterfaceOptions& wanted : options) {
    const std::uint32_t index = ::if_nametoindex(wanted.name.c_str());
    if (index == 0) return failure("there is no interface " + wanted.name, "see: ip link");
    // What arrives at a queue without a socket goes to the kernel, which would drop it.
    const std::size_t queues = receive_queues(wanted.name);
    if (queues > kMostQueues * workers_) {
      const std::string most = std::to_string(kMostQueues * workers_);
      return failure(
          wanted.name + " has " + std::to_string(queues) +
              " receive queues, and [worker] count = " + std::to_string(workers_) +
              " serves at most " + most,
          "set fewer, ethtool -L " + wanted.name + " combined " + most + ", or more workers");
    }
    interfaces_.push_back(
        {wanted.name, index, static_cast<std::uint32_t>(queues), nullptr, XdpMode::kNative, {}});
  }
  return {};
}

Result<void> XdpInterfaces::open_mirror() {
  RouteMirrorOptions options;
  for (std::size_t i = 0; i < interfaces_.size(); ++i)
    options.interfaces.push_back({interfaces_[i].index, static_cast<std::uint8_t>(i)});
  options.on_notice = notice_;
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

// The program first: how it could be attached decides how sockets are opened. Without addresses,
// and without a socket, it lets everything pass to the kernel.
Result<void> XdpInterfaces::attach_programs(std::span<const XdpInterfaceOptions> options) {
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    Interface& interface = interfaces_[i];
    auto steering = Steering::load(options[i].steering);
    if (!steering) return tl::unexpected(steering.error());
    interface.steering = std::move(*steering);
    if (auto attached = interface.steering->attach(interface.name); !attached) return attached;
    interface.mode = interface.steering->attachment()->mode();
  }
  return {};
}

// In turn to the workers, so that queues of the same number are the same worker's.
void XdpInterfaces::deal_queues() {
  const auto deal = [this](std::size_t interface, std::uint32_t queue) {
    queues_.push_back({interface, queue, {static_cast<std::uint8_t>(queue % workers_)}});
  };
  for (std::size_t i = 0; i < interfaces_.size(); ++i)
    deal(i, 0);
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    for (std::uint32_t queue = 1; queue < interfaces_[i].queues; ++queue)
      deal(i, queue);
  }
}

std::uint32_t XdpInterfaces::ports_count(WorkerId worker) const {
  return static_cast<std::uint32_t>(std::ranges::count(queues_, worker, &XdpQueue::worker));
}

Result<void> XdpInterfaces::make_pools() {
  std::vector<std::uint32_t> frames(workers_);
  std::uint32_t all = 0;
  for (std::size_t i = 0; i < workers_; ++i) {
    const std::uint32_t ports = ports_count({static_cast<std::uint8_t>(i)});
    const std::uint32_t least = ports * frames_per_port(kLeastRing);
    if (frames_ != 0 && frames_ < least) {
      return failure("gateway.xdp_frames = " + std::to_string(frames_) + " is too few for " +
                         std::to_string(ports) + " receive queues of a worker",
                     "give it " + std::to_string(least) + " or more, or leave it out");
    }
    const std::uint32_t by_ports = ports * frames_per_port(io::kDefaultXskRing);
    frames[i] = frames_ != 0 ? frames_ : std::max(by_ports, kLeastFrames);
    all += frames[i];
  }
  auto umem = io::Umem::create({.frames = all});
  if (!umem) return tl::unexpected(umem.error());
  umem_ = std::move(*umem);
  for (const std::uint32_t count : frames) {
    const auto pool = umem_->make_pool(count);
    if (!pool) return tl::unexpected(pool.error());
    pools_.push_back(*pool);
  }
  return {};
}

Result<void> XdpInterfaces::open_ports() {
  for (const XdpQueue& queue : queues_) {
    const Interface& interface = interfaces_[queue.interface];
    io::XskOptions settings;
    settings.device = interface.name;
    settings.queue = queue.number;
    // As large as the pool has frames for, so that no port has them all.
    const std::uint32_t share = pool(queue.worker).capacity() / ports_count(queue.worker);
    settings.ring_entries = std::min(std::bit_floor(share / 2), io::kDefaultXskRing);
    settings.native = interface.mode == XdpMode::kNative;
    settings.generic_reason = interface.steering->attachment()->reason();
    auto port = io::XskPort::open(*umem_, pool(queue.worker), settings);
    if (!port) return tl::unexpected(port.error());
    ports_.push_back(std::move(*port));
  }
  return {};
}

// A worker for which an interface has no queue sends by that of another, whose share of such
// workers is alike.
void XdpInterfaces::lend_ports() {
  lent_.resize(workers_);
  for (std::size_t worker = 0; worker < workers_; ++worker) {
    const WorkerId self{static_cast<std::uint8_t>(worker)};
    for (std::size_t i = 0; i < interfaces_.size(); ++i) {
      auto& lent = lent_[worker].emplace_back();
      if (worker < interfaces_[i].queues) continue;
      const WorkerId owner{static_cast<std::uint8_t>(worker % interfaces_[i].queues)};
      lent = std::make_unique<LentPort>(*ports_[i], static_cast<std::uint32_t>(i), owner,
                                        mesh_->end(self), pool(self));
    }
  }
}

std::vector<io::Port*> XdpInterfaces::ports_of(WorkerId worker) const {
  std::vector<io::Port*> ports;
  for (const auto& lent : lent_[worker.value])
    ports.push_back(lent.get());
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    if (queues_[i].worker != worker) continue;
    io::Port*& first = ports[queues_[i].interface];
    if (first == nullptr) {
      first = ports_[i].get();
    } else {
      ports.push_back(ports_[i].get());
    }
  }
  return ports;
}

std::string XdpInterfaces::port_name(std::size_t port) const {
  const Interface& interface = interfaces_[queues_[port].interface];
  if (interface.queues == 1) return interface.name;
  return interface.name + "/" + std::to_string(queues_[port].number);
}

void XdpInterfaces::close_ports() {
  lent_.clear();
  ports_.clear();
}

std::uint32_t XdpInterfaces::frames_away() const {
  std::uint32_t count = 0;
  for (const BufferPool* pool : pools_)
    count += pool->held();
  return count;
}

std::vector<net::IpAddress> XdpInterfaces::addresses(std::size_t number) const {
  std::vector<net::IpAddress> addresses;
  for (const LocalAddress& local : mirror_->addresses(interfaces_[number].index)) {
    const bool known = std::ranges::find(addresses, local.address) != addresses.end();
    if (is_global(local.address) && !known) addresses.push_back(local.address);
  }
  return addresses;
}

std::vector<net::IpAddress> XdpInterfaces::external_addresses(std::size_t number) const {
  const std::vector<net::IpAddress> all = addresses(number);
  std::vector<net::IpAddress> external;
  for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    const auto found = std::ranges::find(all, family, &net::IpAddress::family);
    if (found != all.end()) external.push_back(*found);
  }
  return external;
}

Result<void> XdpInterfaces::configure(std::size_t number, std::span<const SteeredAddress> steered) {
  return interfaces_[number].steering->configure(steered);
}

// Its Ethernet header is gone: the NAT may have held it. The kernel asks only for which station the
// frame is.
Result<void> XdpInterfaces::give_back(std::size_t number, ConstBytes packet) {
  const Interface& interface = interfaces_[number];
  const route_message::Link* const link = mirror_->state().find_link(interface.index);
  if (link == nullptr || !link->mac) {
    return failure("giving a packet back to the kernel: " + interface.name + " has no MAC address");
  }
  const std::uint16_t type = packet[0] >> 4 == 4 ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6;
  constexpr net::MacAddress kUnknown{};
  std::vector<std::uint8_t> frame(net::EthernetView::kHeaderBytes + packet.size());
  net::emit_ethernet(frame.data(), link->mac->bytes.data(), kUnknown.bytes.data(), type);
  std::ranges::copy(packet, frame.begin() + net::EthernetView::kHeaderBytes);
  return interface.steering->give_back(frame, interface.index);
}

Result<void> XdpInterfaces::steer() {
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    const Interface& interface = interfaces_[queues_[i].interface];
    auto added = interface.steering->add_socket(queues_[i].number, ports_[i]->socket_fd());
    if (!added) return added;
  }
  return {};
}

void XdpInterfaces::stop() {
  for (Interface& interface : interfaces_) {
    if (interface.steering != nullptr) interface.steering->detach();
  }
}

// Without its program an interface hands our packets to the kernel: the tunnel goes on by the
// socket that holds its port, and what the Internet answers is dropped by the guard. So nothing
// leaks meanwhile, and what is to be done is to put the program back as soon as it can be.
void XdpInterfaces::watch_programs() {
  for (Interface& interface : interfaces_) {
    const auto& attachment = interface.steering->attachment();
    if (!attachment || !attachment->in_place()) put_back(interface);
  }
}

void XdpInterfaces::put_back(Interface& interface) const {
  if (interface.lost.empty()) {
    notice_("somebody has taken the XDP program off " + interface.name + "; putting it back");
  }
  interface.steering->detach();
  Result<void> attached;
  if (::if_nametoindex(interface.name.c_str()) != interface.index) {
    attached = failure(interface.name + " is gone, or another interface has its name now",
                       "restart the gateway once it is there");
  } else {
    const bool native = interface.mode == XdpMode::kNative;
    attached = interface.steering->attach(interface.name, {native, !native});
  }
  const std::string lost = attached ? std::string() : attached.error().text();
  if (lost.empty()) notice_("the XDP program is on " + interface.name + " again");
  if (!lost.empty() && lost != interface.lost) notice_("no packets by AF_XDP: " + lost);
  interface.lost = lost;
}

std::string XdpInterfaces::mode() const {
  bool generic = false;
  for (const Interface& interface : interfaces_) {
    if (!interface.lost.empty()) return "off";
    generic = generic || interface.mode == XdpMode::kGeneric;
  }
  return generic ? "generic" : "native";
}

std::string XdpInterfaces::reason() const {
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

std::vector<RingLoss> XdpInterfaces::ring_losses(std::size_t port) const {
  const xdp_statistics kernel = ports_[port]->statistics();
  return {{"rx_ring_full", kernel.rx_ring_full},
          {"rx_fill_ring_empty", kernel.rx_fill_ring_empty_descs},
          {"rx_dropped", kernel.rx_dropped},
          {"rx_invalid", kernel.rx_invalid_descs},
          {"tx_invalid", kernel.tx_invalid_descs}};
}

std::vector<SteeringCounter> XdpInterfaces::steering_counters(std::size_t number) const {
  return interfaces_[number].steering->counters();
}

}  // namespace ringway::control
