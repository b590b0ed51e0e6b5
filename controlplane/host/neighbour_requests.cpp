// RouteMirror's requests to the kernel's neighbour tables: resolve this, keep that fresh.
#include <algorithm>
#include <cstring>

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "controlplane/host/route_mirror.hpp"

namespace ringway::control {
namespace {

// Of neighbours in use; the kernel's own table of a family has room for 1024 (gc_thresh3).
constexpr std::size_t kMaxUses = 4096;

constexpr std::size_t kAttributeHeader = sizeof(nlattr);

struct UseRequest {
  nlmsghdr header{};
  ndmsg body{};
  nlattr attribute{};
  std::uint8_t address[16]{};
};
static_assert(sizeof(UseRequest) == NLMSG_LENGTH(sizeof(ndmsg)) + kAttributeHeader + 16);

}  // namespace

bool RouteMirror::take_ask_token(Instant now) {
  const double earned = (now - tokens_at_).count_s() * kAsksPerSecond;
  ask_tokens_ = std::min<double>(ask_tokens_ + std::max(earned, 0.0), kAskBurst);
  tokens_at_ = now;
  if (ask_tokens_ < 1) return false;
  ask_tokens_ -= 1;
  return true;
}

// Uses the kernel's entry as a packet of its own would: one that is not there is made and resolved,
// a stale one is probed. Nobody waits for the answer; what comes of it is announced.
void RouteMirror::ask(const forwarding::Neighbour& neighbour, Instant now) {
  if (!take_ask_token(now)) {
    ++counters_.neighbours_not_asked;
    return;
  }
  const ConstBytes address = neighbour.address.view();
  UseRequest request;
  request.header.nlmsg_type = RTM_NEWNEIGH;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
  request.header.nlmsg_seq = ++sequence_;
  request.header.nlmsg_len =
      static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof(ndmsg)) + kAttributeHeader + address.size());
  request.body.ndm_family = neighbour.address.is_v4() ? AF_INET : AF_INET6;
  request.body.ndm_ifindex = static_cast<std::int32_t>(neighbour.interface);
  request.body.ndm_flags = NTF_USE;
  request.attribute.nla_type = NDA_DST;
  request.attribute.nla_len = static_cast<std::uint16_t>(kAttributeHeader + address.size());
  std::memcpy(request.address, address.data(), address.size());
  const ssize_t sent = ::send(fd_, &request, request.header.nlmsg_len, MSG_DONTWAIT);
  sent < 0 ? ++counters_.neighbours_not_asked : ++counters_.neighbours_asked;
}

void RouteMirror::want(const forwarding::Neighbour& neighbour, Instant now) {
  if (state_.find_link(neighbour.interface) == nullptr) return;
  if (state_.find_neighbour(neighbour) != nullptr) return;  // resolved meanwhile
  ask(neighbour, now);
}

void RouteMirror::note_use(const forwarding::Neighbour& neighbour, Instant now) {
  if (state_.find_neighbour(neighbour) == nullptr) return;
  if (uses_.size() >= kMaxUses) forget_unused(now);
  if (uses_.size() >= kMaxUses) return;
  uses_[neighbour].used_at = now;
  refresh(neighbour, now);
}

// Probes a stale entry that is in use. Gateways have tend_gateways().
void RouteMirror::refresh(const forwarding::Neighbour& neighbour, Instant now) {
  const RouteState::KnownNeighbour* known = state_.find_neighbour(neighbour);
  if (known == nullptr || !known->stale) return;
  if (gateways_.contains(neighbour)) {
    gateways_due_ = std::min(gateways_due_, now);
    return;
  }
  const auto use = uses_.find(neighbour);
  if (use == uses_.end() || now - use->second.used_at > kUseMemory) return;
  if (now - use->second.asked_at < kAskAgain) return;
  use->second.asked_at = now;
  ask(neighbour, now);
}

void RouteMirror::forget_unused(Instant now) {
  std::erase_if(uses_, [&](const auto& entry) { return now - entry.second.used_at > kUseMemory; });
}

// Gateways are resolved before a packet needs them, and kept fresh: there are few.
void RouteMirror::tend_gateways(Instant now) {
  if (now < gateways_due_) return;
  gateways_due_ = Instant::never();
  for (auto& [gateway, asked_at] : gateways_) {
    const RouteState::KnownNeighbour* known = state_.find_neighbour(gateway);
    if (known != nullptr && !known->stale) continue;
    if (now - asked_at >= kAskAgain) {
      asked_at = now;
      ask(gateway, now);
    }
    gateways_due_ = std::min(gateways_due_, asked_at + kAskAgain);
  }
}

}  // namespace ringway::control
