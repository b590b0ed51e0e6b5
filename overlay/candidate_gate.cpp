#include "overlay/candidate_gate.hpp"

#include <algorithm>

namespace ringway::overlay {
namespace {

bool is_in(const std::vector<net::Prefix>& prefixes, const net::IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const net::Prefix& prefix) { return prefix.contains(address); });
}

std::optional<Drop> refusal_by_scope(const net::IpAddress& address, const Networks& networks) {
  switch (net::scope_of(address)) {
    case net::AddressScope::kGlobal:
      return std::nullopt;
    case net::AddressScope::kPrivate:
      if (is_in(networks.on_link, address)) return std::nullopt;
      return Drop::kCandidatePrivate;
    case net::AddressScope::kLoopback:
      return Drop::kCandidateLoopback;
    case net::AddressScope::kLinkLocal:  // a candidate has no interface
      return Drop::kCandidateLinkLocal;
    case net::AddressScope::kMulticast:
      return Drop::kCandidateMulticast;
    case net::AddressScope::kBroadcast:
      return Drop::kCandidateBroadcast;
    case net::AddressScope::kUnspecified:
    case net::AddressScope::kReserved:
      break;
  }
  return Drop::kCandidateMartian;
}

// What a flood would hit: a host, or for IPv6 whoever was given the /64.
net::IpAddress target_of(net::IpAddress address) {
  if (!address.is_v4()) std::fill(address.bytes.begin() + 8, address.bytes.end(), std::uint8_t{0});
  return address;
}

}  // namespace

std::optional<Drop> refusal_of(const net::Endpoint& endpoint, const Networks& networks) {
  if (!endpoint.valid()) return Drop::kCandidatePort;
  if (is_in(networks.tunnel, endpoint.address)) return Drop::kCandidateTunnel;
  const bool broadcast = std::any_of(
      networks.on_link.begin(), networks.on_link.end(),
      [&](const net::Prefix& subnet) { return net::is_broadcast_of(subnet, endpoint.address); });
  if (broadcast) return Drop::kCandidateBroadcast;
  return refusal_by_scope(endpoint.address, networks);
}

Candidates CandidateGate::pass(const Candidates& candidates, const Networks& networks, Instant now,
                               DropCounters& drops) {
  Candidates passed;
  for (const net::Endpoint& endpoint : candidates) {
    const net::IpAddress target = target_of(endpoint.address);
    if (const auto refusal = refusal_of(endpoint, networks)) {
      drops.add(*refusal);
    } else if (!a_target_.allows(target, now)) {
      drops.add(Drop::kCallsOfTarget);
    } else if (!in_all_.allows(limits_.in_all, now)) {
      drops.add(Drop::kCallsInAll);
    } else {
      a_target_.count(target, now);
      in_all_.count(limits_.in_all, now);
      passed.add(endpoint);
    }
  }
  return passed;
}

}  // namespace ringway::overlay
