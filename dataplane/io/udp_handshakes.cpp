#include "dataplane/io/udp_handshakes.hpp"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.hpp"

namespace ringway::io {
namespace {

// A burst, a batch that is prepared, and as many again. A buffer holds the longest train of
// handshakes that the kernel makes, 64 of 148 bytes; what is longer is none, and is cut.
constexpr std::uint32_t kBuffers = 128;
constexpr std::uint32_t kBufferBytes = kDefaultHeadroom + 64 * 148 + 64;

// One empty read says little: between two turns of a busy worker there is often nothing.
constexpr int kEmptyReadsUntilWatched = 4;

// The traffic class is carried into what data holds. A handshake's is nobody's concern, and telling
// it is a twelfth of what receiving one costs.
void leave_out_traffic_class(int fd) {
  constexpr int off = 0;
  (void)::setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &off, sizeof off);
  // Refused by a socket for IPv4 only.
  (void)::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &off, sizeof off);
}

}  // namespace

UdpHandshakes::UdpHandshakes(int fd)
    : fd_(fd),
      epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)),
      pool_(kBuffers, kBufferBytes),
      receiver_(fd, pool_) {
  CHECK(epoll_fd_ >= 0);
  leave_out_traffic_class(fd_);
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
