#include <cstring>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/host/full_tunnel.hpp"
#include "controlplane/host/host_setup.hpp"
#include "tests/unit/host_lab.hpp"

namespace ringway::control {
namespace {

constexpr const char* kOutside[] = {"192.0.2.9", "198.51.100.1", "192.168.7.9", "2001:db8::9",
                                    "2001:db8:1::1"};

struct SendOptions {
  std::uint32_t mark = 0;
  const char* device = nullptr;  // SO_BINDTODEVICE, and the scope of IPv6 addresses
  std::uint16_t port = 9;
  std::uint16_t source_port = 0;
};

// One UDP datagram; returns 0 or the errno of what refused it.
int send_udp(const std::string& to, const SendOptions& options = {}) {
  const auto address = *net::IpAddress::parse(to);
  const int family = address.is_v4() ? AF_INET : AF_INET6;
  const int socket = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  EXPECT_GE(socket, 0);
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  if (options.mark != 0) {
    ::setsockopt(socket, SOL_SOCKET, SO_MARK, &options.mark, sizeof options.mark);
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  std::memcpy(&v4.sin_addr, address.bytes.data(), 4);
  v4.sin_port = htons(options.port);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
  v6.sin6_port = htons(options.port);
  if (options.device != nullptr) {
    ::setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, options.device,
                 static_cast<socklen_t>(std::strlen(options.device)));
    v6.sin6_scope_id = ::if_nametoindex(options.device);
  }
  if (options.source_port != 0) {
    sockaddr_in6 local{};
    local.sin6_family = static_cast<sa_family_t>(family);
    local.sin6_port = htons(options.source_port);  // at the same place in both families
    const socklen_t size = address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&local), size), 0);
  }
  const ssize_t sent =
      address.is_v4()
          ? ::sendto(socket, "leak", 4, 0, reinterpret_cast<const sockaddr*>(&v4), sizeof v4)
          : ::sendto(socket, "leak", 4, 0, reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  const int error = sent < 0 ? errno : 0;
  ::close(socket);
  return error;
}

class FullTunnelTest : public HostLab {
 protected:
  void apply() {
    auto setup = HostSetup::apply(edge_plan());
    ASSERT_TRUE(setup) << setup.error().text();
    setup_ = std::move(*setup);
  }
  void TearDown() override {
    setup_.reset();
    HostLab::TearDown();
  }
  static std::string route(const std::string& to) { return run("ip route get " + to); }
  // Packets that the kernel put into the tunnel.
  std::size_t drain_tun() const {
    std::size_t count = 0;
    char packet[2048];
    while (::read(tun(), packet, sizeof packet) > 0)
      ++count;
    return count;
  }
  std::unique_ptr<HostSetup> setup_;
};

TEST_F(FullTunnelTest, UnmarkedTrafficGoesByTheTunnelAndMarkedOutside) {
  apply();
  for (const char* to : kOutside) {
    EXPECT_NE(route(to).find("dev rw0"), std::string::npos) << to << ": " << route(to);
    EXPECT_EQ(route(std::string(to) + " mark 0x5257").find("rw0"), std::string::npos) << to;
  }
}

TEST_F(FullTunnelTest, StaysClosedWhenTheDeviceIsGone) {
  apply();
  remove_tun();
  for (const char* to : kOutside) {
    EXPECT_NE(route(to).find("exit"), std::string::npos) << to << ": " << route(to);
    EXPECT_EQ(route(std::string(to) + " mark 0x5257").find("exit"), std::string::npos) << to;
  }
}

TEST_F(FullTunnelTest, AFamilyWithoutAddressIsClosed) {
  HostPlan plan = edge_plan();
  plan.addresses.pop_back();
  const auto setup = HostSetup::apply(plan);
  ASSERT_TRUE(setup);
  EXPECT_NE(route("198.51.100.1").find("dev rw0"), std::string::npos);
  EXPECT_NE(route("2001:db8:1::1").find("exit"), std::string::npos) << route("2001:db8:1::1");
}

TEST_F(FullTunnelTest, OwnAddressesStayReachable) {
  apply();
  for (const char* to : {"127.0.0.1", "192.0.2.2", "10.77.0.2", "::1", "2001:db8::2", "fd77::2"}) {
    EXPECT_NE(route(to).find("local"), std::string::npos) << to << ": " << route(to);
    EXPECT_EQ(send_udp(to), 0) << to;
  }
}

