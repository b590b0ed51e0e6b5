#include "controlplane/host/host_setup.hpp"

#include <csignal>
#include <fstream>

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/host_lab.hpp"

namespace ringway::control {
namespace {

constexpr const char* kJournal = "host-journal";

class HostSetupTest : public HostLab {
 protected:
  // Applies in a process that then dies without taking anything back.
  static void apply_and_crash(const HostPlan& plan) {
    const int status = in_child([&] {
      auto setup = HostSetup::apply(plan);
      if (!setup) std::fprintf(stderr, "%s\n", setup.error().text().c_str());
      ::_exit(setup ? 9 : 1);
    });
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_EQ(WEXITSTATUS(status), 9);
  }

  [[nodiscard]] std::vector<HostChange> left_in_journal() const {
    const auto journal = HostJournal::open(state_directory_);
    std::vector<HostChange> changes;
    for (const JournalEntry& entry : (*journal)->entries())
      changes.push_back(entry.change);
    return changes;
  }

  // With files limited to `bytes`, a journal that needs more fails as on a full disk; with the
  // signal at its default the process dies there instead.
  static void limit_files(rlim_t bytes, bool die) {
    std::signal(SIGXFSZ, die ? SIG_DFL : SIG_IGN);
    const rlimit limit{bytes, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
  }

  [[nodiscard]] std::vector<std::uintmax_t> journal_line_ends(const HostPlan& plan) const {
    auto setup = HostSetup::apply(plan);
    EXPECT_TRUE(setup) << setup.error().text();
    std::ifstream file(state_directory_ / kJournal);
    std::vector<std::uintmax_t> ends;
    std::uintmax_t size = 0;
    for (std::string line; std::getline(file, line);)
      ends.push_back(size += line.size() + 1);
    return ends;
  }

  void expect_failure(const HostPlan& plan, const std::string& text) {
    const std::string before = snapshot();
    const auto setup = HostSetup::apply(plan);
    ASSERT_FALSE(setup);
    EXPECT_NE(setup.error().text().find(text), std::string::npos) << setup.error().text();
    EXPECT_TRUE(host_is(before));
    EXPECT_FALSE(std::filesystem::exists(state_directory_ / kJournal));
  }

  [[nodiscard]] std::vector<HostPlan> all_plans() const {
    HostPlan plain = edge_plan();
    plain.full_tunnel = false;
    plain.peer_prefixes = {*net::Prefix::parse("10.99.0.0/16"), *net::Prefix::parse("0.0.0.0/0")};
    HostPlan any_wan = gateway_plan();
    any_wan.wan_interface.clear();
    HostPlan ipv4_only = edge_plan();
    ipv4_only.addresses.pop_back();
    return {edge_plan(), gateway_plan(), plain, any_wan, ipv4_only};
  }
};

TEST_F(HostSetupTest, LeavesTheHostByteForByteAsItWas) {
  const std::string before = snapshot();
  for (const HostPlan& plan : all_plans()) {
    {
      auto setup = HostSetup::apply(plan);
      ASSERT_TRUE(setup) << setup.error().text();
      EXPECT_NE(snapshot(), before);
      ASSERT_TRUE((*setup)->take_back());
      EXPECT_TRUE(host_is(before));
    }
    EXPECT_FALSE(std::filesystem::exists(state_directory_ / kJournal));
  }
}

TEST_F(HostSetupTest, DestructorTakesEverythingBack) {
  const std::string before = snapshot();
  { ASSERT_TRUE(HostSetup::apply(edge_plan())); }
  EXPECT_TRUE(host_is(before));
}

TEST_F(HostSetupTest, RestoresSettingsOfAHostThatWasARouterAlready) {
  run_well(
      "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
  const std::string before = snapshot();
  for (const HostPlan& plan : all_plans()) {
    { ASSERT_TRUE(HostSetup::apply(plan)); }
    EXPECT_TRUE(host_is(before));
  }
}

TEST_F(HostSetupTest, KeepsTheDefaultRouteLearntFromRouterAdvertisements) {
  run_well(
      "ip -6 route del default;"
      "ip -6 route add default via 2001:db8::1 dev e0 proto ra expires 600");
  const auto setup = HostSetup::apply(gateway_plan());
  ASSERT_TRUE(setup) << setup.error().text();
  EXPECT_EQ(run_well("cat /proc/sys/net/ipv6/conf/e0/accept_ra"), "2\n");
  EXPECT_NE(run_well("ip -6 route").find("default via 2001:db8::1"), std::string::npos);
}

TEST_F(HostSetupTest, NamesAMissingInterface) {
  HostPlan plan = gateway_plan();
  plan.wan_interface = "eth9";
  expect_failure(plan, "there is no interface 'eth9'");
  plan = edge_plan();
  plan.tun_name = "rw9";
  expect_failure(plan, "there is no interface 'rw9'");
}

TEST_F(HostSetupTest, NamesAMissingStateDirectory) {
  const std::string before = snapshot();
  HostPlan plan = edge_plan();
  plan.state_directory = "/nowhere/at-all";
  const auto setup = HostSetup::apply(plan);
  ASSERT_FALSE(setup);
  EXPECT_NE(setup.error().text().find("/nowhere/at-all"), std::string::npos);
  EXPECT_TRUE(host_is(before));
}

TEST_F(HostSetupTest, RefusesPlansThatCannotBeMeant) {
  const auto refused = [&](auto change, const std::string& text) {
    HostPlan plan = edge_plan();
    change(plan);
    expect_failure(plan, text);
  };
  refused([](HostPlan& plan) { plan.masquerade = true; }, "at once");
  refused([](HostPlan& plan) { plan.fwmark = 0; }, "firewall mark");
  refused([](HostPlan& plan) { plan.listen_port = 0; }, "port");
  refused([](HostPlan& plan) { plan.wan_interface = "rw0"; }, "tunnel itself");
  for (const char* name : {"", "a\" drop", "../x", "all", "0123456789abcdef", "a b"}) {
    refused([&](HostPlan& plan) { plan.tun_name = name; }, "cannot be the name");
  }
}

TEST_F(HostSetupTest, AClashAtAnyStepUndoesWhatWasDone) {
  struct Clash {
    const char* make;
    const char* error;
  };
  for (const Clash& clash : {
           Clash{"nft add table inet ringway_rw0", "inet ringway_rw0 exists already"},
           Clash{"nft add table arp ringway_rw0", "arp ringway_rw0 exists already"},
           Clash{"ip addr add 10.77.0.2/24 dev rw0", "10.77.0.2/24"},
           Clash{"ip addr add fd77::2/64 dev rw0 nodad", "fd77::2/64"},
           Clash{"ip route add unreachable default metric 4294967295 table 21079", "unreachable"},
           Clash{"ip link set rw0 up; ip addr add 10.1.1.1/32 dev rw0; ip route add default dev "
                 "rw0 table 21079",
                 "dev rw0"},
           Clash{"ip link set rw0 up; ip -6 route add default dev rw0 table 21079", "dev rw0"},
           Clash{"ip rule add not fwmark 0x5257 lookup 21079 pref 87", "IPv4 rule 87"},
           Clash{"ip -6 rule add not fwmark 0x5257 lookup 21079 pref 87", "IPv6 rule 87"},
       }) {
    SCOPED_TRACE(clash.make);
    run_well(clash.make);
    expect_failure(edge_plan(), clash.error);
    remove_tun();
    run("nft delete table inet ringway_rw0; nft delete table arp ringway_rw0; ip route flush table "
        "21079;"
        "ip rule del pref 87; ip -6 rule del pref 87");
    make_tun();
  }
}

TEST_F(HostSetupTest, ASettingThatCannotBeWrittenUndoesWhatWasDone) {
  struct Setting {
    const char* name;
    HostPlan plan;
  };
  for (const Setting& setting : {Setting{"net/ipv4/conf/all/src_valid_mark", edge_plan()},
                                 Setting{"net/ipv4/conf/e0/forwarding", gateway_plan()},
                                 Setting{"net/ipv6/conf/all/forwarding", gateway_plan()}}) {
    SCOPED_TRACE(setting.name);
    const std::string path = "/proc/sys/" + std::string(setting.name);
    ASSERT_EQ(::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(::mount(nullptr, path.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr),
              0);
    expect_failure(setting.plan, setting.name);
    ASSERT_EQ(::umount(path.c_str()), 0);
  }
}

TEST_F(HostSetupTest, AFullDiskAtAnyStepUndoesWhatWasDone) {
  const std::string before = snapshot();
  for (const HostPlan& plan : {edge_plan(), gateway_plan()}) {
    for (const std::uintmax_t end : journal_line_ends(plan)) {
      const int status = in_child([&] {
        limit_files(end - 1, false);
        ::_exit(HostSetup::apply(plan) ? 0 : 7);
      });
      ASSERT_TRUE(WIFEXITED(status));
      EXPECT_EQ(WEXITSTATUS(status), 7) << "journal limited to " << end - 1 << " bytes";
      EXPECT_TRUE(host_is(before));
      EXPECT_FALSE(std::filesystem::exists(state_directory_ / kJournal));
    }
  }
}

TEST_F(HostSetupTest, ACrashAtAnyStepCanBeTakenBack) {
  const std::string before = snapshot();
  for (const HostPlan& plan : {edge_plan(), gateway_plan()}) {
    std::uintmax_t line_begin = 0;
    for (const std::uintmax_t line_end : journal_line_ends(plan)) {
      const int status = in_child([&] {
        limit_files(line_begin, true);
        ::_exit(HostSetup::apply(plan) ? 0 : 7);
      });
      ASSERT_TRUE(WIFSIGNALED(status));
      const auto taken_back = HostSetup::take_back_left_over(state_directory_);
      ASSERT_TRUE(taken_back) << taken_back.error().text();
      EXPECT_TRUE(host_is(before));
      line_begin = line_end;
    }
  }
}

TEST_F(HostSetupTest, ARestartAfterACrashAdoptsAndThenTakesBackAll) {
  const std::string before = snapshot();
  for (const HostPlan& plan : all_plans()) {
    std::string applied;
    {
      const auto setup = HostSetup::apply(plan);
      ASSERT_TRUE(setup);
      applied = snapshot();
    }
    apply_and_crash(plan);
    EXPECT_TRUE(host_is(applied)) << "a crash must leave the host closed";
    {
      const auto setup = HostSetup::apply(plan);
      ASSERT_TRUE(setup) << setup.error().text();
      EXPECT_TRUE(host_is(applied));
    }
    EXPECT_TRUE(host_is(before));
  }
}

// The tables are what guards; all else is the node's that stopped.
TEST_F(HostSetupTest, AStopForARestartLeavesTheTablesAlone) {
  const std::string before = snapshot();
  for (const HostPlan& plan : all_plans()) {
    std::string tables;
    {
      const auto setup = HostSetup::apply(plan);
      ASSERT_TRUE(setup);
      tables = run_well("nft list ruleset");
      const auto left = (*setup)->leave_guarded();
      ASSERT_TRUE(left) << left.error().text();
    }
    EXPECT_EQ(run_well("nft list ruleset"), tables);
    for (const HostChange& change : left_in_journal())
      EXPECT_TRUE(std::holds_alternative<AddTable>(change)) << change_key(change);
    {
      const auto setup = HostSetup::apply(plan);
      ASSERT_TRUE(setup) << setup.error().text();
      EXPECT_EQ(run_well("nft list ruleset"), tables);
    }
    EXPECT_TRUE(host_is(before));
    ASSERT_TRUE((*HostSetup::apply(plan))->leave_guarded());
    ASSERT_TRUE(HostSetup::take_back_left_over(state_directory_));
    EXPECT_TRUE(host_is(before));
  }
}

TEST_F(HostSetupTest, ARestartWithANewDeviceAdoptsWhatStayed) {
  remove_tun();
  const std::string before = snapshot();
  for (const HostPlan& plan : {edge_plan(), gateway_plan()}) {
    make_tun();
    apply_and_crash(plan);
    remove_tun();
    make_tun();
    {
      const auto setup = HostSetup::apply(plan);
      ASSERT_TRUE(setup) << setup.error().text();
      EXPECT_NE(run_well("ip addr show dev rw0").find("fd77::"), std::string::npos);
    }
    remove_tun();
    EXPECT_TRUE(host_is(before));
  }
}

TEST_F(HostSetupTest, ARestartAsSomethingElseTakesBackTheOldRole) {
  const std::string before = snapshot();
  apply_and_crash(edge_plan());
  {
    const auto setup = HostSetup::apply(gateway_plan());
    ASSERT_TRUE(setup) << setup.error().text();
    EXPECT_EQ(run_well("ip rule").find("0x5257"), std::string::npos);
    EXPECT_NE(run_well("ip addr show dev rw0").find("10.77.0.1/24"), std::string::npos);
  }
  EXPECT_TRUE(host_is(before));
}

TEST_F(HostSetupTest, AFailingRestartStaysClosed) {
  apply_and_crash(edge_plan());
  const std::string crashed = snapshot();
  HostPlan plan = edge_plan();
  plan.mtu = 10;
  ASSERT_FALSE(HostSetup::apply(plan));
  EXPECT_TRUE(host_is(crashed));
  ASSERT_TRUE(HostSetup::take_back_left_over(state_directory_));
}

TEST_F(HostSetupTest, DoesNotShareAStateDirectory) {
  const auto setup = HostSetup::apply(edge_plan());
  ASSERT_TRUE(setup);
  const std::string applied = snapshot();
  const auto second = HostSetup::apply(edge_plan());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text().find("another running node"), std::string::npos);
  EXPECT_FALSE(HostSetup::take_back_left_over(state_directory_));
  EXPECT_TRUE(host_is(applied));
}

TEST_F(HostSetupTest, WhatSomeoneElseRemovedIsNoError) {
  const std::string before = snapshot();
  auto setup = HostSetup::apply(edge_plan());
  ASSERT_TRUE(setup);
  run_well(
      "nft delete table inet ringway_rw0; ip rule del pref 87; ip -6 route flush table 21079;"
      "ip addr flush dev rw0");
  const auto taken_back = (*setup)->take_back();
  EXPECT_TRUE(taken_back) << taken_back.error().text();
  EXPECT_TRUE(host_is(before));
}

TEST_F(HostSetupTest, ChangesPeersWithoutTouchingTheRest) {
  const std::string before = snapshot();
  {
    auto setup = HostSetup::apply(gateway_plan());
    ASSERT_TRUE(setup);
    HostPlan plan = gateway_plan();
    plan.peer_prefixes = {*net::Prefix::parse("10.79.0.0/16"), *net::Prefix::parse("10.80.0.0/16")};
    const auto changed = (*setup)->change_to(plan);
    ASSERT_TRUE(changed) << changed.error().text();
    const std::string routes = run_well("ip route");
    EXPECT_NE(routes.find("10.79.0.0/16 dev rw0"), std::string::npos);
    EXPECT_EQ(routes.find("10.78.0.0/16"), std::string::npos);
    EXPECT_NE(run_well("nft list table inet ringway_rw0").find("10.79.0.0"), std::string::npos);
  }
  EXPECT_TRUE(host_is(before));
}

TEST_F(HostSetupTest, AFailingChangeKeepsTheOldPlan) {
  auto setup = HostSetup::apply(gateway_plan());
  ASSERT_TRUE(setup);
  run_well("ip route add 10.81.0.0/16 dev lan0");
  const std::string applied = snapshot();
  HostPlan plan = gateway_plan();
  plan.peer_prefixes = {*net::Prefix::parse("10.79.0.0/16"), *net::Prefix::parse("10.81.0.0/16")};
  EXPECT_FALSE((*setup)->change_to(plan));
  EXPECT_TRUE(host_is(applied));
}

TEST_F(HostSetupTest, WarnsOfAnotherFirewall) {
  run_well(
      "nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; "
      "}'");
  const auto setup = HostSetup::apply(gateway_plan());
  ASSERT_TRUE(setup);
  ASSERT_EQ((*setup)->warnings().size(), 1U);
  EXPECT_NE((*setup)->warnings()[0].find("ip filter FORWARD"), std::string::npos);
}

TEST_F(HostSetupTest, NamesTheMissingCapability) {
  const int status = in_child([&] {
    std::filesystem::permissions(state_directory_, std::filesystem::perms::all);
    if (::setuid(65534) != 0) ::_exit(1);
    const auto setup = HostSetup::apply(edge_plan());
    ::_exit(!setup && setup.error().text().find("CAP_NET_ADMIN") != std::string::npos ? 7 : 2);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(HostSetupTest, WorksOnAHostWhoseIpv6IsSwitchedOff) {
  run_well("for s in all default; do echo 1 > /proc/sys/net/ipv6/conf/$s/disable_ipv6; done");
  const std::string before = snapshot();
  for (const HostPlan& plan : all_plans()) {
    {
      const auto setup = HostSetup::apply(plan);
      ASSERT_TRUE(setup) << setup.error().text();
    }
    EXPECT_TRUE(host_is(before));
  }
}

}  // namespace
}  // namespace ringway::control
