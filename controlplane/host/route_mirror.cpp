#include "controlplane/host/route_mirror.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ringway::control {
namespace {

// Parts of a list are at most 32 KiB, but one route may have thousands of paths.
constexpr std::size_t kEventBufferBytes = 256U << 10;
constexpr int kMaxDatagramsPerCall = 256;
constexpr std::size_t kMaxKeptChanges = 1U << 16;
constexpr std::size_t kMaxNotices = 64;

constexpr int kGroups[] = {RTNLGRP_LINK,        RTNLGRP_IPV6_IFINFO, RTNLGRP_NEIGH,
                           RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                           RTNLGRP_IPV6_ROUTE,  RTNLGRP_NEXTHOP};

std::optional<RoutePart> part_of(const route_message::Message& message) {
  if (std::holds_alternative<route_message::Link>(message)) return RoutePart::kLinks;
  if (std::holds_alternative<route_message::Address>(message)) return RoutePart::kAddresses;
  if (std::holds_alternative<route_message::Neighbour>(message)) return RoutePart::kNeighbours;
  if (const auto* route = std::get_if<route_message::Route>(&message)) {
    return route->destination.address.is_v4() ? RoutePart::kRoutesV4 : RoutePart::kRoutesV6;
  }
  return std::nullopt;
}

// A request for one part as a whole: the header, and a body of which only the family counts.
struct ListRequest {
  nlmsghdr header{};
  alignas(nlmsghdr) std::array<std::uint8_t, sizeof(ifinfomsg)> body{};
};

ListRequest list_request(RoutePart part, std::uint32_t sequence) {
  ListRequest request;
  std::size_t body = 0;
  switch (part) {
    case RoutePart::kLinks:
      request.header.nlmsg_type = RTM_GETLINK;
      body = sizeof(ifinfomsg);
      break;
    case RoutePart::kAddresses:
      request.header.nlmsg_type = RTM_GETADDR;
      body = sizeof(ifaddrmsg);
      break;
    case RoutePart::kRoutesV4:
    case RoutePart::kRoutesV6:
      request.header.nlmsg_type = RTM_GETROUTE;
      body = sizeof(rtmsg);
      break;
    case RoutePart::kNeighbours:
      request.header.nlmsg_type = RTM_GETNEIGH;
      body = sizeof(ndmsg);
      break;
  }
  if (part == RoutePart::kRoutesV4) request.body[0] = AF_INET;
  if (part == RoutePart::kRoutesV6) request.body[0] = AF_INET6;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(body));
  request.header.nlmsg_seq = sequence;
  return request;
}

