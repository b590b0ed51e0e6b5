#include "controlplane/host/route_state.hpp"

#include <algorithm>
#include <utility>

#include "base/bytes.hpp"

namespace ringway::control {
namespace {

std::size_t hash_of(const net::IpAddress& address, std::uint64_t salt) {
  constexpr std::uint64_t golden = 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
  std::uint64_t hash = (salt + static_cast<std::uint64_t>(address.family)) * golden;
  hash = (hash ^ load_le<std::uint64_t>(address.bytes.data())) * golden;
  hash = (hash ^ hash >> 32 ^ load_le<std::uint64_t>(address.bytes.data() + 8)) * golden;
  return hash ^ hash >> 29;
}

}  // namespace

std::size_t RouteState::Hash::operator()(const RouteKey& key) const {
  return hash_of(key.prefix.address, key.prefix.length * 2U + (key.local_table ? 1U : 0U));
}

std::size_t RouteState::Hash::operator()(const forwarding::Neighbour& neighbour) const {
  return hash_of(neighbour.address, neighbour.interface);
}

RouteEffect RouteState::apply(const route_message::Link& link) {
  if (link.removed) {
    addresses_.erase(link.index);
    std::erase_if(neighbours_,
                  [&](const auto& entry) { return entry.first.interface == link.index; });
    return links_.erase(link.index) != 0 ? RouteEffect::kUnclear : RouteEffect::kNone;
  }
  auto [entry, inserted] = links_.try_emplace(link.index, link);
  if (inserted) return RouteEffect::kChanged;
  if (entry->second == link) return RouteEffect::kNone;
  // IPv4 routes over a link that goes down are removed without a word.
  const bool down = entry->second.up && !link.up;
  entry->second = link;
  return down ? RouteEffect::kUnclear : RouteEffect::kChanged;
}

RouteEffect RouteState::apply(const route_message::Address& message) {
  std::vector<LocalAddress>& known = addresses_[message.interface];
  const LocalAddress address{message.address, message.length};
  const auto at = std::find(known.begin(), known.end(), address);
  if (!message.removed) {
    if (at != known.end()) return RouteEffect::kNone;
    known.push_back(address);
    return RouteEffect::kChanged;
  }
  if (at == known.end()) return RouteEffect::kNone;
  known.erase(at);
  // So are IPv4 routes that preferred the address as their source.
  return RouteEffect::kUnclear;
}

RouteState::RouteMap& RouteState::routes_of(const route_message::Route& route) {
  return route.destination.address.is_v4() ? routes_v4_ : routes_v6_;
}

void RouteState::insert(KnownRoutes& routes, KnownRoute route) {
  const auto behind = std::upper_bound(
      routes.begin(), routes.end(), route.metric,
      [](std::uint32_t metric, const KnownRoute& other) { return metric < other.metric; });
  routes.insert(behind, std::move(route));
}

RouteEffect RouteState::add(KnownRoutes& routes, KnownRoute route, bool replaces) {
  if (std::find(routes.begin(), routes.end(), route) != routes.end()) return RouteEffect::kNone;
  const auto same_metric = [&](const KnownRoute& other) { return other.metric == route.metric; };
  const auto rival = std::find_if(routes.begin(), routes.end(), same_metric);
  if (rival == routes.end()) {
    insert(routes, std::move(route));
    return RouteEffect::kChanged;
  }
  // Appended, prepended, a path more: the messages do not say which. A replacement of one is clear.
  const bool several = std::find_if(rival + 1, routes.end(), same_metric) != routes.end();
  if (several || !replaces) return RouteEffect::kUnclear;
  *rival = std::move(route);
  return RouteEffect::kChanged;
}

RouteEffect RouteState::remove(KnownRoutes& routes, const KnownRoute& route) {
  const auto same_metric = [&](const KnownRoute& other) { return other.metric == route.metric; };
  if (std::none_of(routes.begin(), routes.end(), same_metric)) return RouteEffect::kNone;
  // Not by its MTU: a removal names what it must.
  const auto gone = std::find_if(routes.begin(), routes.end(), [&](const KnownRoute& other) {
    return same_metric(other) && other.type == route.type && other.hops == route.hops;
  });
  if (gone == routes.end()) return RouteEffect::kUnclear;  // one path of several
  routes.erase(gone);
  return RouteEffect::kChanged;
}

RouteEffect RouteState::apply(const route_message::Route& message) {
  if (message.conditional) return RouteEffect::kNone;
  RouteMap& map = routes_of(message);
  const RouteKey key{message.destination, message.local_table};
  KnownRoute route{message.metric, message.mtu, message.type, message.hops};
  if (!message.removed) return add(map[key], std::move(route), message.replaces);
  const auto entry = map.find(key);
  if (entry == map.end()) return RouteEffect::kNone;
  const RouteEffect effect = remove(entry->second, route);
  if (entry->second.empty()) map.erase(entry);
  return effect;
}

void RouteState::add_listed(const route_message::Route& message) {
  if (message.conditional) return;
  insert(routes_of(message)[{message.destination, message.local_table}],
         {message.metric, message.mtu, message.type, message.hops});
}

RouteEffect RouteState::apply(const route_message::Neighbour& message) {
  if (!message.mac) {
    return neighbours_.erase(message.who) != 0 ? RouteEffect::kChanged : RouteEffect::kNone;
  }
  auto [entry, inserted] =
      neighbours_.try_emplace(message.who, KnownNeighbour{*message.mac, message.stale});
  if (inserted) return RouteEffect::kChanged;
  const bool moved = entry->second.mac != *message.mac;
  entry->second = {*message.mac, message.stale};
  return moved ? RouteEffect::kChanged : RouteEffect::kNone;
}

void RouteState::take_part(RoutePart part, RouteState& from) {
  switch (part) {
    case RoutePart::kLinks:
      links_ = std::move(from.links_);
      break;
    case RoutePart::kAddresses:
      addresses_ = std::move(from.addresses_);
      break;
    case RoutePart::kRoutesV4:
      routes_v4_ = std::move(from.routes_v4_);
      break;
    case RoutePart::kRoutesV6:
      routes_v6_ = std::move(from.routes_v6_);
      break;
    case RoutePart::kNeighbours:
      neighbours_ = std::move(from.neighbours_);
      break;
  }
}

std::vector<LocalAddress> RouteState::addresses(std::uint32_t interface) const {
  const auto entry = addresses_.find(interface);
  return entry == addresses_.end() ? std::vector<LocalAddress>{} : entry->second;
}

const RouteState::KnownNeighbour* RouteState::find_neighbour(
    const forwarding::Neighbour& who) const {
  const auto entry = neighbours_.find(who);
  return entry == neighbours_.end() ? nullptr : &entry->second;
}

const route_message::Link* RouteState::find_link(std::uint32_t interface) const {
  const auto entry = links_.find(interface);
  return entry == links_.end() ? nullptr : &entry->second;
}

std::size_t RouteState::route_count() const {
  std::size_t count = 0;
  for (const RouteMap* map : {&routes_v4_, &routes_v6_}) {
    for (const auto& [key, routes] : *map)
      count += routes.size();
  }
  return count;
}

}  // namespace ringway::control
