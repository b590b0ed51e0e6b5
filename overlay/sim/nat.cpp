#include "overlay/sim/nat.hpp"

#include <algorithm>

#include "overlay/sim/connections.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::uint16_t kFirstPort = 1024;  // RFC 4787 REQ-3: not a well-known one

}  // namespace

NatBehaviour draw_nat(Rng& rng) {
  NatBehaviour behaviour;
  const std::uint64_t kind = rng.below(100);
  if (kind < 10) {
    behaviour.mapping = Mapping::kNone;
  } else if (kind < 84) {  // 82 % of the other 90 %
    behaviour.mapping = Mapping::kEndpointIndependent;
  } else {
    behaviour.mapping = kind < 88 ? Mapping::kAddressDependent : Mapping::kAddressAndPortDependent;
  }
  const std::uint64_t filter = rng.below(100);
  behaviour.filtering = filter < 10   ? Filtering::kEndpointIndependent
                        : filter < 35 ? Filtering::kAddressDependent
                                      : Filtering::kAddressAndPortDependent;
  if (behaviour.mapping == Mapping::kNone)
    behaviour.filtering = Filtering::kAddressAndPortDependent;  // a stateful firewall
  // From what cheap routers have to what the RFC asks for.
  constexpr std::int64_t kTimeoutsS[] = {40, 60, 120, 300};
  behaviour.timeout = Duration::seconds(kTimeoutsS[rng.below(4)]);
  return behaviour;
}

bool Nat::same_mapping(const Remote& a, const Remote& b) const {
  switch (behaviour_.mapping) {
    case Mapping::kAddressDependent:
      return a.address == b.address;
    case Mapping::kAddressAndPortDependent:
      return a == b;
    case Mapping::kNone:
    case Mapping::kEndpointIndependent:
      break;
  }
  return true;
}

std::uint16_t Nat::new_port() {
  for (;;) {
    const auto port = static_cast<std::uint16_t>(kFirstPort + rng_.below(65536 - kFirstPort));
    const bool taken = std::any_of(flows_.begin(), flows_.end(),
                                   [&](const Flow& flow) { return flow.port == port; });
    if (!taken) return port;
  }
}

std::uint16_t Nat::outbound(Instant now, const Remote& to) {
  const Flow* mapped = nullptr;
  for (Flow& flow : flows_) {
    if (!alive(flow, now)) continue;
    if (flow.remote == to) {
      flow.last_out = now;
      return flow.port;
    }
    if (same_mapping(flow.remote, to)) mapped = &flow;
  }
  Flow flow{to, kPort, now};
  if (behaviour_.mapping != Mapping::kNone)
    flow.port = mapped != nullptr ? mapped->port : new_port();
  std::erase_if(flows_, [&](const Flow& old) { return !alive(old, now); });
  flows_.push_back(flow);
  return flow.port;
}

bool Nat::inbound(Instant now, std::uint16_t port, const Remote& from) const {
  return std::any_of(flows_.begin(), flows_.end(), [&](const Flow& flow) {
    if (flow.port != port || !alive(flow, now)) return false;
    switch (behaviour_.filtering) {
      case Filtering::kAddressDependent:
        return flow.remote.address == from.address;
      case Filtering::kAddressAndPortDependent:
        return flow.remote == from;
      case Filtering::kEndpointIndependent:
        break;
    }
    return true;
  });
}

}  // namespace ringway::overlay::sim
