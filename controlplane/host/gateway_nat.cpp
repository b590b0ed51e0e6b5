#include "controlplane/host/gateway_nat.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>

#include "controlplane/host/nftables.hpp"
#include "controlplane/host/sysctl.hpp"
#include "dataplane/nat/nat.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::control {
namespace {

constexpr unsigned kFirstUnprivilegedPort = 1024;

// Handshake messages beyond this are a flood. A thousand peers, of which each has a handshake every
// two minutes, come nowhere near; all of them at once, after a restart, are the burst.
constexpr const char* kOverFloodRate = " limit rate over 1000/second burst 1000 packets";

constexpr net::Family kFamilies[] = {net::Family::kIpv4, net::Family::kIpv6};

std::vector<net::Prefix> denied_destinations(net::Family family) {
  auto denied = nat::default_denied();
  std::erase_if(denied, [&](const net::Prefix& prefix) { return prefix.address.family != family; });
  return denied;
}

std::string_view nft_family(net::Family family) {
  return family == net::Family::kIpv4 ? "ip" : "ip6";
}

class RulesetWriter {
 public:
  RulesetWriter(const HostPlan& plan, PortRange nat_ports)
      : plan_(plan), nat_ports_(nat_ports), tun_("\"" + plan.tun_name + "\"") {}

  std::string write() {
    out_ << "table " << plan_.table_name() << " {\n";
    write_guard();
    write_untracked_replies();
    write_input();
    write_forward();
    write_from_tunnel();
    write_to_tunnel();
    write_masquerade();
    out_ << "}\n";
    return out_.str();
  }

  std::string write_own_nat() {
    out_ << "table " << plan_.table_name() << " {\n";
    write_guard();
    write_input();
    write_closed_forward();
    out_ << "}\n";
    return out_.str();
  }

 private:
  // No verdict map on the interface, though it would ask once: while a table is replaced, the
  // kernel deactivates the elements of the old one's maps before it unregisters the old one's
  // hooks, and a packet that passes in between finds nothing.
  void write_guard() {
    out_ << "  chain guard {\n    type filter hook prerouting priority -300; policy accept;\n"
         << "    iifname " << tun_ << " goto guard_tunnel\n    iifname \"lo\" accept\n";
    for (const net::Family family : kFamilies) {
      const auto inner = inner_prefixes(plan_, family);
      const auto own = own_addresses(plan_, family);
      const std::string ip(nft_family(family));
      if (!own.empty()) out_ << "    " << ip << " daddr " << nft_set(own) << " drop\n";
      if (!inner.empty()) out_ << "    " << ip << " saddr " << nft_set(inner) << " drop\n";
    }
    // Own sources from outside: IPv4 has this in its routing (martians), IPv6 has not. Multicast
    // that we sent ourselves comes back as another packet type and passes.
    out_ << "    meta nfproto ipv6 meta pkttype host fib saddr type local drop\n";
    if (plan_.masquerade) write_untracked_flood();
    out_ << "  }\n";
    write_guard_tunnel();
  }

  void write_guard_tunnel() {
    out_ << "  chain guard_tunnel {\n";
    for (const net::Family family : kFamilies) {
      const auto inner = inner_prefixes(plan_, family);
      const auto own = own_addresses(plan_, family);
      const std::string ip(nft_family(family));
      if (inner.empty()) {
        out_ << "    meta nfproto " << (family == net::Family::kIpv4 ? "ipv4" : "ipv6")
             << " drop\n";
        continue;
      }
      out_ << "    " << ip << " saddr != " << nft_set(inner) << " drop\n";
      if (!own.empty()) out_ << "    " << ip << " saddr " << nft_set(own) << " drop\n";
    }
    out_ << "  }\n";
  }

  // Each spoofed initiation would be a flow to conntrack, and its table is what the masqueraded
  // connections live in. As long as it is no flood, all are tracked: a firewall of the operator's
  // that asks for `ct state` finds what it expects. Whether the destination is this host is not
  // asked: it would cost as much as tracking.
  void write_untracked_flood() {
    out_ << "    udp dport " << plan_.listen_port
         << " @th,64,8 != " << static_cast<int>(tunnel::MessageType::kData) << kOverFloodRate
         << " notrack\n";
  }

