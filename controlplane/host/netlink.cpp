#include "controlplane/host/netlink.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "base/check.hpp"

namespace ringway::control {
namespace {

// if_link.h of Linux 6.3; Debian 12's headers are older.
constexpr std::uint16_t kIflaGsoIpv4MaxSize = 63;
constexpr std::size_t kMaxRequestBytes = 1024;
constexpr std::size_t kReceiveBytes = 65536;  // dumps come in parts of at most 32 KiB

constexpr std::string_view kCapabilityRemedy =
    "run it as root, or give it the capability CAP_NET_ADMIN";

int family_number(net::Family family) {
  return family == net::Family::kIpv4 ? AF_INET : AF_INET6;
}

// One request under construction, on the stack.
class Request {
 public:
  Request(std::uint16_t type, unsigned flags) {
    header_ = mnl_nlmsg_put_header(buffer_.data());
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  template <typename Header>
  Header& body() {
    return *static_cast<Header*>(mnl_nlmsg_put_extra_header(header_, sizeof(Header)));
  }
  void put_u8(std::uint16_t type, std::uint8_t value) {
    CHECK(mnl_attr_put_u8_check(header_, kMaxRequestBytes, type, value));
  }
  void put_u32(std::uint16_t type, std::uint32_t value) {
    CHECK(mnl_attr_put_u32_check(header_, kMaxRequestBytes, type, value));
  }
  void put_text(std::uint16_t type, const std::string& text) {
    CHECK(mnl_attr_put_strz_check(header_, kMaxRequestBytes, type, text.c_str()));
  }
  void put(std::uint16_t type, const void* data, std::size_t size) {
    CHECK(mnl_attr_put_check(header_, kMaxRequestBytes, type, size, data));
  }
  void put_address(std::uint16_t type, const net::IpAddress& address) {
    put(type, address.view().data(), address.view().size());
  }
  [[nodiscard]] nlmsghdr* get() { return header_; }

 private:
  alignas(nlmsghdr) std::array<char, kMaxRequestBytes> buffer_{};
  nlmsghdr* header_;
};

template <typename Visit>
int call_visit(const nlattr* attribute, void* visit) {
  (*static_cast<Visit*>(visit))(*attribute);
  return MNL_CB_OK;
}

template <typename Visit>
void for_each_attribute(const nlmsghdr* message, std::size_t header_size, Visit visit) {
  static_cast<void>(
      mnl_attr_parse(message, static_cast<unsigned>(header_size), call_visit<Visit>, &visit));
}

template <typename Visit>
void for_each_nested(const nlattr& nest, Visit visit) {
  static_cast<void>(mnl_attr_parse_nested(&nest, call_visit<Visit>, &visit));
}

std::uint32_t u32_of(const nlattr& attribute) {
  return mnl_attr_get_payload_len(&attribute) >= sizeof(std::uint32_t)
             ? mnl_attr_get_u32(&attribute)
             : 0;
}

std::string text_of(const nlattr& attribute) {
  const char* text = mnl_attr_get_str(&attribute);
  return {text, ::strnlen(text, mnl_attr_get_payload_len(&attribute))};
}

std::optional<net::IpAddress> address_of(const nlattr& attribute) {
  const auto* bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(&attribute));
  const std::size_t size = mnl_attr_get_payload_len(&attribute);
  if (size == 4) return net::IpAddress::v4(bytes);
  if (size == 16) return net::IpAddress::v6(bytes);
  return std::nullopt;
}

net::IpAddress any_address(net::Family family) {
  net::IpAddress address;
  address.family = family;
  return address;
}

std::string interface_name(int index) {
  char name[IF_NAMESIZE];
  if (::if_indextoname(static_cast<unsigned>(index), name) != nullptr) return name;
  return "interface " + std::to_string(index);
}

tl::unexpected<Error> netlink_failure(std::string what, int error, const std::string& kernel_text) {
  if (!kernel_text.empty()) what += ": " + kernel_text;
  std::string remedy;
  if (error == EPERM) remedy = kCapabilityRemedy;
  if (error == EEXIST) remedy = "another program set it; stop that program or remove it first";
  return system_failure(what, error, std::move(remedy));
}

bool gone(int error) {
  return error == ENOENT || error == ESRCH || error == ENODEV || error == EADDRNOTAVAIL ||
         error == ENXIO;
}

// IFLA_AF_SPEC holds a nest for each family, and that of IPv6 the mode.
std::optional<std::uint8_t> address_generation_of(const nlattr& families) {
  std::optional<std::uint8_t> mode;
  for_each_nested(families, [&](const nlattr& family) {
    if (mnl_attr_get_type(&family) != AF_INET6) return;
    for_each_nested(family, [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == IFLA_INET6_ADDR_GEN_MODE) {
        mode = mnl_attr_get_u8(&attribute);
      }
    });
  });
  return mode;
}

Link read_link(const nlmsghdr* message) {
  const auto& info = *static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  Link link;
  link.index = info.ifi_index;
  link.up = (info.ifi_flags & IFF_UP) != 0;
  for_each_attribute(message, sizeof info, [&](const nlattr& attribute) {
    switch (mnl_attr_get_type(&attribute)) {
      case IFLA_IFNAME:
        link.name = text_of(attribute);
        break;
      case IFLA_AF_SPEC:
        link.address_generation = address_generation_of(attribute);
        break;
      case IFLA_MTU:
        link.mtu = u32_of(attribute);
        break;
      case IFLA_GSO_MAX_SIZE:
        link.gso_max_size = u32_of(attribute);
        break;
      case kIflaGsoIpv4MaxSize:
        link.gso_ipv4_max_size = u32_of(attribute);
        break;
      default:
        break;
    }
  });
  return link;
}

std::optional<RouteKind> route_kind(unsigned char type) {
  switch (type) {
    case RTN_UNICAST:
      return RouteKind::kUnicast;
    case RTN_UNREACHABLE:
      return RouteKind::kUnreachable;
    case RTN_BLACKHOLE:
      return RouteKind::kBlackhole;
    default:
      return std::nullopt;
  }
}

unsigned char route_type(RouteKind kind) {
  switch (kind) {
    case RouteKind::kUnicast:
      return RTN_UNICAST;
    case RouteKind::kUnreachable:
      return RTN_UNREACHABLE;
    case RouteKind::kBlackhole:
      return RTN_BLACKHOLE;
  }
  return RTN_UNSPEC;
}

std::optional<Route> read_route(const nlmsghdr* message) {
  const auto& info = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  const auto kind = route_kind(info.rtm_type);
  if (!kind || (info.rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;
  if (info.rtm_family != AF_INET && info.rtm_family != AF_INET6) return std::nullopt;
  const auto family = info.rtm_family == AF_INET ? net::Family::kIpv4 : net::Family::kIpv6;
  Route route;
  route.kind = *kind;
  route.table = info.rtm_table;
  route.destination = {any_address(family), info.rtm_dst_len};
  for_each_attribute(message, sizeof info, [&](const nlattr& attribute) {
    switch (mnl_attr_get_type(&attribute)) {
      case RTA_DST:
        if (const auto address = address_of(attribute)) route.destination.address = *address;
        break;
      case RTA_TABLE:
        route.table = u32_of(attribute);
        break;
      case RTA_OIF:
        route.interface_index = static_cast<int>(u32_of(attribute));
        break;
      case RTA_PRIORITY:
        route.metric = u32_of(attribute);
        break;
      default:
        break;
    }
  });
  if (*kind != RouteKind::kUnicast) route.interface_index = 0;  // IPv6 says loopback here
  return route;
}

std::uint16_t port_of(const nlattr& attribute) {
  if (mnl_attr_get_payload_len(&attribute) < sizeof(fib_rule_port_range)) return 0;
  fib_rule_port_range range{};
  std::memcpy(&range, mnl_attr_get_payload(&attribute), sizeof range);
  return range.start == range.end ? range.start : 0;
}

Rule read_rule(const nlmsghdr* message) {
  const auto& info = *static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(message));
  Rule rule;
  rule.family = info.family == AF_INET6 ? net::Family::kIpv6 : net::Family::kIpv4;
  rule.table = info.table;
  rule.invert = (info.flags & FIB_RULE_INVERT) != 0;
  for_each_attribute(message, sizeof info, [&](const nlattr& attribute) {
    switch (mnl_attr_get_type(&attribute)) {
      case FRA_PRIORITY:
        rule.priority = u32_of(attribute);
        break;
      case FRA_TABLE:
        rule.table = u32_of(attribute);
        break;
      case FRA_FWMARK:
        rule.mark = u32_of(attribute);
        break;
      case FRA_SUPPRESS_PREFIXLEN:
        if (u32_of(attribute) != UINT32_MAX) rule.suppress_prefix_length = u32_of(attribute);
        break;
      case FRA_IIFNAME:
        rule.in_interface = text_of(attribute);
        break;
      case FRA_IP_PROTO:
        rule.protocol = mnl_attr_get_u8(&attribute);
        break;
      case FRA_SPORT_RANGE:
        rule.source_port = port_of(attribute);
        break;
      case FRA_DPORT_RANGE:
        rule.destination_port = port_of(attribute);
        break;
      default:
        break;
    }
  });
  return rule;
}

void put_route(Request& request, const Route& route) {
  auto& info = request.body<rtmsg>();
  info.rtm_family = static_cast<unsigned char>(family_number(route.destination.address.family));
  info.rtm_dst_len = route.destination.length;
  info.rtm_table = RT_TABLE_UNSPEC;
  info.rtm_protocol = RTPROT_STATIC;
  info.rtm_type = route_type(route.kind);
  info.rtm_scope = route.kind == RouteKind::kUnicast ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  request.put_u32(RTA_TABLE, route.table);
  if (route.destination.length != 0) request.put_address(RTA_DST, route.destination.address);
  if (route.kind == RouteKind::kUnicast) {
    request.put_u32(RTA_OIF, static_cast<std::uint32_t>(route.interface_index));
  }
  if (route.metric != 0) request.put_u32(RTA_PRIORITY, route.metric);
}

void put_rule(Request& request, const Rule& rule) {
  auto& info = request.body<fib_rule_hdr>();
  info.family = static_cast<std::uint8_t>(family_number(rule.family));
  info.table = RT_TABLE_UNSPEC;
  info.action = FR_ACT_TO_TBL;
  info.flags = rule.invert ? FIB_RULE_INVERT : 0;
  request.put_u32(FRA_TABLE, rule.table);
  request.put_u32(FRA_PRIORITY, rule.priority);
  if (rule.mark != 0) {
    request.put_u32(FRA_FWMARK, rule.mark);
    request.put_u32(FRA_FWMASK, UINT32_MAX);
  }
  if (rule.suppress_prefix_length) {
    request.put_u32(FRA_SUPPRESS_PREFIXLEN, *rule.suppress_prefix_length);
  }
  if (!rule.in_interface.empty()) request.put_text(FRA_IIFNAME, rule.in_interface);
  if (rule.protocol != 0) request.put_u8(FRA_IP_PROTO, rule.protocol);
  const auto put_port = [&](std::uint16_t type, std::uint16_t port) {
    if (port == 0) return;
    const fib_rule_port_range range{port, port};
    request.put(type, &range, sizeof range);
  };
  put_port(FRA_SPORT_RANGE, rule.source_port);
  put_port(FRA_DPORT_RANGE, rule.destination_port);
}

void put_local_address(Request& request, int interface_index, const LocalAddress& address) {
  auto& info = request.body<ifaddrmsg>();
  info.ifa_family = static_cast<std::uint8_t>(family_number(address.address.family));
  info.ifa_prefixlen = address.length;
  info.ifa_flags = address.address.is_v4() ? 0 : IFA_F_NODAD;
  info.ifa_scope = RT_SCOPE_UNIVERSE;
  info.ifa_index = static_cast<std::uint32_t>(interface_index);
  request.put_address(IFA_LOCAL, address.address);
  request.put_address(IFA_ADDRESS, address.address);
}

unsigned create_flags() {
  return NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
}

}  // namespace

// What the kernel said: an errno (0 for success) and, from newer kernels, a sentence.
struct Netlink::Answer {
  int error = 0;
  std::string text;
};

net::Prefix LocalAddress::network() const {
  const auto prefix = net::Prefix::parse(to_string());
  CHECK(prefix.has_value());
  return *prefix;
}

std::string LocalAddress::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

Result<LocalAddress> LocalAddress::parse(std::string_view text) {
  const auto prefix = net::Prefix::parse(text);
  if (!prefix) return tl::unexpected(prefix.error());
  const auto address = net::IpAddress::parse(text.substr(0, text.find('/')));
  if (!address) return tl::unexpected(address.error());
  return LocalAddress{*address, prefix->length};
}

std::string Route::to_string() const {
  std::string text;
  if (kind == RouteKind::kUnreachable) text = "unreachable ";
  if (kind == RouteKind::kBlackhole) text = "blackhole ";
  text += destination.to_string();
  if (kind == RouteKind::kUnicast) text += " dev " + interface_name(interface_index);
  return text + " table " + std::to_string(table);
}

std::string Rule::to_string() const {
  std::string text = family == net::Family::kIpv4 ? "IPv4 rule " : "IPv6 rule ";
  text += std::to_string(priority) + ":";
  if (invert) text += " not";
  if (mark != 0) text += " fwmark " + std::to_string(mark);
  if (!in_interface.empty()) text += " iif " + in_interface;
  if (source_port != 0) text += " sport " + std::to_string(source_port);
  if (destination_port != 0) text += " dport " + std::to_string(destination_port);
  return text + " lookup " + std::to_string(table);
}

Result<Netlink> Netlink::open() {
  mnl_socket* socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  if (socket == nullptr) return system_failure("opening a route netlink socket", errno);
  Netlink netlink(socket);
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
    return system_failure("binding a route netlink socket", errno);
  }
  int on = 1;  // both are a help, not a need
  static_cast<void>(mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof on));
  static_cast<void>(mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof on));
  return netlink;
}

