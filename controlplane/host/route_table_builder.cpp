// RouteState::build: which route counts for each prefix, by which port and with which Ethernet
// header it leaves, and which hosts of a link are known.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "base/check.hpp"
#include "controlplane/host/route_state.hpp"

namespace ringway::control {

using forwarding::NextHop;
using forwarding::NextHopId;
using forwarding::NextHopState;
using net::Prefix;
using route_message::RouteHop;
using route_message::RouteType;

namespace {

// What no router forwards, whatever its routes say: "this network" (RFC 1122 3.2.1.3), multicast
// and broadcast, the unspecified address, and link-local addresses of IPv6 (RFC 4291 2.5.6).
constexpr std::array kNeverForwarded = {"0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32",
                                        "::/128",    "fe80::/10",   "ff00::/8"};

std::vector<Prefix> never_forwarded() {
  std::vector<Prefix> prefixes;
  prefixes.reserve(kNeverForwarded.size());
  for (const char* text : kNeverForwarded)
    prefixes.push_back(*Prefix::parse(text));
  return prefixes;
}

bool covers(const Prefix& outer, const Prefix& inner) {
  return outer.length <= inner.length && outer.contains(inner.address);
}

std::uint16_t clamp_mtu(std::uint32_t mtu) {
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(mtu, UINT16_MAX));
}

}  // namespace

class RouteTableBuilder {
 public:
  RouteTableBuilder(const RouteState& state, std::span<const CarriedInterface> carried)
      : state_(state), carried_(carried) {
    for (const NextHopState fixed :
         {NextHopState::kBlackhole, NextHopState::kLocal, NextHopState::kNotOurs}) {
      NextHop hop;
      hop.state = fixed;
      fixed_[static_cast<std::size_t>(fixed)] = content_.add_next_hop(hop);
    }
  }

  BuiltTable build() {
    for (const RouteState::RouteMap* map : {&state_.routes_v4_, &state_.routes_v6_})
      add_main_table(*map);
    for (const Prefix& prefix : never_forwarded())
      content_.add_route(prefix, fixed(NextHopState::kBlackhole));
    for (const RouteState::RouteMap* map : {&state_.routes_v4_, &state_.routes_v6_})
      add_local_table(*map);
    add_neighbours();
    return {forwarding::ForwardingTable(std::move(content_)), std::move(gateways_)};
  }

 private:
  // How packets leave by an interface.
  struct Carrier {
    std::uint8_t port = 0;
    net::MacAddress mac;
    net::VlanTag vlan;
    std::uint32_t mtu = 0;
  };
  // Next hops that differ in nothing else are one.
  struct HopKey {
    net::Family family{};
    std::uint32_t interface = 0;
    std::optional<net::IpAddress> gateway;
    std::uint32_t mtu = 0;  // of the route; 0: the link's
    auto operator<=>(const HopKey&) const = default;
  };

  [[nodiscard]] NextHopId fixed(NextHopState state) const {
    return state == NextHopState::kUnreachable ? NextHopId{}
                                               : fixed_[static_cast<std::size_t>(state)];
  }

  [[nodiscard]] const CarriedInterface* find_carried(std::uint32_t interface) const {
    const auto at = std::find_if(carried_.begin(), carried_.end(),
                                 [&](const auto& one) { return one.interface == interface; });
    return at == carried_.end() ? nullptr : &*at;
  }

  [[nodiscard]] std::optional<Carrier> carrier_of(std::uint32_t interface,
                                                  net::Family family) const {
    const route_message::Link* link = state_.find_link(interface);
    if (link == nullptr || !link->ethernet || !link->up || !link->mac) return std::nullopt;
    const bool own_mtu = family == net::Family::kIpv6 && link->mtu_v6 != 0;
    const std::uint32_t mtu = own_mtu ? std::min(link->mtu_v6, link->mtu) : link->mtu;
    if (const CarriedInterface* direct = find_carried(interface)) {
      return Carrier{direct->port, *link->mac, {}, mtu};
    }
    const bool tag_known = link->vlan.protocol == net::kEtherTypeVlan ||
                           link->vlan.protocol == net::kEtherTypeServiceVlan;
    const CarriedInterface* below = tag_known ? find_carried(link->lower) : nullptr;
    const route_message::Link* lower = state_.find_link(link->lower);
    if (below == nullptr || lower == nullptr || !lower->up) return std::nullopt;
    return Carrier{below->port, *link->mac, link->vlan, std::min(mtu, lower->mtu)};
  }

