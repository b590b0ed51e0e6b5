// Where a packet goes when it leaves by one of the gateway's own Ethernet ports: the next hop that
// a route leads to, and the Ethernet header that takes it there.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "base/net/address.hpp"
#include "base/net/ethernet.hpp"

namespace ringway::forwarding {

// A next hop of one ForwardingTable; another table numbers anew. 0 is "no route".
struct NextHopId {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const NextHopId&) const = default;
};

enum class NextHopState : std::uint8_t {
  kUnreachable,  // no route, or one that refuses: the sender deserves an ICMP error
  kBlackhole,    // a route that says nothing, or what no router forwards (multicast, link-local)
  kLocal,        // an address of this host
  kNotOurs,      // leaves by an interface that is not carried here: the kernel's business
  kUnresolved,   // the neighbour's MAC address is not known yet: wait and ask (pending.hpp)
  kResolved,     // ready to go
};

// Somebody on a link, as the kernel's neighbour table names him.
struct Neighbour {
  std::uint32_t interface = 0;  // the kernel's index
  net::IpAddress address;
  auto operator<=>(const Neighbour&) const = default;
};

// Half a cache line at most: one is read for each packet.
struct NextHop {
  NextHopState state = NextHopState::kUnreachable;
  std::uint8_t port = 0;  // which of the worker's Ethernet ports; resolved and unresolved
  std::uint16_t mtu = 0;  // bytes of the largest IP packet; resolved and unresolved
  net::MacAddress source;
  net::MacAddress destination;  // resolved only
  net::VlanTag vlan;            // present where the route leaves by a VLAN of the port
  auto operator<=>(const NextHop&) const = default;
};
static_assert(sizeof(NextHop) <= 32);

[[nodiscard]] inline std::size_t ethernet_header_bytes(const NextHop& hop) {
  return net::EthernetView::kHeaderBytes +
         (hop.vlan.present() ? net::EthernetView::kTagBytes : std::size_t{0});
}

// Writes the header of a frame to a resolved next hop, ethernet_header_bytes() of them; returns how
// many. The packet starts behind them.
inline std::size_t emit_ethernet(const NextHop& hop, net::Family family, std::uint8_t* frame) {
  DCHECK(hop.state == NextHopState::kResolved);
  return net::emit_ethernet(
      frame, hop.destination.bytes.data(), hop.source.bytes.data(), hop.vlan,
      family == net::Family::kIpv4 ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6);
}

}  // namespace ringway::forwarding