Netlink::Netlink(Netlink&& other) noexcept
    : socket_(std::exchange(other.socket_, nullptr)), sequence_(other.sequence_) {}

Netlink& Netlink::operator=(Netlink&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(sequence_, other.sequence_);
  return *this;
}

Netlink::~Netlink() {
  if (socket_ != nullptr) mnl_socket_close(socket_);
}

namespace {

// Reads NLMSG_ERROR: the errno and the sentence behind it (extended acknowledgement).
std::pair<int, std::string> read_error(const nlmsghdr* message) {
  const auto& error = *static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  std::string text;
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
    std::size_t offset = sizeof error;
    if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) {
      offset += error.msg.nlmsg_len - sizeof(nlmsghdr);
    }
    for_each_attribute(message, offset, [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == NLMSGERR_ATTR_MSG) text = text_of(attribute);
    });
  }
  return {-error.error, text};
}

}  // namespace

template <typename OnMessage>
Netlink::Answer Netlink::exchange(nlmsghdr* request, OnMessage&& on_message) {
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_, request, request->nlmsg_len) < 0) return {errno, {}};
  alignas(nlmsghdr) std::array<char, kReceiveBytes> buffer{};
  while (true) {
    const ssize_t received = mnl_socket_recvfrom(socket_, buffer.data(), buffer.size());
    if (received < 0) {
      if (errno == EINTR) continue;
      return {errno, {}};
    }
    int left = static_cast<int>(received);
    const void* cursor = buffer.data();
    for (const auto* message = static_cast<const nlmsghdr*>(cursor); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence_) continue;
      if (message->nlmsg_type == NLMSG_DONE) return {};
      if (message->nlmsg_type == NLMSG_ERROR) {
        auto [error, text] = read_error(message);
        return {error, std::move(text)};
      }
      on_message(message);
    }
  }
}