  // Nor the answers to them.
  void write_untracked_replies() {
    out_ << "  chain replies {\n    type filter hook output priority -300; policy accept;\n"
         << "    udp sport " << plan_.listen_port << " @th,64,8 "
         << static_cast<int>(tunnel::MessageType::kCookieReply) << kOverFloodRate
         << " notrack\n  }\n";
  }

  // A segment that conntrack gave up on is not translated back: answering it with a reset, as the
  // host's own TCP would, would end a subscriber's connection.
  void write_input() {
    out_ << "  chain input {\n"
            "    type filter hook input priority 0; policy accept;\n"
            "    iifname "
         << tun_ << " goto input_tunnel\n"
         << (plan_.own_nat ? "    meta l4proto { tcp, udp } th dport " : "    tcp dport ")
         << nat_ports_.first << "-" << nat_ports_.last
         << (plan_.own_nat ? " drop\n" : " ct state invalid drop\n")
         << "  }\n"
            "  chain input_tunnel {\n"
            "    ct state established,related accept\n"
            "    icmp type echo-request accept\n"
            "    icmpv6 type echo-request accept\n"
            "    meta l4proto { tcp, udp } th dport 53 accept\n"
            "    drop\n  }\n";
  }

  void write_closed_forward() {
    out_ << "  chain forward {\n"
            "    type filter hook forward priority 0; policy accept;\n"
            "    iifname "
         << tun_ << " drop\n    oifname " << tun_ << " drop\n  }\n";
  }

  void write_forward() {
    out_ << "  chain forward {\n"
            "    type filter hook forward priority 0; policy accept;\n";
    for (const char* direction : {"iifname", "oifname"}) {
      out_ << "    " << direction << " " << tun_
           << " tcp flags syn / syn,rst tcp option maxseg size set rt mtu\n";
    }
    out_ << "    iifname " << tun_ << " goto from_tunnel\n"
         << "    oifname " << tun_ << " goto to_tunnel\n  }\n";
  }

  void write_from_tunnel() {
    out_ << "  chain from_tunnel {\n";
    for (const net::Family family : kFamilies) {
      const auto inner = inner_prefixes(plan_, family);
      if (inner.empty()) continue;
      out_ << "    oifname " << tun_ << " " << nft_family(family) << " daddr " << nft_set(inner)
           << " accept\n";
    }
    out_ << "    oifname " << tun_ << " drop\n";
    out_ << "    ct state invalid drop\n";  // would leave untranslated
    if (!plan_.wan_interface.empty()) {
      out_ << "    oifname != \"" << plan_.wan_interface
           << "\" reject with icmpx admin-prohibited\n";
    }
    for (const net::Family family : kFamilies) {
      out_ << "    " << nft_family(family) << " daddr " << nft_set(denied_destinations(family))
           << " reject with icmpx admin-prohibited\n";
    }
    out_ << "    accept\n  }\n";
  }

  void write_to_tunnel() {
    out_ << "  chain to_tunnel {\n"
            "    ct state established,related accept\n"
            "    ct status dnat accept\n"
            "    drop\n  }\n";
  }

  void write_masquerade() {
    out_ << "  chain nat_out {\n    type nat hook postrouting priority 100; policy accept;\n";
    const std::string leaves = plan_.wan_interface.empty()
                                   ? "oifname != { \"lo\", " + tun_ + " }"
                                   : "oifname \"" + plan_.wan_interface + "\"";
    for (const net::Family family : kFamilies) {
      const auto inner = inner_prefixes(plan_, family);
      if (inner.empty()) continue;
      const std::string match = "    " + leaves + " " + std::string(nft_family(family)) +
                                " saddr " + nft_set(inner) + " ";
      out_ << match << "meta l4proto { tcp, udp } masquerade to :" << nat_ports_.first << "-"
           << nat_ports_.last << "\n"
           << match << "masquerade\n";
    }
    out_ << "  }\n";
  }

