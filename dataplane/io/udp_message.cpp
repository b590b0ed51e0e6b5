#include "dataplane/io/udp_message.hpp"

#include <cstring>

#include <netinet/udp.h>

#include "base/bytes.hpp"

namespace ringway::io {
namespace {

constexpr std::uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

net::IpAddress from_in6(const in6_addr& from) {
  if (std::memcmp(from.s6_addr, kMappedPrefix, sizeof kMappedPrefix) == 0) {
    return net::IpAddress::v4(from.s6_addr + sizeof kMappedPrefix);
  }
  return net::IpAddress::v6(from.s6_addr);
}

net::IpAddress from_in(const in_addr& from) {
  std::uint8_t bytes[4];
  std::memcpy(bytes, &from, sizeof bytes);
  return net::IpAddress::v4(bytes);
}

class ControlWriter {
 public:
  explicit ControlWriter(UdpControl& control) : control_(control) {}

  template <typename T>
  void add(int level, int type, const T& value) {
    cmsghdr header{};
    header.cmsg_len = CMSG_LEN(sizeof value);
    header.cmsg_level = level;
    header.cmsg_type = type;
    std::memcpy(control_.bytes + used_, &header, sizeof header);
    std::memcpy(control_.bytes + used_ + CMSG_LEN(0), &value, sizeof value);
    used_ += CMSG_SPACE(sizeof value);
  }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  UdpControl& control_;
  std::size_t used_ = 0;
};

void add_source(const Slot& slot, ControlWriter& control) {
  if (slot.local.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, slot.local.bytes.data(), sizeof info.ipi_spec_dst);
    control.add(IPPROTO_IP, IP_PKTINFO, info);
    return;
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, slot.local.bytes.data(), sizeof info.ipi6_addr);
  if (slot.local.is_link_local()) info.ipi6_ifindex = slot.interface;
  control.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
}

template <typename T>
T cmsg_value(const cmsghdr* cmsg) {
  T value{};
  const std::size_t carried = cmsg->cmsg_len - CMSG_LEN(0);
  std::memcpy(&value, CMSG_DATA(cmsg), carried < sizeof value ? carried : sizeof value);
  return value;
}

void parse_one_control(const cmsghdr* cmsg, Slot& slot) {
  if (cmsg->cmsg_level == IPPROTO_UDP && cmsg->cmsg_type == UDP_GRO) {
    slot.segment_bytes = static_cast<std::uint16_t>(cmsg_value<int>(cmsg));
    slot.train = TrainKind::kDatagrams;
  } else if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_TOS) {
    slot.traffic_class = cmsg_value<std::uint8_t>(cmsg);
  } else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_TCLASS) {
    slot.traffic_class = static_cast<std::uint8_t>(cmsg_value<int>(cmsg));
  } else if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
    const auto info = cmsg_value<in_pktinfo>(cmsg);
    slot.local = from_in(info.ipi_addr);
    slot.interface = static_cast<std::uint32_t>(info.ipi_ifindex);
  } else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO) {
    const auto info = cmsg_value<in6_pktinfo>(cmsg);
    slot.local = from_in6(info.ipi6_addr);
    slot.interface = info.ipi6_ifindex;
  }
}

}  // namespace

socklen_t emit_remote(const Slot& slot, bool dual_stack, UdpSocketAddress& address) {
  const net::IpAddress& remote = slot.remote.address;
  const in_port_t port = byte_swap(slot.remote.port);
  if (!dual_stack) {
    if (!remote.is_v4()) return 0;
    address.v4 = sockaddr_in{};
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = port;
    std::memcpy(&address.v4.sin_addr, remote.bytes.data(), sizeof address.v4.sin_addr);
    return sizeof address.v4;
  }
  address.v6 = sockaddr_in6{};
  address.v6.sin6_family = AF_INET6;
  address.v6.sin6_port = port;
  std::uint8_t* to = address.v6.sin6_addr.s6_addr;
  if (remote.is_v4()) {
    std::memcpy(to, kMappedPrefix, sizeof kMappedPrefix);
    std::memcpy(to + sizeof kMappedPrefix, remote.bytes.data(), 4);
  } else {
    std::memcpy(to, remote.bytes.data(), 16);
    if (remote.is_link_local()) address.v6.sin6_scope_id = slot.interface;
  }
  return sizeof address.v6;
}

net::Endpoint parse_remote(const UdpSocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    return {from_in(address.v4.sin_addr), byte_swap(address.v4.sin_port)};
  }
  return {from_in6(address.v6.sin6_addr), byte_swap(address.v6.sin6_port)};
}

std::size_t emit_control(const Slot& slot, UdpSendHints hints, UdpControl& control) {
  ControlWriter writer(control);
  const bool v4 = slot.remote.address.is_v4();
  if (hints.segment_bytes != 0) writer.add(IPPROTO_UDP, UDP_SEGMENT, hints.segment_bytes);
  if (slot.traffic_class != 0) {
    const int value = slot.traffic_class;
    if (v4) {
      writer.add(IPPROTO_IP, IP_TOS, value);
    } else {
      writer.add(IPPROTO_IPV6, IPV6_TCLASS, value);
    }
  }
  if (hints.use_source && slot.interface != 0 && slot.local.is_v4() == v4) {
    add_source(slot, writer);
  }
  return writer.used();
}

void parse_control(msghdr& header, Slot& slot) {
  for (cmsghdr* cmsg = CMSG_FIRSTHDR(&header); cmsg != nullptr; cmsg = CMSG_NXTHDR(&header, cmsg)) {
    parse_one_control(cmsg, slot);
  }
}

}  // namespace ringway::io
