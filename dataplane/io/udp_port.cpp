#include "dataplane/io/udp_port.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/io/udp_message.hpp"
#include "dataplane/io/udp_sender.hpp"

namespace ringway::io {
namespace {

// Datagrams of one recvmmsg: many while they are small, few while they are trains.
constexpr std::size_t kReceiveBatch = 32;
constexpr std::size_t kMinReceiveBatch = 8;
// What one rx_burst brings at most, roughly: half of a second-level cache, so that the worker finds
// in cache what it decrypts.
constexpr std::size_t kBurstBytes = 512U << 10;
// Pending socket errors that one rx_burst clears; each receive reports one.
constexpr int kMaxPendingErrors = 8;

bool set_int(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void set_buffer(int fd, int force_option, int option, std::uint32_t bytes) {
  const int value = static_cast<int>(bytes);
  if (!set_int(fd, SOL_SOCKET, force_option, value)) set_int(fd, SOL_SOCKET, option, value);
}

}  // namespace

// Slots and headers stay prepared from one burst to the next: a receive refills only what the last
// one handed out.
struct UdpPort::Receiver {
  Receiver() {
    for (std::size_t i = 0; i < kReceiveBatch; ++i) {
      msghdr& header = headers[i].msg_hdr;
      header.msg_name = &addresses[i];
      header.msg_iov = &pieces[i];
      header.msg_iovlen = 1;
      header.msg_control = controls[i].bytes;
    }
  }

  // Makes [0, count) ready for a receive and returns how many of them could be.
  std::size_t prepare(std::size_t count, BufferPool& pool) {
    for (std::size_t i = 0; i < count; ++i) {
      if (slots[i].home == nullptr && !refill(i, pool)) return i;
    }
    return count;
  }

  // A fresh buffer, the one most recently freed; with an empty pool, one from further back.
  bool refill(std::size_t index, BufferPool& pool) {
    if (!pool.allocate(slots[index])) {
      std::size_t last = slots.size() - 1;
      while (last > index && slots[last].home == nullptr)
        --last;
      if (last == index) return false;
      std::swap(slots[index], slots[last]);
    }
    pieces[index] = {slots[index].data, slots[index].tailroom};
    rearm(index);
    return true;
  }

  // The kernel overwrote the lengths of address and control messages.
  void rearm(std::size_t index) {
    msghdr& header = headers[index].msg_hdr;
    header.msg_namelen = sizeof addresses[index];
    header.msg_controllen = sizeof controls[index].bytes;
  }

  // Hands out what was received into `index`.
  void take(std::size_t index, Slot& out) {
    mmsghdr& received = headers[index];
    out = slots[index];
    slots[index].home = nullptr;
    out.length = received.msg_len;
    out.tailroom -= received.msg_len;
    out.truncated = (received.msg_hdr.msg_flags & MSG_TRUNC) != 0;
    out.remote = parse_remote(addresses[index]);
    parse_control(received.msg_hdr, out);
    if (out.segment_bytes == 0 || out.segment_bytes >= out.length) {
      out.train = TrainKind::kNone;
      out.segment_bytes = 0;
    }
  }

  // Chooses the next batch by the mean size of the last.
  void adapt(std::size_t received, std::size_t bytes) {
    const std::size_t mean = bytes / received + 1;
    batch = std::clamp(kBurstBytes / mean, kMinReceiveBatch, kReceiveBatch);
  }

