#include "controlplane/host/host_setup.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "controlplane/host/full_tunnel.hpp"
#include "controlplane/host/gateway_nat.hpp"
#include "controlplane/host/nftables.hpp"
#include "controlplane/host/sysctl.hpp"

namespace ringway::control {
namespace {

constexpr unsigned kNetAdmin = 12;  // CAP_NET_ADMIN of linux/capability.h

// Asked first, because libnftables answers a lack of it on standard error.
Result<void> check_capability() {
  std::ifstream status("/proc/thread-self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:")) continue;
    const std::uint64_t effective = std::stoull(line.substr(7), nullptr, 16);
    if ((effective >> kNetAdmin & 1) != 0) return {};
    return failure("setting up addresses, routes and firewall needs CAP_NET_ADMIN",
                   "run it as root, or give it the capability CAP_NET_ADMIN");
  }
  return {};
}

bool host_has_ipv6() {
  return sysctl::exists("net/ipv6/conf/all");
}

void append(std::vector<HostChange>& to, std::vector<HostChange> more) {
  std::move(more.begin(), more.end(), std::back_inserter(to));
}

// No link-local address of its own, and so no router solicitations in the tunnel.
constexpr std::uint8_t kNoGeneratedAddresses = 1;

std::vector<HostChange> tun_device(const HostPlan& plan, const Link& tun,
                                   const HostJournal& journal) {
  std::vector<HostChange> changes;
  if (tun.address_generation) {
    changes.emplace_back(
        LinkAddressGeneration{tun.index, kNoGeneratedAddresses, *tun.address_generation});
  }
  // A setting that is not there belongs to an IPv6 that is not there.
  const auto set = [&](const char* name, const char* value) {
    const std::string path = "net/ipv6/conf/" + plan.tun_name + "/" + name;
    const auto before = journal.setting_before(path);
    if (before) changes.emplace_back(SetSysctl{path, value, *before});
  };
  set("accept_ra", "0");  // no peer is a router of this host
  if (plan.has_address(net::Family::kIpv6)) set("disable_ipv6", "0");
  changes.emplace_back(LinkMtu{tun.index, plan.mtu, tun.mtu});
  for (const LocalAddress& address : plan.addresses) {
    changes.emplace_back(AddAddress{tun.index, address});
  }
  changes.emplace_back(LinkUp{tun.index, tun.up});
  return changes;
}

// Routes to what the peers have beyond the networks of our own addresses.
std::vector<HostChange> peer_routes(const HostPlan& plan, int tun_index) {
  std::vector<HostChange> changes;
  for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    for (const net::Prefix& prefix : inner_prefixes(plan, family)) {
      const bool connected =
          std::any_of(plan.addresses.begin(), plan.addresses.end(),
                      [&](const LocalAddress& address) { return address.network() == prefix; });
      if (connected) continue;
      changes.emplace_back(AddRoute{{.destination = prefix, .interface_index = tun_index}});
    }
  }
  return changes;
}

}  // namespace

HostSetup::HostSetup(HostPlan plan, Netlink netlink, std::unique_ptr<HostJournal> journal)
    : plan_(std::move(plan)), netlink_(std::move(netlink)), journal_(std::move(journal)) {}

Result<std::unique_ptr<HostSetup>> HostSetup::apply(const HostPlan& plan) {
  if (auto checked = check_plan(plan); !checked) return tl::unexpected(checked.error());
  if (auto checked = check_capability(); !checked) return tl::unexpected(checked.error());
  auto netlink = Netlink::open();
  if (!netlink) return tl::unexpected(netlink.error());
  auto journal = HostJournal::open(plan.state_directory);
  if (!journal) return tl::unexpected(journal.error());
  std::unique_ptr<HostSetup> setup(new HostSetup(plan, std::move(*netlink), std::move(*journal)));
  if (auto settled = setup->settle(plan); !settled) {
    setup->journal_.reset();  // what an earlier run left stays, and stays closed
    return tl::unexpected(settled.error());
  }
  return setup;
}

HostSetup::~HostSetup() {
  // An error leaves its entry in the journal, for the next start.
  if (journal_) static_cast<void>(take_back());
}

