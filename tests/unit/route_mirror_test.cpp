// Against the kernel, in a namespace: what it is told, a table says within a second.
#include "controlplane/host/route_mirror.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "tests/unit/route_lab.hpp"

namespace ringway::control {
namespace {

using forwarding::NextHopState;
using net::IpAddress;

class RouteMirrorTest : public RouteLab {
 protected:
  [[nodiscard]] bool becomes(const std::string& destination, NextHopState state) {
    return eventually([&] { return state_of(destination) == state; });
  }
  [[nodiscard]] bool goes_via(const std::string& destination, const std::string& neighbour) {
    return eventually([&] { return neighbour_of(destination) == neighbour; });
  }
  // Compares with the kernel what has come to rest.
  void expect_agreement(const IpAddress& destination) const {
    EXPECT_EQ(describe(destination), ask_kernel(destination)) << destination.to_string();
  }
  void expect_agreement(const std::string& destination) const {
    expect_agreement(*IpAddress::parse(destination));
  }
};

constexpr net::MacAddress kGatewayMac{{2, 0, 0, 0, 0, 1}};

TEST_F(RouteMirrorTest, FirstTableHasTheHostsRoutes) {
  for (const char* destination : {"203.0.113.9", "2001:db8:ffff::1"}) {
    const forwarding::NextHop& hop = hop_to(destination);
    EXPECT_EQ(hop.state, NextHopState::kResolved) << destination;
    EXPECT_EQ(hop.port, kPort);
    EXPECT_EQ(hop.mtu, 1500);
    EXPECT_EQ(hop.destination, kGatewayMac);
    EXPECT_EQ(hop.source, mirror_->state().find_link(index_of("e0"))->mac);
    EXPECT_FALSE(hop.vlan.present());
  }
  EXPECT_EQ(neighbour_of("203.0.113.9"), "192.0.2.1");
  EXPECT_EQ(neighbour_of("2001:db8:ffff::1"), "2001:db8::1");
  EXPECT_EQ(state_of("192.0.2.9"), NextHopState::kResolved);
  EXPECT_EQ(state_of("192.0.2.77"), NextHopState::kUnresolved);
  EXPECT_EQ(neighbour_of("192.0.2.77"), "192.0.2.77");
  EXPECT_EQ(state_of("192.0.2.2"), NextHopState::kLocal);
  EXPECT_EQ(state_of("2001:db8::2"), NextHopState::kLocal);
  EXPECT_EQ(state_of("127.0.0.1"), NextHopState::kLocal);
  EXPECT_EQ(state_of("192.168.7.9"), NextHopState::kNotOurs);
  EXPECT_EQ(mirror_->addresses(index_of("e0")).size(), 3U);  // and the link-local one
  EXPECT_EQ(mirror_->counters().malformed, 0U);
}

TEST_F(RouteMirrorTest, NeverForwardsMulticastBroadcastOrLinkLocal) {
  for (const char* destination : {"224.0.0.1", "239.1.2.3", "255.255.255.255", "192.0.2.255",
                                  "0.0.0.1", "ff02::1", "fe80::9", "::"}) {
    EXPECT_EQ(state_of(destination), NextHopState::kBlackhole) << destination;
  }
}

TEST_F(RouteMirrorTest, RoutesAppearChangeAndGo) {
  run_well("ip route add 203.0.113.0/24 via 192.0.2.9");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
  run_well("ip route change 203.0.113.0/24 via 192.0.2.1 mtu 1400");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.1"));
  EXPECT_EQ(hop_to("203.0.113.5").mtu, 1400);
  run_well("ip route replace blackhole 203.0.113.0/24");
  EXPECT_TRUE(becomes("203.0.113.5", NextHopState::kBlackhole));
  run_well("ip route del 203.0.113.0/24");
  EXPECT_TRUE(becomes("203.0.113.5", NextHopState::kResolved));

  run_well("ip -6 route add 2001:db8:5::/48 via 2001:db8::9");
  EXPECT_TRUE(goes_via("2001:db8:5::5", "2001:db8::9"));
  run_well("ip -6 route replace 2001:db8:5::/48 via 2001:db8::1");
  EXPECT_TRUE(goes_via("2001:db8:5::5", "2001:db8::1"));
  run_well("ip -6 route add unreachable 2001:db8:5:1::/64");
  EXPECT_TRUE(becomes("2001:db8:5:1::5", NextHopState::kUnreachable));
  run_well("ip -6 route del 2001:db8:5::/48; ip -6 route del 2001:db8:5:1::/64");
  EXPECT_TRUE(goes_via("2001:db8:5:1::5", "2001:db8::1"));
}

TEST_F(RouteMirrorTest, FollowsTheDefaultRoute) {
  run_well("ip route replace default via 192.0.2.9; ip -6 route replace default via 2001:db8::9");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
  EXPECT_TRUE(goes_via("2001:db8:ffff::1", "2001:db8::9"));
  run_well("ip route del default; ip -6 route del default");
  EXPECT_TRUE(becomes("203.0.113.5", NextHopState::kUnreachable));
  EXPECT_TRUE(becomes("2001:db8:ffff::1", NextHopState::kUnreachable));
  run_well("ip route add default via 192.168.7.9");
  EXPECT_TRUE(becomes("203.0.113.5", NextHopState::kNotOurs));
}

TEST_F(RouteMirrorTest, FollowsTheMtuOfLinksAndOfIpv6) {
  run_well("ip link set e0 mtu 1450");
  EXPECT_TRUE(eventually([&] { return hop_to("203.0.113.5").mtu == 1450; }));
  EXPECT_TRUE(eventually([&] { return hop_to("2001:db8:ffff::1").mtu == 1450; }));
  run_well("echo 1400 > /proc/sys/net/ipv6/conf/e0/mtu; ip link set e0 alias changed");
  EXPECT_TRUE(eventually([&] { return hop_to("2001:db8:ffff::1").mtu == 1400; }));
  EXPECT_EQ(hop_to("203.0.113.5").mtu, 1450);
}

TEST_F(RouteMirrorTest, TheLowestMetricCounts) {
  run_well("ip route add 203.0.113.0/24 via 192.0.2.9 metric 50");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
  run_well("ip route add 203.0.113.0/24 via 192.0.2.1 metric 20");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.1"));
  run_well("ip route del 203.0.113.0/24 metric 20");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
}

TEST_F(RouteMirrorTest, OfEqualPathsOneWithALiveLinkIsTaken) {
  run_well(R"(ip route add 203.0.113.0/24 nexthop via 192.0.2.9 nexthop via 192.168.7.9
              ip -6 route add 2001:db8:5::/48 nexthop via 2001:db8::9 nexthop via 2001:db8::1)");
  settle();
  const std::string v6 = neighbour_of("2001:db8:5::5");
  EXPECT_TRUE(v6 == "2001:db8::9" || v6 == "2001:db8::1") << v6;
  run_well("ip link set lan0 down");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
  run_well("ip -6 route del 2001:db8:5::/48 via " + v6);
  const std::string other = v6 == "2001:db8::9" ? "2001:db8::1" : "2001:db8::9";
  EXPECT_TRUE(goes_via("2001:db8:5::5", other));
}

TEST_F(RouteMirrorTest, RoutesAppendedToOthersAreFollowed) {
  run_well("ip route add 203.0.113.0/24 via 192.0.2.9");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
  run_well("ip route append 203.0.113.0/24 via 192.0.2.1");
  settle();
  EXPECT_EQ(neighbour_of("203.0.113.5"), "192.0.2.9");
  run_well("ip route del 203.0.113.0/24 via 192.0.2.9");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.1"));
  run_well("ip route prepend 203.0.113.0/24 via 192.0.2.9");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
}

TEST_F(RouteMirrorTest, ANeighboursNewMacTakesEffect) {
  run_well("ip neigh replace 192.0.2.1 lladdr 02:00:00:00:00:77 dev e0");
  const net::MacAddress moved{{2, 0, 0, 0, 0, 0x77}};
  EXPECT_TRUE(eventually([&] { return hop_to("203.0.113.5").destination == moved; }));
  run_well("ip -6 neigh replace 2001:db8::9 lladdr 02:00:00:00:00:77 dev e0");
  EXPECT_TRUE(eventually([&] { return hop_to("2001:db8::9").destination == moved; }));
  run_well("ip neigh del 192.0.2.9 dev e0");
  EXPECT_TRUE(becomes("192.0.2.9", NextHopState::kUnresolved));
}

TEST_F(RouteMirrorTest, LinksGoDownAndUp) {
  run_well("ip route add 203.0.113.0/24 via 192.0.2.9; ip link set e0 down");
  EXPECT_TRUE(becomes("203.0.113.5", NextHopState::kUnreachable));
  EXPECT_TRUE(becomes("192.0.2.9", NextHopState::kUnreachable));
  run_well("ip link set e0 up");
  EXPECT_TRUE(becomes("192.0.2.77", NextHopState::kUnresolved));
  settle();
  // The kernel has forgotten the routes by gateway of IPv4, and so has the table.
  EXPECT_EQ(state_of("203.0.113.5"), NextHopState::kUnreachable);
  expect_agreement("203.0.113.5");
  run_well("ip route add default via 192.0.2.1");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.1"));
}

TEST_F(RouteMirrorTest, AddressesComeAndGo) {
  run_well("ip addr add 198.51.100.1/24 dev e0");
  EXPECT_TRUE(becomes("198.51.100.1", NextHopState::kLocal));
  EXPECT_TRUE(goes_via("198.51.100.7", "198.51.100.7"));
  EXPECT_EQ(mirror_->addresses(index_of("e0")).size(), 4U);
  run_well("ip route add 203.0.113.0/24 via 192.0.2.9 src 198.51.100.1");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
  // Its last route goes without a message of its own.
  run_well("ip addr del 198.51.100.1/24 dev e0");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.1"));
  EXPECT_TRUE(goes_via("198.51.100.7", "192.0.2.1"));
  EXPECT_EQ(mirror_->addresses(index_of("e0")).size(), 3U);
}

TEST_F(RouteMirrorTest, AnInterfaceThatVanishesTakesItsRoutesAlong) {
  run_well("ip link del e0");
  EXPECT_TRUE(becomes("203.0.113.5", NextHopState::kUnreachable));
  EXPECT_TRUE(becomes("192.0.2.2", NextHopState::kUnreachable));
}

TEST_F(RouteMirrorTest, VlansOfACarriedInterfaceAreTagged) {
  if (run("ip link add link e0 name e0.100 type vlan id 100").find("Unknown") !=
      std::string::npos) {
    GTEST_SKIP() << "this kernel has no VLAN interfaces; RouteStateTest has the rule";
  }
  run_well(R"(ip link set e0.100 mtu 1496 up; ip addr add 198.51.100.1/24 dev e0.100
              ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev e0.100)");
  EXPECT_TRUE(becomes("198.51.100.9", NextHopState::kResolved));
  const forwarding::NextHop& hop = hop_to("198.51.100.9");
  EXPECT_EQ(hop.vlan, (net::VlanTag{net::kEtherTypeVlan, 100}));
  EXPECT_EQ(hop.port, kPort);
  EXPECT_EQ(hop.mtu, 1496);
}

TEST_F(RouteMirrorTest, OtherInterfacesCanBeCarriedLater) {
  EXPECT_EQ(state_of("192.168.7.9"), NextHopState::kNotOurs);
  mirror_->set_interfaces({{index_of("lan0"), 1}}, Instant::now());
  EXPECT_TRUE(becomes("192.168.7.9", NextHopState::kResolved));
  EXPECT_EQ(hop_to("192.168.7.9").port, 1);
  EXPECT_EQ(state_of("203.0.113.5"), NextHopState::kNotOurs);
}

TEST_F(RouteMirrorTest, AGatewayOfTheOtherFamilyIsLeftToTheKernelAndSaidOnce) {
  run_well("ip route add 203.0.113.0/24 via inet6 2001:db8::9 dev e0");
  EXPECT_TRUE(becomes("203.0.113.5", NextHopState::kNotOurs));
  run_well("ip route del 203.0.113.0/24; ip route add 203.0.113.0/24 via inet6 2001:db8::9 dev e0");
  settle();
  ASSERT_EQ(notices_.size(), 1U);
  EXPECT_NE(notices_[0].find("203.0.113.0/24"), std::string::npos);
}

TEST_F(RouteMirrorTest, NextHopObjectsAreFollowed) {
  run_well(R"(ip nexthop add id 9 via 192.0.2.9 dev e0
              ip route add 203.0.113.0/24 nhid 9)");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
  run_well("ip nexthop replace id 9 via 192.0.2.1 dev e0");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.1"));
  run_well("ip route add 203.0.113.5/32 via 192.0.2.9; ip nexthop del id 9");
  EXPECT_TRUE(goes_via("203.0.113.5", "192.0.2.9"));
  settle();
  expect_agreement("203.0.113.6");
}

// Ten thousand in one request of `ip -batch`, both families.
std::string many_routes(const std::string& verb) {
  return "for i in $(seq 0 39); do for j in $(seq 0 124); do echo route " + verb +
         " 10.$i.$j.0/24 via 192.0.2.9; done; done | ip -batch - && "
         "for i in $(seq 1 5000); do printf 'route " +
         verb + " 2001:db8:%x::/48 via 2001:db8::9\\n' $i; done | ip -6 -batch -";
}

TEST_F(RouteMirrorTest, TenThousandRoutesAtOnce) {
  const std::size_t before = table_->prefix_count();
  run_well(many_routes("add"));
  EXPECT_TRUE(eventually([&] { return table_->prefix_count() == before + 10'000; }))
      << table_->prefix_count();
  EXPECT_EQ(neighbour_of("10.39.124.1"), "192.0.2.9");
  EXPECT_EQ(neighbour_of("2001:db8:1388::1"), "2001:db8::9");
  run_well(many_routes("del"));
  EXPECT_TRUE(eventually([&] { return table_->prefix_count() == before; }));
}

TEST_F(RouteMirrorTest, LostMessagesAreMadeUpFor) {
  RouteMirrorOptions options;
  options.interfaces = {{index_of("e0"), kPort}};
  options.receive_buffer_bytes = 1;  // the least that the kernel gives
  mirror_ = std::move(*RouteMirror::open(std::move(options), Instant::now()));
  settle();
  const std::size_t before = table_->prefix_count();
  run_well(many_routes("add"));
  EXPECT_TRUE(eventually([&] { return table_->prefix_count() == before + 10'000; }))
      << table_->prefix_count();
  EXPECT_GT(mirror_->counters().overruns, 0U);
}

TEST_F(RouteMirrorTest, ChangesAreGatheredIntoFewTables) {
  const std::uint64_t before = tables_taken_;
  const Instant start = Instant::now();
  run_well(
      "for i in $(seq 1 200); do echo route add 203.0.113.$i via 192.0.2.9; done | ip -batch -");
  EXPECT_TRUE(goes_via("203.0.113.200", "192.0.2.9"));
  const auto elapsed_ms = static_cast<std::uint64_t>((Instant::now() - start).count_ms());
  EXPECT_LE(tables_taken_ - before, elapsed_ms / 10 + 2);
}

TEST_F(RouteMirrorTest, AgreesWithTheKernelOnRandomRoutesAndDestinations) {
  SeededRng rng(7);
  std::string batch;
  std::vector<std::string> prefixes;
  const char* const ways[] = {"via 192.0.2.9", "via 192.0.2.1", "via 192.168.7.9", "dev e0",
                              "via 203.0.113.1 dev e0 onlink"};
  const char* const kinds[] = {"blackhole ", "unreachable ", "prohibit ", "throw "};
  for (int i = 0; i < 400; ++i) {
    const auto number = [&](std::uint64_t below) { return std::to_string(rng.below(below)); };
    const std::string prefix = net::Prefix::parse("198.51." + number(4) + "." + number(256) + "/" +
                                                  std::to_string(14 + rng.below(19)))
                                   ->to_string();
    prefixes.push_back(prefix);
    const std::string metric = " metric " + number(3);
    if (rng.below(5) == 0) {
      batch += "route add " + std::string(kinds[rng.below(4)]) + prefix + metric + "\n";
    } else {
      batch += "route add " + prefix + " " + ways[rng.below(5)] + metric + "\n";
    }
    if (rng.below(3) == 0) {
      batch += "route del " + prefixes[rng.below(prefixes.size())] + "\n";
    }
  }
  run("ip -force -batch - <<'END'\n" + batch + "END\n");
  settle();
  ASSERT_GT(table_->prefix_count(), 100U);
  for (int i = 0; i < 3000; ++i) {
    const IpAddress destination =
        *IpAddress::parse("198." + std::to_string(48 + rng.below(6)) + "." +
                          std::to_string(rng.below(5)) + "." + std::to_string(rng.below(256)));
    expect_agreement(destination);
  }
  for (const std::string& prefix : prefixes)
    expect_agreement(net::Prefix::parse(prefix)->address);
  for (const char* destination :
       {"192.0.2.2", "192.0.2.77", "127.0.0.1", "127.9.9.9", "192.168.7.1", "203.0.113.9",
        "2001:db8::2", "2001:db8::3", "2001:db8:7::1", "::1"}) {
    expect_agreement(destination);
  }
}

// One of the things that administrators and daemons do, some of which fail.
std::string random_operation(Rng& rng) {
  const auto pick = [&](std::initializer_list<const char*> words) {
    return std::string(words.begin()[rng.below(words.size())]);
  };
  const std::string metric = " metric " + std::to_string(1 + rng.below(2));
  switch (rng.below(12)) {
    case 0:
      return "link set " + pick({"e0", "lan0"}) + " " + pick({"down", "up", "up"});
    case 1:
      return "addr " + pick({"add", "del"}) + " 192.0.2.2/24 dev e0";
    case 2:
      return "addr " + pick({"add", "del"}) + " 198.51.100.1/24 dev e0";
    case 3:
      return "addr add 2001:db8::2/64 dev e0 nodad";
    case 4:
      return "addr add 192.168.7.1/24 dev lan0";
    case 5:
      return "-6 route " + pick({"add", "replace", "del"}) +
             pick({" 2001:db8:5::/48", " 2001:db8:5:5::/64", " default"}) + " via " +
             pick({"2001:db8::1", "2001:db8::9"}) + metric;
    case 6:
      return "-6 route " + pick({"replace", "del"}) + pick({" unreachable", " blackhole"}) +
             " 2001:db8:5:5::/64" + metric;
    case 7:
      return "route " + pick({"add", "replace"}) + pick({" blackhole", " unreachable"}) +
             " 203.0.113.64/26" + metric;
    case 8:
      return "route add 203.0.113.0/25 via 192.0.2.9 src 198.51.100.1" + metric;
    case 9:
      // Not several of one metric: the kernel would choose by whose gateway answers.
      return "route " + pick({"add", "replace", "del"}) + " default via " +
             pick({"192.0.2.1", "192.168.7.9"}) + metric;
    default:
      return "route " + pick({"add", "replace", "append", "prepend", "del"}) +
             pick({" 203.0.113.0/24", " 203.0.113.0/25", " 203.0.113.64/26"}) + " via " +
             pick({"192.0.2.1", "192.0.2.9", "192.168.7.9", "198.51.100.7"}) + metric;
  }
}

TEST_F(RouteMirrorTest, StaysInAgreementThroughRandomChanges) {
  std::vector<IpAddress> destinations;
  for (const char* text : {"192.0.2.2", "192.0.2.9", "198.51.100.1", "198.51.100.7", "192.168.7.9",
                           "203.0.113.5", "203.0.113.70", "203.0.113.200", "2001:db8::2",
                           "2001:db8::7", "2001:db8:5::1", "2001:db8:5:5::1", "2001:db8:7::1"}) {
    destinations.push_back(*IpAddress::parse(text));
  }
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SeededRng rng(seed);
    std::string batch;
    for (std::uint64_t i = 1 + rng.below(8); i > 0; --i)
      batch += random_operation(rng) + "\n";
    run("ip -force -batch - <<'END'\n" + batch + "END\n");
    const bool agreed = eventually([&] {
      return std::all_of(destinations.begin(), destinations.end(),
                         [&](const IpAddress& to) { return describe(to) == ask_kernel(to); });
    });
    if (agreed) continue;
    ADD_FAILURE() << "seed " << seed << " after\n" << batch;
    for (const IpAddress& to : destinations)
      expect_agreement(to);
    break;
  }
  EXPECT_EQ(mirror_->counters().malformed, 0U);
}

// --- neighbours that the kernel resolves --------------------------------------------------------

class NeighbourTest : public RouteMirrorTest {
 protected:
  // A host behind e0 that answers: a namespace of its own on the wire's other end.
  void SetUp() override {
    RouteMirrorTest::SetUp();
    run_well(R"(ip neigh flush dev e0 nud permanent; ip -6 neigh flush dev e0 nud permanent
                unshare -n sleep 30 > /dev/null 2>&1 & echo $! > )" +
             (state_directory_ / "pid").string());
    const std::string enter = "nsenter -t $(cat " + (state_directory_ / "pid").string() + ") -n ";
    run_well("until [ \"$(readlink /proc/$(cat " + (state_directory_ / "pid").string() +
             ")/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done; "
             "ip link set e1 netns $(cat " +
             (state_directory_ / "pid").string() + ")");
    enter_ = enter;
    run_well(enter + "sh -c 'echo 0 > /proc/sys/net/ipv6/conf/e1/accept_dad; ip link set e1 up; " +
             "ip addr add 192.0.2.1/24 dev e1; ip addr add 192.0.2.9/24 dev e1; "
             "ip addr add 2001:db8::1/64 dev e1 nodad; ip addr add 2001:db8::9/64 dev e1 nodad'");
    settle();
  }
  void TearDown() override {
    run("kill $(cat " + (state_directory_ / "pid").string() + ")");
    RouteMirrorTest::TearDown();
  }
  [[nodiscard]] static std::string kernel_state(const std::string& neighbour) {
    return run("ip neigh show " + neighbour + " dev e0");
  }
  std::string enter_;
};

TEST_F(NeighbourTest, GatewaysAreResolvedWithoutBeingAskedFor) {
  EXPECT_TRUE(becomes("203.0.113.5", NextHopState::kResolved)) << kernel_state("192.0.2.1");
  EXPECT_TRUE(becomes("2001:db8:ffff::5", NextHopState::kResolved)) << kernel_state("2001:db8::1");
}

TEST_F(NeighbourTest, WantedNeighboursAreResolved) {
  for (const char* wanted : {"192.0.2.9", "2001:db8::9"}) {
    EXPECT_EQ(state_of(wanted), NextHopState::kUnresolved);
    mirror_->want({index_of("e0"), *IpAddress::parse(wanted)}, Instant::now());
    EXPECT_TRUE(becomes(wanted, NextHopState::kResolved)) << kernel_state(wanted);
  }
}

TEST_F(NeighbourTest, NeighboursThatNobodyHasStayUnresolved) {
  mirror_->want({index_of("e0"), *IpAddress::parse("192.0.2.200")}, Instant::now());
  settle();
  EXPECT_EQ(state_of("192.0.2.200"), NextHopState::kUnresolved);
  EXPECT_NE(kernel_state("192.0.2.200").find("INCOMPLETE"), std::string::npos);
}

TEST_F(NeighbourTest, StaleNeighboursAreUsedAndThoseInUseProbed) {
  for (const char* address : {"192.0.2.9", "2001:db8::9"}) {
    const forwarding::Neighbour neighbour{index_of("e0"), *IpAddress::parse(address)};
    mirror_->want(neighbour, Instant::now());
    ASSERT_TRUE(becomes(address, NextHopState::kResolved));
    run_well("ip neigh replace " + std::string(address) +
             " lladdr 02:00:00:00:00:55 dev e0 nud stale");
    settle();
    EXPECT_EQ(state_of(address), NextHopState::kResolved);
    EXPECT_NE(kernel_state(address).find("STALE"), std::string::npos) << kernel_state(address);
    mirror_->note_use(neighbour, Instant::now());
    settle();
    EXPECT_NE(kernel_state(address).find("DELAY"), std::string::npos) << kernel_state(address);
  }
}

TEST_F(NeighbourTest, AScanOfALinkIsAskedForWithinLimits) {
  const Instant now = Instant::now();
  const std::uint64_t before = mirror_->counters().neighbours_asked;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    IpAddress address = *IpAddress::parse("2001:db8::");
    store_be(address.bytes.data() + 12, 0x10000 + i);
    mirror_->want({index_of("e0"), address}, now);
  }
  EXPECT_LE(mirror_->counters().neighbours_asked - before, RouteMirror::kAskBurst);
  EXPECT_GE(mirror_->counters().neighbours_not_asked, 1000 - RouteMirror::kAskBurst);
}

}  // namespace
}  // namespace ringway::control
