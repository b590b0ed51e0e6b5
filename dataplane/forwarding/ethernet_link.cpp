#include "dataplane/forwarding/ethernet_link.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.hpp"
#include "base/net/ethernet.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/udp.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/forwarding/encapsulate.hpp"
#include "dataplane/scratch.hpp"

namespace ringway::forwarding {
namespace {

constexpr std::size_t kFrameBurst = 64;
constexpr std::size_t kQueueSlots = 128;  // of each kind, between two calls of the worker
constexpr std::size_t kTxBatch = 256;     // for each port
constexpr std::size_t kMaxWanted = 64;
// Few datagrams come by the socket: it is asked when nothing else came, and now and then.
constexpr std::uint32_t kKernelPollInterval = 8;

// What waits between reception and the worker's call for it.
class SlotQueue {
 public:
  [[nodiscard]] std::size_t room() const { return kQueueSlots - count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  void push(const Slot& slot) {
    DCHECK(count_ < kQueueSlots);
    slots_[(head_ + count_++) % kQueueSlots] = slot;
  }
  std::size_t pop(std::span<Slot> out) {
    const std::size_t taken = std::min(out.size(), count_);
    for (std::size_t i = 0; i < taken; ++i)
      out[i] = slots_[(head_ + i) % kQueueSlots];
    head_ = (head_ + taken) % kQueueSlots;
    count_ -= taken;
    return taken;
  }
  void release_all() {
    Slot slot;
    while (pop({&slot, 1}) == 1)
      BufferPool::release(slot);
  }

 private:
  Scratch<Slot, kQueueSlots> slots_;
  std::size_t head_ = 0;
  std::size_t count_ = 0;
};

// Moves the start of a slot `bytes` further in.
void strip(Slot& slot, std::size_t bytes) {
  slot.data += bytes;
  slot.length -= static_cast<std::uint32_t>(bytes);
  slot.headroom += static_cast<std::uint32_t>(bytes);
}
void prepend(Slot& slot, std::size_t bytes) {
  DCHECK(slot.headroom >= bytes);
  slot.data -= bytes;
  slot.length += static_cast<std::uint32_t>(bytes);
  slot.headroom -= static_cast<std::uint32_t>(bytes);
}
void shorten(Slot& slot, std::size_t bytes) {
  slot.tailroom += slot.length - static_cast<std::uint32_t>(bytes);
  slot.length = static_cast<std::uint32_t>(bytes);
}

net::IpAddress destination_of(const Slot& packet) {
  return packet.data[0] >> 4 == 4 ? net::IpAddress::v4(packet.data + net::Ip4View::kDestinationAt)
                                  : net::IpAddress::v6(packet.data + net::Ip6View::kDestinationAt);
}

}  // namespace

struct EthernetLink::State {
  State(std::span<io::Port* const> frame_ports, io::Port& kernel_port, const LinkOptions& settings)
      : ports(frame_ports.begin(), frame_ports.end()),
        kernel(kernel_port),
        options(settings),
        table(std::make_shared<const ForwardingTable>()),
        tx(ports.size()) {
    CHECK(!ports.empty() && ports.size() <= kMaxPorts && !options.tunnel_addresses.empty());
    for (std::vector<Slot>& slots : tx)
      slots.reserve(kTxBatch);
    to_kernel.reserve(kTxBatch);
    wanted.reserve(kMaxWanted);
  }

  // --- from the wire ---

  // Fills the two queues from every port, as far as there is room for whatever comes.
  void receive() {
    for (io::Port* port : ports) {
      const std::size_t room = std::min({kFrameBurst, datagrams.room(), packets.room()});
      Scratch<Slot, kFrameBurst> burst;
      const std::size_t received = port->rx_burst({burst.data(), room});
      for (std::size_t i = 0; i < received; ++i)
        sort(burst[i]);
    }
  }

  void sort(Slot& slot) {
    const auto frame = net::EthernetView::parse({slot.data, slot.length});
    if (!frame || slot.truncated) return refuse(slot, DropReason::kFrameMalformed);
    const std::uint16_t type = frame->ether_type();
    strip(slot, frame->header_bytes());
    if (type == net::kEtherTypeIpv4) {
      sort_v4(slot);
    } else if (type == net::kEtherTypeIpv6) {
      sort_v6(slot);
    } else {
      refuse(slot, DropReason::kFrameMalformed);
    }
  }

