#include <netinet/in.h>
#include <unistd.h>

#include "base/bytes.hpp"
#include "controlplane/host/gateway_nat.hpp"
#include "controlplane/host/host_setup.hpp"
#include "dataplane/nat/nat.hpp"
#include "tests/unit/host_lab.hpp"

namespace ringway::control {
namespace {

TEST(GatewayNat, ChoosesPortsBesideListenersAndEphemeralOnes) {
  const PortRange usual{32768, 60999};
  EXPECT_EQ(*choose_nat_ports(usual, {}), kPreferredNatPorts);
  EXPECT_EQ(*choose_nat_ports(usual, std::vector<std::uint16_t>{51820, 53, 443}),
            kPreferredNatPorts);
  EXPECT_EQ(*choose_nat_ports(usual, std::vector<std::uint16_t>{25000}), (PortRange{1024, 24999}));
  EXPECT_EQ(*choose_nat_ports({15000, 60999}, {}), (PortRange{1024, 14999}));
  EXPECT_EQ(*choose_nat_ports({1024, 50000}, {}), (PortRange{50001, 65535}));
  EXPECT_FALSE(choose_nat_ports({1024, 65535}, {}));
}

// The kernel takes the set as well: the tests below apply it.
TEST(GatewayNat, ItsRulesDenyWhatOurOwnNatDenies) {
  HostPlan plan;
  plan.tun_name = "rw0";
  plan.addresses = {*LocalAddress::parse("10.77.0.1/24")};
  const std::string ruleset = gateway_ruleset(plan, kPreferredNatPorts);
  for (const net::Prefix& prefix : nat::default_denied()) {
    const std::string text = prefix.to_string();
    EXPECT_TRUE(ruleset.find(" " + text + ",") != std::string::npos ||
                ruleset.find(" " + text + " }") != std::string::npos)
        << text;
  }
}

TEST(GatewayNat, InnerPrefixesAreThoseNotCovered) {
  HostPlan plan;
  plan.addresses = {*LocalAddress::parse("10.77.0.1/24")};
  for (const char* prefix : {"10.77.0.2/32", "10.78.1.0/24", "10.78.0.0/16", "0.0.0.0/0", "::/0",
                             "10.78.1.0/24", "fd00::/8"}) {
    plan.peer_prefixes.push_back(*net::Prefix::parse(prefix));
  }
  EXPECT_EQ(nft_set(inner_prefixes(plan, net::Family::kIpv4)), "{ 10.77.0.0/24, 10.78.0.0/16 }");
  EXPECT_EQ(nft_set(inner_prefixes(plan, net::Family::kIpv6)), "{ fd00::/8 }");
}

class GatewayTest : public HostLab {
 protected:
  void apply(const HostPlan& plan) {
    auto setup = HostSetup::apply(plan);
    ASSERT_TRUE(setup) << setup.error().text();
    setup_ = std::move(*setup);
  }
  void TearDown() override {
    setup_.reset();
    HostLab::TearDown();
  }
  void from_tunnel(const TestPacket& packet) {
    const auto bytes = make_packet(packet);
    ASSERT_EQ(::write(tun(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  // The packets that the kernel puts into the tunnel.
  std::vector<std::vector<std::uint8_t>> to_tunnel() const {
    std::vector<std::vector<std::uint8_t>> packets;
    std::vector<std::uint8_t> packet(2048);
    ssize_t size = 0;
    while ((size = ::read(tun(), packet.data(), packet.size())) > 0) {
      packets.emplace_back(packet.begin(), packet.begin() + size);
    }
    return packets;
  }
  std::unique_ptr<HostSetup> setup_;
};

TEST_F(GatewayTest, MasqueradesBothFamiliesIntoItsOwnPorts) {
  for (const char* wan : {"e0", ""}) {
    HostPlan plan = gateway_plan();
    plan.wan_interface = wan;
    apply(plan);
    Capture wire("e0");
    from_tunnel({.source = "10.77.0.2", .destination = "198.51.100.1"});
    from_tunnel({.source = "10.78.9.9", .destination = "198.51.100.1", .protocol = IPPROTO_TCP});
    from_tunnel({.source = "fd77::2", .destination = "2001:db8:1::1"});
    const auto packets = wire.packets();
    ASSERT_EQ(packets.size(), 3U);
    for (const auto& packet : packets) {
      const bool v4 = packet[0] >> 4 == 4;
      const auto source = v4 ? net::IpAddress::v4(&packet[12]) : net::IpAddress::v6(&packet[8]);
      EXPECT_EQ(source.to_string(), v4 ? "192.0.2.2" : "2001:db8::2");
      const auto port = load_be<std::uint16_t>(&packet[v4 ? 20 : 40]);
      EXPECT_GE(port, kPreferredNatPorts.first);
      EXPECT_LE(port, kPreferredNatPorts.last);
    }
    setup_.reset();
  }
}

TEST_F(GatewayTest, ClampsTheSegmentSize) {
  run_well("ip link set e0 mtu 1300");
  apply(gateway_plan());
  Capture wire("e0");
  from_tunnel({.source = "10.77.0.2", .destination = "198.51.100.1", .protocol = IPPROTO_TCP});
  from_tunnel({.source = "fd77::2", .destination = "2001:db8:1::1", .protocol = IPPROTO_TCP});
  const auto packets = wire.packets();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(load_be<std::uint16_t>(&packets[0][20 + 22]), 1300 - 40);
  EXPECT_EQ(load_be<std::uint16_t>(&packets[1][40 + 22]), 1300 - 60);
}

TEST_F(GatewayTest, ReachesNothingPrivateBehindIt) {
  run_well("ip route add 10.0.0.0/8 via 192.0.2.1; ip route add 172.16.0.0/12 via 192.0.2.1");
  for (const char* wan : {"e0", ""}) {
    HostPlan plan = gateway_plan();
    plan.wan_interface = wan;
    apply(plan);
    Capture wire("e0");
    Capture lan("lan0");
    for (const char* to : {"192.168.7.9", "10.1.1.1", "172.16.0.1", "100.64.0.1", "169.254.169.254",
                           "198.18.0.1", "240.0.0.1"}) {
      from_tunnel({.source = "10.77.0.2", .destination = to});
    }
    for (const char* to : {"fd00::1", "64:ff9b::a00:1", "2002:a00:1::1"}) {
      from_tunnel({.source = "fd77::2", .destination = to});
    }
    EXPECT_TRUE(wire.packets().empty());
    EXPECT_TRUE(lan.packets().empty());
    setup_.reset();
  }
}

TEST_F(GatewayTest, DropsSourcesThatAreNotInner) {
  apply(gateway_plan());
  Capture wire("e0");
  for (const char* from : {"10.1.1.1", "192.0.2.2", "198.51.100.7", "10.77.0.1", "127.0.0.1"}) {
    from_tunnel({.source = from, .destination = "198.51.100.1"});
  }
  for (const char* from : {"fd78::1", "2001:db8::2", "fd77::1", "fe80::1"}) {
    from_tunnel({.source = from, .destination = "2001:db8:1::1"});
  }
  EXPECT_TRUE(wire.packets().empty());
}

TEST_F(GatewayTest, AnswersPingAndDnsOnly) {
  run_well(R"(nft 'table inet lab { chain i { type filter hook input priority 10;
             iifname "rw0" udp dport 53 counter; iifname "rw0" udp dport 5353 counter;
             iifname "rw0" tcp dport 22 counter; }; }')");
  apply(gateway_plan());
  to_tunnel();
  for (const char* gateway : {"10.77.0.1", "192.0.2.2", "192.168.7.1"}) {
    from_tunnel({.source = "10.77.0.2", .destination = gateway, .protocol = IPPROTO_ICMP});
  }
  for (const char* gateway : {"fd77::1", "2001:db8::2"}) {
    from_tunnel({.source = "fd77::2", .destination = gateway, .protocol = IPPROTO_ICMPV6});
  }
  EXPECT_EQ(to_tunnel().size(), 5U);
  for (const char* gateway : {"10.77.0.1", "192.0.2.2"}) {
    for (const std::uint16_t port : {std::uint16_t{53}, std::uint16_t{5353}}) {
      from_tunnel({.source = "10.77.0.2", .destination = gateway, .destination_port = port});
    }
    from_tunnel({.source = "10.77.0.2",
                 .destination = gateway,
                 .protocol = IPPROTO_TCP,
                 .destination_port = 22});
  }
  const std::string counters = run_well("nft list table inet lab");
  EXPECT_NE(counters.find("dport 53 counter packets 2"), std::string::npos) << counters;
  EXPECT_NE(counters.find("dport 5353 counter packets 0"), std::string::npos) << counters;
  EXPECT_NE(counters.find("dport 22 counter packets 0"), std::string::npos) << counters;
}

TEST_F(GatewayTest, PeersReachEachOther) {
  apply(gateway_plan());
  to_tunnel();
  from_tunnel({.source = "10.77.0.2", .destination = "10.78.0.5"});
  const auto packets = to_tunnel();
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(net::IpAddress::v4(&packets[0][12]).to_string(), "10.77.0.2");
}

TEST_F(GatewayTest, AvoidsPortsOfListeners) {
  const int socket = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 local{};
  local.sin6_family = AF_INET6;
  local.sin6_port = htons(25000);
  ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&local), sizeof local), 0);
  EXPECT_EQ(*free_nat_ports(51820), (PortRange{1024, 24999}));
  EXPECT_EQ(*free_nat_ports(12000), (PortRange{12001, 24999}));
  ::close(socket);
  EXPECT_EQ(*free_nat_ports(51820), kPreferredNatPorts);
}

}  // namespace
}  // namespace ringway::control
