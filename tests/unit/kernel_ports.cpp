#include "tests/unit/kernel_ports.hpp"

#include <array>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.hpp"
#include "base/time.hpp"

namespace ringway::io {
namespace {

constexpr const char* kThreadNamespace = "/proc/thread-self/ns/net";

bool change_interface(const std::string& interface, unsigned long read, unsigned long write,
                      const std::function<void(ifreq&)>& change) {
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool ok = fd >= 0 && ::ioctl(fd, read, &request) == 0;
  change(request);
  ok = ok && ::ioctl(fd, write, &request) == 0;
  ::close(fd);
  return ok;
}

}  // namespace

PrivateNamespace::PrivateNamespace() : outer_fd_(::open(kThreadNamespace, O_RDONLY | O_CLOEXEC)) {
  if (outer_fd_ < 0 || ::unshare(CLONE_NEWNET) != 0) return;
  own_fd_ = ::open(kThreadNamespace, O_RDONLY | O_CLOEXEC);
  CHECK(change_interface("lo", SIOCGIFFLAGS, SIOCSIFFLAGS, [](ifreq& request) {
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  }));
}

PrivateNamespace::~PrivateNamespace() {
  if (own_fd_ >= 0) {
    CHECK(::setns(outer_fd_, CLONE_NEWNET) == 0);
    ::close(own_fd_);
  }
  if (outer_fd_ >= 0) ::close(outer_fd_);
}

void PrivateNamespace::enter() const {
  CHECK(::setns(own_fd_, CLONE_NEWNET) == 0);
}

bool run_command(const std::string& command) {
  return std::system(command.c_str()) == 0;
}

bool set_interface_mtu(const std::string& interface, int mtu) {
  return change_interface(interface, SIOCGIFMTU, SIOCSIFMTU,
                          [mtu](ifreq& request) { request.ifr_mtu = mtu; });
}

bool eventually(const std::function<bool()>& step, double seconds) {
  const Instant end =
      Instant::now() + Duration::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
  while (!step()) {
    if (Instant::now() > end) return false;
  }
  return true;
}

std::vector<Slot> receive(Port& port, std::size_t datagrams) {
  std::vector<Slot> received;
  std::array<Slot, 64> burst;
  (void)eventually(
      [&] {
        const std::size_t count = port.rx_burst(burst);
        received.insert(received.end(), burst.begin(),
                        burst.begin() + static_cast<std::ptrdiff_t>(count));
        if (datagram_count(received) >= datagrams) return true;
        pollfd wait{port.wake_fd(), POLLIN, 0};
        (void)::poll(&wait, 1, 20);
        return false;
      },
      2);
  return received;
}

std::vector<std::uint8_t> slot_bytes(const Slot& slot) {
  return {slot.data, slot.data + slot.length};
}

void release_all(const std::vector<Slot>& slots) {
  for (const Slot& slot : slots)
    BufferPool::release(slot);
}

std::size_t datagram_count(const std::vector<Slot>& slots) {
  std::size_t count = 0;
  for (const Slot& slot : slots)
    count += segment_count(slot);
  return count;
}

}  // namespace ringway::io
