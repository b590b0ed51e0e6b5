#include "base/net/address.hpp"

#include <gtest/gtest.h>

#include "base/net/address_scope.hpp"

namespace ringway::net {
namespace {

TEST(IpAddress, ParsesAndPrintsBothFamilies) {
  EXPECT_EQ(IpAddress::parse("192.0.2.1")->to_string(), "192.0.2.1");
  EXPECT_EQ(IpAddress::parse("2001:db8:0::1")->to_string(), "2001:db8::1");
}

TEST(IpAddress, RefusesAnythingElse) {
  for (const char* text :
       {"", "192.0.2", "192.0.2.256", "192.0.2.1:5", "host", "::1%lo", "[::1]"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, KnowsLinkLocalOnes) {
  for (const char* text : {"169.254.0.1", "169.254.255.255", "fe80::1", "febf::1"})
    EXPECT_TRUE(IpAddress::parse(text)->is_link_local()) << text;
  for (const char* text : {"169.253.0.1", "168.254.0.1", "fec0::1", "fe7f::1", "2001:db8::1"})
    EXPECT_FALSE(IpAddress::parse(text)->is_link_local()) << text;
}

TEST(AddressScope, IsThatOfTheRegistries) {
  const struct {
    const char* address;
    AddressScope scope;
  } kTable[] = {
      {"1.1.1.1", AddressScope::kGlobal},
      {"0.0.0.0", AddressScope::kUnspecified},
      {"0.255.255.255", AddressScope::kUnspecified},
      {"9.255.255.255", AddressScope::kGlobal},
      {"10.0.0.0", AddressScope::kPrivate},
      {"10.255.255.255", AddressScope::kPrivate},
      {"11.0.0.0", AddressScope::kGlobal},
      {"100.63.255.255", AddressScope::kGlobal},
      {"100.64.0.1", AddressScope::kPrivate},
      {"100.127.255.255", AddressScope::kPrivate},
      {"100.128.0.0", AddressScope::kGlobal},
      {"127.0.0.1", AddressScope::kLoopback},
      {"127.255.255.254", AddressScope::kLoopback},
      {"169.254.169.254", AddressScope::kLinkLocal},
      {"172.15.255.255", AddressScope::kGlobal},
      {"172.16.0.1", AddressScope::kPrivate},
      {"172.31.255.255", AddressScope::kPrivate},
      {"172.32.0.0", AddressScope::kGlobal},
      {"192.0.0.9", AddressScope::kReserved},
      {"192.0.2.1", AddressScope::kGlobal},  // documentation, as those below
      {"198.51.100.1", AddressScope::kGlobal},
      {"203.0.113.1", AddressScope::kGlobal},
      {"2001:db8::1", AddressScope::kGlobal},
      {"3fff::1", AddressScope::kGlobal},
      {"192.88.99.1", AddressScope::kReserved},
      {"192.168.255.255", AddressScope::kPrivate},
      {"192.169.0.0", AddressScope::kGlobal},
      {"198.17.255.255", AddressScope::kGlobal},
      {"198.18.0.1", AddressScope::kPrivate},
      {"198.19.255.255", AddressScope::kPrivate},
      {"198.20.0.0", AddressScope::kGlobal},
      {"223.255.255.255", AddressScope::kGlobal},
      {"224.0.0.1", AddressScope::kMulticast},
      {"239.255.255.255", AddressScope::kMulticast},
      {"240.0.0.1", AddressScope::kReserved},
      {"255.255.255.254", AddressScope::kReserved},
      {"255.255.255.255", AddressScope::kBroadcast},
      {"::", AddressScope::kUnspecified},
      {"::1", AddressScope::kLoopback},
      {"::2", AddressScope::kReserved},
      {"::ffff:127.0.0.1", AddressScope::kReserved},
      {"::ffff:8.8.8.8", AddressScope::kReserved},
      {"::7f00:1", AddressScope::kReserved},
      {"64:ff9b::a00:1", AddressScope::kReserved},
      {"100::1", AddressScope::kReserved},
      {"1fff:ffff::1", AddressScope::kReserved},
      {"2000::1", AddressScope::kGlobal},
      {"2001:0:a00:1::1", AddressScope::kReserved},
      {"2001:2::1", AddressScope::kPrivate},
      {"2001:10::1", AddressScope::kReserved},
      {"2001:2f:ffff::1", AddressScope::kReserved},
      {"2001:30::1", AddressScope::kGlobal},
      {"2001:4860:4860::8888", AddressScope::kGlobal},
      {"2002:a00:1::1", AddressScope::kReserved},
      {"3fff:ffff::1", AddressScope::kGlobal},
      {"4000::1", AddressScope::kReserved},
      {"fbff::1", AddressScope::kReserved},
      {"fc00::1", AddressScope::kPrivate},
      {"fdff::1", AddressScope::kPrivate},
      {"fe80::1", AddressScope::kLinkLocal},
      {"febf::1", AddressScope::kLinkLocal},
      {"fec0::1", AddressScope::kReserved},
      {"ff02::1", AddressScope::kMulticast},
  };
  for (const auto& [address, scope] : kTable)
    EXPECT_EQ(scope_of(*IpAddress::parse(address)), scope) << address;
}

TEST(AddressScope, ASubnetsFirstAndLastAddressAreItsBroadcasts) {
  const auto broadcast = [](const char* subnet, const char* address) {
    return is_broadcast_of(*Prefix::parse(subnet), *IpAddress::parse(address));
  };
  EXPECT_TRUE(broadcast("192.0.2.64/26", "192.0.2.127"));
  EXPECT_TRUE(broadcast("192.0.2.64/26", "192.0.2.64"));
  EXPECT_FALSE(broadcast("192.0.2.64/26", "192.0.2.65"));
  EXPECT_FALSE(broadcast("192.0.2.64/26", "192.0.2.63"));  // of another subnet
  EXPECT_FALSE(broadcast("192.0.2.4/31", "192.0.2.5"));
  EXPECT_FALSE(broadcast("192.0.2.4/32", "192.0.2.4"));
  EXPECT_FALSE(broadcast("2001:db8::/64", "2001:db8::"));
}

TEST(Prefix, ClearsHostBits) {
  EXPECT_EQ(Prefix::parse("192.0.2.77/26")->to_string(), "192.0.2.64/26");
  EXPECT_EQ(Prefix::parse("2001:db8:ffff::/33")->to_string(), "2001:db8:8000::/33");
  EXPECT_EQ(Prefix::parse("203.0.113.9")->to_string(), "203.0.113.9/32");
  EXPECT_EQ(Prefix::parse("203.0.113.9/0")->to_string(), "0.0.0.0/0");
}

TEST(Prefix, RefusesBadLengths) {
  for (const char* text : {"192.0.2.0/33", "2001:db8::/129", "192.0.2.0/", "192.0.2.0/-1",
                           "192.0.2.0/08", "192.0.2.0/8x"}) {
    EXPECT_FALSE(Prefix::parse(text)) << text;
  }
}

TEST(Prefix, ContainsAndOverlaps) {
  const Prefix net = *Prefix::parse("198.51.100.0/24");
  EXPECT_TRUE(net.contains(*IpAddress::parse("198.51.100.255")));
  EXPECT_FALSE(net.contains(*IpAddress::parse("198.51.101.0")));
  EXPECT_FALSE(Prefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("::")));
  EXPECT_TRUE(net.overlaps(*Prefix::parse("198.51.0.0/16")));
  EXPECT_TRUE(Prefix::parse("198.51.0.0/16")->overlaps(net));
  EXPECT_FALSE(net.overlaps(*Prefix::parse("198.51.101.0/24")));
}

TEST(Endpoint, ParsesBothFamilies) {
  EXPECT_EQ(Endpoint::parse("192.0.2.1:51820")->to_string(), "192.0.2.1:51820");
  EXPECT_EQ(Endpoint::parse("[2001:db8::1]:1")->to_string(), "[2001:db8::1]:1");
}

TEST(Endpoint, RefusesBadForms) {
  for (const char* text : {"192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", "2001:db8::1:51820",
                           "[192.0.2.1]:5", ":5", "[]:5", "192.0.2.1:05"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

}  // namespace
}  // namespace ringway::net
