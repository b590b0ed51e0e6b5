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
#include "dataplane/forwarding/egress_shares.hpp"
#include "dataplane/forwarding/encapsulate.hpp"
#include "dataplane/io/partial_checksum.hpp"
#include "dataplane/scratch.hpp"

namespace ringway::forwarding {
namespace {

constexpr std::size_t kQueueSlots = 128;  // between two calls of the worker
constexpr std::size_t kLookupBatch = 256;
constexpr std::size_t kMaxWanted = 64;
constexpr std::uint32_t kFrameHeadroom =
    net::EthernetView::kHeaderBytes + net::EthernetView::kTagBytes;
// Few datagrams come by the socket: it is asked when nothing came from the wire, and every so many
// calls, then first and for at most this share of a burst: neither can keep the other waiting.
constexpr std::uint32_t kKernelPollInterval = 8;
constexpr std::size_t kKernelShare = 4;  // a quarter

// Packets between reception and the worker's call for them. They keep no address of a datagram's.
class SlotQueue {
 public:
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t room() const { return kQueueSlots - count_; }
  void push(const Slot& slot) {
    DCHECK(count_ < kQueueSlots);
    copy_without_address(slots_[(head_ + count_++) % kQueueSlots], slot);
  }
  std::size_t pop(std::span<Slot> out) {
    const std::size_t taken = std::min(out.size(), count_);
    for (std::size_t i = 0; i < taken; ++i)
      copy_without_address(out[i], slots_[(head_ + i) % kQueueSlots]);
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

// Leaves of what a slot holds a part. In one go: what is written in steps is read back for each.
void narrow(Slot& slot, ConstBytes part) {
  const auto before = static_cast<std::uint32_t>(part.data() - slot.data);
  const auto length = static_cast<std::uint32_t>(part.size());
  DCHECK(before + length <= slot.length);
  slot.data += before;
  slot.headroom += before;
  slot.tailroom += slot.length - before - length;
  slot.length = length;
}
void prepend(Slot& slot, std::size_t bytes) {
  DCHECK(slot.headroom >= bytes);
  slot.data -= bytes;
  slot.length += static_cast<std::uint32_t>(bytes);
  slot.headroom -= static_cast<std::uint32_t>(bytes);
}
// In two whole words: an address that is put together and then copied costs 15 cycles a packet,
// because the copy waits for its pieces. `bytes`: 4 or 16.
void set_address(net::IpAddress& address, net::Family family, const std::uint8_t* bytes) {
  const bool v4 = family == net::Family::kIpv4;
  store_le(address.bytes.data(),
           v4 ? std::uint64_t{load_le<std::uint32_t>(bytes)} : load_le<std::uint64_t>(bytes));
  store_le(address.bytes.data() + 8, v4 ? std::uint64_t{0} : load_le<std::uint64_t>(bytes + 8));
  address.family = family;
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
        table(std::make_shared<const ForwardingTable>()) {
    CHECK(!ports.empty() && ports.size() <= kMaxPorts);
    for (const io::Port* port : ports)
      egress_shares.push_back(std::make_unique<EgressShares>(port->tx_queue()));
    identification = options.first_identification;
    wanted.reserve(kMaxWanted);
    released.reserve(PendingPackets::kCapacity);
  }

  // --- from the wire ---

  enum class Kind : std::uint8_t { kDropped, kDatagram, kPacket };

  // Datagrams for `out`. Packets that come between them are queued for the worker's next call,
  // which is for those: no more is taken from the wire than the queue has room for.
  // Another port is first each time: one that is always full leaves no room for those behind it.
  std::size_t receive(std::span<Slot> out) {
    std::size_t count = 0;
    const std::size_t first_port = first_to_receive++;
    for (std::size_t i = 0; i < ports.size(); ++i) {
      io::Port* const port = ports[(first_port + i) % ports.size()];
      const std::size_t room = std::min(out.size() - count, packets.room());
      if (room == 0) break;
      const std::size_t first = count;
      const std::size_t received = port->rx_burst(out.subspan(first, room));
      count += distribute(out.subspan(first, received));
    }
    return count;
  }

  // Datagrams to the front of `slots`, and how many; packets into their queue. Sorted all before
  // the first is copied: a copy of a slot that was just changed waits for it, 15 cycles a packet.
  std::size_t distribute(std::span<Slot> slots) {
    DCHECK(slots.size() <= kQueueSlots);
    Scratch<Kind, kQueueSlots> kinds;
    for (std::size_t i = 0; i < slots.size(); ++i)
      kinds[i] = sort(slots[i]);
    std::size_t count = 0;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (kinds[i] == Kind::kPacket) packets.push(slots[i]);
      if (kinds[i] != Kind::kDatagram) continue;
      if (count != i) slots[count] = slots[i];
      ++count;
    }
    return count;
  }

  Kind sort(Slot& slot) {
    const auto frame = net::EthernetView::parse({slot.data, slot.length});
    if (!frame || slot.truncated) return refuse(slot, DropReason::kFrameMalformed);
    switch (frame->ether_type()) {
      case net::kEtherTypeIpv4:
        return sort_v4(slot, frame->payload());
      case net::kEtherTypeIpv6:
        return sort_v6(slot, frame->payload());
      default:
        return refuse(slot, DropReason::kFrameMalformed);
    }
  }

  Kind sort_v4(Slot& slot, ConstBytes bytes) {
    const auto ip = net::Ip4View::parse(bytes);
    if (!ip) return refuse(slot, DropReason::kFrameMalformed);
    if (ip->protocol() == net::kProtocolUdp && !ip->is_fragment() &&
        is_datagram(slot, net::Family::kIpv4, ip->source(), ip->destination(), ip->payload(),
                    ip->tos())) {
      return Kind::kDatagram;
    }
    return keep_packet(slot, bytes.first(ip->total_bytes()));
  }

  Kind sort_v6(Slot& slot, ConstBytes bytes) {
    const auto ip = net::Ip6View::parse(bytes);
    if (!ip) return refuse(slot, DropReason::kFrameMalformed);
    if (ip->next_header() == net::kProtocolUdp &&
        is_datagram(slot, net::Family::kIpv6, ip->source(), ip->destination(), ip->payload(),
                    ip->traffic_class())) {
      return Kind::kDatagram;
    }
    return keep_packet(slot, bytes.first(ip->total_bytes()));
  }

  // Whether it is the tunnel's: then cut down to what it carries. Their checksums are not looked
  // at: what is inside authenticates itself.
  bool is_datagram(Slot& slot, net::Family family, const std::uint8_t* source,
                   const std::uint8_t* destination, ConstBytes payload,
                   std::uint8_t traffic_class) {
    const auto udp = net::UdpView::parse(payload);
    if (!udp || udp->destination_port() != options.tunnel_port) return false;
    const net::IpAddress* own = find_own(family, destination);
    if (own == nullptr) return false;
    set_address(slot.remote.address, family, source);
    slot.remote.port = udp->source_port();
    slot.local = *own;
    slot.interface = 0;
    slot.traffic_class = traffic_class;
    slot.checksum = ChecksumState::kUnknown;
    narrow(slot, udp->payload());
    return true;
  }

  // Where a neighbour on this machine left the checksum to a device that does not exist: what
  // changes the packet on its way must not find half of one.
  Kind keep_packet(Slot& slot, ConstBytes packet) {
    const auto header_bytes = static_cast<std::size_t>(packet.data() - slot.data);
    narrow(slot, packet);
    if (slot.checksum != ChecksumState::kPartial) return Kind::kPacket;
    const bool inside = slot.checksum_start >= header_bytes;
    slot.checksum_start = static_cast<std::uint16_t>(slot.checksum_start - header_bytes);
    if (!inside || !io::complete_checksum(slot)) return refuse(slot, DropReason::kFrameMalformed);
    return Kind::kPacket;
  }

  Kind refuse(const Slot& slot, DropReason reason) {
    drops.add(reason);
    BufferPool::release(slot);
    return Kind::kDropped;
  }

  // Among our addresses, of which there are few; null for another's. `bytes`: 4 or 16.
  [[nodiscard]] const net::IpAddress* find_own(net::Family family,
                                               const std::uint8_t* bytes) const {
    const bool v4 = family == net::Family::kIpv4;
    for (const net::IpAddress& address : options.tunnel_addresses) {
      if (address.family != family) continue;
      const std::uint8_t* const own = address.bytes.data();
      if (v4 ? load_le<std::uint32_t>(own) == load_le<std::uint32_t>(bytes)
             : load_le<std::uint64_t>(own) == load_le<std::uint64_t>(bytes) &&
                   load_le<std::uint64_t>(own + 8) == load_le<std::uint64_t>(bytes + 8)) {
        return &address;
      }
    }
    return nullptr;
  }

  // --- to the wire ---

  // Stands for the kernel's, among the numbers of the Ethernet ports.
  static constexpr std::uint32_t kKernelPort = UINT32_MAX;

  // Slots that leave by one port are handed over together, from where they stand: those of `burst`
  // that stay are moved up to its front, and a run of one port ends where another one's begins.
  class Departure {
   public:
    Departure(State& state, std::span<Slot> burst) : state_(state), burst_(burst) {}
    void add(const Slot& slot, std::uint32_t port) {
      if (port != port_) flush();
      port_ = port;
      if (&burst_[end_] != &slot) burst_[end_] = slot;
      ++end_;
    }
    // How many datagrams or packets the ports have refused so far.
    std::size_t flush() {
      if (end_ == begin_) return refused_;
      io::Port& port = port_ == kKernelPort ? state_.kernel : *state_.ports[port_];
      if (port_ != kKernelPort) keep_shares(port, *state_.egress_shares[port_]);
      refused_ += port.tx_burst(burst_.subspan(begin_, end_ - begin_));
      begin_ = end_;
      return refused_;
    }
    // Those that were held or dropped before they reached a port are in neither number.
    [[nodiscard]] std::size_t sent() const { return begin_ - refused_; }

   private:
    // What is above its subscriber's share leaves the run.
    void keep_shares(const io::Port& port, EgressShares& shares) {
      shares.settle(port.tx_queue(), state_.now);
      if (!shares.counting()) return;
      std::size_t kept = begin_;
      for (std::size_t i = begin_; i < end_; ++i) {
        Slot& slot = burst_[i];
        if (!shares.admits(slot.subscriber, slot.length)) {
          state_.refuse(slot, DropReason::kOverShare);
          continue;
        }
        if (kept != i) burst_[kept] = slot;
        ++kept;
      }
      end_ = kept;
    }

    State& state_;
    std::span<Slot> burst_;
    std::uint32_t port_ = 0;
    std::size_t begin_ = 0;  // of the run
    std::size_t end_ = 0;
    std::size_t refused_ = 0;
  };

  // A datagram becomes a packet with the headers of this side, all but the UDP checksum. False, and
  // the datagram as it was, when the Ethernet ports cannot carry it.
  bool encapsulate_datagram(Slot& slot, NextHopId id) {
    const NextHop& hop = table->next_hop(id);
    const net::Family family = slot.remote.address.family;
    const std::uint32_t headers = encapsulation_bytes(family);
    const net::IpAddress* source = source_for(slot);
    const bool carried =
        hop.state == NextHopState::kResolved || hop.state == NextHopState::kUnresolved;
    if (!carried || source == nullptr || slot.train != TrainKind::kNone ||
        slot.length + headers > hop.mtu || slot.headroom < headers + kFrameHeadroom) {
      return false;
    }
    emit_outer_headers(
        {*source, options.tunnel_port, slot.remote, slot.traffic_class, identification++},
        {slot.data, slot.length});
    prepend(slot, headers);
    return true;
  }

  struct Departed {
    std::size_t sent = 0;
    std::size_t refused = 0;  // by the ports
  };
  // At most kLookupBatch. Each step over all of them.
  Departed send_datagrams(std::span<Slot> slots) {
    Scratch<NextHopId, kLookupBatch> hops;
    Scratch<bool, kLookupBatch> carried;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const net::IpAddress& to = slots[i].remote.address;
      const bool alike = i > 0 && to == slots[i - 1].remote.address;
      hops[i] = alike ? hops[i - 1] : table->lookup(to);
    }
    for (std::size_t i = 0; i < slots.size(); ++i)
      carried[i] = encapsulate_datagram(slots[i], hops[i]);
    end_stage(stage_clock, Stage::kEncapsulate);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (carried[i]) complete_outer_checksum({slots[i].data, slots[i].length});
    }
    end_stage(stage_clock, Stage::kOuterChecksum);
    Departure departure(*this, slots);
    mark_used({hops.data(), slots.size()});
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (carried[i]) {
        send_packet(slots[i], hops[i], departure);
      } else {
        departure.add(slots[i], kKernelPort);
      }
    }
    const std::size_t refused = departure.flush();
    return {departure.sent(), refused};
  }