Netlink::Answer Netlink::execute(nlmsghdr* request) {
  return exchange(request, [](const nlmsghdr*) {});
}

Result<Link> Netlink::link(std::string_view name) {
  if (name.empty() || name.size() >= IF_NAMESIZE) {
    return failure("'" + std::string(name) + "' is not an interface name",
                   "1 to 15 characters, as `ip link` lists them");
  }
  Request request(RTM_GETLINK, NLM_F_ACK);
  request.body<ifinfomsg>().ifi_family = AF_UNSPEC;
  request.put_text(IFLA_IFNAME, std::string(name));
  Link link;
  const Answer answer =
      exchange(request.get(), [&](const nlmsghdr* message) { link = read_link(message); });
  if (answer.error == ENODEV) {
    return failure("there is no interface '" + std::string(name) + "'",
                   "`ip link` lists the interfaces of this host");
  }
  if (answer.error != 0) {
    return netlink_failure("looking up interface " + std::string(name), answer.error, answer.text);
  }
  return link;
}

Result<std::vector<Link>> Netlink::links() {
  Request request(RTM_GETLINK, NLM_F_DUMP);
  request.body<ifinfomsg>().ifi_family = AF_UNSPEC;
  std::vector<Link> links;
  const Answer answer = exchange(
      request.get(), [&](const nlmsghdr* message) { links.push_back(read_link(message)); });
  if (answer.error != 0) return netlink_failure("listing interfaces", answer.error, answer.text);
  return links;
}

