#include "dataplane/tunnel/allowed_ips.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace ringway::tunnel {
namespace {

using net::Family;
using net::IpAddress;
using net::Prefix;

AllowedIp entry(const std::string& prefix, std::uint32_t peer) {
  return {*Prefix::parse(prefix), PeerId{peer}};
}

PeerId lookup(const AllowedIps& table, const IpAddress& address) {
  return address.is_v4() ? table.lookup_v4(address.bytes.data())
                         : table.lookup_v6(address.bytes.data());
}
PeerId lookup(const AllowedIps& table, const std::string& address) {
  return lookup(table, *IpAddress::parse(address));
}

// The rule itself: the longest of the prefixes that hold the address, the last of equal ones.
PeerId naive_lookup(const std::vector<AllowedIp>& entries, const IpAddress& address) {
  std::optional<AllowedIp> best;
  for (const AllowedIp& candidate : entries) {
    if (!candidate.prefix.contains(address)) continue;
    if (!best || candidate.prefix.length >= best->prefix.length) best = candidate;
  }
  return best ? best->peer : PeerId::none();
}

TEST(AllowedIps, EmptyTableKnowsNobody) {
  for (const AllowedIps& table : {AllowedIps(), AllowedIps(std::vector<AllowedIp>{})}) {
    EXPECT_EQ(lookup(table, "192.0.2.1"), PeerId::none());
    EXPECT_EQ(lookup(table, "2001:db8::1"), PeerId::none());
    EXPECT_EQ(table.prefix_count(), 0U);
  }
}

TEST(AllowedIps, DefaultRoutesHoldTheirFamilyOnly) {
  const AllowedIps v4_only(std::vector{entry("0.0.0.0/0", 1)});
  EXPECT_EQ(lookup(v4_only, "0.0.0.0"), PeerId{1});
  EXPECT_EQ(lookup(v4_only, "255.255.255.255"), PeerId{1});
  EXPECT_EQ(lookup(v4_only, "::"), PeerId::none());
  const AllowedIps v6_only(std::vector{entry("::/0", 2)});
  EXPECT_EQ(lookup(v6_only, "ffff::1"), PeerId{2});
  EXPECT_EQ(lookup(v6_only, "0.0.0.0"), PeerId::none());
}

TEST(AllowedIps, LongestPrefixWins) {
  const AllowedIps table(std::vector{
      entry("0.0.0.0/0", 1), entry("10.0.0.0/8", 2), entry("10.1.0.0/16", 3),
      entry("10.1.2.0/24", 4), entry("10.1.2.3/32", 5), entry("10.1.2.128/25", 6),
      entry("2001:db8::/32", 7), entry("2001:db8:1::/48", 8), entry("2001:db8:1::1/128", 9)});
  EXPECT_EQ(lookup(table, "192.0.2.1"), PeerId{1});
  EXPECT_EQ(lookup(table, "10.2.0.0"), PeerId{2});
  EXPECT_EQ(lookup(table, "10.1.3.0"), PeerId{3});
  EXPECT_EQ(lookup(table, "10.1.2.2"), PeerId{4});
  EXPECT_EQ(lookup(table, "10.1.2.3"), PeerId{5});
  EXPECT_EQ(lookup(table, "10.1.2.255"), PeerId{6});
  EXPECT_EQ(lookup(table, "2001:db8:2::"), PeerId{7});
  EXPECT_EQ(lookup(table, "2001:db8:1::2"), PeerId{8});
  EXPECT_EQ(lookup(table, "2001:db8:1::1"), PeerId{9});
  EXPECT_EQ(lookup(table, "2001:db9::"), PeerId::none());
  EXPECT_EQ(table.prefix_count(), 9U);
}

TEST(AllowedIps, HostRoutesMatchOneAddress) {
  const AllowedIps table(std::vector{entry("192.0.2.7/32", 1), entry("2001:db8::7/128", 2)});
  EXPECT_EQ(lookup(table, "192.0.2.7"), PeerId{1});
  EXPECT_EQ(lookup(table, "192.0.2.6"), PeerId::none());
  EXPECT_EQ(lookup(table, "192.0.2.8"), PeerId::none());
  EXPECT_EQ(lookup(table, "64.0.2.7"), PeerId::none());
  EXPECT_EQ(lookup(table, "2001:db8::7"), PeerId{2});
  EXPECT_EQ(lookup(table, "2001:db8::6"), PeerId::none());
  EXPECT_EQ(lookup(table, "2001:db8:8000::7"), PeerId::none());
}

TEST(AllowedIps, OfOnePrefixTwiceTheLastCounts) {
  const AllowedIps table(std::vector{entry("192.0.2.0/24", 1), entry("192.0.2.0/24", 2),
                                     entry("0.0.0.0/0", 3), entry("0.0.0.0/0", 4)});
  EXPECT_EQ(lookup(table, "192.0.2.1"), PeerId{2});
  EXPECT_EQ(lookup(table, "198.51.100.1"), PeerId{4});
  EXPECT_EQ(table.prefix_count(), 2U);
}

TEST(AllowedIps, TwoHalvesMakeAWhole) {
  const AllowedIps table(std::vector{entry("0.0.0.0/1", 1), entry("128.0.0.0/1", 2),
                                     entry("::/1", 3), entry("8000::/1", 4)});
  EXPECT_EQ(lookup(table, "127.255.255.255"), PeerId{1});
  EXPECT_EQ(lookup(table, "128.0.0.0"), PeerId{2});
  EXPECT_EQ(lookup(table, "7fff::"), PeerId{3});
  EXPECT_EQ(lookup(table, "8000::"), PeerId{4});
}

TEST(AllowedIps, ReadsUnalignedAddresses) {
  const AllowedIps table(std::vector{entry("192.0.2.0/24", 1), entry("2001:db8::/32", 2)});
  std::array<std::uint8_t, 40> buffer{};
  for (std::size_t offset = 0; offset < 16; ++offset) {
    std::copy_n(IpAddress::parse("192.0.2.9")->bytes.begin(), 4, buffer.begin() + offset);
    EXPECT_EQ(table.lookup_v4(buffer.data() + offset), PeerId{1});
    std::copy_n(IpAddress::parse("2001:db8::9")->bytes.begin(), 16, buffer.begin() + offset);
    EXPECT_EQ(table.lookup_v6(buffer.data() + offset), PeerId{2});
  }
}

void clear_host_bits(Prefix& prefix) {
  for (unsigned bit = prefix.length; bit < prefix.address.bit_length(); ++bit) {
    auto& byte = prefix.address.bytes[bit / 8];
    byte = static_cast<std::uint8_t>(byte & ~(0x80U >> (bit % 8)));
  }
}

IpAddress random_address(Rng& rng, Family family) {
  IpAddress address{.family = family};
  rng.fill({address.bytes.data(), family == Family::kIpv4 ? 4U : 16U});
  return address;
}

// Half of the prefixes grow out of an earlier one, so that nesting is common.
std::vector<AllowedIp> random_entries(Rng& rng, Family family, std::size_t count) {
  std::vector<AllowedIp> entries;
  const unsigned width = family == Family::kIpv4 ? 32 : 128;
  while (entries.size() < count) {
    Prefix prefix{random_address(rng, family), static_cast<std::uint8_t>(rng.below(width + 1))};
    if (!entries.empty() && rng.below(2) == 0) {
      const Prefix& outer = entries[rng.below(entries.size())].prefix;
      for (unsigned bit = 0; bit < outer.length; ++bit) {
        const unsigned mask = 0x80U >> (bit % 8);
        const unsigned wanted = outer.address.bytes[bit / 8] & mask;
        auto& byte = prefix.address.bytes[bit / 8];
        byte = static_cast<std::uint8_t>((byte & ~mask) | wanted);
      }
      prefix.length = static_cast<std::uint8_t>(outer.length + rng.below(width - outer.length + 1));
    }
    clear_host_bits(prefix);
    entries.push_back({prefix, PeerId{static_cast<std::uint32_t>(rng.below(1000))}});
  }
  return entries;
}

// An address where mistakes show: a prefix's first, one beyond it, or one bit beside it.
IpAddress telling_address(Rng& rng, const Prefix& prefix) {
  IpAddress address = prefix.address;
  const IpAddress noise = random_address(rng, address.family);
  for (unsigned bit = prefix.length; bit < address.bit_length(); ++bit) {
    address.bytes[bit / 8] = static_cast<std::uint8_t>(address.bytes[bit / 8] |
                                                       (noise.bytes[bit / 8] & 0x80U >> bit % 8));
  }
  if (rng.below(2) == 0) {
    const auto bit = static_cast<unsigned>(rng.below(address.bit_length()));
    address.bytes[bit / 8] = static_cast<std::uint8_t>(address.bytes[bit / 8] ^ 0x80U >> bit % 8);
  }
  return address;
}

TEST(AllowedIps, AgreesWithTheLinearSearchOnRandomTables) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SeededRng rng(seed);
    const Family family = seed % 2 == 0 ? Family::kIpv4 : Family::kIpv6;
    const auto entries = random_entries(rng, family, 1 + rng.below(200));
    const AllowedIps table(entries);
    for (int i = 0; i < 400; ++i) {
      const IpAddress address =
          rng.below(4) == 0 ? random_address(rng, family)
                            : telling_address(rng, entries[rng.below(entries.size())].prefix);
      ASSERT_EQ(lookup(table, address), naive_lookup(entries, address))
          << "seed " << seed << " address " << address.to_string();
    }
  }
}

TEST(AllowedIps, HundredThousandPrefixesStaySmall) {
  SeededRng rng(1);
  std::vector<AllowedIp> entries;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const bool v4 = i % 2 == 0;
    Prefix prefix{random_address(rng, v4 ? Family::kIpv4 : Family::kIpv6),
                  static_cast<std::uint8_t>(v4 ? 32 : 128)};
    if (!v4)
      std::copy_n(IpAddress::parse("fd00::")->bytes.begin(), 8, prefix.address.bytes.begin());
    entries.push_back({prefix, PeerId{i}});
  }
  const AllowedIps table(entries);
  EXPECT_LT(table.memory_bytes(), 100 * entries.size());
  for (const AllowedIp& wanted : entries) {
    ASSERT_EQ(lookup(table, wanted.prefix.address), wanted.peer);
  }
}

}  // namespace
}  // namespace ringway::tunnel
