#include "dataplane/nat/rewrite.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/nat_packets.hpp"

namespace ringway::nat {
namespace {

using testing_support::address;
using testing_support::build;
using testing_support::checksums_right;
using testing_support::cut;
using testing_support::PacketBytes;
using testing_support::PacketSpec;
using testing_support::put_together;
using testing_support::random_address;
using testing_support::random_bytes;
using testing_support::random_spec;

// The packet that a sender with the new end would have built.
PacketSpec with_end(PacketSpec spec, Side side, const net::IpAddress& to, std::uint16_t port) {
  const bool icmp = spec.protocol == net::kProtocolIcmp || spec.protocol == net::kProtocolIcmpv6;
  (side == Side::kSource ? spec.source : spec.destination) = to;
  (side == Side::kSource || icmp ? spec.source_port : spec.destination_port) = port;
  return spec;
}

TEST(Rewrite, GivesWhatASenderWithTheNewEndWouldHaveBuilt) {
  SeededRng rng(1);
  for (int i = 0; i < 30'000; ++i) {
    const PacketSpec spec = random_spec(rng);
    const Side side = rng.below(2) == 0 ? Side::kSource : Side::kDestination;
    const net::IpAddress to = random_address(spec.source.family, rng);
    const auto port = static_cast<std::uint16_t>(rng.next_u32());
    PacketBytes packet = build(spec);
    const Flow flow = parse_flow(packet);
    rewrite(packet.data(), flow, side, to.bytes.data(), port);
    ASSERT_TRUE(checksums_right(packet));
    // Equal byte by byte, but for a zero that is written as all ones.
    PacketBytes expected = build(with_end(spec, side, to, port));
    std::uint8_t* const field = expected.data() + flow.checksum_at;
    if (spec.protocol != net::kProtocolUdp && load_le<std::uint16_t>(field) == 0) {
      store_le(field, std::uint16_t{0xffff});
    }
    ASSERT_EQ(packet, expected);
  }
}

TEST(Rewrite, KeepsTheChecksumRightWhereItBecomesZero) {
  // Every identifier: two of them make the sum all ones.
  for (const char* from : {"192.0.2.1", "2001:db8::1"}) {
    PacketSpec spec;
    spec.source = spec.destination = address(from);
    for (const std::uint8_t protocol :
         {net::kProtocolTcp, net::kProtocolUdp,
          spec.source.is_v4() ? net::kProtocolIcmp : net::kProtocolIcmpv6}) {
      spec.protocol = protocol;
      PacketBytes packet = build(spec);
      const Flow flow = parse_flow(packet);
      for (unsigned port = 0; port < 65'536; ++port) {
        rewrite(packet.data(), flow, Side::kSource, spec.source.bytes.data(),
                static_cast<std::uint16_t>(port));
        ASSERT_TRUE(checksums_right(packet)) << port;
        ASSERT_NE(load_le<std::uint16_t>(packet.data() + flow.checksum_at), 0) << port;
      }
    }
  }
}

TEST(Rewrite, KeepsAnEchoReplyOfZerosValid) {
  PacketBytes packet(28, 0);  // an echo reply without data: all zero when the identifier is
  packet[0] = 0x45;
  packet[3] = 28;
  packet[9] = net::kProtocolIcmp;
  packet[25] = 7;
  testing_support::fix_checksums(packet);
  const std::uint8_t to[4] = {192, 0, 2, 1};
  rewrite(packet.data(), parse_flow(packet), Side::kDestination, to, 0);
  EXPECT_TRUE(checksums_right(packet));
  rewrite(packet.data(), parse_flow(packet), Side::kDestination, to, 9);
  EXPECT_TRUE(checksums_right(packet));
}

TEST(Rewrite, LeavesAUdpChecksumOfZero) {
  PacketSpec spec;
  spec.udp_checksum = false;
  PacketBytes packet = build(spec);
  rewrite(packet.data(), parse_flow(packet), Side::kSource, address("203.0.113.9").bytes.data(),
          1234);
  EXPECT_EQ(load_le<std::uint16_t>(packet.data() + 26), 0);
  EXPECT_TRUE(checksums_right(packet));
}

TEST(Rewrite, KeepsWrongChecksumsWrong) {
  SeededRng rng(2);
  for (int i = 0; i < 2000; ++i) {
    PacketSpec spec = random_spec(rng);
    spec.udp_checksum = true;
    PacketBytes packet = build(spec);
    const Flow flow = parse_flow(packet);
    packet[flow.checksum_at + 1U] ^= 0x40;
    if (load_le<std::uint16_t>(packet.data() + flow.checksum_at) == 0) continue;
    const net::IpAddress to = random_address(flow.family, rng);
    rewrite(packet.data(), flow, Side::kDestination, to.bytes.data(), 99);
    ASSERT_FALSE(checksums_right(packet));
  }
}

TEST(Rewrite, FragmentsPutTogetherAreTheTranslatedDatagram) {
  SeededRng rng(3);
  for (int i = 0; i < 3000; ++i) {
    PacketSpec spec = random_spec(rng);
    spec.payload = random_bytes(100 + rng.below(2000), rng);
    const Side side = rng.below(2) == 0 ? Side::kSource : Side::kDestination;
    const net::IpAddress to = random_address(spec.source.family, rng);
    auto parts = cut(build(spec), 40 + 8 * rng.below(100), rng.next_u32());
    for (PacketBytes& part : parts) {
      const Flow flow = parse_flow(part);
      rewrite(part.data(), flow, side, to.bytes.data(), 31'000);
      ASSERT_TRUE(checksums_right(part));
    }
    const PacketBytes whole = put_together(parts);
    ASSERT_FALSE(whole.empty());
    ASSERT_TRUE(checksums_right(whole));
    const Flow flow = parse_flow(whole);
    EXPECT_TRUE(std::ranges::equal(
        to.view(), ConstBytes(whole).subspan(address_at(flow.family, side), to.view().size())));
    EXPECT_EQ(side == Side::kSource ? flow.source_port : flow.destination_port, 31'000);
  }
}

TEST(Rewrite, CountsTheTtlDownWithItsChecksum) {
  PacketSpec spec;
  for (unsigned ttl_value = 255; ttl_value > 1; --ttl_value) {
    spec.ttl = static_cast<std::uint8_t>(ttl_value);
    PacketBytes packet = build(spec);
    EXPECT_EQ(ttl(packet.data(), net::Family::kIpv4), ttl_value);
    decrement_ttl(packet.data(), net::Family::kIpv4);
    spec.ttl = static_cast<std::uint8_t>(ttl_value - 1);
    ASSERT_EQ(packet, build(spec));
  }
  spec.source = spec.destination = address("2001:db8::1");
  spec.ttl = 9;
  PacketBytes packet = build(spec);
  decrement_ttl(packet.data(), net::Family::kIpv6);
  EXPECT_EQ(ttl(packet.data(), net::Family::kIpv6), 8);
}

TEST(Rewrite, SetsTheIdentification) {
  SeededRng rng(4);
  for (int i = 0; i < 1000; ++i) {
    PacketSpec spec = random_spec(rng);
    spec.payload = random_bytes(300, rng);
    const std::uint32_t identification = rng.next_u32();
    const PacketBytes packet = build(spec);
    auto parts = cut(packet, 64, rng.next_u32());
    for (PacketBytes& part : parts)
      rewrite_identification(part.data(), parse_flow(part), identification);
    ASSERT_EQ(parts, cut(packet, 64, identification));
  }
}

}  // namespace
}  // namespace ringway::nat