TEST_F(FullTunnelTest, NothingButTheMarkedSocketLeaves) {
  Capture wire("e0");
  for (const char* to : {"192.0.2.9", "2001:db8::9"})
    ASSERT_EQ(send_udp(to), 0);
  ASSERT_EQ(wire.packets().size(), 2U) << "the capture sees what leaves";
  apply();
  wire.packets();

  for (const char* to : kOutside) {
    send_udp(to);
    send_udp(to, {.port = 53});
    send_udp(to, {.device = "e0"});
    send_udp(to, {.port = 51820, .source_port = 51820});
  }
  // Multicast, broadcast and link-local by interface: they skip the routing rules.
  for (const char* to : {"224.0.0.251", "239.1.1.1", "255.255.255.255", "192.0.2.255", "ff02::fb",
                         "ff05::2", "fe80::9"}) {
    EXPECT_EQ(send_udp(to, {.device = "e0"}), EPERM) << to;
  }
  EXPECT_TRUE(wire.packets().empty());
  EXPECT_GE(drain_tun(), 10U);

  for (const char* to : {"192.0.2.9", "198.51.100.1", "2001:db8::9", "2001:db8:1::1"}) {
    EXPECT_EQ(send_udp(to, {.mark = 0x5257}), 0) << to;
  }
  EXPECT_EQ(wire.packets().size(), 4U);
  EXPECT_EQ(drain_tun(), 0U);
}

TEST_F(FullTunnelTest, NothingLeavesAfterACrashThatTookTheDevice) {
  ASSERT_EQ(in_child([&] { ::_exit(HostSetup::apply(edge_plan()) ? 0 : 1); }), 0);
  remove_tun();
  Capture wire("e0");
  for (const char* to : kOutside) {
    EXPECT_NE(send_udp(to), 0) << to;
    EXPECT_NE(send_udp(to, {.device = "e0"}), 0) << to;
  }
  EXPECT_TRUE(wire.packets().empty());
}

TEST_F(FullTunnelTest, LeasesAreRenewed) {
  apply();
  Capture wire("e0");
  EXPECT_EQ(send_udp("192.0.2.1", {.port = 67, .source_port = 68}), 0);
  EXPECT_EQ(send_udp("255.255.255.255", {.device = "e0", .port = 67, .source_port = 68}), 0);
  EXPECT_EQ(send_udp("fe80::9", {.device = "e0", .port = 547, .source_port = 546}), 0);
  EXPECT_EQ(send_udp("ff02::1:2", {.device = "e0", .port = 547, .source_port = 546}), 0);
  EXPECT_EQ(wire.packets().size(), 4U);
  // A server that is not on the link is none: it could be anyone (and port 67 a way out).
  send_udp("198.51.100.1", {.port = 67, .source_port = 68});
  EXPECT_TRUE(wire.packets().empty());
}

TEST_F(FullTunnelTest, ForwardedPacketsDoNotLeaveOutside) {
  run_well(
      "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding;"
      "ip rule add fwmark 0x77 lookup main pref 5; ip -6 rule add fwmark 0x77 lookup main pref 5;"
      "ip addr add fd99::1/64 dev lan0 nodad");
  run_well(R"(nft 'table inet lab { chain p { type filter hook prerouting priority -200;
             iifname "rw0" meta mark set 0x77; }; }')");
  const auto forward_one = [&](const char* source, const char* destination) {
    const auto packet = make_packet({.source = source, .destination = destination});
    ASSERT_EQ(::write(tun(), packet.data(), packet.size()), static_cast<ssize_t>(packet.size()));
  };
  Capture wire("e0");
  run_well(
      "ip link set rw0 up; ip addr add 10.77.0.2/24 dev rw0; ip addr add fd77::2/64 dev rw0 nodad");
  forward_one("10.77.0.9", "198.51.100.1");
  forward_one("fd77::9", "2001:db8:1::1");
  ASSERT_EQ(wire.packets().size(), 2U) << "another program's rule leads forwarded packets outside";
  run_well("ip addr flush dev rw0; ip link set rw0 down");
  apply();
  wire.packets();
  forward_one("10.77.0.9", "198.51.100.1");
  forward_one("fd77::9", "2001:db8:1::1");
  EXPECT_TRUE(wire.packets().empty());
}

// A packet that arrives at e0 from the wire.
void from_wire(const TestPacket& packet) {
  const int socket = ::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(socket, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "e0");
  ASSERT_EQ(::ioctl(socket, SIOCGIFHWADDR, &request), 0);
  const auto bytes = make_packet(packet);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(bytes[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6);
  to.sll_ifindex = static_cast<int>(::if_nametoindex("e1"));
  to.sll_halen = 6;
  std::memcpy(to.sll_addr, request.ifr_hwaddr.sa_data, 6);
  ASSERT_EQ(::sendto(socket, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                     sizeof to),
            static_cast<ssize_t>(bytes.size()));
  ::close(socket);
  ::usleep(20'000);  // the other end of a veth receives in a softirq of its own
}

constexpr const char* kCountInput =
    R"(nft 'table inet lab { chain i { type filter hook input priority -5;
         udp dport 7777 counter; udp dport 51820 counter; }; }')";