  const HostPlan& plan_;
  PortRange nat_ports_;
  std::string tun_;
  std::ostringstream out_;
};

// Adds the local ports of the sockets in a table of /proc/net. For UDP every bound socket listens;
// for TCP those in state 0A (LISTEN).
void read_listeners(const char* path, bool tcp, std::vector<std::uint16_t>& ports) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // headings
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state;
    fields >> slot >> local >> remote >> state;
    const std::size_t colon = local.rfind(':');
    if (colon == std::string::npos || (tcp && state != "0A")) continue;
    std::uint16_t port = 0;
    const char* begin = local.data() + colon + 1;
    if (std::from_chars(begin, local.data() + local.size(), port, 16).ec == std::errc{}) {
      ports.push_back(port);
    }
  }
}

Result<PortRange> ephemeral_ports() {
  const char* name = "net/ipv4/ip_local_port_range";  // of both families
  const auto text = sysctl::read(name);
  if (!text) return tl::unexpected(text.error());
  std::istringstream fields(*text);
  PortRange range;
  if (!(fields >> range.first >> range.last)) {
    return failure("the setting " + std::string(name) + " is not a range: " + *text);
  }
  return range;
}

class ForwardingPlanner {
 public:
  ForwardingPlanner(const HostPlan& plan, const HostJournal& journal)
      : plan_(plan), journal_(journal) {}

  // IPv4 forwards by the interface that a packet comes in by: with a known WAN interface, two
  // settings are enough, and no other interface of the host becomes a router's.
  Result<void> plan_ipv4() {
    if (!plan_.wan_interface.empty()) {
      for (const std::string& name : {plan_.tun_name, plan_.wan_interface}) {
        if (auto set = change("net/ipv4/conf/" + name + "/forwarding", "1"); !set) return set;
      }
      return {};
    }
    return switch_on_everywhere("net/ipv4/conf", "net/ipv4/ip_forward",
                                {"net/ipv4/conf/all/accept_redirects"});
  }

  // IPv6 has one switch. Before it is turned, interfaces that take their default route from router
  // advertisements must be told to go on doing so (2), or the kernel throws those routes away.
  Result<void> plan_ipv6() {
    const char* everywhere = "net/ipv6/conf/all/forwarding";
    const auto before = journal_.setting_before(everywhere);
    if (!before) return tl::unexpected(before.error());
    if (*before != "0") return {};
    for (const std::string& interface : interfaces("net/ipv6/conf")) {
      if (interface == plan_.tun_name) continue;
      const std::string accept_ra = "net/ipv6/conf/" + interface + "/accept_ra";
      if (journal_.setting_before(accept_ra).value_or("") != "1") continue;
      if (auto set = change(accept_ra, "2"); !set) return set;
    }
    return switch_on_everywhere("net/ipv6/conf", everywhere, {});
  }

  std::vector<HostChange> take() { return std::move(changes_); }

 private:
  static std::vector<std::string> interfaces(const std::string& directory) {
    auto names = sysctl::list(directory);
    std::erase_if(names, [](const std::string& name) { return name == "all" || name == "lo"; });
    return names;
  }

  Result<void> change(const std::string& name, const char* value) {
    const auto before = journal_.setting_before(name);
    if (!before) return tl::unexpected(before.error());
    changes_.emplace_back(SetSysctl{name, value, *before});
    return {};
  }

