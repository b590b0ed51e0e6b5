// What a node wants of its host. The daemon fills it from its configuration; HostSetup does it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "controlplane/host/netlink.hpp"

namespace ringway::control {

// 0x5257 is "RW": the mark of the node's own sockets, and the routing table of everything else.
inline constexpr std::uint32_t kHostFwmark = 0x5257;
inline constexpr std::uint32_t kTunnelRouteTable = 0x5257;
// Priorities of the policy rules. Below those of other programs (wg-quick 32764, Tailscale 5210),
// so that none of theirs is asked first; the rule of the table `local`, 0, stays in front.
inline constexpr std::uint32_t kDhcpRulePriority = 82;    // "R"
inline constexpr std::uint32_t kTunnelRulePriority = 87;  // "W"

// First and last port, both included.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool operator==(const PortRange&) const = default;
};

struct HostPlan {
  std::string tun_name;  // exists already: the TUN port made it
  std::vector<LocalAddress> addresses;
  std::uint32_t mtu = 1420;
  std::uint32_t fwmark = kHostFwmark;      // of the node's own UDP sockets
  std::uint16_t listen_port = 0;           // the port that the node's socket is bound to
  std::vector<net::Prefix> peer_prefixes;  // allowed IPs of all peers; default routes are ignored
  bool full_tunnel = false;                // an edge: everything goes through the tunnel
  bool masquerade = false;                 // a portable gateway: the tunnel reaches the Internet
  bool own_nat = false;  // a gateway that forwards past the kernel: it only has to keep out of it
  PortRange nat_ports;   // with own_nat: the ports of that NAT
  std::string wan_interface;  // of a gateway; empty: any but the TUN
  std::filesystem::path state_directory;

  [[nodiscard]] bool has_address(net::Family family) const;
  // Our nftables tables: family and name.
  [[nodiscard]] std::string table_name() const { return "inet ringway_" + tun_name; }
  [[nodiscard]] std::string arp_table_name() const { return "arp ringway_" + tun_name; }
};

// Names and numbers that cannot be meant, before anything is touched.
[[nodiscard]] Result<void> check_plan(const HostPlan& plan);

// Whether a name may stand unquoted in paths and rulesets: letters, digits, '_', '-', '.'; at most
// 15, and not a name of /proc/sys/net/*/conf itself.
[[nodiscard]] bool is_plain_interface_name(std::string_view name);

// The networks inside the tunnel: those of our addresses and the peers' prefixes, without default
// routes and without what another one covers; sorted.
[[nodiscard]] std::vector<net::Prefix> inner_prefixes(const HostPlan& plan, net::Family family);

// "{ 10.77.0.0/24, 10.78.0.0/16 }", as nftables wants it.
[[nodiscard]] std::string nft_set(const std::vector<net::Prefix>& prefixes);
// Our own addresses of a family, as host prefixes.
[[nodiscard]] std::vector<net::Prefix> own_addresses(const HostPlan& plan, net::Family family);

}  // namespace ringway::control