Result<void> Netlink::change_link(nlmsghdr* request, int interface_index, const std::string& what) {
  const Answer answer = execute(request);
  if (answer.error == 0) return {};
  return netlink_failure(what + " of " + interface_name(interface_index), answer.error,
                         answer.text);
}

Result<void> Netlink::set_up(int interface_index, bool up) {
  Request request(RTM_NEWLINK, NLM_F_ACK);
  auto& info = request.body<ifinfomsg>();
  info.ifi_index = interface_index;
  info.ifi_change = IFF_UP;
  info.ifi_flags = up ? IFF_UP : 0;
  return change_link(request.get(), interface_index,
                     up ? "setting the state up" : "setting the state down");
}

Result<void> Netlink::set_mtu(int interface_index, std::uint32_t mtu) {
  Request request(RTM_NEWLINK, NLM_F_ACK);
  request.body<ifinfomsg>().ifi_index = interface_index;
  request.put_u32(IFLA_MTU, mtu);
  return change_link(request.get(), interface_index, "setting the MTU " + std::to_string(mtu));
}

Result<void> Netlink::set_address_generation(int interface_index, std::uint8_t mode) {
  Request request(RTM_NEWLINK, NLM_F_ACK);
  request.body<ifinfomsg>().ifi_index = interface_index;
  nlattr* families = mnl_attr_nest_start(request.get(), IFLA_AF_SPEC);
  nlattr* ipv6 = mnl_attr_nest_start(request.get(), AF_INET6);
  request.put_u8(IFLA_INET6_ADDR_GEN_MODE, mode);
  mnl_attr_nest_end(request.get(), ipv6);
  mnl_attr_nest_end(request.get(), families);
  return change_link(request.get(), interface_index, "setting the IPv6 address generation");
}

