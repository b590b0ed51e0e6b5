#include "base/net/address.hpp"

#include <gtest/gtest.h>

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