Result<void> set_up_socket(int fd, std::uint32_t buffer_bytes) {
  const int bytes = static_cast<int>(buffer_bytes);
  // Past the system's limit with the right capability, and within it without.
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
    static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes));
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return system_failure("binding the socket that follows routes", errno);
  }
  for (const int group : kGroups) {
    if (::setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return system_failure("subscribing to changes of routes", errno);
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<RouteMirror>> RouteMirror::open(RouteMirrorOptions options, Instant now) {
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return system_failure("opening a socket that follows routes", errno);
  sockaddr_nl address{};
  socklen_t size = sizeof address;
  const auto ready = set_up_socket(fd, options.receive_buffer_bytes);
  if (!ready || ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    const int error = errno;
    ::close(fd);
    if (!ready) return tl::unexpected(ready.error());
    return system_failure("asking for a netlink address", error);
  }
  return std::unique_ptr<RouteMirror>(new RouteMirror(std::move(options), fd, address.nl_pid, now));
}

RouteMirror::RouteMirror(RouteMirrorOptions options, int fd, std::uint32_t port, Instant now)
    : options_(std::move(options)),
      fd_(fd),
      port_(port),
      buffer_(kEventBufferBytes),
      tokens_at_(now) {
  std::fill(std::begin(last_list_), std::end(last_list_), Instant::distant_past());
  request_everything();
  missing_parts_ = wanted_lists_;
  start_list(now);
}

RouteMirror::~RouteMirror() {
  ::close(fd_);
}

// --- from the socket into the mirror ---------------------------------------------------------

void RouteMirror::handle_readable(Instant now) {
  more_waits_ = true;
  for (int i = 0; i < kMaxDatagramsPerCall && more_waits_; ++i)
    more_waits_ = receive(now);
  start_list(now);
  build_if_due(now);
  tend_gateways(now);
}

// False when nothing waits.
bool RouteMirror::receive(Instant now) {
  sockaddr_nl from{};
  iovec area{buffer_.data(), buffer_.size()};
  msghdr header{};
  header.msg_name = &from;
  header.msg_namelen = sizeof from;
  header.msg_iov = &area;
  header.msg_iovlen = 1;
  const ssize_t size = ::recvmsg(fd_, &header, MSG_DONTWAIT);
  if (size < 0) {
    if (errno == EINTR) return true;
    if (errno != ENOBUFS) return false;
    ++counters_.overruns;
    request_everything();
    if (listing_) listing_->interrupted = true;
    return true;
  }
  if (from.nl_pid != 0) return true;  // only the kernel's word counts
  if ((header.msg_flags & MSG_TRUNC) != 0) {
    ++counters_.malformed;
    request_everything();
    if (listing_) listing_->interrupted = true;
    return true;
  }
  take_datagram({buffer_.data(), static_cast<std::size_t>(size)}, now);
  return true;
}

void RouteMirror::take_datagram(ConstBytes datagram, Instant now) {
  route_message::Reader reader(datagram);
  route_message::Header header;
  ConstBytes body;
  while (reader.next(header, body)) {
    route_message::Message message = route_message::parse(header, body);
    if (std::holds_alternative<route_message::Malformed>(message)) {
      ++counters_.malformed;
      continue;
    }
    ++counters_.messages;
    const bool answer = header.port == port_ && (header.flags & NLM_F_MULTI) != 0;
    const bool ending = std::holds_alternative<route_message::DumpEnd>(message) ||
                        std::holds_alternative<route_message::Refusal>(message);
    if (answer || ending) {
      take_answer(header, std::move(message), now);
    } else {
      take_change(std::move(message), now);
    }
  }
  if (reader.cut_off()) ++counters_.malformed;
}

void RouteMirror::take_answer(const route_message::Header& header, route_message::Message message,
                              Instant now) {
  if (!listing_ || header.sequence != listing_->sequence) return;
  if ((header.flags & NLM_F_DUMP_INTR) != 0) listing_->interrupted = true;
  if (std::holds_alternative<route_message::DumpEnd>(message)) return finish_list(now);
  if (std::holds_alternative<route_message::Refusal>(message)) {
    request_list(listing_->part);
    listing_.reset();
    return;
  }
  if (const auto* route = std::get_if<route_message::Route>(&message)) {
    notice_unsupported(*route);
    listing_->fresh.add_listed(*route);
  } else {
    static_cast<void>(apply(listing_->fresh, message));
  }
}

void RouteMirror::take_change(route_message::Message message, Instant now) {
  if (std::holds_alternative<route_message::NextHopObject>(message)) return request_routes();
  if (std::holds_alternative<route_message::Ipv6Settings>(message)) {
    return request_list(RoutePart::kLinks);
  }
  const auto part = part_of(message);
  if (!part) return;
  if (const auto* route = std::get_if<route_message::Route>(&message)) notice_unsupported(*route);
  const RouteEffect effect = apply(state_, message);
  changed_ |= effect != RouteEffect::kNone;
  if (effect == RouteEffect::kUnclear) {
    const bool is_route = *part == RoutePart::kRoutesV4 || *part == RoutePart::kRoutesV6;
    is_route ? request_list(*part) : request_routes();
  }
  if (const auto* neighbour = std::get_if<route_message::Neighbour>(&message)) {
    if (neighbour->stale) refresh(neighbour->who, now);
  }
  if (listing_ && listing_->part == *part) {
    if (listing_->meanwhile.size() < kMaxKeptChanges) {
      listing_->meanwhile.push_back(std::move(message));
    } else {
      listing_->interrupted = true;
    }
  }
}

RouteEffect RouteMirror::apply(RouteState& state, const route_message::Message& message) {
  return std::visit(
      [&](const auto& one) {
        if constexpr (requires { state.apply(one); }) return state.apply(one);
        return RouteEffect::kNone;
      },
      message);
}

void RouteMirror::notice_unsupported(const route_message::Route& route) {
  if (route.removed || noticed_.size() >= kMaxNotices) return;
  if (route.conditional) {
    notice("the route to " + route.destination.to_string() +
           " is for some sources or types of service only: it is not followed");
  }
  for (const route_message::RouteHop& hop : route.hops) {
    if (!hop.foreign) continue;
    notice("the route to " + route.destination.to_string() +
           " has an encapsulation or a gateway of the other family: it is left to the kernel");
  }
}

void RouteMirror::notice(std::string text) {
  const auto [entry, inserted] = noticed_.insert(std::move(text));
  if (inserted && options_.on_notice) options_.on_notice(*entry);
}

// --- lists -----------------------------------------------------------------------------------

void RouteMirror::request_routes() {
  request_list(RoutePart::kRoutesV4);
  request_list(RoutePart::kRoutesV6);
}

void RouteMirror::request_everything() {
  wanted_lists_ = (1U << kRoutePartCount) - 1;
}

Instant RouteMirror::list_due() const {
  if (listing_ || wanted_lists_ == 0) return Instant::never();
  Instant due = Instant::never();
  for (std::size_t part = 0; part < kRoutePartCount; ++part) {
    if ((wanted_lists_ >> part & 1) != 0) due = std::min(due, last_list_[part] + kListInterval);
  }
  return due;
}

// The kernel works on one list of a socket at a time.
void RouteMirror::start_list(Instant now) {
  if (listing_) return;
  for (std::size_t part = 0; part < kRoutePartCount; ++part) {
    if ((wanted_lists_ >> part & 1) == 0 || now < last_list_[part] + kListInterval) continue;
    last_list_[part] = now;
    const ListRequest request = list_request(static_cast<RoutePart>(part), ++sequence_);
    if (::send(fd_, &request, request.header.nlmsg_len, MSG_DONTWAIT) < 0) return;
    ++counters_.lists;
    wanted_lists_ &= ~(1U << part);
    listing_ = std::make_unique<Listing>();
    listing_->part = static_cast<RoutePart>(part);
    listing_->sequence = sequence_;
    return;
  }
}

void RouteMirror::finish_list(Instant now) {
  Listing done = std::move(*listing_);
  listing_.reset();
  for (const route_message::Message& message : done.meanwhile) {
    const bool is_route = std::holds_alternative<route_message::Route>(message);
    done.interrupted |= apply(done.fresh, message) == RouteEffect::kUnclear && is_route;
  }
  state_.take_part(done.part, done.fresh);
  changed_ = true;
  if (done.interrupted) {
    request_list(done.part);
  } else {
    missing_parts_ &= ~(1U << static_cast<unsigned>(done.part));
  }
  start_list(now);
}

// --- tables ----------------------------------------------------------------------------------

void RouteMirror::set_interfaces(std::vector<CarriedInterface> interfaces, Instant now) {
  options_.interfaces = std::move(interfaces);
  changed_ = true;
  tick(now);
}

void RouteMirror::build_if_due(Instant now) {
  if (!changed_ || missing_parts_ != 0) return;
  build_due_ = last_build_ + build_pause_;
  if (now < build_due_) return;
  BuiltTable built = state_.build(options_.interfaces);
  const auto routes = static_cast<std::int64_t>(built.table.prefix_count());
  build_pause_ = std::clamp(kCoalesceOfRoute * routes, kCoalesce, kMaxCoalesce);
  table_ = std::make_shared<const forwarding::ForwardingTable>(std::move(built.table));
  ++counters_.tables;
  changed_ = false;
  last_build_ = now;
  build_due_ = Instant::never();

  std::map<forwarding::Neighbour, Instant> gateways;
  for (const forwarding::Neighbour& gateway : built.gateways) {
    const auto known = gateways_.find(gateway);
    gateways.emplace(gateway, known == gateways_.end() ? Instant::distant_past() : known->second);
  }
  gateways_ = std::move(gateways);
  gateways_due_ = now;
}

std::shared_ptr<const forwarding::ForwardingTable> RouteMirror::take_table() {
  return std::exchange(table_, nullptr);
}

// Reading costs little where nothing waits, and what was left over is taken here.
void RouteMirror::tick(Instant now) {
  handle_readable(now);
}

Instant RouteMirror::next_deadline() const {
  if (more_waits_) return Instant::distant_past();
  return std::min({list_due(), build_due_, gateways_due_});
}

}  // namespace ringway::control
