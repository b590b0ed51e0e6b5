#include "controlplane/host/full_tunnel.hpp"

#include <sstream>

#include <netinet/in.h>

namespace ringway::control {
namespace {

// The worst metric there is, in both families.
constexpr std::uint32_t kUnreachableMetric = UINT32_MAX;

struct DhcpPorts {
  std::uint16_t client;
  std::uint16_t server;
};
// RFC 2131 section 4.1 and RFC 8415 section 7.2.
constexpr DhcpPorts kDhcp4{68, 67};
constexpr DhcpPorts kDhcp6{546, 547};

// Runs before conntrack: forged packets to the tunnel's addresses (CVE-2019-14899) get no entry.
void write_guard(std::ostringstream& out, const HostPlan& plan) {
  const auto own4 = own_addresses(plan, net::Family::kIpv4);
  const auto own6 = own_addresses(plan, net::Family::kIpv6);
  out << "  chain from_outside {\n"
         "    type filter hook prerouting priority -300; policy accept;\n"
         "    iifname { \"lo\", \""
      << plan.tun_name << "\" } accept\n";
  if (!own4.empty()) out << "    ip daddr " << nft_set(own4) << " drop\n";
  if (!own6.empty()) out << "    ip6 daddr " << nft_set(own6) << " drop\n";
  // Only what is for this host itself: a marked packet that is forwarded would leave outside. ICMP
  // errors come from routers on the way and carry the path MTU.
  out << "    udp dport " << plan.listen_port << " fib daddr type local meta mark set "
      << plan.fwmark << "\n"
      << "    icmp type { destination-unreachable, time-exceeded, parameter-problem } "
         "fib daddr type local meta mark set "
      << plan.fwmark << "\n  }\n";
}

void write_kill_switch(std::ostringstream& out, const HostPlan& plan) {
  out << "  chain kill_switch_output {\n"
         "    type filter hook output priority 0; policy drop;\n"
         "    meta mark "
      << plan.fwmark
      << " accept\n"
         "    oifname { \"lo\", \""
      << plan.tun_name
      << "\" } accept\n"
         "    meta nfproto ipv4 udp sport "
      << kDhcp4.client << " udp dport " << kDhcp4.server
      << " accept\n"
         "    meta nfproto ipv6 udp sport "
      << kDhcp6.client << " udp dport " << kDhcp6.server
      << " accept\n"
         // Hop limits by which receivers know that these came from the link (RFC 4861, RFC 3810).
         "    ip6 hoplimit 255 icmpv6 type { nd-router-solicit, nd-neighbor-solicit, "
         "nd-neighbor-advert } accept\n"
         "    ip6 hoplimit 1 icmpv6 type { mld-listener-report, mld-listener-done, "
         "mld2-listener-report } accept\n"
         "  }\n"
         "  chain kill_switch_forward {\n"
         "    type filter hook forward priority 0; policy drop;\n"
         "    oifname \""
      << plan.tun_name << "\" accept\n  }\n";
}

net::Prefix default_prefix(net::Family family) {
  net::Prefix prefix;
  prefix.address.family = family;
  return prefix;
}

Rule dhcp_rule(net::Family family) {
  const DhcpPorts ports = family == net::Family::kIpv4 ? kDhcp4 : kDhcp6;
  Rule rule;
  rule.family = family;
  rule.priority = kDhcpRulePriority;
  rule.suppress_prefix_length = 0;
  rule.in_interface = "lo";
  rule.protocol = IPPROTO_UDP;
  rule.source_port = ports.client;
  rule.destination_port = ports.server;
  return rule;
}

Rule tunnel_rule(net::Family family, std::uint32_t fwmark) {
  Rule rule;
  rule.family = family;
  rule.priority = kTunnelRulePriority;
  rule.table = kTunnelRouteTable;
  rule.mark = fwmark;
  rule.invert = true;
  return rule;
}

}  // namespace

std::string full_tunnel_ruleset(const HostPlan& plan) {
  std::ostringstream out;
  out << "table " << plan.table_name() << " {\n";
  write_guard(out, plan);
  write_kill_switch(out, plan);
  out << "}\n";
  return out.str();
}

std::string full_tunnel_arp_ruleset(const HostPlan& plan) {
  return "table " + plan.arp_table_name() +
         " {\n"
         "  chain from_outside {\n"
         "    type filter hook input priority 0; policy accept;\n"
         "    meta mark set " +
         std::to_string(plan.fwmark) + "\n  }\n}\n";
}

std::vector<HostChange> full_tunnel_routing(const HostPlan& plan, int tun_index, bool has_ipv6,
                                            const std::string& src_valid_mark) {
  std::vector<net::Family> families{net::Family::kIpv4};
  if (has_ipv6) families.push_back(net::Family::kIpv6);

  std::vector<HostChange> changes;
  changes.emplace_back(SetSysctl{"net/ipv4/conf/all/src_valid_mark", "1", src_valid_mark});
  for (const net::Family family : families) {
    changes.emplace_back(AddRoute{{.destination = default_prefix(family),
                                   .table = kTunnelRouteTable,
                                   .kind = RouteKind::kUnreachable,
                                   .metric = kUnreachableMetric}});
    if (!plan.has_address(family)) continue;
    changes.emplace_back(AddRoute{{.destination = default_prefix(family),
                                   .table = kTunnelRouteTable,
                                   .interface_index = tun_index}});
  }
  for (const net::Family family : families) {
    changes.emplace_back(AddRule{dhcp_rule(family)});
    changes.emplace_back(AddRule{tunnel_rule(family, plan.fwmark)});
  }
  return changes;
}

}  // namespace ringway::control