  // The switch writes every interface's own setting, and switching it off again writes 0 there. So
  // those that are 1 now, and `side_effects`, are remembered first. After a crash with the switch
  // on they say nothing any more: then what the journal remembers counts.
  Result<void> switch_on_everywhere(const std::string& directory, const std::string& name,
                                    std::vector<std::string> side_effects) {
    const auto before = journal_.setting_before(name);
    if (!before) return tl::unexpected(before.error());
    if (*before != "0") return {};
    const bool adopting = journal_.find(change_key(SetSysctl{name, "1", "0"})) != nullptr;
    for (const std::string& interface : interfaces(directory)) {
      std::string own = directory;
      own.append("/").append(interface).append("/forwarding");
      if (adopting || sysctl::read(own).value_or("0") == "1") side_effects.push_back(own);
    }
    for (const std::string& setting : side_effects) {
      const auto value = journal_.setting_before(setting);
      if (!value) return tl::unexpected(value.error());
      const SetSysctl remembered{setting, std::nullopt, *value};
      if (!adopting || journal_.find(change_key(remembered)) != nullptr) {
        changes_.emplace_back(remembered);
      }
    }
    return change(name, "1");
  }

  const HostPlan& plan_;
  const HostJournal& journal_;
  std::vector<HostChange> changes_;
};

}  // namespace

Result<PortRange> choose_nat_ports(PortRange ephemeral, std::span<const std::uint16_t> listeners) {
  std::vector<bool> taken(65536, false);
  for (unsigned port = ephemeral.first; port <= ephemeral.last; ++port)
    taken[port] = true;
  for (const std::uint16_t port : listeners)
    taken[port] = true;
  const auto first = taken.begin() + kPreferredNatPorts.first;
  const auto end = taken.begin() + kPreferredNatPorts.last + 1;
  if (std::find(first, end, true) == end) return kPreferredNatPorts;

  unsigned best_first = 0;
  unsigned best_count = 0;
  for (unsigned port = kFirstUnprivilegedPort, start = port; port <= taken.size(); ++port) {
    if (port < taken.size() && !taken[port]) continue;
    if (port - start > best_count) {
      best_first = start;
      best_count = port - start;
    }
    start = port + 1;
  }
  if (best_count < kMinNatPorts) {
    return failure(
        "no " + std::to_string(kMinNatPorts) + " consecutive ports are free for masquerading",
        "narrow net.ipv4.ip_local_port_range");
  }
  return PortRange{static_cast<std::uint16_t>(best_first),
                   static_cast<std::uint16_t>(best_first + best_count - 1)};
}

Result<PortRange> free_nat_ports(std::uint16_t tunnel_port) {
  const auto ephemeral = ephemeral_ports();
  if (!ephemeral) return tl::unexpected(ephemeral.error());
  std::vector<std::uint16_t> listeners{tunnel_port};
  for (const char* path : {"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"}) {
    read_listeners(path, false, listeners);
  }
  for (const char* path : {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}) {
    read_listeners(path, true, listeners);
  }
  return choose_nat_ports(*ephemeral, listeners);
}

std::string gateway_ruleset(const HostPlan& plan, PortRange nat_ports) {
  return RulesetWriter(plan, nat_ports).write();
}

std::string own_nat_ruleset(const HostPlan& plan) {
  return RulesetWriter(plan, plan.nat_ports).write_own_nat();
}

Result<std::vector<HostChange>> gateway_forwarding(const HostPlan& plan, const HostJournal& journal,
                                                   bool has_ipv6) {
  ForwardingPlanner planner(plan, journal);
  if (auto planned = planner.plan_ipv4(); !planned) return tl::unexpected(planned.error());
  if (has_ipv6 && plan.has_address(net::Family::kIpv6)) {
    if (auto planned = planner.plan_ipv6(); !planned) return tl::unexpected(planned.error());
  }
  return planner.take();
}

std::vector<std::string> gateway_warnings(const HostPlan& plan) {
  std::vector<std::string> warnings;
  const auto chains = nftables::dropping_chains("forward", plan.table_name());
  if (!chains) return {"other firewalls could not be looked at: " + chains.error().text()};
  for (const std::string& chain : *chains) {
    std::string warning = "the nftables chain '";
    warning += chain;
    warning += "' drops forwarded packets that it does not accept itself: let it accept ";
    warning += plan.tun_name;
    warnings.push_back(std::move(warning));
  }
  return warnings;
}

}  // namespace ringway::control
