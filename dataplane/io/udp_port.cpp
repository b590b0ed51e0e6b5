#include "dataplane/io/udp_port.hpp"

#include <cerrno>
#include <utility>

#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.hpp"
#include "dataplane/io/udp_message.hpp"
#include "dataplane/io/udp_sender.hpp"

namespace ringway::io {
namespace {

// While handshakes come they may go first in every second call, else in every eighth: bursts that
// are full of data must not keep them out.
constexpr std::uint32_t kHandshakesFirst = 2;
constexpr std::uint32_t kHandshakesFirstAtRest = 8;

bool set_int(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void set_buffer(int fd, int force_option, int option, std::uint32_t bytes) {
  const int value = static_cast<int>(bytes);
  if (!set_int(fd, SOL_SOCKET, force_option, value)) set_int(fd, SOL_SOCKET, option, value);
}

}  // namespace

struct UdpPort::Sender : UdpSender {
  using UdpSender::UdpSender;
};

namespace {

int open_socket(bool ipv6) {
  constexpr int type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return ::socket(ipv6 ? AF_INET6 : AF_INET, type, IPPROTO_UDP);
}

// What the data socket and the handshakes' have in common. options.ipv6: the socket's.
Result<void> configure(int fd, const UdpOptions& options) {
  if (options.ipv6) set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options.socket_buffer_bytes);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options.socket_buffer_bytes);
  if (options.mark && !set_int(fd, SOL_SOCKET, SO_MARK, static_cast<int>(*options.mark))) {
    return system_failure("marking the UDP socket", errno, "needs CAP_NET_ADMIN");
  }
  // As WireGuard does, outer packets may be fragmented: the inner path MTU is the tunnel's to
  // measure. IPv4: no DF, and the device's MTU decides, never an ICMP error that anyone can forge.
  // IPv6: routers do not fragment, so the sender must, and for that heed Packet Too Big.
  set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
  if (options.ipv6) set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);

  set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
  if (options.ipv6) {
    set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);  // for IPv4 too, as a mapped address
  } else {
    set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<UdpPort>> UdpPort::open(const UdpOptions& options) {
  auto group = open_group(options, 1);
  if (!group) return tl::unexpected(group.error());
  return std::move(group->front());
}

// In the order in which choose_in_udp_group() expects them.
Result<std::vector<std::unique_ptr<UdpPort>>> UdpPort::open_group(const UdpOptions& options,
                                                                  std::size_t workers) {
  CHECK(workers == 1 || (workers > 1 && options.kinds));
  std::vector<std::unique_ptr<UdpPort>> ports;
  for (std::size_t i = 0; i < workers; ++i) {
    auto port = open_member(options, ports.empty() ? nullptr : ports.front().get());
    if (!port) return tl::unexpected(port.error());
    ports.push_back(std::move(*port));
  }
  if (!options.kinds) return ports;
  for (const auto& port : ports) {
    if (auto parted = port->part_handshakes(options, *ports.front()); !parted) {
      return tl::unexpected(parted.error());
    }
  }
  const auto chosen =
      choose_in_udp_group(ports.front()->fd_, *options.kinds, static_cast<std::uint32_t>(workers));
  if (!chosen) return tl::unexpected(chosen.error());
  return ports;
}

// first: of the group; null for itself.
Result<std::unique_ptr<UdpPort>> UdpPort::open_member(const UdpOptions& options,
                                                      const UdpPort* first) {
  UdpOptions effective = options;
  if (first != nullptr) effective.ipv6 = first->dual_stack_;
  int fd = effective.ipv6 ? open_socket(true) : -1;
  if (fd < 0) {
    effective.ipv6 = false;
    fd = open_socket(false);
  }
  if (fd < 0) return system_failure("opening a UDP socket", errno);
  std::unique_ptr<UdpPort> port(new UdpPort(fd, effective));
  auto done = configure(fd, effective);
  if (!done) return tl::unexpected(done.error());
  port->set_offloads(effective);
  done = first == nullptr ? port->bind_to(effective.port) : join_udp_group(first->fd_, fd);
  if (done) done = port->read_local_port();
  if (!done) return tl::unexpected(done.error());
  port->sender_ = std::make_unique<Sender>(fd, port->dual_stack_, port->segmentation_offload_,
                                           port->segmentation_refusals_);
  return port;
}

UdpPort::UdpPort(int fd, const UdpOptions& options)
    : fd_(fd),
      dual_stack_(options.ipv6),
      pool_(options.pool_buffers, kKernelBufferBytes),
      receiver_(std::make_unique<UdpReceiver>(fd, pool_)) {}

UdpPort::~UdpPort() {
  ::close(fd_);
}

void UdpPort::set_offloads(const UdpOptions& options) {
  receive_offload_ = options.receive_offload && set_int(fd_, IPPROTO_UDP, UDP_GRO, 1);
  // 0 is "off by default"; a kernel that knows the option at all takes it with each send.
  segmentation_offload_ = options.segmentation_offload && set_int(fd_, IPPROTO_UDP, UDP_SEGMENT, 0);

  capabilities_.datagram_trains_rx = receive_offload_;
  capabilities_.datagram_trains_tx = true;
  capabilities_.max_train_segments = kMaxSegments;
  capabilities_.max_train_bytes = kMaxTrainBytes;
  capabilities_.mtu = kMaxTrainBytes;
}

// A second socket like the data socket, in its port.
Result<void> UdpPort::part_handshakes(const UdpOptions& options, const UdpPort& first) {
  const int fd = open_socket(dual_stack_);
  if (fd < 0) return system_failure("opening a second UDP socket", errno);
  UdpOptions own = options;
  own.ipv6 = dual_stack_;
  own.socket_buffer_bytes = UdpHandshakes::kQueueBytes;
  // Before it chooses a socket by the content, the kernel asks one of them, by a hash, whether it
  // takes trains.
  if (receive_offload_) set_int(fd, IPPROTO_UDP, UDP_GRO, 1);
  auto done = configure(fd, own);
  if (done) done = join_udp_group(first.fd_, fd);
  if (!done) {
    ::close(fd);
    return done;
  }
  handshakes_ = std::make_unique<UdpHandshakes>(fd);
  return {};
}

Result<void> UdpPort::bind_to(std::uint16_t port) {
  UdpSocketAddress address{};
  socklen_t length = sizeof address.v4;
  if (dual_stack_) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = byte_swap(port);
    length = sizeof address.v6;
  } else {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = byte_swap(port);
  }
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd_, generic, length) != 0) {
    const int error = errno;
    return system_failure("binding UDP port " + std::to_string(port), error,
                          error == EADDRINUSE ? "another program has it; choose another port" : "");
  }
  return {};
}

