// The rules of nat-rules that are about single packets rather than mappings, through the NAT's
// public interface: too big, in fragments, ICMP errors, TTL, MSS, identifications.
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/counted_allocations.hpp"
#include "tests/unit/nat_world.hpp"

namespace ringway::nat {
namespace {

using namespace testing_support;

const net::IpAddress kExternal4 = address("203.0.113.1");
const net::IpAddress kExternal6 = address("2001:db8:ffff::1");

struct Side4And6 {
  std::string_view inner;
  net::IpAddress remote;
  net::IpAddress external;
  net::IpAddress router;  // on the way, that reports
};
const Side4And6 kFamilies4And6[] = {
    {"10.66.0.2", address("198.51.100.7"), kExternal4, address("192.0.2.200")},
    {"fd66::2", address("2001:db8:7::7"), kExternal6, address("2001:db8:9::9")},
};

std::uint16_t word_at(const PacketBytes& packet, std::size_t at) {
  return load_be<std::uint16_t>(packet.data() + at);
}
PacketSpec with_payload(PacketSpec spec, std::size_t bytes) {
  SeededRng rng(bytes);
  spec.payload = random_bytes(bytes, rng);
  return spec;
}
std::vector<PacketBytes> bytes_of(const std::vector<Emitted>& outputs) {
  std::vector<PacketBytes> all;
  for (const Emitted& output : outputs)
    all.push_back(output.bytes);
  return all;
}
// What the sender would have built with other ends and another identification.
PacketBytes translated(PacketSpec spec, const net::Endpoint& source,
                       const net::Endpoint& destination, std::uint8_t ttl,
                       std::uint16_t identification) {
  spec.source = source.address;
  spec.source_port = source.port;
  spec.destination = destination.address;
  spec.destination_port = destination.port;
  spec.ttl = ttl;
  spec.identification = identification;
  return build(spec);
}

// --- R13: path MTU -----------------------------------------------------------------------------

TEST(NatRules, R13_TooBigWithDfIsReportedToTheSubscriber) {
  Config config = NatWorld::small_config();
  config.internet_mtu = 1300;
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world(config);
    PacketSpec spec = with_payload(udp_from(side.inner), 1400);
    spec.dont_fragment = true;
    const Passed sent = world.out(kAlice, spec);
    EXPECT_EQ(sent.verdict, Verdict::kDrop);
    EXPECT_EQ(sent.drop, Drop::kTooBig);
    const auto outputs = world.outputs();
    ASSERT_EQ(outputs.size(), 1U);
    EXPECT_FALSE(outputs[0].to_internet);
    EXPECT_EQ(outputs[0].subscriber, kAlice);
    const PacketBytes& error = outputs[0].bytes;
    EXPECT_TRUE(checksums_right(error));
    const Flow flow = parse_flow(error);
    EXPECT_EQ(flow.icmp_type, flow.is_v4() ? 3 : 2);
    EXPECT_EQ(word_at(error, flow.transport_at + 6U), 1300);
    // It quotes the packet as the subscriber sent it.
    const PacketBytes original = build(spec);
    EXPECT_TRUE(std::equal(error.begin() + flow.transport_at + 8, error.end(), original.begin()));
  }
}

TEST(NatRules, R13_TooBigFromOutsideWithDfIsReportedToTheSender) {
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world;
    const Passed sent = world.out(kAlice, udp_from(side.inner));
    PacketSpec spec = with_payload({}, 1440);
    spec.dont_fragment = true;
    const Passed back = world.answer(sent, spec);
    EXPECT_EQ(back.drop, Drop::kTooBig);
    const auto outputs = world.outputs();
    ASSERT_EQ(outputs.size(), 1U);
    EXPECT_TRUE(outputs[0].to_internet);
    const Flow flow = parse_flow(outputs[0].bytes);
    EXPECT_TRUE(checksums_right(outputs[0].bytes));
    EXPECT_EQ(word_at(outputs[0].bytes, flow.transport_at + 6U), 1420);
    const std::size_t to = address_at(flow.family, Side::kDestination);
    EXPECT_TRUE(std::ranges::equal(
        ConstBytes(outputs[0].bytes).subspan(to, address_bytes(flow.family)), side.remote.view()));
  }
}

