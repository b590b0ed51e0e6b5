#include "bench/forwarder.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.hpp"
#include "base/net/inner_packet.hpp"
#include "controlplane/host/gateway_nat.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/nat_output.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway::bench {
namespace {

// How often a busy loop looks at what a sleeping one is woken by: changed routes, the request to
// stop. A node's control thread reacts as fast.
constexpr Duration kTendInterval = Duration::milliseconds(10);
constexpr Duration kReportInterval = Duration::seconds(1);  // of neighbours in use
constexpr Duration kLongestSleep = Duration::seconds(5);

tunnel::AllowedIps subscriber_table(const std::vector<net::Prefix>& prefixes) {
  std::vector<tunnel::AllowedIp> entries;
  for (std::uint32_t i = 0; i < prefixes.size(); ++i)
    entries.push_back({prefixes[i], PeerId{i}});
  return tunnel::AllowedIps(entries);
}

io::MemoryPortConfig no_socket_config() {
  io::MemoryPortConfig config;
  config.name = "none";
  config.queue_slots = 2;
  config.buffer_count = 1;
  return config;
}

void watch(int epoll_fd, int fd) {
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.fd = fd;
  CHECK(::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &interest) == 0);
}

bool is_readable(int fd) {
  pollfd state{fd, POLLIN, 0};
  return ::poll(&state, 1, 0) > 0;
}

}  // namespace

// Packets of one way between reception and departure.
class Forwarder::Batch {
 public:
  void add(const Slot& slot, std::uint32_t bytes, PeerId subscriber) {
    packets_[count_] = {slot.data, bytes, subscriber};
    slots_[count_++] = slot;
  }
  [[nodiscard]] std::span<nat::Packet> packets() { return {packets_.data(), count_}; }
  [[nodiscard]] std::span<Slot> slots() { return {slots_.data(), count_}; }

 private:
  Scratch<nat::Packet, kBurstSlots> packets_;
  Scratch<Slot, kBurstSlots> slots_;
  std::size_t count_ = 0;
};

Result<std::unique_ptr<Forwarder>> Forwarder::open(const ForwarderOptions& options,
                                                   std::function<void(std::string_view)> notice) {
  if (options.inside == options.outside) {
    return failure("inside and outside are the same interface", "name two");
  }
  const std::array<control::XdpInterfaceOptions, 2> wanted = {
      {{options.inside, control::SteeringMode::kTransit}, {options.outside}}};
  auto interfaces = control::XdpInterfaces::open(wanted, std::move(notice));
  if (!interfaces) return tl::unexpected(interfaces.error());
  const auto ports = control::free_nat_ports(0);
  if (!ports) return tl::unexpected(ports.error());
  std::unique_ptr<Forwarder> forwarder(new Forwarder(options, std::move(*interfaces)));
  nat::Config config = forwarder->nat_config();
  if (config.external_addresses.empty()) {
    return failure(options.outside + " has no address to be seen by on the Internet",
                   "give it one first");
  }
  config.first_port = ports->first;
  config.last_port = ports->last;
  forwarder->nat_ = std::make_unique<nat::Nat>(config, forwarder->rng_);
  if (auto done = forwarder->configure_steering(ports->first, ports->last); !done) {
    return tl::unexpected(done.error());
  }
  return forwarder;
}

Forwarder::Forwarder(const ForwarderOptions& options,
                     std::unique_ptr<control::XdpInterfaces> interfaces)
    : options_(options),
      interfaces_(std::move(interfaces)),
      no_socket_(no_socket_config()),
      link_(std::make_unique<forwarding::EthernetLink>(interfaces_->ports_of({}), no_socket_,
                                                       forwarding::LinkOptions{})),
      subscribers_(subscriber_table(options.subscribers)),
      epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_fd_ >= 0);
  watch(epoll_fd_, link_->datagrams().wake_fd());
  watch(epoll_fd_, interfaces_->mirror().fd());
}

Forwarder::~Forwarder() {
  interfaces_->stop();
  ::close(epoll_fd_);
}

nat::Config Forwarder::nat_config() const {
  nat::Config config;
  config.external_addresses = interfaces_->external_addresses(kOutside);
  config.gateway_addresses = interfaces_->external_addresses(kInside);
  config.tunnel_mtu = interfaces_->ports()[kInside]->capabilities().mtu;
  config.internet_mtu = interfaces_->ports()[kOutside]->capabilities().mtu;
  config.inner_prefixes = options_.subscribers;
  config.denied = nat::default_denied();
  return config;
}

// Both programs know all addresses: what a subscriber sends to the outer one is the kernel's, or,
// to a port of the NAT, another subscriber's (a hairpin).
Result<void> Forwarder::configure_steering(std::uint16_t first_port, std::uint16_t last_port) {
  const std::vector<net::IpAddress> external = interfaces_->external_addresses(kOutside);
  std::vector<control::SteeredAddress> steered;
  for (const std::size_t number : {kInside, kOutside}) {
    for (const net::IpAddress& address : interfaces_->addresses(number)) {
      control::SteeredAddress ours{address, {}, 0, 0};
      if (std::ranges::find(external, address) != external.end()) {
        ours.nat_first = first_port;
        ours.nat_last = last_port;
      }
      steered.push_back(std::move(ours));
    }
  }
  for (const std::size_t number : {kInside, kOutside}) {
    if (auto done = interfaces_->configure(number, steered); !done) return done;
  }
  return {};
}

