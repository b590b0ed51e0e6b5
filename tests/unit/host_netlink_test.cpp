#include <algorithm>

#include "controlplane/host/netlink.hpp"
#include "tests/unit/host_lab.hpp"

namespace ringway::control {
namespace {

class NetlinkTest : public HostLab {
 protected:
  void SetUp() override {
    HostLab::SetUp();
    auto opened = Netlink::open();
    ASSERT_TRUE(opened);
    netlink_ = std::make_unique<Netlink>(std::move(*opened));
    rw0_ = netlink_->link("rw0")->index;
  }
  std::unique_ptr<Netlink> netlink_;
  int rw0_ = 0;
};

template <typename T>
bool contains(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

TEST_F(NetlinkTest, FindsLinks) {
  const auto link = netlink_->link("rw0");
  ASSERT_TRUE(link) << link.error().text();
  EXPECT_EQ(link->name, "rw0");
  EXPECT_EQ(link->mtu, 1500U);
  EXPECT_FALSE(link->up);
  EXPECT_GE(link->gso_max_size, 65536U);
  const auto links = netlink_->links();
  ASSERT_TRUE(links);
  EXPECT_EQ(links->size(), 6U);  // lo, e0, e1, lan0, lan1, rw0
}

TEST_F(NetlinkTest, NamesAnUnknownInterface) {
  const auto link = netlink_->link("eth9");
  ASSERT_FALSE(link);
  EXPECT_EQ(link.error().message, "there is no interface 'eth9'");
  EXPECT_FALSE(netlink_->link(""));
  EXPECT_FALSE(netlink_->link("a-name-that-is-too-long"));
}

TEST_F(NetlinkTest, SetsLinkProperties) {
  ASSERT_TRUE(netlink_->set_mtu(rw0_, 1400));
  ASSERT_TRUE(netlink_->set_up(rw0_, true));
  ASSERT_TRUE(netlink_->set_gso_max_size(rw0_, 32768, 16384));
  const auto link = netlink_->link("rw0");
  EXPECT_EQ(link->mtu, 1400U);
  EXPECT_TRUE(link->up);
  EXPECT_EQ(link->gso_max_size, 32768U);
  EXPECT_EQ(link->gso_ipv4_max_size, 16384U);
  const auto failed = netlink_->set_mtu(rw0_, 1);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().text().find("MTU 1 of rw0"), std::string::npos) << failed.error().text();
}

TEST_F(NetlinkTest, AddsAndRemovesAddressesOfBothFamilies) {
  for (const char* text : {"10.77.0.2/24", "fd77::2/64"}) {
    const LocalAddress address = *LocalAddress::parse(text);
    ASSERT_TRUE(netlink_->add_address(rw0_, address));
    EXPECT_TRUE(contains(*netlink_->addresses(rw0_), address)) << text;
    EXPECT_FALSE(netlink_->add_address(rw0_, address));
    EXPECT_TRUE(netlink_->add_address(rw0_, address, IfExists::kKeep));
    ASSERT_TRUE(netlink_->remove_address(rw0_, address));
    EXPECT_FALSE(contains(*netlink_->addresses(rw0_), address)) << text;
    EXPECT_TRUE(netlink_->remove_address(rw0_, address));
    EXPECT_TRUE(netlink_->remove_address(9999, address));
  }
}

TEST_F(NetlinkTest, Ipv6AddressesAreUsableAtOnce) {
  run_well("echo 1 > /proc/sys/net/ipv6/conf/rw0/accept_dad");
  ASSERT_TRUE(netlink_->set_up(rw0_, true));
  ASSERT_TRUE(netlink_->add_address(rw0_, *LocalAddress::parse("fd77::2/64")));
  EXPECT_EQ(run_well("ip addr show dev rw0 to fd77::2").find("tentative"), std::string::npos);
}

TEST_F(NetlinkTest, AddsAndRemovesRoutes) {
  ASSERT_TRUE(netlink_->set_up(rw0_, true));
  for (const char* prefix : {"0.0.0.0/0", "10.9.0.0/16", "::/0", "fd99::/48"}) {
    for (const RouteKind kind :
         {RouteKind::kUnicast, RouteKind::kUnreachable, RouteKind::kBlackhole}) {
      Route route{.destination = *net::Prefix::parse(prefix),
                  .table = 21079,
                  .kind = kind,
                  .interface_index = kind == RouteKind::kUnicast ? rw0_ : 0,
                  .metric = 77};
      const auto family = route.destination.address.family;
      ASSERT_TRUE(netlink_->add_route(route)) << route.to_string();
      EXPECT_FALSE(netlink_->add_route(route));
      EXPECT_TRUE(contains(*netlink_->routes(family, 21079), route)) << route.to_string();
      ASSERT_TRUE(netlink_->remove_route(route));
      EXPECT_TRUE(netlink_->routes(family, 21079)->empty());
      EXPECT_TRUE(netlink_->remove_route(route));
    }
  }
}

TEST_F(NetlinkTest, AddsAndRemovesRules) {
  for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    Rule marked;
    marked.family = family;
    marked.priority = 87;
    marked.table = 21079;
    marked.mark = 0x5257;
    marked.invert = true;
    Rule dhcp;
    dhcp.family = family;
    dhcp.priority = 82;
    dhcp.suppress_prefix_length = 0;
    dhcp.in_interface = "lo";
    dhcp.protocol = 17;
    dhcp.source_port = 68;
    dhcp.destination_port = 67;
    for (const Rule& rule : {marked, dhcp}) {
      ASSERT_TRUE(netlink_->add_rule(rule)) << rule.to_string();
      EXPECT_FALSE(netlink_->add_rule(rule));
      EXPECT_TRUE(contains(*netlink_->rules(family), rule)) << rule.to_string();
      ASSERT_TRUE(netlink_->remove_rule(rule));
      EXPECT_FALSE(contains(*netlink_->rules(family), rule));
      EXPECT_TRUE(netlink_->remove_rule(rule));
    }
  }
}

}  // namespace
}  // namespace ringway::control