TEST(NatRules, R13_TooBigWithoutDfLeavesInFragments) {
  Config config = NatWorld::small_config();
  config.internet_mtu = 1300;
  NatWorld world(config);
  const PacketSpec spec = with_payload(udp_from("10.66.0.2"), 1390);
  const Passed sent = world.out(kAlice, spec);
  ASSERT_EQ(sent.verdict, Verdict::kHeld);
  const auto outputs = world.outputs();
  ASSERT_EQ(outputs.size(), 2U);
  for (const Emitted& output : outputs) {
    EXPECT_TRUE(output.to_internet);
    EXPECT_LE(output.bytes.size(), 1300U);
    EXPECT_TRUE(checksums_right(output.bytes));
  }
  const PacketBytes whole = put_together(bytes_of(outputs));
  const net::Endpoint external = world.mappings().at(0).external;
  EXPECT_EQ(whole, translated(spec, external, {spec.destination, spec.destination_port}, 63,
                              word_at(whole, 4)));
}

TEST(NatRules, R13_TooBigFromOutsideWithoutDfArrivesInFragments) {
  NatWorld world;
  const Passed sent = world.out(kAlice, udp_from("10.66.0.2"));
  const Passed back = world.answer(sent, with_payload({}, 1440));
  ASSERT_EQ(back.verdict, Verdict::kHeld);
  const auto outputs = world.outputs();
  ASSERT_EQ(outputs.size(), 2U);
  EXPECT_FALSE(outputs[0].to_internet);
  EXPECT_EQ(outputs[1].subscriber, kAlice);
  const PacketBytes whole = put_together(bytes_of(outputs));
  ASSERT_FALSE(whole.empty());
  EXPECT_TRUE(checksums_right(whole));
  EXPECT_EQ(parse_flow(whole).destination_port, 40'000);
}

// --- R14: fragments ----------------------------------------------------------------------------

TEST(NatRules, R14_FragmentsLeaveInOrderAndOutOfOrder) {
  for (const Side4And6& side : kFamilies4And6) {
    for (const bool reversed : {false, true}) {
      for (PacketSpec spec :
           {udp_from(side.inner), ping_from(side.inner), tcp_from(side.inner, net::kTcpSyn)}) {
        NatWorld world;
        spec = with_payload(spec, 1000);
        auto parts = cut(build(spec), 304, 77);
        ASSERT_EQ(parts.size(), 4U);
        if (reversed) std::ranges::reverse(parts);
        std::vector<PacketBytes> left;
        for (const PacketBytes& part : parts) {
          const Passed passed = world.out(kAlice, part);
          const bool held = reversed && parse_flow(part).fragment_offset != 0;
          ASSERT_EQ(passed.verdict, held ? Verdict::kHeld : Verdict::kForward);
          if (!held) left.push_back(passed.bytes);
          for (const Emitted& output : world.outputs()) {
            EXPECT_TRUE(output.to_internet);
            left.push_back(output.bytes);
          }
        }
        ASSERT_EQ(left.size(), 4U);
        const PacketBytes whole = put_together(left);
        ASSERT_FALSE(whole.empty()) << "one identification, and no gap";
        const net::Endpoint external = world.mappings().at(0).external;
        EXPECT_EQ(whole, translated(spec, external, {spec.destination, spec.destination_port}, 63,
                                    word_at(whole, 4)));
        EXPECT_EQ(world.nat().counters().mappings_created, 1U);
        EXPECT_EQ(world.nat().counters().fragments_held, 0U);
      }
    }
  }
}

TEST(NatRules, R14_FragmentsArriveInOrderAndOutOfOrder) {
  for (const Side4And6& side : kFamilies4And6) {
    for (const bool reversed : {false, true}) {
      NatWorld world;
      const Passed sent = world.out(kAlice, udp_from(side.inner));
      PacketSpec spec = with_payload({}, 1000);
      spec.source = side.remote;
      spec.source_port = 53;
      spec.destination = side.external;
      spec.destination_port = sent.source().port;
      auto parts = cut(build(spec), 304, 77);
      if (reversed) std::ranges::reverse(parts);
      std::vector<PacketBytes> arrived;
      for (const PacketBytes& part : parts) {
        const Passed passed = world.in(part);
        if (passed.verdict == Verdict::kForward) {
          EXPECT_EQ(passed.subscriber, kAlice);
          arrived.push_back(passed.bytes);
        } else {
          ASSERT_EQ(passed.verdict, Verdict::kHeld);
        }
        for (const Emitted& output : world.outputs()) {
          EXPECT_FALSE(output.to_internet || output.subscriber != kAlice);
          arrived.push_back(output.bytes);
        }
      }
      const PacketBytes whole = put_together(arrived);
      EXPECT_EQ(whole, translated(spec, {side.remote, 53}, {address(side.inner), 40'000}, 63, 77));
    }
  }
}

TEST(NatRules, R14_FragmentsFromStrangersAreFiltered) {
  NatWorld world;
  const Passed sent = world.out(kAlice, udp_from("10.66.0.2"));
  PacketSpec spec = with_payload({}, 1000);
  spec.source = address("198.51.100.99");
  spec.destination = kExternal4;
  spec.destination_port = sent.source().port;
  const auto parts = cut(build(spec), 304, 77);
  EXPECT_EQ(world.in(parts[1]).verdict, Verdict::kHeld);
  EXPECT_EQ(world.in(parts[0]).drop, Drop::kFiltered);
  EXPECT_TRUE(world.outputs().empty());
  EXPECT_EQ(world.in(parts[2]).drop, Drop::kFiltered);
  EXPECT_EQ(world.nat().counters().fragments_lost, 1U);
}

TEST(NatRules, R14_TheHostsOwnFragmentsComeBackToIt) {
  NatWorld world;
  PacketSpec spec = with_payload({}, 1000);
  spec.source = address("198.51.100.7");
  spec.destination = kExternal4;
  spec.destination_port = 53'000;  // not of the NAT's range
  auto parts = cut(build(spec), 304, 77);
  EXPECT_EQ(world.in(parts[2]).verdict, Verdict::kHeld);
  const Passed first = world.in(parts[0]);
  EXPECT_EQ(first.verdict, Verdict::kNotOurs);
  EXPECT_EQ(first.bytes, parts[0]);
  Output output;
  ASSERT_TRUE(world.nat().poll_output(output));
  EXPECT_TRUE(output.to_host && !output.to_internet);
  EXPECT_TRUE(std::ranges::equal(output.packet, parts[2]));
  EXPECT_EQ(world.in(parts[1]).verdict, Verdict::kNotOurs);
}

// ESP, TCP behind an authentication header, and ICMP that is no query: only the first fragment says
// so.
TEST(NatRules, R14_TheHostsOwnFragmentsOfOtherProtocolsComeBackToIt) {
  PacketSpec esp = with_payload({}, 1000);
  esp.source = address("2001:db8:9::7");
  esp.destination = kExternal6;
  esp.protocol = 50;
  PacketSpec authenticated = esp;
  authenticated.protocol = net::kProtocolTcp;
  authenticated.first_extension = net::kNextAuthentication;
  authenticated.extensions = PacketBytes(24, 0);  // RFC 4302: units of four bytes, less two
  authenticated.extensions[0] = net::kProtocolTcp;
  authenticated.extensions[1] = 4;
  PacketSpec icmp6 = esp;
  icmp6.protocol = net::kProtocolIcmpv6;
  icmp6.icmp_type = 200;  // for private experiments (RFC 4443)
  PacketSpec icmp4 = with_payload({}, 1000);
  icmp4.source = address("198.51.100.7");
  icmp4.destination = kExternal4;
  icmp4.protocol = net::kProtocolIcmp;
  icmp4.icmp_type = 42;  // extended echo request (RFC 8335)
  for (const PacketSpec& spec : {esp, authenticated, icmp6, icmp4}) {
    SCOPED_TRACE(int{spec.protocol});
    NatWorld world;
    const auto parts = cut(build(spec), 304, 77);
    ASSERT_GE(parts.size(), 4U);
    EXPECT_EQ(world.in(parts[2]).verdict, Verdict::kHeld);
    EXPECT_EQ(world.in(parts[0]).verdict, Verdict::kNotOurs);
    Output output;
    ASSERT_TRUE(world.nat().poll_output(output));
    EXPECT_TRUE(output.to_host && !output.to_internet);
    EXPECT_TRUE(std::ranges::equal(output.packet, parts[2]));
    EXPECT_FALSE(world.nat().poll_output(output));
    EXPECT_EQ(world.in(parts[1]).verdict, Verdict::kNotOurs);
    EXPECT_EQ(world.nat().counters().fragments_held, 0U);
  }
}

TEST(NatRules, R14_HeldFragmentsAreBoundedInTime) {
  NatWorld world;
  const auto parts = cut(build(with_payload(udp_from("10.66.0.2"), 1000)), 304, 77);
  EXPECT_EQ(world.out(kAlice, parts[1]).verdict, Verdict::kHeld);
  EXPECT_LE(world.nat().next_deadline(), world.now() + Duration::seconds(2));
  world.pass(Duration::seconds(2));
  EXPECT_EQ(world.nat().counters().fragments_held, 0U);
  EXPECT_EQ(world.nat().counters().fragments_expired, 1U);
}

TEST(NatRules, R14_AFloodOfFragmentsFromOutsideLeavesSubscribersTheirRoom) {
  NatWorld world;
  PacketSpec spec = with_payload({}, 100);
  spec.destination = kExternal4;
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    store_be(spec.source.bytes.data(), std::uint32_t{0x2d000000} + i);
    (void)world.in(cut(build(spec), 48, i)[1]);
  }
  EXPECT_LE(world.nat().counters().fragments_held, 512U);
  const auto parts = cut(build(with_payload(udp_from("10.66.0.2"), 1000)), 304, 77);
  EXPECT_EQ(world.out(kAlice, parts[1]).verdict, Verdict::kHeld);
  EXPECT_EQ(world.out(kAlice, parts[0]).verdict, Verdict::kForward);
  EXPECT_EQ(world.outputs().size(), 1U);
}

TEST(NatRules, R14_OverlappingFragmentsAreDropped) {
  NatWorld world;
  const PacketBytes packet = build(with_payload(udp_from("10.66.0.2"), 1000));
  EXPECT_EQ(world.out(kAlice, cut(packet, 304, 77)[0]).verdict, Verdict::kForward);
  EXPECT_EQ(world.out(kAlice, cut(packet, 200, 77)[1]).drop, Drop::kFragmentLimit);
  EXPECT_EQ(world.out(kAlice, cut(packet, 304, 77)[1]).drop, Drop::kFragmentLimit);
}

TEST(NatRules, R14_FragmentsOfAPeerThatLeftAreForgotten) {
  NatWorld world;
  const auto parts = cut(build(with_payload(udp_from("10.66.0.2"), 1000)), 304, 77);
  EXPECT_EQ(world.out(kAlice, parts[1]).verdict, Verdict::kHeld);
  world.nat().remove_subscriber(kAlice, world.now());
  EXPECT_EQ(world.nat().counters().fragments_held, 0U);
}

// --- R23, R24, R27 to R31: ICMP errors ---------------------------------------------------------

// An error from outside about a packet that went out.
PacketBytes error_about(const Passed& sent, const net::IpAddress& from, std::uint8_t type,
                        std::uint8_t code, std::uint32_t rest = 0) {
  return build_error(from, sent.source().address, type, code, rest, sent.bytes);
}

TEST(NatRules, R23_R28_ErrorsFromOutsideReachTheSenderWithItsOwnPacket) {
  for (const Side4And6& side : kFamilies4And6) {
    for (PacketSpec spec :
         {udp_from(side.inner), ping_from(side.inner), tcp_from(side.inner, net::kTcpSyn)}) {
      NatWorld world;
      spec.dont_fragment = true;  // so that its identification stays
      const Passed sent = world.out(kAlice, spec);
      const std::uint8_t type = side.external.is_v4() ? 3 : 1;
      const Passed error = world.in(error_about(sent, side.router, type, 4, 0));
      ASSERT_EQ(error.verdict, Verdict::kForward);
      EXPECT_EQ(error.subscriber, kAlice);
      EXPECT_EQ(error.source().address, side.router);
      EXPECT_EQ(error.destination().address, spec.source);
      EXPECT_TRUE(checksums_right(error.bytes));
      const Flow flow = error.flow();
      EXPECT_EQ(flow.icmp_type, type);
      EXPECT_EQ(error.bytes[flow.transport_at + 1U], 4);
      PacketSpec as_sent = spec;
      as_sent.ttl = 63;
      const PacketBytes quoted(error.bytes.begin() + flow.transport_at + 8, error.bytes.end());
      EXPECT_EQ(quoted, build(as_sent));
    }
  }
}

TEST(NatRules, R12_R24_R30_ErrorsEndAndRefreshNothing) {
  for (const Side4And6& side : kFamilies4And6) {
    for (const PacketSpec& spec :
         {udp_from(side.inner), ping_from(side.inner), tcp_from(side.inner, net::kTcpSyn)}) {
      NatWorld world;
      const Passed sent = world.out(kAlice, spec);
      world.pass(Duration::seconds(30));
      const MappingRecord before = world.mappings().at(0);
      for (std::uint8_t type = 1; type <= 12; ++type)
        (void)world.in(error_about(sent, side.router, type, 1));
      const auto after = world.mappings();
      ASSERT_EQ(after.size(), 1U);
      EXPECT_EQ(after[0].idle, before.idle);
      EXPECT_EQ(after[0].expires_in, before.expires_in);
    }
  }
}

TEST(NatRules, R27_ErrorsWithWrongChecksumsAreDropped) {
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world;
    const Passed sent = world.out(kAlice, udp_from(side.inner));
    const std::uint8_t type = side.external.is_v4() ? 3 : 1;
    PacketBytes error = error_about(sent, side.router, type, 3);
    error.back() ^= 1;
    EXPECT_EQ(world.in(error).drop, Drop::kBadChecksum);
    // A wrong checksum of the quoted transport is nobody's business here.
    Passed damaged = sent;
    damaged.bytes.back() ^= 1;
    damaged.bytes[damaged.flow().checksum_at] ^= 0x55;
    EXPECT_EQ(world.in(error_about(damaged, side.router, type, 3)).verdict, Verdict::kForward);
    if (!side.external.is_v4()) continue;
    Passed wrong_header = sent;
    wrong_header.bytes[8] ^= 1;
    EXPECT_EQ(world.in(error_about(wrong_header, side.router, type, 3)).drop, Drop::kBadChecksum);
  }
}

TEST(NatRules, R27_QuotedOptionsAndExtensionsPass) {
  NatWorld world;
  PacketSpec spec = with_payload(udp_from("10.66.0.2"), 200);
  spec.ip_options = {0x94, 4, 0, 0};
  Passed sent = world.out(kAlice, spec);
  ASSERT_EQ(sent.verdict, Verdict::kForward);
  sent.bytes.resize(128);
  const PacketBytes extension = {0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0x12, 0xff};
  sent.bytes.insert(sent.bytes.end(), extension.begin(), extension.end());
  const Passed error =
      world.in(build_error(address("192.0.2.200"), kExternal4, 11, 0, 32U << 16, sent.bytes));
  ASSERT_EQ(error.verdict, Verdict::kForward);
  EXPECT_TRUE(checksums_right(error.bytes));
  EXPECT_TRUE(std::equal(extension.begin(), extension.end(), error.bytes.end() - 12));
}

TEST(NatRules, R28_ErrorsAboutNothingOfOursAreDropped) {
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world;
    Passed sent = world.out(kAlice, udp_from(side.inner));
    world.nat().remove_subscriber(kAlice, world.now());
    const std::uint8_t type = side.external.is_v4() ? 3 : 1;
    EXPECT_EQ(world.in(error_about(sent, side.router, type, 3)).drop, Drop::kNoMapping);
    // About a packet to a host that nothing was sent to.
    sent = world.out(kAlice, udp_from(side.inner));
    PacketSpec forged = udp_from(side.inner);
    forged.source = sent.source().address;
    forged.source_port = sent.source().port;
    forged.destination = side.router;
    const Passed fake{Verdict::kForward, Drop::kMalformed, kAlice, build(forged)};
    EXPECT_EQ(world.in(error_about(fake, side.router, type, 3)).drop, Drop::kFiltered);
  }
}

// The host itself draws the identifiers of its queries from all numbers: one that is nobody's, or
// that a subscriber has who asks somebody else.
TEST(NatRules, R28_AnswersAndErrorsToTheHostsOwnQueriesComeBackToIt) {
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world;
    const std::uint16_t taken = world.out(kAlice, ping_from(side.inner)).source().port;
    for (const std::uint16_t identifier :
         {taken, std::uint16_t(taken == 10'500 ? 10'501 : 10'500)}) {
      PacketSpec query = ping_from(side.inner, identifier);
      query.source = side.external;
      query.destination = side.router;
      const Passed sent{Verdict::kForward, Drop::kMalformed, kAlice, build(query)};
      EXPECT_EQ(world.answer(sent, with_payload({}, 20)).verdict, Verdict::kNotOurs);
      const PacketBytes error = error_about(sent, side.remote, side.external.is_v4() ? 3 : 1, 3);
      const Passed passed = world.in(error);
      EXPECT_EQ(passed.verdict, Verdict::kNotOurs);
      EXPECT_EQ(passed.bytes, error) << "untouched";
    }
  }
}

TEST(NatRules, R29_ErrorsFromInsideLeaveWithThePublicAddress) {
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world;
    const Passed sent = world.out(kAlice, udp_from(side.inner));
    const Passed back = world.answer(sent, with_payload({}, 50));
    const std::uint8_t type = side.external.is_v4() ? 3 : 1;
    const Passed error =
        world.out(kAlice, build_error(address(side.inner), side.remote, type, 3, 0, back.bytes));
    ASSERT_EQ(error.verdict, Verdict::kForward);
    EXPECT_EQ(error.source().address, side.external);
    EXPECT_EQ(error.destination().address, side.remote);
    EXPECT_TRUE(checksums_right(error.bytes));
    const PacketBytes quoted(error.bytes.begin() + error.flow().transport_at + 8,
                             error.bytes.end());
    const Flow flow = parse_flow(quoted);
    EXPECT_EQ(flow.destination_port, sent.source().port);
    EXPECT_TRUE(checksums_right(quoted));
  }
}

TEST(NatRules, R29_ErrorsFromInsideAboutNothingAreDropped) {
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world;
    PacketSpec never;  // no such packet came in
    never.source = side.remote;
    never.destination = address(side.inner);
    const std::uint8_t type = side.external.is_v4() ? 3 : 1;
    EXPECT_EQ(
        world.out(kAlice, build_error(address(side.inner), side.remote, type, 3, 0, build(never)))
            .drop,
        Drop::kNoMapping);
    EXPECT_EQ(world.nat().counters().mappings, 0U) << "an error opens nothing (R30)";
  }
}