// A host on the link sends to the tunnel's own address, to learn of its connections.
TEST_F(FullTunnelTest, TheTunnelsAddressIsDeafOnOtherInterfaces) {
  run_well(kCountInput);
  const auto send = [&] {
    from_wire({.source = "192.0.2.1", .destination = "10.77.0.2", .destination_port = 7777});
    from_wire({.source = "2001:db8::1", .destination = "fd77::2", .destination_port = 7777});
  };
  HostPlan open = edge_plan();
  open.full_tunnel = false;
  {
    const auto setup = HostSetup::apply(open);
    ASSERT_TRUE(setup);
    send();
    EXPECT_NE(run_well("nft list table inet lab").find("7777 counter packets 2"),
              std::string::npos);
  }
  apply();
  send();
  EXPECT_NE(run_well("nft list table inet lab").find("7777 counter packets 2"), std::string::npos);
  const auto by_tunnel =
      make_packet({.source = "10.77.0.1", .destination = "10.77.0.2", .destination_port = 7777});
  ASSERT_GT(::write(tun(), by_tunnel.data(), by_tunnel.size()), 0);
  EXPECT_NE(run_well("nft list table inet lab").find("7777 counter packets 3"), std::string::npos);
}

TEST_F(FullTunnelTest, StrictReversePathFilteringLetsTheNodesPacketsIn) {
  run_well(kCountInput);
  run_well("echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter");
  apply();
  from_wire({.source = "198.51.100.1", .destination = "192.0.2.2", .destination_port = 51820});
  from_wire({.source = "198.51.100.1", .destination = "192.0.2.2", .destination_port = 7777});
  const std::string counts = run_well("nft list table inet lab");
  EXPECT_NE(counts.find("51820 counter packets 1"), std::string::npos) << counts;
  EXPECT_NE(counts.find("7777 counter packets 0"), std::string::npos) << counts;
}

// A neighbour on the link asks who has 192.0.2.2.
bool arp_is_answered() {
  const int socket = ::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP));
  EXPECT_GE(socket, 0);
  sockaddr_ll wire{};
  wire.sll_family = AF_PACKET;
  wire.sll_protocol = htons(ETH_P_ARP);
  wire.sll_ifindex = static_cast<int>(::if_nametoindex("e1"));
  EXPECT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&wire), sizeof wire), 0);
  wire.sll_halen = 6;
  std::memset(wire.sll_addr, 0xff, 6);
  ether_arp request{};
  request.arp_hrd = htons(ARPHRD_ETHER);
  request.arp_pro = htons(ETH_P_IP);
  request.arp_hln = 6;
  request.arp_pln = 4;
  request.arp_op = htons(ARPOP_REQUEST);
  request.arp_sha[5] = 1;
  ::inet_pton(AF_INET, "192.0.2.1", request.arp_spa);
  ::inet_pton(AF_INET, "192.0.2.2", request.arp_tpa);
  EXPECT_EQ(::sendto(socket, &request, sizeof request, 0, reinterpret_cast<const sockaddr*>(&wire),
                     sizeof wire),
            static_cast<ssize_t>(sizeof request));
  pollfd ready{socket, POLLIN, 0};
  bool answered = false;
  while (!answered && ::poll(&ready, 1, 100) > 0) {
    ether_arp heard{};
    if (::recv(socket, &heard, sizeof heard, 0) < 0) break;
    answered = heard.arp_op == htons(ARPOP_REPLY) &&
               std::memcmp(heard.arp_spa, request.arp_tpa, sizeof heard.arp_spa) == 0;
  }
  ::close(socket);
  return answered;
}

TEST_F(FullTunnelTest, NeighboursAreAnsweredWhateverTheReversePathFilter) {
  for (const char* filter : {"0", "1", "2"}) {
    SCOPED_TRACE(filter);
    run_well(std::string("echo ") + filter + " > /proc/sys/net/ipv4/conf/all/rp_filter");
    EXPECT_TRUE(arp_is_answered());
    apply();
    EXPECT_TRUE(arp_is_answered());
    remove_tun();
    EXPECT_TRUE(arp_is_answered()) << "without the device, as after a crash";
    setup_.reset();
    make_tun();
  }
}

TEST_F(FullTunnelTest, RulesetIsAcceptedInEveryForm) {
  HostPlan plan = edge_plan();
  for (int i = 0; i < 3; ++i) {
    const auto setup = HostSetup::apply(plan);
    ASSERT_TRUE(setup) << setup.error().text();
    if (!plan.addresses.empty()) plan.addresses.erase(plan.addresses.begin());
  }
}

}  // namespace
}  // namespace ringway::control
