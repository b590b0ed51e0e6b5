#include "controlplane/host/host_plan.hpp"

#include <algorithm>
#include <tuple>

namespace ringway::control {
namespace {

constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ less the terminator

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

bool by_address(const net::Prefix& a, const net::Prefix& b) {
  return std::tie(a.address.bytes, a.length) < std::tie(b.address.bytes, b.length);
}

Result<void> check_interface_name(const std::string& name, std::string_view role) {
  if (is_plain_interface_name(name)) return {};
  return failure("'" + name + "' cannot be the name of the " + std::string(role),
                 "1 to 15 letters, digits, '_', '-' or '.'");
}

Result<void> check_gateway(const HostPlan& plan) {
  if (plan.wan_interface.empty()) return {};
  if (plan.wan_interface == plan.tun_name) {
    return failure("the gateway's interface " + plan.wan_interface + " is the tunnel itself",
                   "name the interface towards the Internet, or leave it out");
  }
  return check_interface_name(plan.wan_interface, "gateway's interface");
}

Result<void> check_full_tunnel(const HostPlan& plan) {
  if (plan.fwmark == 0) {
    return failure("a full tunnel needs a firewall mark other than 0",
                   "leave fwmark out to get the default");
  }
  if (plan.listen_port == 0) {
    return failure("a full tunnel needs the port of the node's socket",
                   "bind the socket before the host is set up");
  }
  return {};
}

}  // namespace

bool HostPlan::has_address(net::Family family) const {
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const LocalAddress& address) { return address.address.family == family; });
}

bool is_plain_interface_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxInterfaceName) return false;
  if (name == "." || name == ".." || name == "all" || name == "default") return false;
  return std::all_of(name.begin(), name.end(), is_plain);
}

Result<void> check_plan(const HostPlan& plan) {
  if (auto checked = check_interface_name(plan.tun_name, "tunnel interface"); !checked) {
    return checked;
  }
  if (plan.full_tunnel && plan.masquerade) {
    return failure("a node cannot be a full-tunnel edge and a masquerading gateway at once",
                   "switch one of the two off");
  }
  if (plan.full_tunnel) {
    if (auto checked = check_full_tunnel(plan); !checked) return checked;
  }
  return check_gateway(plan);
}

std::vector<net::Prefix> inner_prefixes(const HostPlan& plan, net::Family family) {
  std::vector<net::Prefix> all;
  for (const LocalAddress& address : plan.addresses)
    all.push_back(address.network());
  all.insert(all.end(), plan.peer_prefixes.begin(), plan.peer_prefixes.end());
  std::erase_if(all, [&](const net::Prefix& prefix) {
    return prefix.address.family != family || prefix.length == 0;
  });
  // Sorted by address and then by length, a covering prefix stands before all that it covers.
  std::sort(all.begin(), all.end(), by_address);
  std::vector<net::Prefix> merged;
  for (const net::Prefix& prefix : all) {
    if (merged.empty() || !merged.back().contains(prefix.address)) merged.push_back(prefix);
  }
  return merged;
}

std::string nft_set(const std::vector<net::Prefix>& prefixes) {
  std::string text = "{ ";
  for (const net::Prefix& prefix : prefixes) {
    if (text.size() > 2) text += ", ";
    text += prefix.length == prefix.address.bit_length() ? prefix.address.to_string()
                                                         : prefix.to_string();
  }
  return text + " }";
}

std::vector<net::Prefix> own_addresses(const HostPlan& plan, net::Family family) {
  std::vector<net::Prefix> own;
  for (const LocalAddress& address : plan.addresses) {
    if (address.address.family != family) continue;
    own.push_back({address.address, static_cast<std::uint8_t>(address.address.bit_length())});
  }
  std::sort(own.begin(), own.end(), by_address);
  own.erase(std::unique(own.begin(), own.end()), own.end());
  return own;
}

}  // namespace ringway::control
