#include "dataplane/io/xsk_socket.hpp"

#include <array>
#include <bit>
#include <cerrno>
#include <utility>

#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include <xdp/libxdp.h>

#include "base/time.hpp"

namespace ringway::io {
namespace {

// linux/if_xdp.h of Debian 12 is older than this (Linux 6.17): frames that one send may take, 32 by
// default.
constexpr int kXdpMaxTxSkbBudget = 9;
// Microseconds that a busy poll may last; what ends it is the budget.
constexpr int kBusyPollMicroseconds = 20;
constexpr std::int64_t kBusyRetryNs = 5'000'000;
constexpr std::int64_t kReleaseWaitNs = 1'000'000'000;

void pause_before_retry() {
  const timespec pause{0, kBusyRetryNs};
  (void)::nanosleep(&pause, nullptr);
}

bool set_option(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// A bare socket on the queue, in memory of its own: can be had when the one before is quite gone.
bool queue_is_free(const std::string& device, std::uint32_t queue) {
  constexpr std::size_t kBytes = std::size_t{kMinXskRing} * 4096;
  void* memory =
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  xsk_ring_prod fill{};
  xsk_ring_cons completion{};
  xsk_ring_cons rx{};
  xsk_umem* umem = nullptr;
  xsk_socket* socket = nullptr;
  xsk_socket_config config{};
  config.rx_size = kMinXskRing;
  config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
  config.bind_flags = XDP_COPY;
  bool is_free = xsk_umem__create(&umem, memory, kBytes, &fill, &completion, nullptr) == 0;
  if (is_free) {
    const int error =
        xsk_socket__create(&socket, device.c_str(), queue, umem, &rx, nullptr, &config);
    is_free = error != -EBUSY;
    if (socket != nullptr) xsk_socket__delete(socket);
    (void)xsk_umem__delete(umem);
  }
  ::munmap(memory, kBytes);
  return is_free;
}

std::string open_remedy(int error) {
  switch (error) {
    case EBUSY:
      return "another program has an AF_XDP socket on this queue; stop it";
    case EPERM:
      return "needs CAP_NET_RAW, and CAP_IPC_LOCK or a higher limit of locked memory";
    case EINVAL:
      return "the device has no such queue; see 'ethtool -l'";
    case ENOBUFS:
      return "raise the limit of locked memory (LimitMEMLOCK in systemd)";
    default:
      return {};
  }
}

}  // namespace

Result<std::unique_ptr<XskSocket>> XskSocket::open(const Umem& umem, const XskOptions& options) {
  const std::string what =
      "opening AF_XDP on " + options.device + " queue " + std::to_string(options.queue);
  const std::uint32_t entries = options.ring_entries;
  if (!std::has_single_bit(entries) || entries < kMinXskRing || entries > kMaxXskRing) {
    return failure(what + ": rings of " + std::to_string(entries) + " entries are not possible",
                   "use a power of two, 256 to 2048");
  }
  libxdp_set_print(nullptr);  // it would explain on stderr what it returns as well
  std::unique_ptr<XskSocket> socket(new XskSocket());
  socket->device_ = options.device;
  socket->queue_ = options.queue;
  std::string reason = options.native ? "switched off" : "needs native mode";
  int error = EOPNOTSUPP;
  const Instant end =
      Instant::now() + Duration::nanoseconds(std::int64_t{options.busy_wait_ms} * 1'000'000);
  for (;;) {
    if (options.native && options.zero_copy) {
      error = socket->bind(umem, options, true);
      if (error == 0) break;
      reason = system_failure("", error).value().message.substr(2);
    }
    if (error != EBUSY) error = socket->bind(umem, options, false);
    if (error != EBUSY || Instant::now() > end) break;
    error = EOPNOTSUPP;
    pause_before_retry();
  }
  if (error != 0) return system_failure(what, error, open_remedy(error));
  socket->how_ = options.native ? "native, " : "generic, ";
  if (!options.native && !options.generic_reason.empty()) {
    socket->how_ = "generic (" + options.generic_reason + "), ";
  }
  socket->how_ += socket->zero_copy_ ? "zero-copy" : "copy (zero-copy: " + reason + ")";
  socket->set_busy_polling(options.busy_poll_budget);
  if (!socket->zero_copy_) socket->widen_send_budget(entries);
  return socket;
}

// Returns an errno value; 0: bound.
int XskSocket::bind(const Umem& umem, const XskOptions& options, bool zero_copy) {
  xsk_umem_config umem_config{};
  umem_config.fill_size = umem_config.comp_size = options.ring_entries;
  umem_config.frame_size = umem.frame_bytes();
  const Bytes memory = umem.memory();
  int error =
      xsk_umem__create(&umem_, memory.data(), memory.size(), &fill, &completion, &umem_config);
  if (error == 0) {
    xsk_socket_config config{};
    config.rx_size = config.tx_size = options.ring_entries;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
    config.bind_flags =
        static_cast<std::uint16_t>(XDP_USE_NEED_WAKEUP | (zero_copy ? XDP_ZEROCOPY : XDP_COPY));
    error = xsk_socket__create(&socket_, device_.c_str(), queue_, umem_, &rx, &tx, &config);
  }
  if (error != 0) {
    release();
    return -error;
  }
  zero_copy_ = zero_copy;
  return 0;
}

void XskSocket::set_busy_polling(std::uint32_t budget) {
  if (budget == 0) return;
  busy_polling_ = set_option(fd(), SOL_SOCKET, SO_PREFER_BUSY_POLL, 1) &&
                  set_option(fd(), SOL_SOCKET, SO_BUSY_POLL, kBusyPollMicroseconds) &&
                  set_option(fd(), SOL_SOCKET, SO_BUSY_POLL_BUDGET, static_cast<int>(budget));
  how_ +=
      busy_polling_ ? ", busy polling" : system_failure(", no busy polling", errno).value().message;
}

// Saves system calls where the kernel knows it; harmless where it does not.
void XskSocket::widen_send_budget(std::uint32_t entries) const {
  (void)set_option(fd(), SOL_XDP, kXdpMaxTxSkbBudget, static_cast<int>(entries));
}

void XskSocket::wake_receiver() {
  if (!busy_polling_ && xsk_ring_prod__needs_wakeup(&fill) == 0) return;
  (void)::recvfrom(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
}

std::uint32_t XskSocket::wake_sender() {
  std::uint32_t refused = 0;
  while (ring_level(tx) != 0 && (busy_polling_ || xsk_ring_prod__needs_wakeup(&tx) != 0)) {
    const std::uint32_t before = ring_level(tx);
    const ssize_t sent = ::sendto(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
    if (sent >= 0) break;
    // EBUSY: the device dropped one. EAGAIN: it took as many as one call may, or cannot take more.
    if (errno == EBUSY) ++refused;
    if (errno != EBUSY && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) break;
    if (ring_level(tx) == before) break;
  }
  return refused;
}

xdp_statistics XskSocket::statistics() const {
  xdp_statistics statistics{};
  socklen_t size = sizeof statistics;
  (void)::getsockopt(fd(), SOL_XDP, XDP_STATISTICS, &statistics, &size);
  return statistics;
}

void XskSocket::release() {
  if (socket_ != nullptr) xsk_socket__delete(std::exchange(socket_, nullptr));
  if (umem_ != nullptr) (void)xsk_umem__delete(std::exchange(umem_, nullptr));
}

bool XskSocket::close() {
  if (socket_ == nullptr) return true;
  release();
  if (!zero_copy_) return true;
  // The kernel stops the device in a deferred piece of work; until then it may write into frames.
  const Instant end = Instant::now() + Duration::nanoseconds(kReleaseWaitNs);
  while (!queue_is_free(device_, queue_)) {
    if (Instant::now() > end) return false;
    pause_before_retry();
  }
  return true;
}

XskSocket::~XskSocket() {
  (void)close();
}

}  // namespace ringway::io
