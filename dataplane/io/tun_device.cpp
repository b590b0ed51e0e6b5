#include "dataplane/io/tun_device.hpp"

#include <cerrno>
#include <cstring>

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ringway::io {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

Result<void> device_ioctl(unsigned long operation, const std::string& name, int value,
                          const std::string& what) {
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_mtu = value;  // one union: the queue length has the same place
  const Descriptor fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd.get() >= 0 && ::ioctl(fd.get(), operation, &request) == 0) return {};
  return system_failure("setting the " + what + " of " + name + " to " + std::to_string(value),
                        errno);
}

// RTM_NEWLINK with one 32-bit attribute, and the answer to it.
struct LinkRequest {
  nlmsghdr header;
  ifinfomsg link;
  rtattr attribute;
  std::uint32_t value;
};
struct LinkAnswer {
  nlmsghdr header;
  nlmsgerr error;
};

}  // namespace

Result<void> set_device_mtu(const std::string& name, std::uint16_t mtu) {
  return device_ioctl(SIOCSIFMTU, name, mtu, "MTU");
}

Result<void> set_device_tx_queue(const std::string& name, std::uint32_t packets) {
  return device_ioctl(SIOCSIFTXQLEN, name, static_cast<int>(packets), "transmit queue length");
}

Result<void> set_device_gso_segments(std::uint32_t interface_index, std::uint32_t segments) {
  LinkRequest request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_NEWLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.link.ifi_index = static_cast<int>(interface_index);
  request.attribute.rta_len = RTA_LENGTH(sizeof request.value);
  request.attribute.rta_type = IFLA_GSO_MAX_SEGS;
  request.value = segments;
  LinkAnswer answer{};
  const Descriptor fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const bool answered = fd.get() >= 0 &&
                        ::send(fd.get(), &request, sizeof request, 0) == sizeof request &&
                        ::recv(fd.get(), &answer, sizeof answer, 0) > 0;
  if (!answered) return system_failure("limiting super-packets by netlink", errno);
  if (answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error == 0) return {};
  return system_failure("limiting super-packets to " + std::to_string(segments) + " segments",
                        -answer.error.error);
}

}  // namespace ringway::io