  // The path that counts among those of a route, or null.
  [[nodiscard]] const RouteHop* choose_hop(const Prefix& prefix,
                                           const std::vector<RouteHop>& hops) const {
    const RouteHop* without_carrier = nullptr;
    const std::size_t start = RouteState::Hash{}(RouteState::RouteKey{prefix, false});
    for (std::size_t i = 0; i < hops.size(); ++i) {
      const RouteHop& hop = hops[(start + i) % hops.size()];
      const route_message::Link* link = state_.find_link(hop.interface);
      if (link == nullptr || !link->up) continue;
      if (link->carrier) return &hop;
      if (without_carrier == nullptr) without_carrier = &hop;
    }
    return without_carrier;
  }

  // Where a route's packets go; nothing where no path of it can be used.
  std::optional<NextHopId> follow(const Prefix& prefix, const RouteState::KnownRoute& route) {
    switch (route.type) {
      case RouteType::kLocal:
        return fixed(NextHopState::kLocal);
      case RouteType::kBlackhole:
        return fixed(NextHopState::kBlackhole);
      case RouteType::kUnreachable:
        return fixed(NextHopState::kUnreachable);
      case RouteType::kUnicast:
        break;
    }
    if (route.hops.empty()) return fixed(NextHopState::kNotOurs);  // by a next hop object, unnamed
    const RouteHop* hop = choose_hop(prefix, route.hops);
    if (hop == nullptr) return std::nullopt;
    if (hop->foreign) return fixed(NextHopState::kNotOurs);
    return next_hop({prefix.address.family, hop->interface, hop->gateway, route.mtu});
  }

  NextHopId next_hop(const HopKey& key) {
    if (const auto known = hops_.find(key); known != hops_.end()) return known->second;
    NextHopId id = fixed(NextHopState::kNotOurs);
    if (const auto carrier = carrier_of(key.interface, key.family)) {
      NextHop hop;
      hop.state = NextHopState::kUnresolved;
      hop.port = carrier->port;
      hop.mtu = clamp_mtu(key.mtu == 0 ? carrier->mtu : std::min(key.mtu, carrier->mtu));
      hop.source = carrier->mac;
      hop.vlan = carrier->vlan;
      if (key.gateway) {
        const forwarding::Neighbour gateway{key.interface, *key.gateway};
        if (const auto* neighbour = state_.find_neighbour(gateway)) {
          hop.state = NextHopState::kResolved;
          hop.destination = neighbour->mac;
        }
      }
      id = content_.add_next_hop(hop, {key.interface, key.gateway});
    }
    hops_.emplace(key, id);
    if (id == fixed(NextHopState::kNotOurs)) return id;
    if (key.gateway) {
      gateways_.insert({key.interface, *key.gateway});
    } else {
      links_.emplace(id.value, key);
    }
    return id;
  }

  void add_main_table(const RouteState::RouteMap& map) {
    std::vector<Prefix> shadows = never_forwarded();
    for (const auto& [key, routes] : map) {
      if (key.local_table && key.prefix.length < key.prefix.address.bit_length()) {
        shadows.push_back(key.prefix);
      }
    }
    for (const auto& [key, routes] : map) {
      if (key.local_table) continue;
      const Prefix& prefix = key.prefix;
      if (std::any_of(shadows.begin(), shadows.end(),
                      [&](const Prefix& shadow) { return covers(shadow, prefix); })) {
        continue;
      }
      for (const RouteState::KnownRoute& route : routes) {
        const auto id = follow(prefix, route);
        if (!id) continue;
        content_.add_route(prefix, *id);
        break;
      }
    }
  }

  void add_local_table(const RouteState::RouteMap& map) {
    for (const auto& [key, routes] : map) {
      if (!key.local_table || routes.empty()) continue;
      if (const auto id = follow(key.prefix, routes.front())) content_.add_route(key.prefix, *id);
    }
  }

  // A host that is known becomes a route of its own where its address leads to its link.
  void add_neighbours() {
    const std::set<forwarding::Neighbour> gateways = gateways_;
    if (state_.neighbours_.empty() || links_.empty()) return;
    const forwarding::ForwardingTable routes(content_);
    for (const auto& [who, neighbour] : state_.neighbours_) {
      const auto link = links_.find(routes.lookup(who.address).value);
      if (link == links_.end() || link->second.interface != who.interface) continue;
      HopKey key = link->second;
      key.gateway = who.address;
      const auto length = static_cast<std::uint8_t>(who.address.bit_length());
      content_.add_route({who.address, length}, next_hop(key));
    }
    gateways_ = gateways;  // hosts are none
  }

  const RouteState& state_;
  std::span<const CarriedInterface> carried_;
  forwarding::ForwardingContent content_;
  std::array<NextHopId, 6> fixed_;
  std::map<HopKey, NextHopId> hops_;
  std::map<std::uint32_t, HopKey> links_;  // the next hops that are a link, not a neighbour
  std::set<forwarding::Neighbour> gateways_;
};

BuiltTable RouteState::build(std::span<const CarriedInterface> carried) const {
  return RouteTableBuilder(*this, carried).build();
}

}  // namespace ringway::control