Result<void> Netlink::set_gso_max_size(int interface_index, std::uint32_t bytes,
                                       std::uint32_t ipv4_bytes) {
  Request request(RTM_NEWLINK, NLM_F_ACK);
  request.body<ifinfomsg>().ifi_index = interface_index;
  request.put_u32(IFLA_GSO_MAX_SIZE, bytes);
  request.put_u32(kIflaGsoIpv4MaxSize, ipv4_bytes);
  return change_link(request.get(), interface_index,
                     "setting the GSO size " + std::to_string(bytes));
}

Result<void> Netlink::add_address(int interface_index, const LocalAddress& address,
                                  IfExists if_exists) {
  Request request(RTM_NEWADDR, create_flags());
  put_local_address(request, interface_index, address);
  const Answer answer = execute(request.get());
  if (answer.error == 0 || (answer.error == EEXIST && if_exists == IfExists::kKeep)) return {};
  return netlink_failure(
      "adding the address " + address.to_string() + " to " + interface_name(interface_index),
      answer.error, answer.text);
}

Result<void> Netlink::remove_address(int interface_index, const LocalAddress& address) {
  Request request(RTM_DELADDR, NLM_F_ACK);
  put_local_address(request, interface_index, address);
  const Answer answer = execute(request.get());
  if (answer.error == 0 || gone(answer.error)) return {};
  return netlink_failure(
      "removing the address " + address.to_string() + " from " + interface_name(interface_index),
      answer.error, answer.text);
}