  void sort_v4(Slot& slot) {
    const auto ip = net::Ip4View::parse({slot.data, slot.length});
    if (!ip) return refuse(slot, DropReason::kFrameMalformed);
    shorten(slot, ip->total_bytes());
    if (ip->protocol() == net::kProtocolUdp && !ip->is_fragment() &&
        take_datagram(slot, ip->source_address(), ip->destination_address(), ip->payload(),
                      ip->tos())) {
      return;
    }
    packets.push(slot);
  }

  void sort_v6(Slot& slot) {
    const auto ip = net::Ip6View::parse({slot.data, slot.length});
    if (!ip) return refuse(slot, DropReason::kFrameMalformed);
    shorten(slot, ip->total_bytes());
    if (ip->next_header() == net::kProtocolUdp &&
        take_datagram(slot, ip->source_address(), ip->destination_address(), ip->payload(),
                      ip->traffic_class())) {
      return;
    }
    packets.push(slot);
  }

  // True when the packet was the tunnel's. Its checksum is not looked at: what it carries
  // authenticates itself, and veth leaves it incomplete.
  bool take_datagram(Slot& slot, const net::IpAddress& source, const net::IpAddress& destination,
                     ConstBytes payload, std::uint8_t traffic_class) {
    const auto udp = net::UdpView::parse(payload);
    if (!udp || udp->destination_port() != options.tunnel_port || !is_ours(destination)) {
      return false;
    }
    strip(slot, static_cast<std::size_t>(udp->payload().data() - slot.data));
    shorten(slot, udp->payload().size());
    slot.remote = {source, udp->source_port()};
    slot.local = destination;
    slot.interface = 0;
    slot.traffic_class = traffic_class;
    datagrams.push(slot);
    return true;
  }

  void refuse(const Slot& slot, DropReason reason) {
    drops.add(reason);
    BufferPool::release(slot);
  }

  [[nodiscard]] bool is_ours(const net::IpAddress& address) const {
    return std::ranges::find(options.tunnel_addresses, address) != options.tunnel_addresses.end();
  }

  // --- to the wire ---

  // A datagram becomes a packet with the headers of this side.
  void send_datagram(Slot& slot) {
    const NextHopId id = table->lookup(slot.remote.address);
    const NextHop& hop = table->next_hop(id);
    const net::Family family = slot.remote.address.family;
    const std::uint32_t headers = encapsulation_bytes(family);
    const auto source = source_for(slot);
    const bool carried =
        hop.state == NextHopState::kResolved || hop.state == NextHopState::kUnresolved;
    if (!carried || !source || slot.train != TrainKind::kNone || slot.length + headers > hop.mtu ||
        slot.headroom < headers + net::EthernetView::kHeaderBytes + net::EthernetView::kTagBytes) {
      to_kernel.push_back(slot);
      return;
    }
    encapsulate({{*source, options.tunnel_port}, slot.remote, slot.traffic_class, identification++},
                {slot.data, slot.length});
    prepend(slot, headers);
    send_packet(slot, id);
  }

  // The address that the peer knows us by, as long as it is ours; else the family's first.
  [[nodiscard]] std::optional<net::IpAddress> source_for(const Slot& slot) const {
    const net::Family family = slot.remote.address.family;
    if (slot.local.family == family && is_ours(slot.local)) return slot.local;
    for (const net::IpAddress& address : options.tunnel_addresses) {
      if (address.family == family) return address;
    }
    return std::nullopt;
  }

  // An IP packet to where its route leads.
  void send_packet(Slot& slot, NextHopId id) {
    const NextHop& hop = table->next_hop(id);
    switch (hop.state) {
      case NextHopState::kResolved:
        if (slot.length > hop.mtu) return refuse(slot, DropReason::kTooBig);
        use.mark(id);
        put_on_wire(slot, hop);
        return;
      case NextHopState::kUnresolved:
        hold(slot, id);
        return;
      case NextHopState::kUnreachable:
      case NextHopState::kBlackhole:
      case NextHopState::kLocal:
      case NextHopState::kNotOurs:
        refuse(slot, DropReason::kUnreachable);
        return;
    }
  }

