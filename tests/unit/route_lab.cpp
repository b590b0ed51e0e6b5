#include "tests/unit/route_lab.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "base/check.hpp"
#include "base/time.hpp"

namespace ringway::control {

using forwarding::NextHopState;

void RouteLab::SetUp() {
  HostLab::SetUp();
  RouteMirrorOptions options;
  options.interfaces = {{index_of("e0"), kPort}};
  options.on_notice = [this](std::string_view text) { notices_.emplace_back(text); };
  auto opened = RouteMirror::open(std::move(options), Instant::now());
  ASSERT_TRUE(opened) << opened.error().text();
  mirror_ = std::move(*opened);
  ASSERT_TRUE(eventually([] { return true; }));
  settle();
}

void RouteLab::TearDown() {
  mirror_.reset();
  HostLab::TearDown();
}

std::uint32_t RouteLab::index_of(const std::string& interface) {
  return ::if_nametoindex(interface.c_str());
}

void RouteLab::serve_once(int timeout_ms) {
  pollfd ready{mirror_->fd(), POLLIN, 0};
  const Duration until_due = mirror_->next_deadline() - Instant::now();
  const auto due_ms = std::clamp<std::int64_t>(until_due.count_ms() + 1, 0, timeout_ms);
  const int count = ::poll(&ready, 1, static_cast<int>(due_ms));
  count > 0 ? mirror_->handle_readable(Instant::now()) : mirror_->tick(Instant::now());
  if (auto table = mirror_->take_table()) {
    table_ = std::move(table);
    ++tables_taken_;
  }
}

bool RouteLab::eventually(const std::function<bool()>& holds) {
  const Instant end = Instant::now() + kPatience;
  while (Instant::now() < end) {
    if (table_ != nullptr && holds()) return true;
    serve_once(10);
  }
  return table_ != nullptr && holds();
}

void RouteLab::settle() {
  std::uint64_t before = 0;
  do {
    before = mirror_->counters().messages;
    const Instant end = Instant::now() + Duration::milliseconds(150);
    while (Instant::now() < end)
      serve_once(20);
  } while (mirror_->counters().messages != before);
}

const forwarding::NextHop& RouteLab::hop_to(const std::string& destination) const {
  return table_->next_hop(table_->lookup(*net::IpAddress::parse(destination)));
}

std::string RouteLab::neighbour_of(const std::string& destination) const {
  const net::IpAddress address = *net::IpAddress::parse(destination);
  const forwarding::NextHopId id = table_->lookup(address);
  const auto state = table_->next_hop(id).state;
  if (state != NextHopState::kResolved && state != NextHopState::kUnresolved) return "";
  return table_->neighbour(id, address).address.to_string();
}

std::string RouteLab::describe(const net::IpAddress& destination) const {
  const forwarding::NextHopId id = table_->lookup(destination);
  switch (table_->next_hop(id).state) {
    case NextHopState::kUnreachable:
      return "unreachable";
    case NextHopState::kBlackhole:
      return "blackhole";
    case NextHopState::kLocal:
      return "local";
    case NextHopState::kNotOurs:
      return "not ours";
    case NextHopState::kUnresolved:
    case NextHopState::kResolved:
      break;
  }
  const forwarding::Neighbour neighbour = table_->neighbour(id, destination);
  return "interface " + std::to_string(neighbour.interface) + " neighbour " +
         neighbour.address.to_string();
}

namespace {

struct RouteQuestion {
  nlmsghdr header{};
  rtmsg body{};
  nlattr attribute{};
  std::array<std::uint8_t, 16> address{};
};

struct RouteAnswer {
  unsigned interface = 0;
  const std::uint8_t* gateway = nullptr;
};

int read_attribute(const nlattr* attribute, void* data) {
  auto& answer = *static_cast<RouteAnswer*>(data);
  const auto* value = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
  const auto type = mnl_attr_get_type(attribute);
  if (type == RTA_OIF) std::memcpy(&answer.interface, value, sizeof answer.interface);
  if (type == RTA_GATEWAY) answer.gateway = value;
  return MNL_CB_OK;
}

std::string describe_route(const nlmsghdr& answer, const net::IpAddress& destination) {
  rtmsg body{};
  std::memcpy(&body, NLMSG_DATA(&answer), sizeof body);
  switch (body.rtm_type) {
    case RTN_UNICAST:
      break;
    case RTN_LOCAL:
    case RTN_ANYCAST:
      return "local";
    case RTN_BROADCAST:
    case RTN_MULTICAST:
    case RTN_BLACKHOLE:
      return "blackhole";
    default:
      return "unreachable";
  }
  RouteAnswer route;
  CHECK(mnl_attr_parse(&answer, sizeof body, read_attribute, &route) == MNL_CB_OK);
  if (route.interface != ::if_nametoindex("e0")) return "not ours";
  net::IpAddress neighbour = destination;
  if (route.gateway != nullptr) {
    neighbour =
        destination.is_v4() ? net::IpAddress::v4(route.gateway) : net::IpAddress::v6(route.gateway);
  }
  return "interface " + std::to_string(route.interface) + " neighbour " + neighbour.to_string();
}

}  // namespace

std::string RouteLab::ask_kernel(const net::IpAddress& destination) {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  CHECK(fd >= 0);
  RouteQuestion question;
  const auto view = destination.view();
  question.header.nlmsg_type = RTM_GETROUTE;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.header.nlmsg_len =
      static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof(rtmsg)) + sizeof(nlattr) + view.size());
  question.body.rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
  question.body.rtm_dst_len = static_cast<unsigned char>(destination.bit_length());
  question.attribute.nla_type = RTA_DST;
  question.attribute.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + view.size());
  std::ranges::copy(view, question.address.begin());
  CHECK(::send(fd, &question, question.header.nlmsg_len, 0) > 0);
  alignas(nlmsghdr) std::array<char, 8192> buffer{};
  const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
  ::close(fd);
  CHECK(size > static_cast<ssize_t>(sizeof(nlmsghdr)));
  const auto& answer = *reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (answer.nlmsg_type != NLMSG_ERROR) return describe_route(answer, destination);
  nlmsgerr error{};
  std::memcpy(&error, NLMSG_DATA(&answer), sizeof error);
  return error.error == -EINVAL ? "blackhole" : "unreachable";
}

}  // namespace ringway::control