Result<std::vector<LocalAddress>> Netlink::addresses(int interface_index) {
  std::vector<LocalAddress> found;
  Request request(RTM_GETADDR, NLM_F_DUMP);
  request.body<ifaddrmsg>().ifa_family = AF_UNSPEC;
  const Answer answer = exchange(request.get(), [&](const nlmsghdr* message) {
    const auto& info = *static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    if (static_cast<int>(info.ifa_index) != interface_index) return;
    std::optional<net::IpAddress> local;
    std::optional<net::IpAddress> peer;
    for_each_attribute(message, sizeof info, [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == IFA_LOCAL) local = address_of(attribute);
      if (mnl_attr_get_type(&attribute) == IFA_ADDRESS) peer = address_of(attribute);
    });
    if (!local) local = peer;  // IPv6 names the local address so
    if (local) found.push_back({*local, info.ifa_prefixlen});
  });
  if (answer.error != 0) {
    return netlink_failure("listing the addresses of " + interface_name(interface_index),
                           answer.error, answer.text);
  }
  return found;
}

Result<void> Netlink::add_route(const Route& route, IfExists if_exists) {
  Request request(RTM_NEWROUTE, create_flags());
  put_route(request, route);
  const Answer answer = execute(request.get());
  if (answer.error == 0 || (answer.error == EEXIST && if_exists == IfExists::kKeep)) return {};
  return netlink_failure("adding the route " + route.to_string(), answer.error, answer.text);
}

Result<void> Netlink::remove_route(const Route& route) {
  Request request(RTM_DELROUTE, NLM_F_ACK);
  put_route(request, route);
  const Answer answer = execute(request.get());
  if (answer.error == 0 || gone(answer.error)) return {};
  return netlink_failure("removing the route " + route.to_string(), answer.error, answer.text);
}

Result<std::vector<Route>> Netlink::routes(net::Family family, std::uint32_t table) {
  Request request(RTM_GETROUTE, NLM_F_DUMP);
  request.body<rtmsg>().rtm_family = static_cast<unsigned char>(family_number(family));
  std::vector<Route> routes;
  const Answer answer = exchange(request.get(), [&](const nlmsghdr* message) {
    const auto route = read_route(message);
    if (route && route->table == table) routes.push_back(*route);
  });
  if (answer.error != 0) {
    return netlink_failure("listing the routes of table " + std::to_string(table), answer.error,
                           answer.text);
  }
  return routes;
}

Result<void> Netlink::add_rule(const Rule& rule, IfExists if_exists) {
  Request request(RTM_NEWRULE, create_flags());
  put_rule(request, rule);
  const Answer answer = execute(request.get());
  if (answer.error == 0 || (answer.error == EEXIST && if_exists == IfExists::kKeep)) return {};
  return netlink_failure("adding the " + rule.to_string(), answer.error, answer.text);
}

Result<void> Netlink::remove_rule(const Rule& rule) {
  Request request(RTM_DELRULE, NLM_F_ACK);
  put_rule(request, rule);
  const Answer answer = execute(request.get());
  if (answer.error == 0 || gone(answer.error)) return {};
  return netlink_failure("removing the " + rule.to_string(), answer.error, answer.text);
}

Result<std::vector<Rule>> Netlink::rules(net::Family family) {
  Request request(RTM_GETRULE, NLM_F_DUMP);
  request.body<fib_rule_hdr>().family = static_cast<std::uint8_t>(family_number(family));
  std::vector<Rule> rules;
  const Answer answer = exchange(
      request.get(), [&](const nlmsghdr* message) { rules.push_back(read_rule(message)); });
  if (answer.error != 0) return netlink_failure("listing rules", answer.error, answer.text);
  return rules;
}

}  // namespace ringway::control