  std::size_t batch = kMinReceiveBatch;
  std::array<Slot, kReceiveBatch> slots{};  // home == nullptr: none
  std::array<mmsghdr, kReceiveBatch> headers{};
  std::array<iovec, kReceiveBatch> pieces{};
  std::array<UdpSocketAddress, kReceiveBatch> addresses{};
  std::array<UdpControl, kReceiveBatch> controls{};
};

struct UdpPort::Sender : UdpSender {
  using UdpSender::UdpSender;
};

Result<std::unique_ptr<UdpPort>> UdpPort::open(const UdpOptions& options) {
  constexpr int type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  UdpOptions effective = options;
  int fd = options.ipv6 ? ::socket(AF_INET6, type, IPPROTO_UDP) : -1;
  if (fd < 0) {
    effective.ipv6 = false;
    fd = ::socket(AF_INET, type, IPPROTO_UDP);
  }
  if (fd < 0) return system_failure("opening a UDP socket", errno);
  std::unique_ptr<UdpPort> port(new UdpPort(fd, effective));
  if (auto done = port->configure(effective); !done) return tl::unexpected(done.error());
  if (auto done = port->bind_to(effective.port); !done) return tl::unexpected(done.error());
  port->sender_ = std::make_unique<Sender>(fd, port->dual_stack_, port->segmentation_offload_,
                                           port->segmentation_refusals_);
  return port;
}

UdpPort::UdpPort(int fd, const UdpOptions& options)
    : fd_(fd),
      dual_stack_(options.ipv6),
      pool_(options.pool_buffers, kKernelBufferBytes),
      receiver_(std::make_unique<Receiver>()) {}

UdpPort::~UdpPort() {
  for (const Slot& slot : receiver_->slots) {
    if (slot.home != nullptr) BufferPool::release(slot);
  }
  ::close(fd_);
}

Result<void> UdpPort::configure(const UdpOptions& options) {
  if (dual_stack_) set_int(fd_, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  set_buffer(fd_, SO_RCVBUFFORCE, SO_RCVBUF, options.socket_buffer_bytes);
  set_buffer(fd_, SO_SNDBUFFORCE, SO_SNDBUF, options.socket_buffer_bytes);
  if (options.mark && !set_int(fd_, SOL_SOCKET, SO_MARK, static_cast<int>(*options.mark))) {
    return system_failure("marking the UDP socket", errno, "needs CAP_NET_ADMIN");
  }
  // As WireGuard does, outer packets may be fragmented: the inner path MTU is the tunnel's to
  // measure. IPv4: no DF, and the device's MTU decides, never an ICMP error that anyone can forge.
  // IPv6: routers do not fragment, so the sender must, and for that heed Packet Too Big.
  set_int(fd_, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
  if (dual_stack_) set_int(fd_, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);

  set_int(fd_, IPPROTO_IP, IP_RECVTOS, 1);
  if (dual_stack_) {
    set_int(fd_, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    set_int(fd_, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);  // for IPv4 too, as a mapped address
  } else {
    set_int(fd_, IPPROTO_IP, IP_PKTINFO, 1);
  }
  receive_offload_ = options.receive_offload && set_int(fd_, IPPROTO_UDP, UDP_GRO, 1);
  // 0 is "off by default"; a kernel that knows the option at all takes it with each send.
  segmentation_offload_ = options.segmentation_offload && set_int(fd_, IPPROTO_UDP, UDP_SEGMENT, 0);

  capabilities_.datagram_trains_rx = receive_offload_;
  capabilities_.datagram_trains_tx = true;
  capabilities_.max_train_segments = kMaxSegments;
  capabilities_.max_train_bytes = kMaxTrainBytes;
  capabilities_.mtu = kMaxTrainBytes;
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
  if (::getsockname(fd_, generic, &length) != 0) {
    return system_failure("reading the UDP socket's port", errno);
  }
  local_port_ = parse_remote(address).port;
  return {};
}

std::size_t UdpPort::rx_burst(std::span<Slot> out) {
  std::size_t filled = 0;
  std::size_t bytes = 0;
  int pending_errors = 0;
  while (filled < out.size() && bytes < kBurstBytes) {
    const std::size_t ready =
        receiver_->prepare(std::min(out.size() - filled, receiver_->batch), pool_);
    if (ready == 0) break;
    const int received = ::recvmmsg(fd_, receiver_->headers.data(), static_cast<unsigned>(ready),
                                    MSG_DONTWAIT, nullptr);
    if (received <= 0) {
      if (errno == EAGAIN || ++pending_errors > kMaxPendingErrors) break;
      continue;
    }
    const auto count = static_cast<std::size_t>(received);
    const std::size_t batch_bytes = take_received(out.subspan(filled, count));
    filled += count;
    bytes += batch_bytes;
    receiver_->adapt(count, batch_bytes);
    if (count < ready) break;
  }
  if (filled != 0) {
    counters_.rx_bytes.add(bytes);
    counters_.rx_bursts.increment();
  }
  return filled;
}

std::size_t UdpPort::take_received(std::span<Slot> out) {
  std::size_t bytes = 0;
  std::size_t packets = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    receiver_->take(i, out[i]);
    bytes += out[i].length;
    packets += segment_count(out[i]);
  }
  counters_.rx_packets.add(packets);
  return bytes;
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
  return text;
}

std::uint32_t UdpPort::prepared_buffers() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      receiver_->slots, [](const Slot& slot) { return slot.home != nullptr; }));
}

}  // namespace ringway::io