  // The address that the peer knows us by, as long as it is ours; else the family's first.
  [[nodiscard]] const net::IpAddress* source_for(const Slot& slot) const {
    const net::Family family = slot.remote.address.family;
    if (slot.local.family == family) {
      if (const auto* own = find_own(family, slot.local.bytes.data())) return own;
    }
    for (const net::IpAddress& address : options.tunnel_addresses) {
      if (address.family == family) return &address;
    }
    return nullptr;
  }

  // Once for packets in a row that leave alike: each would wait for the mark before.
  void mark_used(std::span<const NextHopId> hops) {
    for (std::size_t i = 0; i < hops.size(); ++i) {
      if (i == 0 || hops[i] != hops[i - 1]) use.mark(hops[i]);
    }
  }

  // An IP packet to where its route leads.
  void send_packet(Slot& slot, NextHopId id, Departure& departure) {
    const NextHop& hop = table->next_hop(id);
    if (hop.state != NextHopState::kResolved || slot.length > hop.mtu) {
      keep_back(slot, id, hop.state);
      return;
    }
    put_header(slot, hop);
    departure.add(slot, hop.port);
  }

  // What cannot leave now. Apart, so that the common case is short.
  [[gnu::noinline]] void keep_back(const Slot& slot, NextHopId id, NextHopState state) {
    switch (state) {
      case NextHopState::kResolved:
        refuse(slot, DropReason::kTooBig);
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

  void put_header(Slot& slot, const NextHop& hop) const {
    const net::Family family = slot.data[0] >> 4 == 4 ? net::Family::kIpv4 : net::Family::kIpv6;
    prepend(slot, ethernet_header_bytes(hop));
    emit_ethernet(hop, family, slot.data);
    DCHECK(hop.port < ports.size());
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

  std::vector<io::Port*> ports;
  std::size_t first_to_receive = 0;
  std::vector<std::unique_ptr<EgressShares>> egress_shares;  // of each port
  io::Port& kernel;
  LinkOptions options;
  std::shared_ptr<const ForwardingTable> table;
  PendingPackets pending;
  NextHopUse use;
  DropCounters drops;
  SlotQueue packets;
  std::vector<Neighbour> wanted;
  std::vector<Slot> released;  // by a new table
  std::uint16_t identification;
  Instant now = Instant::distant_past();
  StageClock* stage_clock = nullptr;
};

// Both have no trains: a frame is one packet.
class EthernetLink::Datagrams final : public io::Port {
 public:
  explicit Datagrams(State& state) : state_(state), epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
    CHECK(epoll_fd_ >= 0);
    for (const io::Port* port : state_.ports)
      watch(port->wake_fd());
    watch(state_.kernel.wake_fd());
    watch(state_.kernel.side_wake_fd());
    capabilities_.datagram_trains_rx = state_.kernel.capabilities().datagram_trains_rx;
    capabilities_.tx_headroom =
        static_cast<std::uint16_t>(encapsulation_bytes(net::Family::kIpv6) + kFrameHeadroom);
    for (const io::Port* port : state_.ports)
      capabilities_.mtu = std::max(capabilities_.mtu, port->capabilities().mtu);
  }
  ~Datagrams() override { ::close(epoll_fd_); }

  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override {
    const bool is_kernels_turn = ++calls_ % kKernelPollInterval == 0;
    std::size_t count = 0;
    if (is_kernels_turn) {
      count = state_.kernel.rx_burst(out.first((out.size() + kKernelShare - 1) / kKernelShare));
    }
    count += state_.receive(out.subspan(count));
    const bool is_idle = count == 0 && state_.packets.empty();
    if (is_idle && !is_kernels_turn) count = state_.kernel.rx_burst(out);
    if (count != 0) counters_.rx_bursts.increment();
    counters_.rx_packets.add(count);
    return count;
  }
  std::size_t tx_burst(std::span<Slot> slots) override {
    std::size_t refused = 0;
    for (std::size_t done = 0; done < slots.size(); done += kLookupBatch) {
      const auto departed =
          state_.send_datagrams(slots.subspan(done, std::min(kLookupBatch, slots.size() - done)));
      counters_.tx_packets.add(departed.sent);
      refused += departed.refused;
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
  [[nodiscard]] bool wants_polling() const override {
    const auto wants = [](const io::Port* port) { return port->wants_polling(); };
    return wants(&state_.kernel) || std::ranges::any_of(state_.ports, wants);
  }
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
    const std::size_t count = state_.packets.pop(out);
    if (count != 0) counters_.rx_bursts.increment();
    counters_.rx_packets.add(count);
    return count;
  }
  std::size_t tx_burst(std::span<Slot> slots) override {
    std::size_t refused = 0;
    while (!slots.empty()) {
      const std::size_t count = std::min(slots.size(), kLookupBatch);
      refused += send(slots.first(count));
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
  std::size_t send(std::span<Slot> slots) {
    Scratch<const std::uint8_t*, kLookupBatch> headers;
    Scratch<NextHopId, kLookupBatch> hops;
    for (std::size_t i = 0; i < slots.size(); ++i)
      headers[i] = slots[i].data;
    state_.table->lookup_packets({headers.data(), slots.size()}, hops.data());
    state_.mark_used({hops.data(), slots.size()});
    State::Departure departure(state_, slots);
    for (std::size_t i = 0; i < slots.size(); ++i)
      state_.send_packet(slots[i], hops[i], departure);
    const std::size_t refused = departure.flush();
    counters_.tx_packets.add(departure.sent());
    return refused;
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
  std::vector<Slot>& released = state_->released;
  state_->pending.retry(
      *state_->table, now, [&](const Slot& slot, NextHopId) { released.push_back(slot); },
      [&](const Neighbour& neighbour) { state_->want(neighbour); });
  // Each is looked up once more: few, and only when a table is new.
  state_->drops.add(DropReason::kTxFailed, packets_->tx_burst(released));
  released.clear();
  return table;
}

const ForwardingTable& EthernetLink::table() const {
  return *state_->table;
}

std::size_t EthernetLink::send_frames(std::span<Slot> frames) {
  State::Departure departure(*state_, frames);
  for (const Slot& frame : frames) {
    DCHECK(frame.interface < state_->ports.size());
    departure.add(frame, frame.interface);
  }
  return departure.flush();
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

const std::vector<net::IpAddress>& EthernetLink::tunnel_addresses() const {
  return state_->options.tunnel_addresses;
}

void EthernetLink::set_stage_clock(StageClock* clock) {
  state_->stage_clock = clock;
}

void EthernetLink::swap_tunnel_addresses(std::vector<net::IpAddress>& addresses) {
  CHECK(!addresses.empty());
  std::swap(state_->options.tunnel_addresses, addresses);
}

const DropCounters& EthernetLink::drops() const {
  return state_->drops;
}

}  // namespace ringway::forwarding
