#include "dataplane/io/udp_handshakes.hpp"

#include <array>
#include <cerrno>

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.hpp"
#include "dataplane/io/udp_message.hpp"

namespace ringway::io {
namespace {

// A burst, a batch that is prepared, and as many again. A buffer holds the longest train of
// handshakes that the kernel makes, 64 of 148 bytes; what is longer is none, and is cut.
constexpr std::uint32_t kBuffers = 128;
constexpr std::uint32_t kBufferBytes = kDefaultHeadroom + 64 * 148 + 64;

// One empty read says little: between two turns of a busy worker there is often nothing.
constexpr int kEmptyReadsUntilWatched = 4;

// Positions in the group of sockets that share the port: in the order in which they joined.
constexpr std::uint32_t kDataSocket = 0;
constexpr std::uint32_t kHandshakeSocket = 1;

bool set_int(int fd, int option, int value, int level = SOL_SOCKET) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

// The traffic class is carried into what data holds. A handshake's is nobody's concern, and telling
// it is a twelfth of what receiving one costs.
void leave_out_traffic_class(int fd) {
  set_int(fd, IP_RECVTOS, 0, IPPROTO_IP);
  set_int(fd, IPV6_RECVTCLASS, 0, IPPROTO_IPV6);  // refused by a socket for IPv4 only
}

// The program sees the UDP payload. An empty one has no first byte to load.
bool attach_choice(int fd, std::uint8_t data_type) {
  std::array program = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
      sock_filter BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, data_type, 1, 0),
      sock_filter BPF_STMT(BPF_RET | BPF_K, kHandshakeSocket),
      sock_filter BPF_STMT(BPF_RET | BPF_K, kDataSocket),
  };
  const sock_fprog choice{static_cast<unsigned short>(program.size()), program.data()};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &choice, sizeof choice) == 0;
}

bool bind_beside(int data_fd, int fd) {
  UdpSocketAddress address{};
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  return ::getsockname(data_fd, generic, &length) == 0 && set_int(fd, SO_REUSEPORT, 1) &&
         set_int(data_fd, SO_REUSEPORT, 1) && ::bind(fd, generic, length) == 0;
}

}  // namespace

Result<std::unique_ptr<UdpHandshakes>> UdpHandshakes::join(int data_fd, int own_fd,
                                                           std::uint8_t data_type) {
  if (!bind_beside(data_fd, own_fd) || !attach_choice(own_fd, data_type)) {
    const int error = errno;
    ::close(own_fd);
    return system_failure("sharing the UDP port between two sockets", error);
  }
  leave_out_traffic_class(own_fd);
  const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
  CHECK(epoll_fd >= 0);
  return std::unique_ptr<UdpHandshakes>(new UdpHandshakes(own_fd, epoll_fd));
}

UdpHandshakes::UdpHandshakes(int fd, int epoll_fd)
    : fd_(fd), epoll_fd_(epoll_fd), pool_(kBuffers, kBufferBytes), receiver_(fd, pool_) {
  watch(true);
}

UdpHandshakes::~UdpHandshakes() {
  ::close(epoll_fd_);
  ::close(fd_);
}

UdpReceiver::Totals UdpHandshakes::receive(std::span<Slot> out) {
  if (out.empty()) return {};
  const UdpReceiver::Totals totals = receiver_.receive(out);
  if (totals.slots != 0) {
    empty_reads_ = 0;
    if (watched_) watch(false);
  } else if (!watched_ && ++empty_reads_ == kEmptyReadsUntilWatched) {
    watch(true);
  }
  return totals;
}

// Off the list rather than ignored: the kernel then does not look for a sleeper at all.
void UdpHandshakes::watch(bool on) {
  epoll_event interest{};
  interest.events = EPOLLIN;
  CHECK(::epoll_ctl(epoll_fd_, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd_, &interest) == 0);
  watched_ = on;
  empty_reads_ = 0;
}

}  // namespace ringway::io