  void put_on_wire(Slot& slot, const NextHop& hop) {
    const net::Family family = slot.data[0] >> 4 == 4 ? net::Family::kIpv4 : net::Family::kIpv6;
    prepend(slot, ethernet_header_bytes(hop));
    emit_ethernet(hop, family, slot.data);
    DCHECK(hop.port < ports.size());
    tx[hop.port].push_back(slot);
  }

  void hold(const Slot& slot, NextHopId id) {
    const net::IpAddress destination = destination_of(slot);
    const Neighbour neighbour = table->neighbour(id, destination);
    const PendingPackets::Held held = pending.hold(neighbour, destination, slot, now);
    if (!held.kept_all) drops.add(DropReason::kNeighbourPending);
    if (held.ask) want(neighbour);
  }

  void want(const Neighbour& neighbour) {
    if (wanted.size() < kMaxWanted) wanted.push_back(neighbour);
  }

  // Hands over what was collected; how many datagrams or packets the ports refused.
  std::size_t flush() {
    std::size_t refused = 0;
    for (std::size_t port = 0; port < ports.size(); ++port) {
      if (!tx[port].empty()) refused += ports[port]->tx_burst(tx[port]);
      tx[port].clear();
    }
    if (!to_kernel.empty()) refused += kernel.tx_burst(to_kernel);
    to_kernel.clear();
    return refused;
  }

  std::vector<io::Port*> ports;
  io::Port& kernel;
  LinkOptions options;
  std::shared_ptr<const ForwardingTable> table;
  PendingPackets pending;
  NextHopUse use;
  DropCounters drops;
  SlotQueue datagrams;
  SlotQueue packets;
  std::vector<std::vector<Slot>> tx;  // by port
  std::vector<Slot> to_kernel;
  std::vector<Neighbour> wanted;
  std::uint16_t identification = 0;
  Instant now = Instant::distant_past();
};

// Both have no trains: a frame is one packet.
class EthernetLink::Datagrams final : public io::Port {
 public:
  explicit Datagrams(State& state) : state_(state), epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
    CHECK(epoll_fd_ >= 0);
    for (const io::Port* port : state_.ports)
      watch(port->wake_fd());
    watch(state_.kernel.wake_fd());
    capabilities_.datagram_trains_rx = state_.kernel.capabilities().datagram_trains_rx;
    for (const io::Port* port : state_.ports)
      capabilities_.mtu = std::max(capabilities_.mtu, port->capabilities().mtu);
  }
  ~Datagrams() override { ::close(epoll_fd_); }

  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override {
    if (state_.datagrams.empty()) state_.receive();
    std::size_t count = state_.datagrams.pop(out);
    if (count < out.size() && (count == 0 || ++calls_ % kKernelPollInterval == 0)) {
      count += state_.kernel.rx_burst(out.subspan(count));
    }
    if (count != 0) counters_.rx_bursts.increment();
    counters_.rx_packets.add(count);
    return count;
  }
  std::size_t tx_burst(std::span<Slot> slots) override {
    std::size_t refused = 0;
    counters_.tx_packets.add(slots.size());
    while (!slots.empty()) {
      const std::size_t count = std::min(slots.size(), kTxBatch);
      for (Slot& slot : slots.first(count))
        state_.send_datagram(slot);
      refused += state_.flush();
      slots = slots.subspan(count);
    }
    counters_.tx_dropped.add(refused);
    return refused;
  }
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override {
    return state_.ports.front()->alloc_burst(out);
  }
  [[nodiscard]] const io::PortCapabilities& capabilities() const override { return capabilities_; }
  // Of all ports.
  [[nodiscard]] int wake_fd() const override { return epoll_fd_; }
  [[nodiscard]] std::string describe() const override {
    std::string text;
    for (const io::Port* port : state_.ports)
      text += port->describe() + "; ";
    return text + state_.kernel.describe();
  }

