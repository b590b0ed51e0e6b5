#include "dataplane/nat/flow.hpp"

#include <gtest/gtest.h>

#include "tests/unit/nat_packets.hpp"

namespace ringway::nat {
namespace {

using testing_support::address;
using testing_support::build;
using testing_support::cut;
using testing_support::PacketBytes;
using testing_support::PacketSpec;
using testing_support::random_spec;

void put16(PacketBytes& p, std::size_t at, std::size_t value) {
  p[at] = static_cast<std::uint8_t>(value >> 8);
  p[at + 1] = static_cast<std::uint8_t>(value);
}

PacketSpec ip6_spec(std::uint8_t protocol) {
  PacketSpec spec;
  spec.protocol = protocol;
  spec.source = address("2001:db8::1");
  spec.destination = address("2001:db8:1::2");
  return spec;
}

TEST(ParseFlow, ReadsWholePacketsOfEveryKind) {
  SeededRng rng(1);
  for (int i = 0; i < 5000; ++i) {
    const PacketSpec spec = random_spec(rng);
    const PacketBytes packet = build(spec);
    const Flow flow = parse_flow(packet);
    ASSERT_EQ(flow.kind, Kind::kPlain);
    ASSERT_EQ(flow.family, spec.source.family);
    ASSERT_EQ(flow.protocol, spec.protocol);
    ASSERT_EQ(flow.source_port, spec.source_port);
    ASSERT_EQ(flow.destination_port, flow.is_icmp() ? spec.source_port : spec.destination_port);
    ASSERT_EQ(flow.tcp_flags, spec.protocol == net::kProtocolTcp ? spec.tcp_flags : 0);
    ASSERT_EQ(flow.transport_at,
              flow.is_v4() ? 20 + spec.ip_options.size() : 40 + spec.extensions.size());
    ASSERT_FALSE(flow.is_fragment());
    if (flow.is_v4()) {
      ASSERT_EQ(flow.identification, spec.identification);
      ASSERT_EQ(flow.dont_fragment, spec.dont_fragment);
    }
  }
}

TEST(ParseFlow, CallsEveryTruncationMalformed) {
  SeededRng rng(2);
  for (int i = 0; i < 300; ++i) {
    const PacketBytes packet = build(random_spec(rng));
    for (std::size_t length = 0; length < packet.size(); ++length) {
      ASSERT_EQ(parse_flow(ConstBytes(packet).first(length)).kind, Kind::kMalformed) << length;
    }
  }
}

TEST(ParseFlow, WantsExactlyOnePacket) {
  PacketBytes packet = build({});
  packet.push_back(0);
  EXPECT_EQ(parse_flow(packet).kind, Kind::kMalformed);
}

TEST(ParseFlow, NeverReadsOutsideRandomBytes) {
  SeededRng rng(3);
  for (int i = 0; i < 50'000; ++i) {
    PacketBytes packet = build(random_spec(rng));
    for (int flips = 0; flips < 4; ++flips) {
      packet[rng.below(packet.size())] = static_cast<std::uint8_t>(rng.next_u32());
    }
    packet.resize(rng.below(packet.size()) + 1);
    const PacketBytes exact(packet);
    const Flow flow = parse_flow(exact);
    ASSERT_LE(flow.transport_at + (flow.has_ports() ? 8U : 0U), exact.size());
    ASSERT_LE(flow.checksum_at + (flow.checksum_at != 0 ? 2U : 0U), exact.size());
  }
}

TEST(ParseFlow, RefusesTransportHeadersThatLie) {
  PacketSpec spec;
  spec.payload.resize(20);
  for (const unsigned length : {0U, 7U, 29U, 65'535U}) {
    PacketBytes packet = build(spec);
    put16(packet, 24, length);
    EXPECT_EQ(parse_flow(packet).kind, Kind::kMalformed) << length;
  }
  spec.protocol = net::kProtocolTcp;
  for (const std::uint8_t offset : PacketBytes{0x00, 0x40, 0xf0}) {
    PacketBytes packet = build(spec);
    packet[32] = offset;
    EXPECT_EQ(parse_flow(packet).kind, Kind::kMalformed) << int{offset};
  }
}

TEST(ParseFlow, DoesNotTranslateOtherProtocols) {
  PacketBytes packet = build({});
  for (const std::uint8_t protocol : PacketBytes{0, 2, 4, 41, 47, 50, 51, 58, 132, 136}) {
    packet[9] = protocol;
    EXPECT_EQ(parse_flow(packet).kind, Kind::kUnsupported) << int{protocol};
  }
  PacketBytes packet6 = build(ip6_spec(net::kProtocolUdp));
  for (const std::uint8_t next : {net::kProtocolIcmp, net::kNextNone, std::uint8_t{50}}) {
    packet6[6] = next;
    EXPECT_EQ(parse_flow(packet6).kind, Kind::kUnsupported) << int{next};
  }
}

TEST(ParseFlow, SortsIcmpByType) {
  PacketSpec spec;
  spec.protocol = net::kProtocolIcmp;
  for (unsigned type = 1; type < 256; ++type) {
    spec.icmp_type = static_cast<std::uint8_t>(type);
    const Kind kind = parse_flow(build(spec)).kind;
    const bool query = type == 8 || type == 13 || type == 14;
    const bool error = type == 3 || type == 11 || type == 12;
    EXPECT_EQ(kind, query ? Kind::kPlain : error ? Kind::kIcmpError : Kind::kUnsupported) << type;
  }
  spec = ip6_spec(net::kProtocolIcmpv6);
  for (unsigned type = 1; type < 256; ++type) {
    spec.icmp_type = static_cast<std::uint8_t>(type);
    const Kind kind = parse_flow(build(spec)).kind;
    const bool query = type == 128 || type == 129;
    EXPECT_EQ(kind, query       ? Kind::kPlain
                    : type <= 4 ? Kind::kIcmpError
                                : Kind::kUnsupported)
        << type;
  }
}

TEST(ParseFlow, DoesNotTranslateSourceRoutes) {
  PacketSpec spec;
  for (const std::uint8_t option : PacketBytes{131, 137}) {
    spec.ip_options = {option, 7, 4, 192, 0, 2, 9, 0};
    EXPECT_EQ(parse_flow(build(spec)).kind, Kind::kUnsupported);
    spec.ip_options = {1, 1, 1, 0, option, 3, 4, 0};  // behind the end of the options
    EXPECT_EQ(parse_flow(build(spec)).kind, Kind::kPlain);
  }
  PacketSpec spec6 = ip6_spec(net::kProtocolUdp);
  spec6.first_extension = net::kNextRouting;
  spec6.extensions = {net::kProtocolUdp, 0, 4, 1, 0, 0, 0, 0};
  EXPECT_EQ(parse_flow(build(spec6)).kind, Kind::kUnsupported);
}

TEST(ParseFlow, RefusesOptionsThatLieAboutTheirLength) {
  PacketSpec spec;
  for (const PacketBytes& options : {PacketBytes{7, 0, 0, 0}, PacketBytes{7, 1, 0, 0},
                                     PacketBytes{7, 5, 0, 0}, PacketBytes{1, 1, 1, 7}}) {
    spec.ip_options = options;
    EXPECT_EQ(parse_flow(build(spec)).kind, Kind::kMalformed);
  }
}

TEST(ParseFlow, DoesNotTranslateBehindAnAuthenticationHeader) {
  PacketSpec spec = ip6_spec(net::kProtocolUdp);
  spec.first_extension = net::kNextAuthentication;
  spec.extensions = {net::kProtocolUdp, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1};
  EXPECT_EQ(parse_flow(build(spec)).kind, Kind::kUnsupported);
}

TEST(ParseFlow, ReadsFragments) {
  for (PacketSpec spec : {PacketSpec{}, ip6_spec(net::kProtocolUdp)}) {
    spec.payload.resize(100);
    const auto parts = cut(build(spec), 48, 0xabcd1234);
    ASSERT_EQ(parts.size(), 3U);
    const Flow first = parse_flow(parts[0]);
    EXPECT_EQ(first.kind, Kind::kFirstFragment);
    EXPECT_EQ(first.source_port, spec.source_port);
    EXPECT_TRUE(first.more_fragments);
    EXPECT_NE(first.checksum_at, 0);
    const Flow later = parse_flow(parts[1]);
    EXPECT_EQ(later.kind, Kind::kLaterFragment);
    EXPECT_EQ(later.fragment_offset, 48);
    EXPECT_TRUE(later.more_fragments);
    EXPECT_EQ(later.checksum_at, 0);
    EXPECT_EQ(later.identification, first.is_v4() ? 0x1234U : 0xabcd1234U);
    const Flow last = parse_flow(parts[2]);
    EXPECT_EQ(last.fragment_offset, 96);
    EXPECT_FALSE(last.more_fragments);
    EXPECT_EQ(parts[2].size() - last.fragment_data_at(), 12U);
  }
}

TEST(ParseFlow, RefusesFragmentsThatNoDatagramHas) {
  PacketSpec spec;
  spec.payload.resize(100);
  PacketBytes later = cut(build(spec), 48, 1)[1];
  put16(later, 6, 0x1fff);  // ends past 65,535 (the "ping of death")
  EXPECT_EQ(parse_flow(later).kind, Kind::kMalformed);
  put16(later, 6, 0x2006);
  EXPECT_EQ(parse_flow(later).kind, Kind::kLaterFragment);
  later.pop_back();  // not a multiple of 8, though more come
  put16(later, 2, later.size());
  EXPECT_EQ(parse_flow(later).kind, Kind::kMalformed);
  later.resize(20);  // nothing
  put16(later, 2, 20);
  EXPECT_EQ(parse_flow(later).kind, Kind::kMalformed);
}

TEST(ParseFlow, RefusesTinyFragmentsOfTcp) {
  PacketSpec spec;
  spec.protocol = net::kProtocolTcp;
  spec.payload.resize(100);
  const auto parts = cut(build(spec), 16, 1);
  EXPECT_EQ(parse_flow(parts[0]).kind, Kind::kMalformed);  // flags, but no checksum
  EXPECT_EQ(parse_flow(parts[1]).kind, Kind::kMalformed);  // within the header
  EXPECT_EQ(parse_flow(parts[2]).kind, Kind::kLaterFragment);
  PacketSpec spec6 = ip6_spec(net::kProtocolTcp);
  spec6.payload.resize(100);
  EXPECT_EQ(parse_flow(cut(build(spec6), 16, 1)[0]).kind, Kind::kMalformed);
  EXPECT_EQ(parse_flow(cut(build(spec6), 24, 1)[0]).kind, Kind::kFirstFragment);
}

TEST(ParseFlow, TakesAnAtomicFragmentForWhole) {
  const auto parts = cut(build(ip6_spec(net::kProtocolUdp)), 800, 9);
  ASSERT_EQ(parts.size(), 1U);
  const Flow flow = parse_flow(parts[0]);
  EXPECT_EQ(flow.kind, Kind::kPlain);
  EXPECT_EQ(flow.transport_at, 48);
}

TEST(ParseFlow, RefusesFragmentsOfFragments) {
  const auto parts = cut(build(ip6_spec(net::kProtocolUdp)), 800, 9);
  EXPECT_EQ(parse_flow(cut(parts[0], 800, 9)[0]).kind, Kind::kMalformed);
}

}  // namespace
}  // namespace ringway::nat
