#include "dataplane/nat/icmp_error.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/nat_packets.hpp"

namespace ringway::nat {
namespace {

using testing_support::address;
using testing_support::build;
using testing_support::build_error;
using testing_support::checksums_right;
using testing_support::cut;
using testing_support::fix_checksums;
using testing_support::PacketBytes;
using testing_support::PacketSpec;
using testing_support::random_address;
using testing_support::random_bytes;
using testing_support::random_spec;

const net::IpAddress kGateway4 = address("203.0.113.1");
const net::IpAddress kGateway6 = address("2001:db8:ffff::1");

const net::IpAddress& gateway(const net::IpAddress& like) {
  return like.is_v4() ? kGateway4 : kGateway6;
}

PacketBytes reported(const PacketBytes& packet, Report report, std::uint16_t mtu = 0) {
  PacketBytes out(kMaxIcmp6ErrorBytes);
  const Flow flow = parse_flow(packet);
  out.resize(emit_icmp_error(packet, flow, report, flow.is_v4() ? kGateway4 : kGateway6, mtu, out));
  return out;
}

PacketSpec hosts(PacketSpec spec) {  // of random_spec: addresses that errors may be sent to
  const bool v4 = spec.source.is_v4();
  spec.source = address(v4 ? "192.0.2.77" : "2001:db8::77");
  spec.destination = address(v4 ? "198.51.100.9" : "2001:db8:1::9");
  return spec;
}
PacketSpec udp(const char* source, const char* destination) {
  PacketSpec spec;
  spec.source = address(source);
  spec.destination = address(destination);
  return spec;
}

struct Numbers {
  Report report;
  std::uint8_t type4, code4, type6, code6;
};

TEST(EmitIcmpError, HasTheNumbersOfEachFamily) {
  for (const Numbers& n :
       {Numbers{Report::kTtlExpired, 11, 0, 3, 0}, Numbers{Report::kTooBig, 3, 4, 2, 0},
        Numbers{Report::kHostUnreachable, 3, 1, 1, 3},
        Numbers{Report::kPortUnreachable, 3, 3, 1, 4}, Numbers{Report::kProhibited, 3, 13, 1, 1}}) {
    const PacketBytes four = reported(build(udp("192.0.2.1", "198.51.100.7")), n.report, 1400);
    ASSERT_EQ(four.size(), 20U + 8 + 28);
    EXPECT_EQ(four[20], n.type4);
    EXPECT_EQ(four[21], n.code4);
    EXPECT_EQ(load_be<std::uint32_t>(four.data() + 24), n.report == Report::kTooBig ? 1400U : 0U);
    const PacketBytes six = reported(build(udp("2001:db8::1", "2001:db8::2")), n.report, 1400);
    ASSERT_EQ(six.size(), 40U + 8 + 48);
    EXPECT_EQ(six[40], n.type6);
    EXPECT_EQ(six[41], n.code6);
    EXPECT_EQ(load_be<std::uint32_t>(six.data() + 44), n.report == Report::kTooBig ? 1400U : 0U);
  }
}

TEST(EmitIcmpError, QuotesAsMuchAsAllowedAndGoesToTheSender) {
  SeededRng rng(1);
  for (int i = 0; i < 2000; ++i) {
    PacketSpec spec = hosts(random_spec(rng));
    spec.payload = random_bytes(rng.below(2000), rng);
    const PacketBytes packet = build(spec);
    const PacketBytes error = reported(packet, Report::kTtlExpired);
    ASSERT_TRUE(checksums_right(error));
    const Flow flow = parse_flow(error);
    ASSERT_EQ(flow.kind, Kind::kIcmpError);
    const std::size_t limit = flow.is_v4() ? 576 : 1280;
    const std::size_t headers = flow.transport_at + 8U;
    ASSERT_EQ(error.size(), std::min(limit, headers + packet.size()));
    ASSERT_TRUE(std::equal(error.begin() + static_cast<std::ptrdiff_t>(headers), error.end(),
                           packet.begin()));
    const std::size_t from = address_at(flow.family, Side::kSource);
    const std::size_t to = address_at(flow.family, Side::kDestination);
    const std::size_t bytes = address_bytes(flow.family);
    ASSERT_TRUE(
        std::ranges::equal(ConstBytes(error).subspan(from, bytes), gateway(spec.source).view()));
    ASSERT_TRUE(std::ranges::equal(ConstBytes(error).subspan(to, bytes), spec.source.view()));
  }
}

TEST(EmitIcmpError, SaysNothingAboutIcmpErrors) {
  const PacketBytes packet = build(udp("192.0.2.1", "198.51.100.7"));
  const PacketBytes error = reported(packet, Report::kTtlExpired);
  EXPECT_FALSE(error.empty());
  EXPECT_TRUE(reported(error, Report::kTtlExpired).empty());
  const PacketBytes error6 =
      reported(build(udp("2001:db8::1", "2001:db8::2")), Report::kTtlExpired);
  EXPECT_TRUE(reported(error6, Report::kTtlExpired).empty());
  PacketSpec redirect = udp("192.0.2.1", "198.51.100.7");
  redirect.protocol = net::kProtocolIcmp;
  redirect.icmp_type = 5;
  EXPECT_TRUE(reported(build(redirect), Report::kTtlExpired).empty());
}

TEST(EmitIcmpError, SpeaksAboutFirstFragmentsOnly) {
  PacketSpec spec = udp("192.0.2.1", "198.51.100.7");
  spec.payload.resize(200);
  const auto parts = cut(build(spec), 96, 5);
  EXPECT_FALSE(reported(parts[0], Report::kTtlExpired).empty());
  EXPECT_TRUE(reported(parts[1], Report::kTtlExpired).empty());
}

TEST(EmitIcmpError, SaysNothingToOrAboutMoreThanOneHost) {
  for (const char* strange :
       {"0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"}) {
    EXPECT_TRUE(reported(build(udp(strange, "198.51.100.7")), Report::kTtlExpired).empty());
    EXPECT_TRUE(reported(build(udp("198.51.100.7", strange)), Report::kTtlExpired).empty());
  }
  for (const char* strange : {"::", "::1", "ff02::1"}) {
    EXPECT_TRUE(reported(build(udp(strange, "2001:db8::1")), Report::kTtlExpired).empty());
    EXPECT_TRUE(reported(build(udp("2001:db8::1", strange)), Report::kTtlExpired).empty());
  }
}

TEST(EmitIcmpError, SpeaksAboutProtocolsThatAreNotTranslated) {
  PacketBytes packet = build(udp("192.0.2.1", "198.51.100.7"));
  packet[9] = 132;
  EXPECT_FALSE(reported(packet, Report::kProhibited).empty());
  EXPECT_TRUE(reported(PacketBytes(packet.begin(), packet.end() - 1), Report::kProhibited).empty());
}

// --- translation ------------------------------------------------------------------------------

std::uint8_t error_type(net::Family family, Rng& rng) {
  const std::uint8_t types[] = {3, 11, 12, 1, 2, 3, 4};
  return family == net::Family::kIpv4 ? types[rng.below(3)] : types[3 + rng.below(4)];
}

PacketBytes quoted_part(const PacketBytes& error) {
  return {error.begin() + parse_flow(error).transport_at + 8, error.end()};
}

// What a reporter would have sent had the packet been the translated one.
TEST(RewriteIcmpError, GivesTheErrorThatTheSenderExpects) {
  SeededRng rng(2);
  for (int i = 0; i < 20'000; ++i) {
    PacketSpec spec = random_spec(rng);
    const Side side = rng.below(2) == 0 ? Side::kSource : Side::kDestination;
    const net::IpAddress reporter = random_address(spec.source.family, rng);
    PacketBytes quoted = build(spec);
    const Flow of_packet = parse_flow(quoted);
    const std::size_t least = of_packet.transport_at + 8U;
    quoted.resize(least + rng.below(quoted.size() - least + 1));
    const net::IpAddress& end = side == Side::kSource ? spec.source : spec.destination;
    PacketBytes error = side == Side::kSource
                            ? build_error(reporter, end, error_type(end.family, rng), 1, 0, quoted)
                            : build_error(end, reporter, error_type(end.family, rng), 1, 0, quoted);

    const Flow flow = parse_flow(error);
    ASSERT_EQ(flow.kind, Kind::kIcmpError);
    Quote quote;
    Drop why{};
    ASSERT_TRUE(parse_icmp_error(error, flow, quote, why));
    ASSERT_EQ(quote.flow.source_port, of_packet.source_port);
    ASSERT_EQ(quote.flow.destination_port, of_packet.destination_port);
    ASSERT_EQ(quote.flow.protocol, spec.protocol);
    ASSERT_EQ(quote.bytes, quoted.size());

    const net::IpAddress to = random_address(spec.source.family, rng);
    const auto port = static_cast<std::uint16_t>(rng.next_u32());
    rewrite_icmp_error(error.data(), flow, quote, side, to.bytes.data(), port);
    ASSERT_TRUE(checksums_right(error));

    PacketSpec translated = spec;
    (side == Side::kSource ? translated.source : translated.destination) = to;
    const bool source_port = side == Side::kSource || of_packet.is_icmp();
    (source_port ? translated.source_port : translated.destination_port) = port;
    PacketBytes expected = build(translated);
    std::uint8_t* const field = expected.data() + of_packet.checksum_at;
    if (load_le<std::uint16_t>(field) == 0 && spec.udp_checksum) {
      store_le(field, std::uint16_t{0xffff});
    }
    expected.resize(quoted.size());
    // Half of a checksum stays as it was.
    if (quoted.size() == of_packet.checksum_at + 1U) expected.back() = quoted.back();
    ASSERT_EQ(quoted_part(error), expected);
    const Side outer = opposite(side);
    ASSERT_TRUE(std::ranges::equal(
        ConstBytes(error).subspan(address_at(flow.family, outer), to.view().size()), to.view()));
  }
}

class IcmpErrorAboutUdp : public testing::Test {
 protected:
  IcmpErrorAboutUdp() {
    spec_.payload.resize(300, 0x42);
    quoted_ = build(spec_);
    make();
  }
  void make(std::uint32_t rest = 0) {
    error_ = build_error(kGateway4, spec_.source, 3, 3, rest, quoted_);
  }
  bool parses() { return parse_icmp_error(error_, parse_flow(error_), quote_, why_); }

