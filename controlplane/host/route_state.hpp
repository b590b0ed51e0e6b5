// The content of the mirror: links, addresses, routes and neighbours as the kernel last told them,
// and the forwarding table that follows from them. No sockets; route_mirror.hpp keeps it true.
//
// What it follows of the host's routing: the local table, then the main table, both families. Of
// routes with one prefix the lowest metric whose link is up counts; of equal-cost paths one a
// prefix, chosen by a hash of the prefix among those whose link is up, rather with a carrier.
// Of several routes with one prefix and one metric the first counts, also of default routes, where
// the kernel would rather have one whose gateway answers.
// Rules (`ip rule`), other tables, and routes for some sources or types of service are not
// followed. Paths through an encapsulation, or to a gateway of the other family, are left to the
// kernel.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/net/address.hpp"
#include "controlplane/host/netlink.hpp"
#include "controlplane/host/route_messages.hpp"
#include "dataplane/forwarding/forwarding_table.hpp"

namespace ringway::control {

// An Ethernet interface that a worker carries, and the number of the worker's port on it. VLAN
// interfaces on top of it are carried by the same port.
struct CarriedInterface {
  std::uint32_t interface = 0;
  std::uint8_t port = 0;
};

// What the kernel can be asked for as a whole.
enum class RoutePart : std::uint8_t { kLinks, kAddresses, kRoutesV4, kRoutesV6, kNeighbours };
inline constexpr std::size_t kRoutePartCount = 5;

// What a message did.
enum class RouteEffect : std::uint8_t {
  kNone,
  kChanged,
  kUnclear,  // it does not fit what is known: ask for the whole part again
};

struct BuiltTable {
  forwarding::ForwardingTable table;
  std::set<forwarding::Neighbour> gateways;  // of the routes that leave by carried interfaces
};

class RouteState {
 public:
  struct KnownNeighbour {
    net::MacAddress mac;
    bool stale = false;
  };

  RouteEffect apply(const route_message::Link& link);
  RouteEffect apply(const route_message::Address& message);
  RouteEffect apply(const route_message::Route& message);
  RouteEffect apply(const route_message::Neighbour& message);
  // One of the entries of a whole part, in the kernel's order.
  void add_listed(const route_message::Route& message);

  // Replaces one part by another's.
  void take_part(RoutePart part, RouteState& from);

  [[nodiscard]] BuiltTable build(std::span<const CarriedInterface> carried) const;
  [[nodiscard]] std::vector<LocalAddress> addresses(std::uint32_t interface) const;
  // Null where there is none that could be used.
  [[nodiscard]] const KnownNeighbour* find_neighbour(const forwarding::Neighbour& who) const;
  [[nodiscard]] const route_message::Link* find_link(std::uint32_t interface) const;
  [[nodiscard]] std::size_t route_count() const;
  [[nodiscard]] std::size_t neighbour_count() const { return neighbours_.size(); }

 private:
  friend class RouteTableBuilder;

  struct RouteKey {
    net::Prefix prefix;
    bool local_table = false;
    bool operator==(const RouteKey&) const = default;
  };
  struct KnownRoute {
    std::uint32_t metric = 0;
    std::uint32_t mtu = 0;
    route_message::RouteType type{};
    std::vector<route_message::RouteHop> hops;
    bool operator==(const KnownRoute&) const = default;
  };
  struct Hash {
    std::size_t operator()(const RouteKey& key) const;
    std::size_t operator()(const forwarding::Neighbour& neighbour) const;
  };
  // By metric; of one metric in the kernel's order.
  using KnownRoutes = std::vector<KnownRoute>;
  using RouteMap = std::unordered_map<RouteKey, KnownRoutes, Hash>;

  [[nodiscard]] RouteMap& routes_of(const route_message::Route& route);
  static void insert(KnownRoutes& routes, KnownRoute route);
  static RouteEffect add(KnownRoutes& routes, KnownRoute route, bool replaces);
  static RouteEffect remove(KnownRoutes& routes, const KnownRoute& route);

  std::unordered_map<std::uint32_t, route_message::Link> links_;
  std::unordered_map<std::uint32_t, std::vector<LocalAddress>> addresses_;
  RouteMap routes_v4_;
  RouteMap routes_v6_;
  std::unordered_map<forwarding::Neighbour, KnownNeighbour, Hash> neighbours_;
};

}  // namespace ringway::control
