#include "controlplane/host/interface_facts.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>

#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "controlplane/host/netlink.hpp"

namespace ringway::control {
namespace {

// linux/netdev.h of Linux 6.3; Debian 12's headers are older.
constexpr const char* kNetdevFamily = "netdev";
constexpr std::uint8_t kNetdevCmdDevGet = 1;
constexpr std::uint16_t kNetdevAttrIfindex = 1;
constexpr std::uint16_t kNetdevAttrXdpFeatures = 3;
constexpr std::uint64_t kXdpActXskZerocopy = 8;

constexpr std::size_t kMessageBytes = 8192;  // a family's operations and groups fit

using Socket = std::unique_ptr<mnl_socket, int (*)(mnl_socket*)>;
using Message = std::array<char, kMessageBytes>;

nlmsghdr* put_request(Message& message, std::uint16_t family, std::uint8_t command) {
  nlmsghdr* request = mnl_nlmsg_put_header(message.data());
  request->nlmsg_type = family;
  request->nlmsg_flags = NLM_F_REQUEST;
  auto& header = *static_cast<genlmsghdr*>(mnl_nlmsg_put_extra_header(request, sizeof(genlmsghdr)));
  header.cmd = command;
  header.version = 1;
  return request;
}

// The value of one attribute of the answer; unset where the kernel refuses, or leaves it out.
template <typename Value>
std::optional<Value> ask(mnl_socket* socket, const nlmsghdr* request, std::uint16_t wanted) {
  if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) return std::nullopt;
  alignas(nlmsghdr) Message answer{};
  const ssize_t received = mnl_socket_recvfrom(socket, answer.data(), answer.size());
  if (received <= 0) return std::nullopt;
  const auto* message = static_cast<const nlmsghdr*>(static_cast<const void*>(answer.data()));
  if (!mnl_nlmsg_ok(message, static_cast<int>(received))) return std::nullopt;
  if (message->nlmsg_type != request->nlmsg_type) return std::nullopt;
  struct Found {
    std::uint16_t wanted;
    std::optional<Value> value;
  } found{wanted, std::nullopt};
  const auto keep = [](const nlattr* attribute, void* into) {
    auto& target = *static_cast<Found*>(into);
    if (mnl_attr_get_type(attribute) == target.wanted &&
        mnl_attr_get_payload_len(attribute) == sizeof(Value)) {
      Value value{};
      std::memcpy(&value, mnl_attr_get_payload(attribute), sizeof value);
      target.value = value;
    }
    return MNL_CB_OK;
  };
  static_cast<void>(mnl_attr_parse(message, sizeof(genlmsghdr), keep, &found));
  return found.value;
}

std::optional<std::uint16_t> family_number(mnl_socket* socket) {
  alignas(nlmsghdr) Message message{};
  nlmsghdr* request = put_request(message, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
  mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, kNetdevFamily);
  return ask<std::uint16_t>(socket, request, CTRL_ATTR_FAMILY_ID);
}

}  // namespace

std::string driver_of(const std::string& interface) {
  if (interface.size() >= IFNAMSIZ) return {};
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return {};
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  std::copy(interface.begin(), interface.end(), request.ifr_name);
  request.ifr_data = static_cast<char*>(static_cast<void*>(&info));
  const bool told = ::ioctl(socket, SIOCETHTOOL, &request) == 0;
  ::close(socket);
  return told ? std::string(info.driver, ::strnlen(info.driver, sizeof info.driver))
              : std::string();
}

std::optional<bool> has_xdp_zero_copy(const std::string& interface) {
  const Socket socket(mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC), mnl_socket_close);
  if (socket == nullptr || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return std::nullopt;
  }
  const auto family = family_number(socket.get());
  if (!family) return std::nullopt;
  alignas(nlmsghdr) Message message{};
  nlmsghdr* request = put_request(message, *family, kNetdevCmdDevGet);
  mnl_attr_put_u32(request, kNetdevAttrIfindex, ::if_nametoindex(interface.c_str()));
  const auto features = ask<std::uint64_t>(socket.get(), request, kNetdevAttrXdpFeatures);
  if (!features) return std::nullopt;
  return (*features & kXdpActXskZerocopy) != 0;
}

Result<std::vector<std::string>> addressed_interfaces() {
  auto netlink = Netlink::open();
  if (!netlink) return tl::unexpected(netlink.error());
  const auto links = netlink->links();
  if (!links) return tl::unexpected(links.error());
  std::vector<std::string> names;
  for (const Link& link : *links) {
    if (link.name == "lo") continue;
    const auto addresses = netlink->addresses(link.index);
    if (!addresses) return tl::unexpected(addresses.error());
    const bool reaches_further = std::ranges::any_of(
        *addresses, [](const LocalAddress& local) { return !local.address.is_link_local(); });
    if (reaches_further) names.push_back(link.name);
  }
  return names;
}

}  // namespace ringway::control
