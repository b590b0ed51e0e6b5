// What rtnetlink says about links, addresses, routes and neighbours, as values. Parsing is strict:
// a length that does not fit its message makes the message malformed, and nothing is read outside
// it. What Ringway has no use for (other families, other tables, cached routes) is ignored. Source:
// rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/neighbour.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/net/ethernet.hpp"
#include "dataplane/forwarding/next_hop.hpp"

namespace ringway::control::route_message {

struct Malformed {};
struct Ignored {};
struct DumpEnd {};
struct Refusal {
  int error = 0;  // an errno value
};
// Next hop objects (`ip nexthop`) changed, and with them routes that are not announced again.
struct NextHopObject {};
// IPv6 settings of a link changed, such as the MTU that a router announced.
struct Ipv6Settings {};

struct Link {
  bool removed = false;
  std::uint32_t index = 0;
  std::string name;
  bool ethernet = false;
  bool up = false;       // by the administrator
  bool carrier = false;  // the other end is there
  std::uint32_t mtu = 0;
  std::uint32_t mtu_v6 = 0;  // 0 where IPv6 is off
  std::optional<net::MacAddress> mac;
  std::uint32_t lower = 0;  // of a VLAN: the interface that carries it; 0 where it is elsewhere
  net::VlanTag vlan;        // present on a VLAN interface
  bool operator==(const Link&) const = default;
};

struct Address {
  bool removed = false;
  std::uint32_t interface = 0;
  net::IpAddress address;
  std::uint8_t length = 0;  // of the network that it stands in
  bool operator==(const Address&) const = default;
};

enum class RouteType : std::uint8_t {
  kUnicast,
  kLocal,        // also anycast
  kBlackhole,    // also broadcast and multicast, which no router forwards
  kUnreachable,  // also prohibit, and throw: there is no table after the main one
};

struct RouteHop {
  std::uint32_t interface = 0;
  std::optional<net::IpAddress> gateway;  // unset: on the link
  bool foreign = false;  // needs what only the kernel does: an encapsulation, another family
  bool operator==(const RouteHop&) const = default;
};

struct Route {
  bool removed = false;
  bool replaces = false;     // the first of its prefix and metric
  bool local_table = false;  // which is asked before the main table
  net::Prefix destination;
  std::uint32_t metric = 0;  // lower is better
  RouteType type = RouteType::kUnicast;
  std::uint32_t mtu = 0;       // bytes; 0: that of the link
  bool conditional = false;    // for some sources or types of service only: not mirrored
  std::vector<RouteHop> hops;  // of a unicast route; several are equal-cost paths
};

struct Neighbour {
  bool removed = false;
  forwarding::Neighbour who;
  std::optional<net::MacAddress> mac;  // set where it may be used (Linux: NUD_VALID)
  bool stale = false;                  // usable, but not confirmed for long (NUD_STALE)
};

using Message = std::variant<Ignored, Malformed, DumpEnd, Refusal, NextHopObject, Ipv6Settings,
                             Link, Address, Route, Neighbour>;

struct Header {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t port = 0;
};

// Takes the messages of a datagram one by one.
class Reader {
 public:
  explicit Reader(ConstBytes datagram) : rest_(datagram) {}
  // False at the end, or where the next message is cut off.
  [[nodiscard]] bool next(Header& header, ConstBytes& body);
  [[nodiscard]] bool cut_off() const { return cut_off_; }

 private:
  ConstBytes rest_;
  bool cut_off_ = false;
};

[[nodiscard]] Message parse(const Header& header, ConstBytes body);

}  // namespace ringway::control::route_message