Result<void> Forwarder::run(int stop_fd, Instant end) {
  watch(epoll_fd_, stop_fd);
  if (auto steered = interfaces_->steer(); !steered) return steered;
  Instant look = Instant::distant_past();
  for (;;) {
    const Instant now = Instant::now();
    const std::size_t moved = run_once(now);
    if (now >= end) break;
    if (moved == 0 && !options_.busy) {
      sleep(end);
      look = now;
    }
    if (now < look) continue;
    if (is_readable(stop_fd)) break;
    look = now + kTendInterval;
  }
  interfaces_->stop();
  return {};
}

// One turn: a burst from the wire, both ways through the NAT, timers.
std::size_t Forwarder::run_once(Instant now) {
  tend_links(now);
  Scratch<Slot, kBurstSlots> burst;
  // Takes frames from the wire; datagrams of a tunnel are never among them.
  const std::size_t datagrams = link_->datagrams().rx_burst({burst.data(), burst.size()});
  CHECK(datagrams == 0);
  const std::size_t received = link_->packets().rx_burst({burst.data(), burst.size()});
  if (received != 0) {
    Batch outbound;
    Batch inbound;
    for (std::size_t i = 0; i < received; ++i)
      sort(burst[i], outbound, inbound);
    nat_->outbound(outbound.packets(), now);
    finish(outbound, counters_.outbound_packets);
    send_nat_outputs();
    nat_->inbound(inbound.packets(), now);
    finish(inbound, counters_.inbound_packets);
    send_nat_outputs();
  }
  if (now >= nat_->next_deadline()) {
    nat_->tick(now);
    send_nat_outputs();
  }
  ++counters_.turns;
  if (received == 0) ++counters_.idle_turns;
  return received;
}

// Whose a packet is its source says, as allowed IPs say it of what leaves a tunnel.
void Forwarder::sort(Slot& slot, Batch& outbound, Batch& inbound) {
  net::InnerPacket packet;
  if (slot.truncated || !net::parse_inner_packet({slot.data, slot.length}, packet)) {
    drops_.add(DropReason::kNatMalformed);
    BufferPool::release(slot);
    return;
  }
  const PeerId subscriber = packet.family == net::Family::kIpv4
                                ? subscribers_.lookup_v4(packet.source)
                                : subscribers_.lookup_v6(packet.source);
  slot.length = packet.total_bytes;
  Batch& batch = subscriber == PeerId::none() ? inbound : outbound;
  batch.add(slot, packet.total_bytes, subscriber);
}

// A hairpin is translated both ways already; its route leads back inside.
void Forwarder::finish(Batch& batch, std::uint64_t& sent) {
  const std::span<nat::Packet> packets = batch.packets();
  const std::span<Slot> slots = batch.slots();
  std::size_t forward = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    switch (packets[i].verdict) {
      case nat::Verdict::kForward:
      case nat::Verdict::kHairpin:
        if (forward != i) slots[forward] = slots[i];
        ++forward;
        continue;
      case nat::Verdict::kDrop:
        drops_.add(drop_reason(packets[i].drop));
        break;
      case nat::Verdict::kNotOurs:
        drops_.add(DropReason::kNatNoMapping);
        break;
      case nat::Verdict::kHeld:
      case nat::Verdict::kOtherShard:  // there is one shard
        break;
    }
    BufferPool::release(slots[i]);
  }
  if (forward == 0) return;
  const std::size_t refused = link_->packets().tx_burst(slots.first(forward));
  drops_.add(DropReason::kTxFailed, refused);
  sent += forward - refused;
}

// ICMP errors, and fragments that were held or cut.
void Forwarder::send_nat_outputs() {
  nat::Output output;
  while (nat_->poll_output(output)) {
    if (output.to_host) {
      drops_.add(DropReason::kNatNoMapping);
      continue;
    }
    Slot slot;
    if (!copy_to_slot(link_->packets(), output.packet, slot, drops_)) continue;
    drops_.add(DropReason::kTxFailed, link_->packets().tx_burst({&slot, 1}));
  }
}

void Forwarder::tend_links(Instant now) {
  link_->run(now);
  control::RouteMirror& mirror = interfaces_->mirror();
  std::array<forwarding::Neighbour, 16> wanted;
  const std::size_t count = link_->take_wanted(wanted);
  for (std::size_t i = 0; i < count; ++i)
    mirror.want(wanted[i], now);
  if (count == 0 && now - tended_ < kTendInterval) return;
  tended_ = now;
  mirror.tick(now);
  if (now - reported_ >= kReportInterval) {
    reported_ = now;
    link_->use().drain(link_->table(), [&](const forwarding::Neighbour& neighbour) {
      mirror.note_use(neighbour, now);
    });
  }
  if (auto table = mirror.take_table()) (void)link_->swap_table(std::move(table), now);
}

Instant Forwarder::next_deadline() const {
  return std::min({nat_->next_deadline(), link_->next_deadline(),
                   std::max(interfaces_->mirror().next_deadline(), tended_ + kTendInterval)});
}

void Forwarder::sleep(Instant end) {
  ++counters_.sleeps;
  const Duration wait = std::min(next_deadline(), end) - Instant::now();
  const std::int64_t timeout_ms =
      std::clamp<std::int64_t>(wait.count_ms() + 1, 0, kLongestSleep.count_ms());
  std::array<epoll_event, 3> ready;  // the link's, the mirror's, the request to stop
  const int count = ::epoll_wait(epoll_fd_, ready.data(), static_cast<int>(ready.size()),
                                 static_cast<int>(timeout_ms));
  for (int i = 0; i < count; ++i) {
    const int fd = ready[static_cast<std::size_t>(i)].data.fd;
    if (fd == interfaces_->mirror().fd()) tended_ = Instant::distant_past();
  }
}

}  // namespace ringway::bench
