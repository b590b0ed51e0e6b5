// The edge with all its traffic in the tunnel: exactly the node's own marked socket leaves outside.
//
//   ip rule, both families
//      0   lookup local
//     82   iif lo udp sport 68 dport 67 (IPv6: 546, 547)  lookup main suppress_prefixlength 0
//     87   not fwmark 0x5257  lookup 21079
//  32766   lookup main                                    <- only marked packets come this far
//
//   table 21079
//     default dev TUN
//     unreachable default metric 4294967295               <- stays when the device is gone
//
// A family in which the tunnel has no address gets only the unreachable route: programs fall back
// to the other family at once, and nothing leaks.
//
// Routing alone does not close a host. A socket bound to an interface (SO_BINDTODEVICE, which needs
// no privilege; a scope; IP_MULTICAST_IF) skips the device route, and Linux then takes the
// destination for on-link (IPv4) or goes on to main (IPv6). Therefore the table ringway_TUN drops
// in output and forward what is not for the tunnel, not marked, and not DHCP, neighbour discovery
// or multicast listener reports.
//
// What is on-link in main is not reachable beside the tunnel either: an access network may claim
// any prefix as its own (TunnelCrack), the gateway's address among them. So printers, and bridges
// of containers and virtual machines on this host, are out of reach while the full tunnel is on.
// ARP, neighbour and router discovery and DHCP by packet sockets do not ask these tables; rule 82
// is for clients that renew a lease by an ordinary socket, which their privileged port makes safe.
//
// Reverse-path filtering asks the same tables about what arrives. With src_valid_mark it asks them
// with the packet's mark, which is therefore set on what is for the node's port (by port and not by
// conntrack, which would cost every packet a lookup), on ICMP errors and on ARP requests: those
// that fail the filter are not answered, and the router loses this host.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "controlplane/host/host_change.hpp"
#include "controlplane/host/host_plan.hpp"

namespace ringway::control {

// The nftables table: guard of the tunnel's addresses, marking, kill switch.
[[nodiscard]] std::string full_tunnel_ruleset(const HostPlan& plan);

// The table that marks ARP requests.
[[nodiscard]] std::string full_tunnel_arp_ruleset(const HostPlan& plan);

// Settings, routes and rules in the order in which they must come into force: closed first, and the
// rules, which turn it on, last. `has_ipv6`: the kernel has IPv6 at all. `src_valid_mark` is the
// present value of that setting.
[[nodiscard]] std::vector<HostChange> full_tunnel_routing(const HostPlan& plan, int tun_index,
                                                          bool has_ipv6,
                                                          const std::string& src_valid_mark);

}  // namespace ringway::control