Result<void> UdpPort::read_local_port() {
  UdpSocketAddress address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return system_failure("reading the UDP socket's port", errno);
  }
  local_port_ = parse_remote(address).port;
  return {};
}

std::size_t UdpPort::rx_burst(std::span<Slot> out) {
  const UdpReceiver::Totals totals =
      handshakes_ == nullptr ? receiver_->receive(out) : receive_both(out);
  if (totals.slots != 0) {
    counters_.rx_packets.add(totals.datagrams);
    counters_.rx_bytes.add(totals.bytes);
    counters_.rx_bursts.increment();
  }
  return totals.slots;
}

// One socket's burst, and the other's in the slots that are left.
UdpReceiver::Totals UdpPort::receive_both(std::span<Slot> out) {
  const bool expected = handshakes_->resting();
  UdpReceiver::Totals totals;
  if (++calls_ % (expected ? kHandshakesFirst : kHandshakesFirstAtRest) == 0) {
    totals += handshakes_->receive(out);
    totals += receiver_->receive(out.subspan(totals.slots));
    return totals;
  }
  totals += receiver_->receive(out);
  if (expected || totals.slots == 0) totals += handshakes_->receive(out.subspan(totals.slots));
  return totals;
}

std::size_t UdpPort::tx_burst(std::span<Slot> slots) {
  const UdpSender::Totals totals = sender_->send(slots);
  for (const Slot& slot : slots)
    BufferPool::release(slot);
  counters_.tx_packets.add(totals.datagrams);
  counters_.tx_bytes.add(totals.bytes);
  counters_.tx_dropped.add(totals.dropped);
  if (totals.datagrams != 0) counters_.tx_bursts.increment();
  return totals.dropped;
}

std::size_t UdpPort::alloc_burst(std::span<Slot> out) {
  std::size_t count = 0;
  while (count < out.size() && pool_.allocate(out[count]))
    ++count;
  return count;
}

std::string UdpPort::describe() const {
  std::string text = (dual_stack_ ? "udp [::]:" : "udp 0.0.0.0:") + std::to_string(local_port_);
  text += dual_stack_ ? ": IPv4 and IPv6" : ": IPv4 only";
  if (segmentation_offload_) text += ", GSO";
  if (receive_offload_) text += ", GRO";
  if (handshakes_ != nullptr) text += ", handshakes apart";
  return text;
}

}  // namespace ringway::io
