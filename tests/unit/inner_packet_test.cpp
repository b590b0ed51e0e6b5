#include "base/net/inner_packet.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ringway::net {
namespace {

using Packet = std::vector<std::uint8_t>;

Packet ip4(std::uint16_t total_bytes, std::uint8_t tos = 0) {
  Packet packet(total_bytes);
  packet[0] = 0x45;
  packet[1] = tos;
  store_be(packet.data() + 2, total_bytes);
  packet[8] = 64;
  packet[9] = 17;
  for (std::size_t i = 12; i < 20; ++i)
    packet[i] = static_cast<std::uint8_t>(i);
  store_le(packet.data() + 10, checksum_finish(checksum_sum({packet.data(), 20})));
  return packet;
}

Packet ip6(std::uint16_t payload_bytes, std::uint8_t traffic_class = 0) {
  Packet packet(40U + payload_bytes);
  store_be(packet.data(), 0x6000'0000U | (std::uint32_t{traffic_class} << 20) | 0xabcdeU);
  store_be(packet.data() + 4, payload_bytes);
  packet[6] = 17;
  for (std::size_t i = 8; i < 40; ++i)
    packet[i] = static_cast<std::uint8_t>(i);
  return packet;
}

TEST(InnerPacket, ReadsIpv4AndIgnoresPadding) {
  Packet bytes = ip4(61, 0x03);
  bytes.resize(64);
  InnerPacket inner;
  ASSERT_TRUE(parse_inner_packet(bytes, inner));
  EXPECT_EQ(inner.family, Family::kIpv4);
  EXPECT_EQ(inner.total_bytes, 61);
  EXPECT_EQ(inner.source, bytes.data() + 12);
  EXPECT_EQ(inner.destination, bytes.data() + 16);
  EXPECT_EQ(inner.ecn, 3);
}

TEST(InnerPacket, ReadsIpv6AndIgnoresPadding) {
  Packet bytes = ip6(21, 0xfe);
  bytes.resize(64);
  InnerPacket inner;
  ASSERT_TRUE(parse_inner_packet(bytes, inner));
  EXPECT_EQ(inner.family, Family::kIpv6);
  EXPECT_EQ(inner.total_bytes, 61);
  EXPECT_EQ(inner.source, bytes.data() + 8);
  EXPECT_EQ(inner.destination, bytes.data() + 24);
  EXPECT_EQ(inner.ecn, 2);
}

TEST(InnerPacket, RefusesEveryTruncation) {
  for (const Packet& whole : {ip4(48), ip6(8)}) {
    InnerPacket inner;
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Packet cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      EXPECT_FALSE(parse_inner_packet(cut, inner)) << length;
    }
    EXPECT_TRUE(parse_inner_packet(whole, inner));
  }
}

TEST(InnerPacket, RefusesEveryOtherVersion) {
  for (unsigned version = 0; version < 16; ++version) {
    Packet packet = ip6(60);
    packet[0] = static_cast<std::uint8_t>((version << 4) | 5);
    store_be(packet.data() + 2, std::uint16_t{60});
    InnerPacket inner;
    EXPECT_EQ(parse_inner_packet(packet, inner), version == 4 || version == 6) << version;
  }
}

TEST(InnerPacket, RefusesLyingLengths) {
  InnerPacket inner;
  Packet packet = ip4(64);
  for (const unsigned total : {0U, 19U, 65U, 65'535U}) {
    store_be(packet.data() + 2, static_cast<std::uint16_t>(total));
    EXPECT_FALSE(parse_inner_packet(packet, inner)) << total;
  }
  store_be(packet.data() + 2, std::uint16_t{20});
  EXPECT_TRUE(parse_inner_packet(packet, inner));
  packet[0] = 0x46;
  EXPECT_FALSE(parse_inner_packet(packet, inner));
}

TEST(InnerPacket, RefusesJumbogramsAndOversize) {
  InnerPacket inner;
  Packet jumbo = ip6(8);
  jumbo[6] = kNextHopByHop;
  store_be(jumbo.data() + 4, std::uint16_t{0});
  EXPECT_FALSE(parse_inner_packet(jumbo, inner));
  EXPECT_TRUE(parse_inner_packet(ip6(65'495), inner));
  EXPECT_EQ(inner.total_bytes, 65'535);
  EXPECT_FALSE(parse_inner_packet(ip6(65'496), inner));
}

// RFC 6040 figure 4, written out as the RFC has it.
struct EgressCase {
  std::uint8_t inner;
  std::uint8_t outer;
  int result;  // -1: drop
};
constexpr EgressCase kFigure4[] = {
    {kNotEct, kNotEct, kNotEct}, {kNotEct, kEct0, kNotEct},
    {kNotEct, kEct1, kNotEct},   {kNotEct, kCe, -1},
    {kEct0, kNotEct, kEct0},     {kEct0, kEct0, kEct0},
    {kEct0, kEct1, kEct1},       {kEct0, kCe, kCe},
    {kEct1, kNotEct, kEct1},     {kEct1, kEct0, kEct1},
    {kEct1, kEct1, kEct1},       {kEct1, kCe, kCe},
    {kCe, kNotEct, kCe},         {kCe, kEct0, kCe},
    {kCe, kEct1, kCe},           {kCe, kCe, kCe},
};

TEST(DecapsulateEcn, FollowsRfc6040InBothFamilies) {
  for (const auto& [inner_ecn, outer_ecn, result] : kFigure4) {
    for (const bool v4 : {true, false}) {
      constexpr std::uint8_t kDscp = 46 << 2;
      const auto byte = static_cast<std::uint8_t>(kDscp | inner_ecn);
      const Packet before = v4 ? ip4(40, byte) : ip6(0, byte);
      Packet packet = before;
      SCOPED_TRACE("inner " + std::to_string(inner_ecn) + " outer " + std::to_string(outer_ecn));
      ASSERT_EQ(decapsulate_ecn(packet, outer_ecn), result >= 0);
      const auto expected = static_cast<std::uint8_t>(result >= 0 ? result : inner_ecn);
      const auto expected_byte = static_cast<std::uint8_t>(kDscp | expected);
      EXPECT_EQ(packet, v4 ? ip4(40, expected_byte) : ip6(0, expected_byte));
    }
  }
}

TEST(DecapsulateEcn, TakesAWholeTrafficClassByte) {
  Packet packet = ip4(40, kEct0);
  EXPECT_TRUE(decapsulate_ecn(packet, 0xb8 | kCe));
  EXPECT_EQ(packet, ip4(40, kCe));
}

}  // namespace
}  // namespace ringway::net