Result<std::vector<HostChange>> HostSetup::plan_changes(const HostPlan& plan) {
  const auto tun = netlink_.link(plan.tun_name);
  if (!tun) return tl::unexpected(tun.error());
  if (!plan.wan_interface.empty()) {
    const auto wan = netlink_.link(plan.wan_interface);
    if (!wan) return tl::unexpected(wan.error());
  }
  const bool has_ipv6 = host_has_ipv6();
  if (plan.has_address(net::Family::kIpv6) && !has_ipv6) {
    return failure("the tunnel has an IPv6 address, but this host's kernel has no IPv6",
                   "boot without ipv6.disable=1, or leave the address out");
  }

  std::vector<HostChange> changes;
  if (plan.full_tunnel) {
    changes.emplace_back(AddTable{plan.table_name(), full_tunnel_ruleset(plan)});
    changes.emplace_back(AddTable{plan.arp_table_name(), full_tunnel_arp_ruleset(plan)});
  }
  if (plan.masquerade) {
    const auto ports = free_nat_ports(plan.listen_port);
    if (!ports) return tl::unexpected(ports.error());
    changes.emplace_back(AddTable{plan.table_name(), gateway_ruleset(plan, *ports)});
  }
  if (plan.own_nat) changes.emplace_back(AddTable{plan.table_name(), own_nat_ruleset(plan)});
  append(changes, tun_device(plan, *tun, *journal_));
  if (plan.full_tunnel) {
    const auto before = journal_->setting_before("net/ipv4/conf/all/src_valid_mark");
    if (!before) return tl::unexpected(before.error());
    append(changes, full_tunnel_routing(plan, tun->index, has_ipv6, *before));
  } else {
    append(changes, peer_routes(plan, tun->index));
  }
  if (plan.masquerade) {
    auto forwarding = gateway_forwarding(plan, *journal_, has_ipv6);
    if (!forwarding) return tl::unexpected(forwarding.error());
    append(changes, std::move(*forwarding));
  }
  return changes;
}

Result<void> HostSetup::make(const HostChange& change) {
  if (journal_->find(change_key(change)) != nullptr) return perform(netlink_, change, true);
  if (is_no_op(change)) return {};
  const auto id = journal_->append(change);
  if (!id) return tl::unexpected(id.error());
  auto performed = perform(netlink_, change);
  if (!performed) journal_->retract_last();  // what is there instead is not ours to remove
  return performed;
}

Result<void> HostSetup::take_back_all_but(const std::vector<HostChange>& wanted) {
  std::set<std::string> keys;
  for (const HostChange& change : wanted)
    keys.insert(change_key(change));
  const std::vector<JournalEntry> entries(journal_->entries().rbegin(), journal_->entries().rend());
  bool took_any = false;
  for (const JournalEntry& entry : entries) {
    if (keys.contains(change_key(entry.change))) continue;
    if (auto undone = undo(netlink_, entry.change); !undone) return undone;
    if (auto marked = journal_->mark_undone(entry.id); !marked) return marked;
    took_any = true;
  }
  if (!took_any) return {};
  // The kernel removes more than it was asked to: secondary addresses with their primary one,
  // routes with their address. A second pass puts back what was wanted.
  for (const HostChange& change : wanted) {
    if (auto made = make(change); !made) return made;
  }
  return {};
}

Result<void> HostSetup::settle(const HostPlan& plan) {
  const auto changes = plan_changes(plan);
  if (!changes) return tl::unexpected(changes.error());
  const std::uint64_t first_new = journal_->next_id();
  Result<void> outcome;
  for (const HostChange& change : *changes) {
    outcome = make(change);
    if (!outcome) break;
  }
  if (outcome) outcome = take_back_all_but(*changes);
  if (!outcome) {
    // The first error is what the user must know; what cannot be undone stays journaled.
    static_cast<void>(journal_->roll_back(netlink_, first_new));
    return outcome;
  }
  plan_ = plan;
  warnings_ = plan.masquerade ? gateway_warnings(plan) : std::vector<std::string>();
  return {};
}

Result<void> HostSetup::change_to(const HostPlan& plan) {
  if (auto checked = check_plan(plan); !checked) return checked;
  if (plan.tun_name != plan_.tun_name || plan.state_directory != plan_.state_directory) {
    return failure("the tunnel interface and the state directory cannot change while running",
                   "restart the node");
  }
  auto settled = settle(plan);
  // settle undid its own additions; the old plan again puts back the table's old text and anything
  // that was already taken away.
  if (!settled) static_cast<void>(settle(plan_));
  return settled;
}

Result<void> HostSetup::take_back() {
  return journal_->roll_back(netlink_);
}

Result<void> HostSetup::leave_guarded() {
  auto taken_back = journal_->roll_back(netlink_, 0, [](const HostChange& change) {
    return std::holds_alternative<AddTable>(change);
  });
  journal_.reset();
  return taken_back;
}

Result<bool> HostSetup::take_back_left_over(const std::filesystem::path& state_directory) {
  std::error_code ignored;
  if (!std::filesystem::exists(HostJournal::path_in(state_directory), ignored)) return false;
  if (auto checked = check_capability(); !checked) return tl::unexpected(checked.error());
  auto netlink = Netlink::open();
  if (!netlink) return tl::unexpected(netlink.error());
  auto journal = HostJournal::open(state_directory);
  if (!journal) return tl::unexpected(journal.error());
  return (*journal)->roll_back(*netlink).map([] { return true; });
}

}  // namespace ringway::control
