// The portable gateway: what comes out of the tunnel is filtered, forwarded by the kernel and
// masqueraded, IPv4 and IPv6 alike. The table ringway_TUN, in the order in which a packet meets it:
//
//   guard        from the tunnel only inner sources; from elsewhere neither inner sources nor
//                packets to our tunnel addresses; a flood of handshakes is not tracked (before
//                conntrack)
//   replies      nor are the answers to it
//   input        towards the gateway itself, whatever its address: ping and DNS
//   forward      MSS clamped to the path both ways; from the tunnel to the Internet but nothing
//                private behind the gateway, or to another peer; into the tunnel only answers, and
//                what a port forwarding of the operator's own leads there
//   postrouting  masquerade to a port range of its own
//
// Our accept ends our chain only: another table that drops in forward still does. gateway_warnings
// names such chains. Nothing here linearises a train: only SYNs are written to.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "controlplane/host/host_change.hpp"
#include "controlplane/host/host_journal.hpp"
#include "controlplane/host/host_plan.hpp"

namespace ringway::control {

// Below Linux's default ephemeral range (32768 to 60999) and above the registered services.
inline constexpr PortRange kPreferredNatPorts{20000, 32767};
inline constexpr std::uint16_t kMinNatPorts = 1024;  // mappings to one destination and port

// Ports for masquerading in which no listener and no ephemeral port lies, so that no client of the
// tunnel can shadow one (CVE-2021-3773): the preferred ones, else the largest gap above 1023.
[[nodiscard]] Result<PortRange> choose_nat_ports(PortRange ephemeral,
                                                 std::span<const std::uint16_t> listeners);
// The same by what this host has now, with the tunnel's port as one more listener.
[[nodiscard]] Result<PortRange> free_nat_ports(std::uint16_t tunnel_port);

// Beside what the operator's routes allow, the tunnel leads to nothing of nat::default_denied().
[[nodiscard]] std::string gateway_ruleset(const HostPlan& plan, PortRange nat_ports);

// For a gateway whose node forwards and translates by itself: the guard and the input chain of the
// other one, and the NAT's ports closed to the kernel. It answers nobody's connection with a reset
// while the node is away.
[[nodiscard]] std::string own_nat_ruleset(const HostPlan& plan);

// Forwarding, with everything that switching it on alters by the way.
[[nodiscard]] Result<std::vector<HostChange>> gateway_forwarding(const HostPlan& plan,
                                                                 const HostJournal& journal,
                                                                 bool has_ipv6);

// What will keep the gateway from working although it was set up: one line each.
[[nodiscard]] std::vector<std::string> gateway_warnings(const HostPlan& plan);

}  // namespace ringway::control