 private:
  void watch(int fd) {
    if (fd < 0) return;
    epoll_event interest{};
    interest.events = EPOLLIN;
    CHECK(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &interest) == 0);
  }

  State& state_;
  int epoll_fd_;
  io::PortCapabilities capabilities_;
  std::uint32_t calls_ = 0;
};

class EthernetLink::Packets final : public io::Port {
 public:
  explicit Packets(State& state) : state_(state) {
    for (const io::Port* port : state_.ports)
      capabilities_.mtu = std::max(capabilities_.mtu, port->capabilities().mtu);
  }

  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override {
    if (state_.packets.empty()) state_.receive();
    const std::size_t count = state_.packets.pop(out);
    if (count != 0) counters_.rx_bursts.increment();
    counters_.rx_packets.add(count);
    return count;
  }
  std::size_t tx_burst(std::span<Slot> slots) override {
    std::size_t refused = 0;
    while (!slots.empty()) {
      const std::size_t count = std::min(slots.size(), kTxBatch);
      send(slots.first(count));
      refused += state_.flush();
      slots = slots.subspan(count);
    }
    counters_.tx_dropped.add(refused);
    return refused;
  }
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override {
    return state_.ports.front()->alloc_burst(out);
  }
  [[nodiscard]] const io::PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] int wake_fd() const override { return -1; }  // the other side's covers it
  [[nodiscard]] std::string describe() const override { return state_.ports.front()->describe(); }

 private:
  void send(std::span<Slot> slots) {
    Scratch<const std::uint8_t*, kTxBatch> headers;
    Scratch<NextHopId, kTxBatch> hops;
    for (std::size_t i = 0; i < slots.size(); ++i)
      headers[i] = slots[i].data;
    state_.table->lookup_packets({headers.data(), slots.size()}, hops.data());
    for (std::size_t i = 0; i < slots.size(); ++i)
      state_.send_packet(slots[i], hops[i]);
    counters_.tx_packets.add(slots.size());
  }

  State& state_;
  io::PortCapabilities capabilities_;
};

EthernetLink::EthernetLink(std::span<io::Port* const> ports, io::Port& kernel,
                           const LinkOptions& options)
    : state_(std::make_unique<State>(ports, kernel, options)),
      datagrams_(std::make_unique<Datagrams>(*state_)),
      packets_(std::make_unique<Packets>(*state_)) {}

EthernetLink::~EthernetLink() {
  state_->datagrams.release_all();
  state_->packets.release_all();
}

io::Port& EthernetLink::datagrams() {
  return *datagrams_;
}
io::Port& EthernetLink::packets() {
  return *packets_;
}

std::shared_ptr<const ForwardingTable> EthernetLink::swap_table(
    std::shared_ptr<const ForwardingTable> table, Instant now) {
  state_->now = now;
  state_->table.swap(table);
  state_->pending.retry(
      *state_->table, now,
      [&](const Slot& slot, NextHopId id) {
        Slot packet = slot;
        state_->send_packet(packet, id);
      },
      [&](const Neighbour& neighbour) { state_->want(neighbour); });
  state_->drops.add(DropReason::kTxFailed, state_->flush());
  return table;
}

const ForwardingTable& EthernetLink::table() const {
  return *state_->table;
}

void EthernetLink::run(Instant now) {
  state_->now = now;
  if (now >= state_->pending.next_deadline()) {
    state_->drops.add(DropReason::kNeighbourPending, state_->pending.expire(now));
  }
  for (io::Port* port : state_->ports)
    port->reclaim();
}

Instant EthernetLink::next_deadline() const {
  return state_->pending.next_deadline();
}

std::size_t EthernetLink::take_wanted(std::span<Neighbour> out) {
  const std::size_t count = std::min(out.size(), state_->wanted.size());
  const auto first = state_->wanted.begin();
  std::copy_n(first, count, out.begin());
  state_->wanted.erase(first, first + static_cast<std::ptrdiff_t>(count));
  return count;
}

NextHopUse& EthernetLink::use() {
  return state_->use;
}

const DropCounters& EthernetLink::drops() const {
  return state_->drops;
}

}  // namespace ringway::forwarding
