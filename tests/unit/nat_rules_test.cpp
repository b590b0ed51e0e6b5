// The rules of docs/NAT.md that concern mappings and filters, each by its number there.
#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/unit/nat_world.hpp"

namespace ringway::nat {
namespace {

using namespace testing_support;
using net::kTcpAck;
using net::kTcpFin;
using net::kTcpRst;
using net::kTcpSyn;

constexpr std::string_view kExternalV4 = "203.0.113.1";
constexpr std::string_view kStrangerV4 = "192.0.2.99";

// The same packet, to another host or port.
PacketSpec to(PacketSpec spec, std::string_view destination, std::uint16_t port = 53) {
  spec.destination = address(destination);
  spec.destination_port = port;
  return spec;
}
// From anywhere to an external endpoint.
PacketSpec from_outside(const PacketSpec& like, std::string_view source, std::uint16_t source_port,
                        const net::Endpoint& external) {
  PacketSpec spec = like;
  spec.source = address(source);
  spec.source_port = source_port;
  spec.destination = external.address;
  spec.destination_port = external.port;
  return spec;
}
PacketSpec with_flags(PacketSpec spec, std::uint8_t flags) {
  spec.tcp_flags = flags;
  return spec;
}
Config open_filter() {
  Config config = NatWorld::small_config();
  config.filtering = Filtering::kEndpointIndependent;
  return config;
}

// A TCP connection that both sides have agreed on.
Passed establish(NatWorld& world, const PacketSpec& syn) {
  const Passed sent = world.out(kAlice, syn);
  EXPECT_EQ(sent.verdict, Verdict::kForward);
  EXPECT_EQ(world.answer(sent, with_flags({}, kTcpSyn | kTcpAck)).verdict, Verdict::kForward);
  EXPECT_EQ(world.out(kAlice, with_flags(syn, kTcpAck)).verdict, Verdict::kForward);
  return sent;
}
Passed establish(NatWorld& world) {
  return establish(world, tcp_from(kAliceV4, kTcpSyn));
}

// ---- UDP: RFC 4787 ----

TEST(NatRules, R01_EndpointIndependentMapping) {
  NatWorld world;
  const Passed first = world.out(kAlice, udp_from(kAliceV4));
  for (const auto destination : {"198.51.100.7", "198.51.100.8", "192.0.2.1"}) {
    for (const std::uint16_t port : {std::uint16_t{53}, std::uint16_t{54}}) {
      EXPECT_EQ(world.out(kAlice, to(udp_from(kAliceV4), destination, port)).source(),
                first.source());
    }
  }
  EXPECT_NE(world.out(kAlice, udp_from(kAliceV4, 40'001)).source(), first.source());
  EXPECT_NE(world.out(kBob, udp_from(kBobV4)).source(), first.source());
}

TEST(NatRules, R02_PooledAddressesArePaired) {
  Config config = NatWorld::small_config();
  config.external_addresses = {address("203.0.113.1"), address("203.0.113.2")};
  NatWorld world(config);
  std::map<std::string, std::set<std::string>> addresses;
  for (std::uint16_t port = 1000; port < 1200; ++port) {
    for (const auto& [subscriber, inner] : {std::pair{kAlice, kAliceV4}, {kBob, kBobV4}}) {
      for (PacketSpec spec : {udp_from(inner, port), tcp_from(inner, kTcpSyn, port)}) {
        const Passed sent = world.out(subscriber, spec);
        ASSERT_EQ(sent.verdict, Verdict::kForward);
        addresses[std::string(inner)].insert(sent.source().address.to_string());
      }
    }
  }
  EXPECT_EQ(addresses[std::string(kAliceV4)].size(), 1U);
  EXPECT_EQ(addresses[std::string(kBobV4)].size(), 1U);
  EXPECT_NE(addresses[std::string(kAliceV4)], addresses[std::string(kBobV4)]);
}

TEST(NatRules, R03_NoPortHasTwoMappings) {
  NatWorld world;
  std::set<std::uint16_t> ports;
  for (std::uint16_t port = 1; port <= 500; ++port) {
    const Passed sent = world.out(kAlice, udp_from(kAliceV4, port));
    ASSERT_EQ(sent.verdict, Verdict::kForward);
    EXPECT_TRUE(ports.insert(sent.source().port).second);
  }
}

TEST(NatRules, R04_PortParityIsKeptWhilePossible) {
  NatWorld world;
  for (std::uint16_t port = 2000; port < 2020; ++port) {
    EXPECT_EQ(world.out(kAlice, udp_from(kAliceV4, port)).source().port % 2, port % 2);
  }
}

TEST(NatRules, R05_UdpMappingsOutliveFiveMinutesOfSilence) {
  NatWorld world;
  const Passed sent = world.out(kAlice, udp_from(kAliceV4));
  world.pass(Duration::seconds(300));
  EXPECT_EQ(world.answer(sent).verdict, Verdict::kForward);
  world.pass(Duration::seconds(4));
  EXPECT_EQ(world.answer(sent).drop, Drop::kNoMapping);
}

TEST(NatRules, R06_OutboundPacketsRefresh) {
  NatWorld world;
  const Passed sent = world.out(kAlice, udp_from(kAliceV4));
  for (int i = 0; i < 5; ++i) {
    world.pass(Duration::seconds(290));
    EXPECT_EQ(world.out(kAlice, udp_from(kAliceV4)).source(), sent.source());
  }
  EXPECT_EQ(world.answer(sent).verdict, Verdict::kForward);
}

TEST(NatRules, R07_InnerAndOuterRangesMayOverlap) {
  Config config = NatWorld::small_config();
  config.external_addresses = {address("10.66.0.9")};
  config.inner_prefixes.clear();
  config.allowed = {*net::Prefix::parse("10.66.0.0/24")};
  NatWorld world(config);
  // To a host outside that has the same address as Bob inside.
  const Passed sent = world.out(kAlice, to(udp_from(kAliceV4), kBobV4));
  ASSERT_EQ(sent.verdict, Verdict::kForward);
  const Passed back = world.answer(sent);
  ASSERT_EQ(back.verdict, Verdict::kForward);
  EXPECT_EQ(back.subscriber, kAlice);
  EXPECT_EQ(back.source().address, address(kBobV4));
}

TEST(NatRules, R08_FilteringIsByAddressOrOffAsConfigured) {
  for (const bool open : {false, true}) {
    NatWorld world(open ? open_filter() : NatWorld::small_config());
    const Passed sent = world.out(kAlice, udp_from(kAliceV4));
    const auto arrives = [&](std::string_view source, std::uint16_t port) {
      return world.in(from_outside(udp_from(kAliceV4), source, port, sent.source()));
    };
    EXPECT_EQ(arrives("198.51.100.7", 53).verdict, Verdict::kForward);
    EXPECT_EQ(arrives("198.51.100.7", 999).verdict, Verdict::kForward);
    const Passed stranger = arrives(kStrangerV4, 53);
    EXPECT_EQ(stranger.verdict, open ? Verdict::kForward : Verdict::kDrop);
    if (!open) {
      EXPECT_EQ(stranger.drop, Drop::kFiltered);
    }
  }
}

TEST(NatRules, R08_EachOfManyRemoteAddressesMayAnswer) {
  for (const bool v4 : {true, false}) {
    NatWorld world;
    PacketSpec spec = udp_from(v4 ? "10.66.0.2" : "fd66::2");
    std::vector<Passed> sent;
    for (std::uint8_t i = 1; i <= 200; ++i) {
      spec.destination = address(v4 ? "198.51.100.0" : "2001:db8:9::");
      spec.destination.bytes[v4 ? 3 : 15] = i;
      sent.push_back(world.out(kAlice, spec));
      ASSERT_EQ(sent.back().verdict, Verdict::kForward);
    }
    for (const Passed& packet : sent)
      EXPECT_EQ(world.answer(packet).verdict, Verdict::kForward);
    PacketSpec stranger =
        from_outside(spec, v4 ? "198.51.100.201" : "2001:db8:9::c9", 53, sent.front().source());
    EXPECT_EQ(world.in(stranger).drop, Drop::kFiltered);
  }
}

// A pair of subscribers that talk through their external endpoints, as after STUN.
struct HairpinPair {
  explicit HairpinPair(NatWorld& given, std::uint8_t protocol = net::kProtocolUdp) : world(given) {
    alice = protocol == net::kProtocolUdp ? udp_from(kAliceV4) : tcp_from(kAliceV4, kTcpSyn);
    bob = protocol == net::kProtocolUdp ? udp_from(kBobV4) : tcp_from(kBobV4, kTcpSyn);
    alice_outside = world.out(kAlice, alice).source();
    bob_outside = world.out(kBob, bob).source();
  }
  Passed alice_to_bob() {
    PacketSpec spec = alice;
    spec.destination = bob_outside.address;
    spec.destination_port = bob_outside.port;
    return world.out(kAlice, spec);
  }
  Passed bob_to_alice() {
    PacketSpec spec = bob;
    spec.destination = alice_outside.address;
    spec.destination_port = alice_outside.port;
    return world.out(kBob, spec);
  }
  NatWorld& world;
  PacketSpec alice, bob;
  net::Endpoint alice_outside, bob_outside;
};

TEST(NatRules, R09_HairpinsWithTheExternalSource) {
  NatWorld world;
  HairpinPair pair(world);
  EXPECT_EQ(pair.alice_to_bob().drop, Drop::kFiltered);  // Bob has not asked for it
  const Passed reply = pair.bob_to_alice();
  ASSERT_EQ(reply.verdict, Verdict::kHairpin);
  EXPECT_EQ(reply.subscriber, kAlice);
  EXPECT_EQ(reply.source(), pair.bob_outside);
  EXPECT_EQ(reply.destination(), (net::Endpoint{address(kAliceV4), 40'000}));
  EXPECT_TRUE(checksums_right(reply.bytes));
  for (int i = 0; i < 3; ++i) {
    const Passed sent = pair.alice_to_bob();
    ASSERT_EQ(sent.verdict, Verdict::kHairpin);
    EXPECT_EQ(sent.subscriber, kBob);
    EXPECT_EQ(sent.source(), pair.alice_outside);
  }
}

TEST(NatRules, R09_HairpinningDoesNotOpenTheFilterToTheInternet) {
  NatWorld world;
  HairpinPair pair(world);
  (void)pair.alice_to_bob();
  (void)pair.bob_to_alice();
  const Passed spoofed =
      world.in(from_outside(pair.bob, kExternalV4, pair.alice_outside.port, pair.bob_outside));
  EXPECT_EQ(spoofed.drop, Drop::kSourceDenied);
}

TEST(NatRules, R09_HairpinningMayBeOff) {
  Config config = open_filter();
  config.hairpin = false;
  NatWorld world(config);
  HairpinPair pair(world);
  EXPECT_EQ(pair.alice_to_bob().drop, Drop::kDestinationDenied);
}

TEST(NatRules, R10_PayloadIsNotTouched) {
  NatWorld world;
  PacketSpec spec = udp_from(kAliceV4);
  const std::string_view sip = "INVITE sip:b@x SIP/2.0\r\nContact: <sip:a@10.66.0.2:40000>\r\n";
  spec.payload.assign(sip.begin(), sip.end());
  const Passed sent = world.out(kAlice, spec);
  EXPECT_TRUE(std::equal(spec.payload.begin(), spec.payload.end(), sent.bytes.begin() + 28));
}

TEST(NatRules, R11_BehavesAlikeHoweverFullItIs) {
  NatWorld world;
  for (std::uint16_t port = 1; port <= 450; ++port) {
    const Passed sent = world.out(kAlice, udp_from(kAliceV4, port));
    ASSERT_EQ(sent.verdict, Verdict::kForward);
    ASSERT_EQ(world.out(kAlice, to(udp_from(kAliceV4, port), "198.51.100.9")).source(),
              sent.source());
    ASSERT_EQ(world.in(from_outside(udp_from(kAliceV4), kStrangerV4, 53, sent.source())).drop,
              Drop::kFiltered);
  }
}

// ---- TCP: RFC 5382 ----

TEST(NatRules, R15_EndpointIndependentMappingOfTcp) {
  NatWorld world;
  const Passed first = world.out(kAlice, tcp_from(kAliceV4, kTcpSyn));
  EXPECT_EQ(world.out(kAlice, to(tcp_from(kAliceV4, kTcpSyn), "192.0.2.1", 80)).source(),
            first.source());
  // Ports of different protocols have nothing to do with each other.
  (void)world.out(kAlice, udp_from(kAliceV4));
  EXPECT_EQ(world.nat().counters().mappings, 2U);
}

TEST(NatRules, R16_SimultaneousOpen) {
  NatWorld world;
  const PacketSpec syn = tcp_from(kAliceV4, kTcpSyn);
  const Passed sent = world.out(kAlice, syn);
  EXPECT_EQ(world.answer(sent, with_flags({}, kTcpSyn)).verdict, Verdict::kForward);
  EXPECT_EQ(world.out(kAlice, with_flags(syn, kTcpSyn | kTcpAck)).verdict, Verdict::kForward);
  EXPECT_EQ(world.answer(sent, with_flags({}, kTcpSyn | kTcpAck)).verdict, Verdict::kForward);
  world.pass(Duration::seconds(7000));
  EXPECT_EQ(world.answer(sent, with_flags({}, kTcpAck)).verdict, Verdict::kForward);
}

TEST(NatRules, R16_HalfClosedConnectionsGoOn) {
  NatWorld world;
  const Passed sent = establish(world);
  (void)world.out(kAlice, with_flags(tcp_from(kAliceV4, 0), kTcpFin | kTcpAck));
  for (int i = 0; i < 3; ++i) {
    world.pass(Duration::seconds(3600));
    EXPECT_EQ(world.answer(sent, with_flags({}, kTcpAck)).verdict, Verdict::kForward);
  }
}

TEST(NatRules, R17_TcpIsFilteredLikeUdp) {
  for (const bool open : {false, true}) {
    NatWorld world(open ? open_filter() : NatWorld::small_config());
    const Passed sent = world.out(kAlice, tcp_from(kAliceV4, kTcpSyn));
    const PacketSpec syn =
        from_outside(tcp_from(kAliceV4, kTcpSyn), kStrangerV4, 1234, sent.source());
    EXPECT_EQ(world.in(syn).verdict, open ? Verdict::kForward : Verdict::kDrop);
  }
}

TEST(NatRules, R18_UnsolicitedSynIsAnsweredAfterSixSeconds) {
  NatWorld world;
  const Passed sent = world.out(kAlice, tcp_from(kAliceV4, kTcpSyn));
  const PacketSpec syn =
      from_outside(tcp_from(kAliceV4, kTcpSyn), kStrangerV4, 1234, sent.source());
  EXPECT_EQ(world.in(syn).drop, Drop::kUnsolicitedSyn);
  world.pass(Duration::milliseconds(5900));
  EXPECT_TRUE(world.outputs().empty());
  EXPECT_LE(world.nat().next_deadline(), world.now() + Duration::milliseconds(100));
  world.pass(Duration::milliseconds(200));
  const auto errors = world.outputs();
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_TRUE(errors[0].to_internet);
  const Flow flow = parse_flow(errors[0].bytes);
  EXPECT_EQ(flow.icmp_type, net::kIcmpUnreachable);
  EXPECT_EQ(errors[0].bytes[flow.transport_at + 1], 3);  // port unreachable
  EXPECT_TRUE(checksums_right(errors[0].bytes));
  Passed error;
  error.bytes = errors[0].bytes;
  EXPECT_EQ(error.destination().address, address(kStrangerV4));
  EXPECT_EQ(error.source().address, address(kExternalV4));
}

TEST(NatRules, R18_NothingIsSaidWhenTheSubscribersSynFollows) {
  NatWorld world;
  const Passed sent = world.out(kAlice, tcp_from(kAliceV4, kTcpSyn));
  EXPECT_EQ(
      world.in(from_outside(tcp_from(kAliceV4, kTcpSyn), kStrangerV4, 1234, sent.source())).drop,
      Drop::kUnsolicitedSyn);
  world.pass(Duration::seconds(3));
  (void)world.out(kAlice, to(tcp_from(kAliceV4, kTcpSyn), kStrangerV4, 1234));
  world.pass(Duration::seconds(10));
  EXPECT_TRUE(world.outputs().empty());
}

TEST(NatRules, R19_EstablishedTcpOutlivesTwoHoursOfSilence) {
  NatWorld world;
  const Passed sent = establish(world);
  world.pass(Duration::seconds(7440));
  EXPECT_EQ(world.answer(sent, with_flags({}, kTcpAck)).verdict, Verdict::kForward);
  world.pass(Duration::seconds(7445));
  EXPECT_EQ(world.answer(sent, with_flags({}, kTcpAck)).drop, Drop::kNoMapping);
}

TEST(NatRules, R19_OpeningTcpOutlivesFourMinutes) {
  NatWorld world;
  const Passed sent = world.out(kAlice, tcp_from(kAliceV4, kTcpSyn));
  world.pass(Duration::seconds(240));
  EXPECT_EQ(world.nat().counters().mappings, 1U);
  world.pass(Duration::seconds(5));
  EXPECT_EQ(world.nat().counters().mappings, 0U);
}

TEST(NatRules, R22_TcpHairpins) {
  NatWorld world;
  HairpinPair pair(world, net::kProtocolTcp);
  (void)pair.alice_to_bob();
  const Passed reply = pair.bob_to_alice();
  ASSERT_EQ(reply.verdict, Verdict::kHairpin);
  EXPECT_EQ(reply.source(), pair.bob_outside);
  EXPECT_TRUE(checksums_right(reply.bytes));
}

// ---- ICMP: RFC 5508 ----

TEST(NatRules, R25_QueryMappingsDoNotDependOnTheDestination) {
  NatWorld world;
  const Passed first = world.out(kAlice, ping_from(kAliceV4));
  const Passed second = world.out(kAlice, to(ping_from(kAliceV4), "192.0.2.1"));
  EXPECT_EQ(first.source(), second.source());
  EXPECT_EQ(world.answer(second).verdict, Verdict::kForward);
  EXPECT_NE(world.out(kAlice, ping_from(kAliceV4, 8)).source(), first.source());
}

TEST(NatRules, R26_QueryMappingsOutliveAMinute) {
  NatWorld world;
  const Passed sent = world.out(kAlice, ping_from(kAliceV4));
  world.pass(Duration::seconds(60));
  EXPECT_EQ(world.answer(sent).verdict, Verdict::kForward);
  world.pass(Duration::seconds(4));
  EXPECT_EQ(world.answer(sent).verdict, Verdict::kNotOurs);
}

// ---- CGN: RFC 6888 ----

TEST(NatRules, R34_PoolsNeedNotBeContiguous) {
  Config config = NatWorld::small_config();
  config.external_addresses = {address("203.0.113.1"), address("192.0.2.200")};
  NatWorld world(config);
  const Passed alice = world.out(kAlice, udp_from(kAliceV4));
  const Passed bob = world.out(kBob, udp_from(kBobV4));
  EXPECT_NE(alice.source().address, bob.source().address);
  EXPECT_EQ(world.answer(alice).subscriber, kAlice);
  EXPECT_EQ(world.answer(bob).subscriber, kBob);
}

TEST(NatRules, R35_PortsOfASubscriberAreLimited) {
  NatWorld world;
  for (std::uint16_t port = 1; port <= 500; ++port) {
    ASSERT_EQ(world.out(kAlice, udp_from(kAliceV4, port)).verdict, Verdict::kForward);
  }
  EXPECT_EQ(world.out(kAlice, udp_from(kAliceV4, 501)).drop, Drop::kSubscriberPortLimit);
  EXPECT_EQ(world.out(kAlice, udp_from(kAliceV4, 1)).verdict, Verdict::kForward);
  EXPECT_EQ(world.out(kBob, udp_from(kBobV4)).verdict, Verdict::kForward);
}

TEST(NatRules, R36_MappingsOfASubscriberAreLimited) {
  Config config = NatWorld::small_config();
  config.max_mappings_per_subscriber = 20;
  NatWorld world(config);
  for (std::uint16_t port = 1; port <= 20; ++port) {
    ASSERT_EQ(world.out(kAlice, udp_from(kAliceV4, port)).verdict, Verdict::kForward);
  }
  EXPECT_EQ(world.out(kAlice, tcp_from(kAliceV4, kTcpSyn)).drop, Drop::kSubscriberStateLimit);
  EXPECT_EQ(world.out(kBob, udp_from(kBobV4)).verdict, Verdict::kForward);
}

TEST(NatRules, R39_FreedPortsRest) {
  Config config = NatWorld::small_config();
  config.first_port = 10'000;
  config.last_port = 10'049;  // one block
  NatWorld world(config);
  (void)world.out(kAlice, udp_from(kAliceV4));
  world.pass(Duration::seconds(304));
  ASSERT_EQ(world.nat().counters().mappings, 0U);
  world.pass(Duration::seconds(110));
  EXPECT_EQ(world.out(kBob, udp_from(kBobV4)).drop, Drop::kPortsExhausted);
  world.pass(Duration::seconds(12));
  EXPECT_EQ(world.out(kBob, udp_from(kBobV4)).verdict, Verdict::kForward);
}

TEST(NatRules, R41_ExhaustionDropsAndReportsAndKeepsWhatLives) {
  for (const auto& [answer, code] : {std::pair{ExhaustionAnswer::kHostUnreachable, 1},
                                     {ExhaustionAnswer::kProhibited, 13},
                                     {ExhaustionAnswer::kSilence, -1}}) {
    Config config = NatWorld::small_config();
    config.last_port = 10'049;
    config.exhaustion_answer = answer;
    NatWorld world(config);
    for (std::uint16_t port = 1; port <= 50; ++port)
      ASSERT_EQ(world.out(kAlice, udp_from(kAliceV4, port)).verdict, Verdict::kForward);
    EXPECT_EQ(world.out(kBob, udp_from(kBobV4)).drop, Drop::kPortsExhausted);
    const auto errors = world.outputs();
    ASSERT_EQ(errors.size(), code < 0 ? 0U : 1U);
    if (code >= 0) {
      EXPECT_FALSE(errors[0].to_internet);
      EXPECT_EQ(errors[0].subscriber, kBob);
      EXPECT_EQ(errors[0].bytes[20], net::kIcmpUnreachable);
      EXPECT_EQ(errors[0].bytes[21], code);
      EXPECT_TRUE(checksums_right(errors[0].bytes));
    }
    EXPECT_EQ(world.nat().counters().mappings, 50U);
    EXPECT_EQ(world.nat().counters().blocks_in_use, 1U);
  }
}

TEST(NatRules, R42_TheLogHasNoDestinations) {
  NatWorld world;
  const Passed sent = world.out(kAlice, udp_from(kAliceV4));
  const auto events = world.block_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_TRUE(events[0].allocated);
  EXPECT_EQ(events[0].subscriber, kAlice);
  EXPECT_EQ(events[0].protocol, net::kProtocolUdp);
  EXPECT_EQ(events[0].external_address, address(kExternalV4));
  EXPECT_GE(sent.source().port, events[0].first_port);
  EXPECT_LT(sent.source().port, events[0].first_port + events[0].ports);
  world.pass(Duration::seconds(304));
  const auto ended = world.block_events();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_FALSE(ended[0].allocated);
  EXPECT_EQ(ended[0].first_port, events[0].first_port);
}

TEST(NatRules, R43_ABlockServesManyMappings) {
  NatWorld world;
  for (std::uint16_t port = 1; port <= 50; ++port)
    (void)world.out(kAlice, udp_from(kAliceV4, port));
  EXPECT_EQ(world.block_events().size(), 1U);
}

// ---- RFC 7857 ----

TEST(NatRules, R44_ClosedConnectionsEndAfterFourMinutes) {
  NatWorld world;
  const Passed sent = establish(world);
  (void)world.out(kAlice, with_flags(tcp_from(kAliceV4, 0), kTcpFin | kTcpAck));
  (void)world.answer(sent, with_flags({}, kTcpFin | kTcpAck));
  world.pass(Duration::seconds(200));
  EXPECT_EQ(world.out(kAlice, with_flags(tcp_from(kAliceV4, 0), kTcpAck)).verdict,
            Verdict::kForward);
  world.pass(Duration::seconds(45));
  EXPECT_EQ(world.nat().counters().mappings, 0U);
}

TEST(NatRules, R44_OneOfSeveralConnectionsMayClose) {
  NatWorld world;
  const Passed first = establish(world);
  const Passed second = establish(world, to(tcp_from(kAliceV4, kTcpSyn), "192.0.2.1", 80));
  (void)world.out(kAlice, with_flags(tcp_from(kAliceV4, 0), kTcpFin | kTcpAck));
  (void)world.answer(first, with_flags({}, kTcpFin | kTcpAck));
  world.pass(Duration::seconds(7000));
  EXPECT_EQ(world.answer(second, with_flags({}, kTcpAck)).verdict, Verdict::kForward);
}

TEST(NatRules, R45_AResetLeavesFourMinutes) {
  NatWorld world;
  const Passed sent = establish(world);
  world.pass(Duration::seconds(3600));
  EXPECT_EQ(world.answer(sent, with_flags({}, kTcpRst)).verdict, Verdict::kForward);
  world.pass(Duration::seconds(235));
  EXPECT_EQ(world.nat().counters().mappings, 1U);
  world.pass(Duration::seconds(10));
  EXPECT_EQ(world.nat().counters().mappings, 0U);
}

TEST(NatRules, R45_AForgedResetDoesNotEndALivingConnection) {
  NatWorld world;
  const Passed sent = establish(world);
  (void)world.answer(sent, with_flags({}, kTcpRst));
  (void)world.out(kAlice, with_flags(tcp_from(kAliceV4, 0), kTcpAck));
  world.pass(Duration::seconds(7000));
  EXPECT_EQ(world.answer(sent, with_flags({}, kTcpAck)).verdict, Verdict::kForward);
}

TEST(NatRules, R47_APairedAddressWithoutPortsMeansNoNewSessions) {
  Config config = NatWorld::small_config();
  config.external_addresses = {address("203.0.113.1"), address("203.0.113.2")};
  config.last_port = 10'099;  // two blocks an address
  NatWorld world(config);
  for (std::uint16_t port = 1; port <= 100; ++port)
    ASSERT_EQ(world.out(kAlice, udp_from(kAliceV4, port)).verdict, Verdict::kForward);
  EXPECT_EQ(world.out(kAlice, udp_from(kAliceV4, 101)).drop, Drop::kPortsExhausted);
  EXPECT_EQ(world.out(kBob, udp_from(kBobV4)).verdict, Verdict::kForward);
}

TEST(NatRules, R48_ProtocolsHaveStatesOfTheirOwn) {
  NatWorld world(open_filter());
  const Passed sent = world.out(kAlice, udp_from(kAliceV4));
  PacketSpec tcp = from_outside(tcp_from(kAliceV4, kTcpAck), "198.51.100.7", 53, sent.source());
  EXPECT_EQ(world.in(tcp).drop, Drop::kNoMapping);
}

TEST(NatRules, R49_UnsolicitedPacketsDoNotRefresh) {
  for (const std::uint8_t protocol : {net::kProtocolUdp, net::kProtocolTcp}) {
    NatWorld world(open_filter());
    const PacketSpec spec =
        protocol == net::kProtocolUdp ? udp_from(kAliceV4) : tcp_from(kAliceV4, kTcpSyn);
    const Passed sent = world.out(kAlice, spec);
    for (int i = 0; i < 7; ++i) {
      world.pass(Duration::seconds(50));
      (void)world.in(from_outside(with_flags(spec, kTcpAck), kStrangerV4, 53, sent.source()));
    }
    EXPECT_EQ(world.nat().counters().mappings, 0U);
  }
}

TEST(NatRules, R49_RefusingAStrangerNeitherRefreshesNorInvitesHim) {
  NatWorld world;
  const Passed sent = world.out(kAlice, tcp_from(kAliceV4, kTcpSyn));
  for (int i = 0; i < 5; ++i) {
    world.pass(Duration::seconds(40));
    EXPECT_EQ(world.out(kAlice, to(tcp_from(kAliceV4, kTcpRst), kStrangerV4, 1234)).verdict,
              Verdict::kForward);
  }
  EXPECT_EQ(
      world.in(from_outside(tcp_from(kAliceV4, kTcpAck), kStrangerV4, 1234, sent.source())).drop,
      Drop::kFiltered);
  world.pass(Duration::seconds(45));
  EXPECT_EQ(world.nat().counters().mappings, 0U);
}

TEST(NatRules, R50_PortsAreNotTakenInOrder) {
  NatWorld world;
  int ascending = 0;
  std::uint16_t last = 0;
  for (std::uint16_t port = 1; port <= 400; ++port) {
    const std::uint16_t external = world.out(kAlice, udp_from(kAliceV4, port)).source().port;
    ascending += external == last + 1 || external == last + 2 ? 1 : 0;
    last = external;
  }
  EXPECT_LT(ascending, 100);
  std::set<std::uint16_t> firsts;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    NatWorld again(NatWorld::small_config(), seed);
    firsts.insert(again.out(kAlice, udp_from(kAliceV4)).source().port);
  }
  EXPECT_GT(firsts.size(), 20U);
}

}  // namespace
}  // namespace ringway::nat