TEST(NatRules, R31_ErrorsAboutHairpinnedPacketsAreHairpinned) {
  const Side4And6& side = kFamilies4And6[0];
  NatWorld world;
  // Each has sent to the other's external endpoint, so that both filters let the other in.
  const Passed of_alice = world.out(kAlice, udp_from(side.inner));
  const Passed of_bob = world.out(kBob, udp_from("10.66.0.3"));
  PacketSpec to_bob = udp_from(side.inner);
  to_bob.destination = kExternal4;
  to_bob.destination_port = of_bob.source().port;
  PacketSpec to_alice = udp_from("10.66.0.3");
  to_alice.destination = kExternal4;
  to_alice.destination_port = of_alice.source().port;
  (void)world.out(kBob, to_alice);
  const Passed there = world.out(kAlice, to_bob);
  ASSERT_EQ(there.verdict, Verdict::kHairpin);
  ASSERT_EQ(there.subscriber, kBob);
  // Bob's host says that the port is closed.
  const Passed error =
      world.out(kBob, build_error(address("10.66.0.3"), kExternal4, 3, 3, 0, there.bytes));
  ASSERT_EQ(error.verdict, Verdict::kHairpin);
  EXPECT_EQ(error.subscriber, kAlice);
  EXPECT_EQ(error.source().address, kExternal4);
  EXPECT_EQ(error.destination().address, address(side.inner));
  EXPECT_TRUE(checksums_right(error.bytes));
  const PacketBytes quoted(error.bytes.begin() + error.flow().transport_at + 8, error.bytes.end());
  EXPECT_TRUE(checksums_right(quoted));
  const Flow flow = parse_flow(quoted);
  EXPECT_EQ(flow.source_port, 40'000);
  EXPECT_EQ(flow.destination_port, of_bob.source().port);
}

// --- R32 and R41: nothing left -----------------------------------------------------------------

TEST(NatRules, R32_R41_ExhaustionIsAnsweredAsSet) {
  struct Case {
    ExhaustionAnswer answer;
    std::uint8_t code4, code6;
  };
  for (const Case& c : {Case{ExhaustionAnswer::kHostUnreachable, 1, 3},
                        Case{ExhaustionAnswer::kProhibited, 13, 1}}) {
    for (const Side4And6& side : kFamilies4And6) {
      Config config = NatWorld::small_config();
      config.max_mappings_per_subscriber = 1;
      config.exhaustion_answer = c.answer;
      NatWorld world(config);
      EXPECT_EQ(world.out(kAlice, udp_from(side.inner, 1)).verdict, Verdict::kForward);
      EXPECT_EQ(world.out(kAlice, udp_from(side.inner, 2)).drop, Drop::kSubscriberStateLimit);
      const auto outputs = world.outputs();
      ASSERT_EQ(outputs.size(), 1U);
      const Flow flow = parse_flow(outputs[0].bytes);
      EXPECT_EQ(outputs[0].bytes[flow.transport_at + 1U], flow.is_v4() ? c.code4 : c.code6);
    }
  }
  Config config = NatWorld::small_config();
  config.max_mappings_per_subscriber = 0;
  config.exhaustion_answer = ExhaustionAnswer::kSilence;
  NatWorld world(config);
  EXPECT_EQ(world.out(kAlice, udp_from("10.66.0.2")).verdict, Verdict::kDrop);
  EXPECT_TRUE(world.outputs().empty());
}

TEST(NatRules, ErrorsAreLimitedInRate) {
  Config config = NatWorld::small_config();
  config.max_mappings_per_subscriber = 0;
  NatWorld world(config);
  for (int i = 0; i < 1000; ++i)
    (void)world.out(kAlice, udp_from("10.66.0.2"));
  EXPECT_LE(world.outputs().size(), 20U);
  EXPECT_GE(world.nat().counters().errors_sent, 1U);
}

// --- R51: identifications ----------------------------------------------------------------------

TEST(NatRules, R51_SubscribersThatShareAnAddressDoNotShareIdentifications) {
  NatWorld world;
  std::set<std::uint16_t> seen;
  int sent = 0;
  for (int round = 0; round < 200; ++round) {
    for (const PeerId subscriber : {kAlice, kBob}) {
      PacketSpec spec = udp_from(subscriber == kAlice ? "10.66.0.2" : "10.66.0.3");
      spec.identification = static_cast<std::uint16_t>(round);
      const Passed passed = world.out(subscriber, spec);
      ASSERT_EQ(passed.verdict, Verdict::kForward);
      ASSERT_TRUE(checksums_right(passed.bytes));
      seen.insert(word_at(passed.bytes, 4));
      ++sent;
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(sent));
}

TEST(NatRules, R51_FragmentsOfTwoSubscribersAreNotTakenForOneDatagram) {
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world;
    std::set<std::uint32_t> seen;
    const bool v4 = side.external.is_v4();
    for (const std::string_view inner :
         {side.inner, v4 ? std::string_view("10.66.0.3") : std::string_view("fd66::3")}) {
      const PeerId subscriber = inner == side.inner ? kAlice : kBob;
      std::set<std::uint32_t> of_datagram;
      for (const PacketBytes& part : cut(build(with_payload(udp_from(inner), 1000)), 304, 77)) {
        const Passed passed = world.out(subscriber, part);
        ASSERT_EQ(passed.verdict, Verdict::kForward);
        ASSERT_TRUE(checksums_right(passed.bytes));
        of_datagram.insert(passed.flow().identification);
      }
      ASSERT_EQ(of_datagram.size(), 1U);
      seen.insert(of_datagram.begin(), of_datagram.end());
    }
    EXPECT_EQ(seen.size(), 2U);
  }
}

TEST(NatRules, R51_AtomicPacketsKeepTheirIdentification) {
  NatWorld world;
  PacketSpec spec = udp_from("10.66.0.2");
  spec.dont_fragment = true;
  spec.identification = 0x1234;
  for (int i = 0; i < 2; ++i)  // by the slow path and by the fast one
    EXPECT_EQ(word_at(world.out(kAlice, spec).bytes, 4), 0x1234);
}

// --- memory ------------------------------------------------------------------------------------

TEST(NatRules, FragmentsPiecesAndErrorsAllocateNothing) {
  NatWorld world;
  std::vector<PacketBytes> out;
  std::vector<PacketBytes> in;
  for (std::uint32_t i = 0; i < 200; ++i) {
    for (const Side4And6& side : kFamilies4And6) {
      PacketSpec spec = with_payload(udp_from(side.inner), 1000);
      auto parts = cut(build(spec), 304, i);
      if (i % 2 == 0) std::ranges::reverse(parts);
      out.insert(out.end(), parts.begin(), parts.end());
      out.push_back(build(with_payload(spec, 1600)));  // cut, or too big
      spec.ttl = 1;
      out.push_back(build(spec));  // reported
      PacketSpec strange = with_payload({}, 500);
      strange.source = side.remote;
      strange.destination = side.external;
      const auto strange_parts = cut(build(strange), 304, i);
      in.insert(in.end(), strange_parts.rbegin(), strange_parts.rend());
    }
  }
  Nat& nat = world.nat();
  Instant now = world.now();
  std::size_t emitted = 0;
  const std::uint64_t before = ::ringway::testing_support::allocations();
  for (std::size_t i = 0; i < out.size(); ++i) {
    Packet packet{out[i].data(), static_cast<std::uint32_t>(out[i].size()), kAlice};
    nat.outbound({&packet, 1}, now);
    PacketBytes& from_outside = in[i % in.size()];
    Packet other{from_outside.data(), static_cast<std::uint32_t>(from_outside.size()),
                 PeerId::none()};
    nat.inbound({&other, 1}, now);
    for (Output output; nat.poll_output(output);)
      ++emitted;
    now = now + Duration::milliseconds(50);
    nat.tick(now);
  }
  EXPECT_EQ(::ringway::testing_support::allocations(), before);
  EXPECT_GT(emitted, 1000U);
  EXPECT_GT(nat.counters().errors_sent, 100U);
}

// --- TTL and MSS -------------------------------------------------------------------------------

TEST(NatRules, TtlRunsOutWithAnErrorToTheSender) {
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world;
    PacketSpec spec = udp_from(side.inner);
    spec.ttl = 1;
    EXPECT_EQ(world.out(kAlice, spec).drop, Drop::kTtlExpired);
    EXPECT_EQ(world.nat().counters().mappings, 0U);
    auto outputs = world.outputs();
    ASSERT_EQ(outputs.size(), 1U);
    EXPECT_EQ(parse_flow(outputs[0].bytes).icmp_type, side.external.is_v4() ? 11 : 3);
    EXPECT_EQ(outputs[0].subscriber, kAlice);

    spec.ttl = 2;
    const Passed sent = world.out(kAlice, spec);
    EXPECT_EQ(sent.verdict, Verdict::kForward);
    EXPECT_EQ(sent.bytes[side.external.is_v4() ? 8 : 7], 1);
    PacketSpec answer;
    answer.ttl = 1;
    EXPECT_EQ(world.answer(sent, answer).drop, Drop::kTtlExpired);
    outputs = world.outputs();
    ASSERT_EQ(outputs.size(), 1U);
    EXPECT_TRUE(outputs[0].to_internet);
    EXPECT_TRUE(checksums_right(outputs[0].bytes));
  }
}

TEST(NatRules, MssIsClampedBothWays) {
  for (const Side4And6& side : kFamilies4And6) {
    NatWorld world;
    PacketSpec spec = tcp_from(side.inner, net::kTcpSyn);
    spec.tcp_options = {2, 4, 0x05, 0xb4};
    const Passed sent = world.out(kAlice, spec);
    const std::uint16_t limit = side.external.is_v4() ? 1380 : 1360;
    EXPECT_EQ(word_at(sent.bytes, sent.flow().transport_at + 22U), limit);
    EXPECT_TRUE(checksums_right(sent.bytes));
    PacketSpec answer;
    answer.tcp_flags = net::kTcpSyn | net::kTcpAck;
    answer.tcp_options = spec.tcp_options;
    const Passed back = world.answer(sent, answer);
    EXPECT_EQ(word_at(back.bytes, back.flow().transport_at + 22U), limit);
    EXPECT_TRUE(checksums_right(back.bytes));
  }
}

}  // namespace
}  // namespace ringway::nat
