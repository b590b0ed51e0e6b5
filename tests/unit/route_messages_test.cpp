#include "controlplane/host/route_messages.hpp"

#include <string>
#include <vector>

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "tests/unit/netlink_messages.hpp"

namespace ringway::control::route_message {
namespace {

using Packet = std::vector<std::uint8_t>;

constexpr net::MacAddress kMac{{2, 0, 0, 0, 0, 9}};

Message parse_one(const Packet& datagram) {
  Reader reader(datagram);
  Header header;
  ConstBytes body;
  if (!reader.next(header, body)) return Malformed{};
  return parse(header, body);
}
Message parse_one(const NetlinkMessage& message) {
  return parse_one(message.bytes());
}

template <typename T>
bool is(const Message& message) {
  return std::holds_alternative<T>(message);
}

net::IpAddress address(const std::string& text) {
  return *net::IpAddress::parse(text);
}

rtmsg route_body(unsigned char family, unsigned char length, unsigned char type = RTN_UNICAST) {
  rtmsg body{};
  body.rtm_family = family;
  body.rtm_dst_len = length;
  body.rtm_type = type;
  body.rtm_table = RT_TABLE_MAIN;
  return body;
}

NetlinkMessage plain_route() {
  NetlinkMessage message(RTM_NEWROUTE, route_body(AF_INET, 24));
  message.put_address(RTA_DST, "203.0.113.0")
      .put(RTA_OIF, 7U)
      .put_address(RTA_GATEWAY, "192.0.2.1")
      .put(RTA_PRIORITY, 100U);
  return message;
}

NetlinkMessage multipath_route() {
  Packet paths;
  for (const char* gateway : {"192.0.2.1", "192.0.2.9"}) {
    rtnexthop hop{};
    hop.rtnh_len = sizeof hop + 8;
    hop.rtnh_ifindex = 7;
    const auto* start = reinterpret_cast<const std::uint8_t*>(&hop);
    paths.insert(paths.end(), start, start + sizeof hop);
    const Packet attributes =
        NetlinkMessage(0, nlmsghdr{}).put_address(RTA_GATEWAY, gateway).attributes<nlmsghdr>();
    paths.insert(paths.end(), attributes.begin(), attributes.end());
  }
  NetlinkMessage message(RTM_NEWROUTE, route_body(AF_INET, 0));
  message.put(RTA_MULTIPATH, ConstBytes(paths));
  return message;
}

NetlinkMessage vlan_link() {
  ifinfomsg body{};
  body.ifi_index = 12;
  body.ifi_type = ARPHRD_ETHER;
  body.ifi_flags = IFF_UP | 0x10000U;
  const Packet data = NetlinkMessage(0, nlmsghdr{})
                          .put(IFLA_VLAN_ID, std::uint16_t{100})
                          .put(IFLA_VLAN_PROTOCOL, byte_swap(std::uint16_t{0x88a8}))
                          .attributes<nlmsghdr>();
  const Packet info = NetlinkMessage(0, nlmsghdr{})
                          .put(IFLA_INFO_KIND, std::string("vlan"))
                          .put(IFLA_INFO_DATA | NLA_F_NESTED, ConstBytes(data))
                          .attributes<nlmsghdr>();
  NetlinkMessage message(RTM_NEWLINK, body);
  message.put(IFLA_IFNAME, std::string("e0.100"))
      .put(IFLA_MTU, 1496U)
      .put(IFLA_ADDRESS, ConstBytes(kMac.bytes))
      .put(IFLA_LINK, 7U)
      .put(IFLA_LINKINFO, ConstBytes(info));
  return message;
}

ndmsg neighbour_body(int state) {
  ndmsg body{};
  body.ndm_family = AF_INET6;
  body.ndm_ifindex = 7;
  body.ndm_state = static_cast<std::uint16_t>(state);
  return body;
}

NetlinkMessage neighbour(int state, const net::MacAddress& mac = kMac) {
  NetlinkMessage message(RTM_NEWNEIGH, neighbour_body(state));
  message.put_address(NDA_DST, "2001:db8::9").put(NDA_LLADDR, ConstBytes(mac.bytes));
  return message;
}

NetlinkMessage host_address() {
  ifaddrmsg body{};
  body.ifa_family = AF_INET;
  body.ifa_prefixlen = 24;
  body.ifa_index = 7;
  NetlinkMessage message(RTM_NEWADDR, body);
  message.put_address(IFA_ADDRESS, "192.0.2.1").put_address(IFA_LOCAL, "192.0.2.2");
  return message;
}

TEST(RouteMessages, ReadsARoute) {
  const auto message = parse_one(plain_route());
  ASSERT_TRUE(is<Route>(message));
  const auto& route = std::get<Route>(message);
  EXPECT_FALSE(route.removed);
  EXPECT_FALSE(route.local_table);
  EXPECT_EQ(route.destination, *net::Prefix::parse("203.0.113.0/24"));
  EXPECT_EQ(route.metric, 100U);
  EXPECT_EQ(route.hops, (std::vector<RouteHop>{{7, address("192.0.2.1"), false}}));
}

TEST(RouteMessages, ReadsTheMtuAndTableOfARoute) {
  const Packet metrics = NetlinkMessage(0, nlmsghdr{})
                             .put(RTAX_HOPLIMIT, 3U)
                             .put(RTAX_MTU, 1400U)
                             .attributes<nlmsghdr>();
  NetlinkMessage message(RTM_DELROUTE, route_body(AF_INET6, 128, RTN_LOCAL));
  message.put_address(RTA_DST, "2001:db8::2")
      .put(RTA_TABLE, std::uint32_t{RT_TABLE_LOCAL})
      .put(RTA_OIF, 1U)
      .put(RTA_METRICS, ConstBytes(metrics));
  const auto parsed = parse_one(message);
  ASSERT_TRUE(is<Route>(parsed));
  const auto& route = std::get<Route>(parsed);
  EXPECT_TRUE(route.removed);
  EXPECT_TRUE(route.local_table);
  EXPECT_EQ(route.type, RouteType::kLocal);
  EXPECT_EQ(route.mtu, 1400U);
  EXPECT_TRUE(route.hops.empty());
}

TEST(RouteMessages, ReadsEveryPathOfARoute) {
  const auto message = parse_one(multipath_route());
  ASSERT_TRUE(is<Route>(message));
  EXPECT_EQ(
      std::get<Route>(message).hops,
      (std::vector<RouteHop>{{7, address("192.0.2.1"), false}, {7, address("192.0.2.9"), false}}));
}

TEST(RouteMessages, MarksWhatOnlyTheKernelCanFollow) {
  NetlinkMessage via = plain_route();
  const std::uint8_t other_family[18] = {AF_INET6};
  via.put(RTA_VIA, ConstBytes(other_family));
  EXPECT_TRUE(std::get<Route>(parse_one(via)).hops[0].foreign);
  rtmsg body = route_body(AF_INET, 0);
  body.rtm_tos = 4;
  EXPECT_TRUE(std::get<Route>(parse_one(NetlinkMessage(RTM_NEWROUTE, body))).conditional);
}

TEST(RouteMessages, IgnoresOtherTablesFamiliesAndCachedRoutes) {
  NetlinkMessage other_table = plain_route();
  other_table.put(RTA_TABLE, 77U);
  EXPECT_TRUE(is<Ignored>(parse_one(other_table)));
  rtmsg cached = route_body(AF_INET6, 128);
  cached.rtm_flags = RTM_F_CLONED;
  EXPECT_TRUE(is<Ignored>(parse_one(NetlinkMessage(RTM_NEWROUTE, cached))));
  EXPECT_TRUE(is<Ignored>(parse_one(NetlinkMessage(RTM_NEWROUTE, route_body(AF_MPLS, 20)))));
  ifinfomsg bridge_port{};
  bridge_port.ifi_family = AF_BRIDGE;
  bridge_port.ifi_index = 7;
  EXPECT_TRUE(is<Ignored>(parse_one(NetlinkMessage(RTM_DELLINK, bridge_port))));
  EXPECT_TRUE(is<Ignored>(parse_one(NetlinkMessage(RTM_NEWRULE, rtmsg{}))));
}

TEST(RouteMessages, ClearsHostBitsOfADestination) {
  NetlinkMessage message(RTM_NEWROUTE, route_body(AF_INET, 20));
  message.put_address(RTA_DST, "203.0.127.255").put(RTA_OIF, 7U);
  EXPECT_EQ(std::get<Route>(parse_one(message)).destination, *net::Prefix::parse("203.0.112.0/20"));
}

TEST(RouteMessages, RefusesLengthsAndSizesThatCannotBe) {
  EXPECT_TRUE(is<Malformed>(parse_one(NetlinkMessage(RTM_NEWROUTE, route_body(AF_INET, 33)))));
  NetlinkMessage long_address(RTM_NEWROUTE, route_body(AF_INET, 24));
  long_address.put_address(RTA_DST, "2001:db8::");
  EXPECT_TRUE(is<Malformed>(parse_one(long_address)));
  NetlinkMessage short_number = plain_route();
  short_number.put(RTA_PRIORITY, std::uint16_t{1});
  EXPECT_TRUE(is<Malformed>(parse_one(short_number)));
  ifinfomsg no_index{};
  EXPECT_TRUE(is<Malformed>(parse_one(NetlinkMessage(RTM_NEWLINK, no_index))));
}

TEST(RouteMessages, ReadsAVlanLink) {
  const auto message = parse_one(vlan_link());
  ASSERT_TRUE(is<Link>(message));
  const auto& link = std::get<Link>(message);
  EXPECT_EQ(link.index, 12U);
  EXPECT_EQ(link.name, "e0.100");
  EXPECT_TRUE(link.ethernet && link.up && link.carrier);
  EXPECT_EQ(link.mtu, 1496U);
  EXPECT_EQ(link.mac, kMac);
  EXPECT_EQ(link.lower, 7U);
  EXPECT_EQ(link.vlan, (net::VlanTag{0x88a8, 100}));
}

TEST(RouteMessages, AVlanOverAnotherNamespacesLinkHasNoLower) {
  NetlinkMessage message = vlan_link();
  message.put(IFLA_LINK_NETNSID, 3U);
  EXPECT_EQ(std::get<Link>(parse_one(message)).lower, 0U);
}

TEST(RouteMessages, ReadsOurAddressOfAPointToPointLink) {
  const auto message = parse_one(host_address());
  ASSERT_TRUE(is<Address>(message));
  EXPECT_EQ(std::get<Address>(message).address, address("192.0.2.2"));
  EXPECT_EQ(std::get<Address>(message).length, 24);
}

TEST(RouteMessages, NeighboursAreUsableFromReachableToStale) {
  for (const int state :
       {NUD_PERMANENT, NUD_NOARP, NUD_REACHABLE, NUD_PROBE, NUD_STALE, NUD_DELAY}) {
    const auto message = parse_one(neighbour(state));
    ASSERT_TRUE(is<Neighbour>(message));
    EXPECT_EQ(std::get<Neighbour>(message).mac, kMac) << state;
    EXPECT_EQ(std::get<Neighbour>(message).stale, state == NUD_STALE);
    EXPECT_EQ(std::get<Neighbour>(message).who, (forwarding::Neighbour{7, address("2001:db8::9")}));
  }
  for (const int state : {NUD_NONE, NUD_INCOMPLETE, NUD_FAILED}) {
    EXPECT_FALSE(std::get<Neighbour>(parse_one(neighbour(state))).mac) << state;
  }
}

TEST(RouteMessages, AGroupAddressIsNobodysMac) {
  const net::MacAddress group{{0x33, 0x33, 0, 0, 0, 1}};
  EXPECT_FALSE(std::get<Neighbour>(parse_one(neighbour(NUD_NOARP, group))).mac);
}

TEST(RouteMessages, IgnoresProxyEntries) {
  ndmsg body = neighbour_body(NUD_PERMANENT);
  body.ndm_flags = NTF_PROXY;
  NetlinkMessage message(RTM_NEWNEIGH, body);
  message.put_address(NDA_DST, "2001:db8::9");
  EXPECT_TRUE(is<Ignored>(parse_one(message)));
}

TEST(RouteMessages, TellsTheEndOfAListFromItsFailure) {
  EXPECT_TRUE(is<DumpEnd>(parse_one(NetlinkMessage(NLMSG_DONE, std::int32_t{0}))));
  EXPECT_EQ(std::get<Refusal>(parse_one(NetlinkMessage(NLMSG_DONE, std::int32_t{-16}))).error, 16);
  EXPECT_EQ(std::get<Refusal>(parse_one(NetlinkMessage(NLMSG_ERROR, std::int32_t{-1}))).error, 1);
  EXPECT_TRUE(is<Malformed>(parse_one(NetlinkMessage(NLMSG_ERROR, std::int32_t{1}))));
}

TEST(RouteMessages, ReaderTakesMessagesOneByOneAndStopsAtACutOne) {
  Packet datagram = plain_route().bytes();
  const Packet second = host_address().bytes();
  datagram.insert(datagram.end(), second.begin(), second.end());
  for (std::size_t size = 0; size <= datagram.size(); ++size) {
    const Packet part(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(size));
    Reader reader(part);
    Header header;
    ConstBytes body;
    std::size_t count = 0;
    while (reader.next(header, body))
      ++count;
    const std::size_t first = datagram.size() - second.size();
    EXPECT_EQ(count, (size >= first ? 1U : 0U) + (size == datagram.size() ? 1U : 0U)) << size;
    EXPECT_EQ(reader.cut_off(), size != 0 && size != first && size != datagram.size()) << size;
  }
}

// A body cut anywhere is malformed or, between attributes, a shorter message; and never read past
// its end, which AddressSanitizer sees.
TEST(RouteMessages, SurvivesEveryTruncation) {
  for (const NetlinkMessage& message :
       {plain_route(), multipath_route(), vlan_link(), host_address(), neighbour(NUD_REACHABLE)}) {
    const Packet whole = message.bytes();
    EXPECT_FALSE(is<Malformed>(parse_one(whole)));
    std::size_t malformed = 0;
    for (std::size_t size = 16; size < whole.size(); ++size) {
      Packet part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      store_le(part.data(), static_cast<std::uint32_t>(size));
      malformed += is<Malformed>(parse_one(part)) ? 1U : 0U;
    }
    EXPECT_GT(malformed, (whole.size() - 16) / 2);
  }
}

}  // namespace
}  // namespace ringway::control::route_message