  PacketSpec spec_;
  PacketBytes quoted_;
  PacketBytes error_;
  Quote quote_;
  Drop why_ = Drop::kTableFull;
};

TEST_F(IcmpErrorAboutUdp, WithAWrongChecksumIsDropped) {
  EXPECT_TRUE(parses());
  error_[50] ^= 1;
  EXPECT_FALSE(parses());
  EXPECT_EQ(why_, Drop::kBadChecksum);
}

TEST_F(IcmpErrorAboutUdp, WithAWrongQuotedIpChecksumIsDropped) {
  quoted_[8] ^= 1;
  make();
  EXPECT_FALSE(parses());
  EXPECT_EQ(why_, Drop::kBadChecksum);
}

TEST_F(IcmpErrorAboutUdp, WithAWrongQuotedTransportChecksumIsTranslated) {
  quoted_[26] ^= 1;
  make();
  EXPECT_TRUE(parses());
}

TEST_F(IcmpErrorAboutUdp, WithQuotedOptionsIsTranslated) {
  spec_.ip_options = {131, 7, 4, 192, 0, 2, 9, 0};
  quoted_ = build(spec_);
  make();
  EXPECT_TRUE(parses());
  EXPECT_EQ(quote_.flow.transport_at, 28);
}

TEST_F(IcmpErrorAboutUdp, NeedsEightBytesOfTransportHeader) {
  for (std::size_t length = 0; length < quoted_.size(); ++length) {
    error_ = build_error(
        kGateway4, spec_.source, 3, 3, 0,
        PacketBytes(quoted_.begin(), quoted_.begin() + static_cast<std::ptrdiff_t>(length)));
    ASSERT_EQ(parses(), length >= 28) << length;
    ASSERT_TRUE(length >= 28 || why_ == Drop::kMalformed);
  }
}

TEST_F(IcmpErrorAboutUdp, AboutALaterFragmentIsDropped) {
  quoted_ = cut(quoted_, 96, 1)[1];
  make();
  EXPECT_FALSE(parses());
  EXPECT_EQ(why_, Drop::kUnsupported);
}

TEST_F(IcmpErrorAboutUdp, AboutAFirstFragmentIsTranslated) {
  quoted_ = cut(quoted_, 96, 1)[0];
  make();
  EXPECT_TRUE(parses());
  EXPECT_EQ(quote_.flow.source_port, spec_.source_port);
}

TEST_F(IcmpErrorAboutUdp, AboutAnIcmpErrorIsDropped) {
  quoted_ = error_;
  make();
  EXPECT_FALSE(parses());
  EXPECT_EQ(why_, Drop::kUnsupported);
}

TEST_F(IcmpErrorAboutUdp, OfTheOtherFamilyIsDropped) {
  quoted_ = build(udp("2001:db8::1", "2001:db8::2"));
  make();
  EXPECT_FALSE(parses());
  EXPECT_EQ(why_, Drop::kMalformed);
}

// An extension object behind 128 bytes of the packet, as RFC 5837 and MPLS routers send it.
TEST_F(IcmpErrorAboutUdp, KeepsExtensionsAsTheyAre) {
  quoted_.resize(128);
  const PacketBytes extension = {0x20, 0, 0xaa, 0xbb, 0, 8, 1, 1, 0, 0, 0x12, 0xff};
  quoted_.insert(quoted_.end(), extension.begin(), extension.end());
  make(32U << 16);  // 128 / 4 in the second byte
  ASSERT_TRUE(parses());
  EXPECT_EQ(quote_.bytes, 128);
  const net::IpAddress to = address("192.0.2.200");
  rewrite_icmp_error(error_.data(), parse_flow(error_), quote_, Side::kSource, to.bytes.data(), 7);
  EXPECT_TRUE(checksums_right(error_));
  EXPECT_TRUE(std::equal(extension.begin(), extension.end(), error_.end() - 12));
}

TEST_F(IcmpErrorAboutUdp, WithALengthBeyondItsEndIsDropped) {
  make(255U << 16);
  EXPECT_FALSE(parses());
  EXPECT_EQ(why_, Drop::kMalformed);
}

TEST(ParseIcmpError, TakesAPacketTooBigsMtuForNoLength) {
  PacketSpec spec = udp("2001:db8::1", "2001:db8::2");
  spec.payload.resize(300);
  const PacketBytes error =
      build_error(kGateway6, spec.source, net::kIcmpv6PacketTooBig, 0, 0xff00'0500, build(spec));
  Quote quote;
  Drop why{};
  EXPECT_TRUE(parse_icmp_error(error, parse_flow(error), quote, why));
}

TEST(ParseIcmpError, NeverReadsOutsideDamagedErrors) {
  SeededRng rng(3);
  int translated = 0;
  for (int i = 0; i < 30'000; ++i) {
    PacketSpec spec = random_spec(rng);
    PacketBytes quoted = build(spec);
    quoted[rng.below(std::min<std::size_t>(quoted.size(), 60))] =
        static_cast<std::uint8_t>(rng.next_u32());
    quoted.resize(rng.below(quoted.size() + 1));
    PacketBytes error = build_error(spec.destination, spec.source,
                                    error_type(spec.source.family, rng), 0, 0, quoted);
    PacketBytes exact(error);
    Quote quote;
    Drop why{};
    const Flow flow = parse_flow(exact);
    if (!parse_icmp_error(exact, flow, quote, why)) continue;
    ++translated;
    ASSERT_LE(quote.at + quote.bytes, exact.size());
    rewrite_icmp_error(exact.data(), flow, quote, Side::kSource, spec.source.bytes.data(), 1);
    ASSERT_TRUE(checksums_right(exact));
  }
  EXPECT_GT(translated, 1000);
}

}  // namespace
}  // namespace ringway::nat
