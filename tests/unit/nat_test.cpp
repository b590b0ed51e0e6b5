#include "dataplane/nat/nat.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/nat/address_policy.hpp"
#include "tests/unit/counted_allocations.hpp"
#include "tests/unit/nat_world.hpp"

namespace ringway::nat {
namespace {

using namespace testing_support;

TEST(Nat, TranslatesQueriesOfEachKindAndTheirAnswers) {
  for (const std::string_view inner : {kAliceV4, kAliceV6}) {
    for (const PacketSpec& spec :
         {udp_from(inner), tcp_from(inner, net::kTcpSyn), ping_from(inner)}) {
      NatWorld world;
      const Passed sent = world.out(kAlice, spec);
      ASSERT_EQ(sent.verdict, Verdict::kForward) << inner << int{spec.protocol};
      EXPECT_EQ(sent.source().address,
                address(inner == kAliceV4 ? "203.0.113.1" : "2001:db8:ffff::1"));
      EXPECT_GE(sent.source().port, 10000);
      EXPECT_LE(sent.source().port, 10999);
      EXPECT_EQ(sent.destination().address, spec.destination);
      EXPECT_TRUE(checksums_right(sent.bytes));
      PacketSpec answer;
      answer.tcp_flags = net::kTcpSyn | net::kTcpAck;
      const Passed back = world.answer(sent, answer);
      ASSERT_EQ(back.verdict, Verdict::kForward) << inner << int{spec.protocol};
      EXPECT_EQ(back.subscriber, kAlice);
      EXPECT_EQ(back.destination(), (net::Endpoint{spec.source, spec.source_port}));
      EXPECT_EQ(back.source().address, spec.destination);
      EXPECT_TRUE(checksums_right(back.bytes));
      EXPECT_EQ(world.nat().counters().mappings, 1U);
    }
  }
}

TEST(Nat, SecondPacketsTakeTheSameWay) {
  for (const std::string_view inner : {kAliceV4, kAliceV6}) {
    for (const PacketSpec& spec : {udp_from(inner), ping_from(inner)}) {
      NatWorld world;
      const Passed first = world.out(kAlice, spec);
      for (int i = 0; i < 3; ++i) {
        const Passed again = world.out(kAlice, spec);
        ASSERT_EQ(again.verdict, Verdict::kForward);
        EXPECT_EQ(again.source(), first.source());
        const Passed back = world.answer(again);
        ASSERT_EQ(back.verdict, Verdict::kForward);
        EXPECT_TRUE(checksums_right(back.bytes));
      }
      EXPECT_EQ(world.nat().counters().mappings_created, 1U);
    }
  }
}

// A batch of more than the fast path looks at once, of all that may come.
TEST(Nat, BatchesOfMixedPacketsAreTreatedLikeSingleOnes) {
  SeededRng rng(3);
  NatWorld in_batches;
  NatWorld one_by_one;
  for (int round = 0; round < 50; ++round) {
    std::vector<PacketBytes> bytes;
    std::vector<Packet> batch;
    for (std::size_t i = 0; i < Nat::kMaxBatch; ++i) {
      PacketSpec spec = random_spec(rng);
      const bool v4 = spec.source.is_v4();
      spec.source = address(v4 ? kAliceV4 : kAliceV6);
      spec.source_port = static_cast<std::uint16_t>(1 + rng.below(20));
      spec.ttl = static_cast<std::uint8_t>(rng.below(4));
      if (rng.below(3) != 0) spec.destination = address(v4 ? "198.51.100.7" : "2001:db8:7::7");
      bytes.push_back(build(spec));
      if (rng.below(10) == 0) bytes.back()[rng.below(20)] ^= 1;
    }
    for (PacketBytes& packet : bytes)
      batch.push_back({packet.data(), static_cast<std::uint32_t>(packet.size()), kAlice});
    const std::vector<PacketBytes> originals = bytes;
    in_batches.nat().outbound(batch, in_batches.now());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const Passed alone = one_by_one.out(kAlice, originals[i]);
      ASSERT_EQ(batch[i].verdict, alone.verdict);
      if (alone.verdict == Verdict::kDrop) {
        ASSERT_EQ(batch[i].drop, alone.drop);
      } else {
        ASSERT_EQ(bytes[i], alone.bytes);
      }
    }
    (void)in_batches.outputs();
    (void)one_by_one.outputs();
  }
}

TEST(Nat, DoesNotTouchWhatIsNotItsOwn) {
  NatWorld world;
  PacketSpec spec = udp_from("198.51.100.7");
  spec.destination = address("203.0.113.1");
  spec.destination_port = 22;  // not in the range
  const PacketBytes before = build(spec);
  const Passed passed = world.in(before);
  EXPECT_EQ(passed.verdict, Verdict::kNotOurs);
  EXPECT_EQ(passed.bytes, before);
  spec.destination = address("203.0.113.77");  // not our address
  spec.destination_port = 10'500;
  EXPECT_EQ(world.in(spec).verdict, Verdict::kNotOurs);
  PacketSpec ping = ping_from("198.51.100.7", 10'500);
  ping.destination = address("203.0.113.1");
  EXPECT_EQ(world.in(ping).verdict, Verdict::kNotOurs);
}

TEST(Nat, DeniesWhatLiesBehindOrBesideTheGateway) {
  NatWorld world;
  for (const std::string_view target :
       {"10.0.0.1", "10.66.0.3", "100.64.1.1", "127.0.0.1", "169.254.169.254", "172.31.0.1",
        "192.168.1.1", "198.19.0.1", "224.0.0.251", "255.255.255.255", "0.0.0.1"}) {
    PacketSpec spec = udp_from(kAliceV4);
    spec.destination = address(target);
    EXPECT_EQ(world.out(kAlice, spec).drop, Drop::kDestinationDenied) << target;
  }
  for (const std::string_view target :
       {"::1", "fe80::1", "fc00::1", "fd66::3", "ff02::fb", "2002:a00:1::1", "64:ff9b::a00:1",
        "::ffff:10.0.0.1", "::ffff:0:192.168.0.1", "64:ff9b:1::1"}) {
    PacketSpec spec = udp_from(kAliceV6);
    spec.destination = address(target);
    EXPECT_EQ(world.out(kAlice, spec).drop, Drop::kDestinationDenied) << target;
  }
  for (const std::string_view target : {"2002:cb00:7101::1", "64:ff9b::c633:6407"}) {
    PacketSpec spec = udp_from(kAliceV6);
    spec.destination = address(target);
    EXPECT_EQ(world.out(kAlice, spec).verdict, Verdict::kForward) << target;
  }
  EXPECT_EQ(world.nat().counters().mappings, 1U);
}

TEST(Nat, TheDeniedAreEveryDisguiseOfPrivatePlacesAndNothingElse) {
  const std::vector<net::Prefix> all = default_denied();
  const auto denied = [&](std::string_view text) {
    const net::IpAddress wanted = address(text);
    return std::ranges::any_of(all,
                               [&](const net::Prefix& prefix) { return prefix.contains(wanted); });
  };
  for (const std::string_view text : {"10.1.2.3",
                                      "172.31.255.255",
                                      "192.168.0.1",
                                      "100.64.0.1",
                                      "169.254.169.254",
                                      "0.0.0.0",
                                      "127.0.0.1",
                                      "192.0.0.8",
                                      "198.19.0.1",
                                      "224.0.0.1",
                                      "255.255.255.255",
                                      "::",
                                      "::1",
                                      "::10.0.0.1",
                                      "100::1",
                                      "fd00::1",
                                      "fe80::1",
                                      "fec0::1",
                                      "ff02::1",
                                      "::ffff:8.8.8.8",
                                      "::ffff:10.0.0.1",
                                      "::ffff:0:10.0.0.1",
                                      "2001::1",
                                      "2001:0:5ef5:79fb::1",
                                      "2002:a00::1",
                                      "2002:c0a8:101::1",
                                      "64:ff9b::a00:1",
                                      "64:ff9b::c0a8:101",
                                      "64:ff9b:1::1"}) {
    EXPECT_TRUE(denied(text)) << text;
  }
  for (const std::string_view text :
       {"8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1",
        "198.20.0.1", "2001:1::1", "2001:db8::1", "2600::1", "2002:808:808::1", "64:ff9b::808:808",
        "::ffff:0:8.8.8.8"}) {
    EXPECT_FALSE(denied(text)) << text;
  }
}

TEST(Nat, NoDeniedPrefixOverlapsAnother) {
  const std::vector<net::Prefix> all = default_denied();
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_FALSE(all[i].overlaps(all[j])) << all[i].to_string() << " " << all[j].to_string();
  }
}

TEST(Nat, DeniesTheGatewaysOwnAddressBesidesHairpinning) {
  NatWorld world;
  PacketSpec ssh = tcp_from(kAliceV4, net::kTcpSyn);
  ssh.destination = address("203.0.113.1");
  ssh.destination_port = 22;
  EXPECT_EQ(world.out(kAlice, ssh).drop, Drop::kDestinationDenied);
  PacketSpec ping = ping_from(kAliceV4);
  ping.destination = ssh.destination;
  EXPECT_EQ(world.out(kAlice, ping).drop, Drop::kDestinationDenied);
  ssh.destination_port = 10'400;  // nobody's
  EXPECT_EQ(world.out(kAlice, ssh).drop, Drop::kNoMapping);
  EXPECT_EQ(world.nat().counters().mappings, 0U);
}

TEST(Nat, ExceptionsToTheDeniedAreReachedByName) {
  Config config = NatWorld::small_config();
  config.allowed = {*net::Prefix::parse("192.168.7.0/24")};
  NatWorld world(config);
  PacketSpec spec = udp_from(kAliceV4);
  spec.destination = address("192.168.7.9");
  const Passed sent = world.out(kAlice, spec);
  EXPECT_EQ(sent.verdict, Verdict::kForward);
  EXPECT_EQ(world.answer(sent).verdict, Verdict::kForward);
  spec.destination = address("192.168.8.9");
  EXPECT_EQ(world.out(kAlice, spec).drop, Drop::kDestinationDenied);
}

TEST(Nat, DropsInnerAndOwnSourcesFromOutside) {
  Config config = NatWorld::small_config();
  config.filtering = Filtering::kEndpointIndependent;
  NatWorld world(config);
  const Passed sent = world.out(kAlice, udp_from(kAliceV4));
  for (const std::string_view source : {"10.66.0.3", "203.0.113.1", "192.168.1.1", "127.0.0.1"}) {
    PacketSpec spec = udp_from(source);
    spec.destination = sent.source().address;
    spec.destination_port = sent.source().port;
    EXPECT_EQ(world.in(spec).drop, Drop::kSourceDenied) << source;
  }
}

TEST(Nat, ANewExternalAddressEndsTheMappingsOfTheOldOneAndNoOthers) {
  NatWorld world;
  const Passed v4 = world.out(kAlice, udp_from(kAliceV4));
  const Passed v6 = world.out(kAlice, udp_from(kAliceV6));
  (void)world.block_events();
  world.nat().set_external_address(0, address("203.0.113.1"), world.now());
  EXPECT_EQ(world.mappings().size(), 2U);  // it is the same one
  world.nat().set_external_address(0, address("203.0.113.9"), world.now());
  const auto events = world.block_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_FALSE(events[0].allocated);
  EXPECT_EQ(events[0].external_address, address("203.0.113.1"));
  EXPECT_EQ(world.answer(v4).verdict, Verdict::kNotOurs);
  EXPECT_EQ(world.answer(v6).verdict, Verdict::kForward);
  const Passed again = world.out(kAlice, udp_from(kAliceV4));
  EXPECT_EQ(again.source().address, address("203.0.113.9"));
  EXPECT_EQ(world.answer(again).verdict, Verdict::kForward);
  world.pass(Duration::seconds(600));
  EXPECT_EQ(world.nat().counters().mappings, 0U);
}

TEST(Nat, ForwardsMoveToANewExternalAddress) {
  Config config = NatWorld::small_config();
  config.forwards = {{net::kProtocolUdp, 10'200, kAlice, {address(kAliceV4), 53}}};
  NatWorld world(config);
  world.nat().set_external_address(0, address("203.0.113.9"), world.now());
  PacketSpec query = udp_from("198.51.100.77");
  query.destination = address("203.0.113.9");
  query.destination_port = 10'200;
  const Passed in = world.in(query);
  ASSERT_EQ(in.verdict, Verdict::kForward);
  EXPECT_EQ(in.destination().address, address(kAliceV4));
  EXPECT_EQ(in.destination().port, 53);
}

TEST(Nat, AnAddressThatIsNotThereYetHasOnlyItsPlace) {
  Config config = NatWorld::small_config();
  config.external_addresses[1] = {{}, net::Family::kIpv6};
  NatWorld world(config);
  EXPECT_EQ(world.out(kAlice, udp_from(kAliceV6)).drop, Drop::kNoExternalAddress);
  PacketSpec nowhere = udp_from(kAliceV6);
  nowhere.destination = address("::");
  EXPECT_EQ(world.out(kAlice, nowhere).drop, Drop::kDestinationDenied);
  world.nat().set_external_address(1, address("2001:db8:ffff::7"), world.now());
  EXPECT_EQ(world.out(kAlice, udp_from(kAliceV6)).source().address, address("2001:db8:ffff::7"));
}

TEST(Nat, InnerNetworksAreExchangedWhileItRuns) {
  NatWorld world;
  PacketSpec spec = udp_from(kAliceV4);
  spec.destination = address("198.51.100.200");
  EXPECT_EQ(world.out(kAlice, spec).verdict, Verdict::kForward);
  PrefixList inner(
      {{*net::Prefix::parse("10.66.0.0/16"), *net::Prefix::parse("198.51.100.192/26")}});
  world.nat().swap_inner_prefixes(inner);
  spec.source_port = 4999;
  EXPECT_EQ(world.out(kAlice, spec).drop, Drop::kDestinationDenied);
  world.nat().swap_inner_prefixes(inner);
  spec.source_port = 4998;
  EXPECT_EQ(world.out(kAlice, spec).verdict, Verdict::kForward);
}

TEST(Nat, WithoutAnAddressOfTheFamilyNothingGoesOut) {
  Config config = NatWorld::small_config();
  config.external_addresses = {address("203.0.113.1")};
  NatWorld world(config);
  EXPECT_EQ(world.out(kAlice, udp_from(kAliceV6)).drop, Drop::kNoExternalAddress);
  EXPECT_EQ(world.out(kAlice, udp_from(kAliceV4)).verdict, Verdict::kForward);
}

TEST(Nat, SubscribersWithTheSameInnerAddressAreKeptApart) {
  NatWorld world;
  const Passed alice = world.out(kAlice, udp_from(kAliceV4));
  const Passed bob = world.out(kBob, udp_from(kAliceV4));
  EXPECT_NE(alice.source(), bob.source());
  EXPECT_EQ(world.answer(alice).subscriber, kAlice);
  EXPECT_EQ(world.answer(bob).subscriber, kBob);
}

TEST(Nat, AnUnknownSubscriberGetsNothing) {
  NatWorld world;
  EXPECT_EQ(world.out(PeerId{16}, udp_from(kAliceV4)).verdict, Verdict::kDrop);
  EXPECT_EQ(world.out(PeerId::none(), udp_from(kAliceV4)).verdict, Verdict::kDrop);
  world.nat().remove_subscriber(PeerId::none(), world.now());
}

TEST(Nat, ForwardsLetAnyoneInAndStay) {
  Config config = NatWorld::small_config();
  config.forwards = {{net::kProtocolTcp, 10'100, kAlice, {address(kAliceV4), 80}},
                     {net::kProtocolUdp, 443, kBob, {address("10.66.0.3"), 4433}}};
  NatWorld world(config);
  PacketSpec syn = tcp_from("198.51.100.7", net::kTcpSyn, 50'000);
  syn.destination = address("203.0.113.1");
  syn.destination_port = 10'100;
  const Passed arrived = world.in(syn);
  ASSERT_EQ(arrived.verdict, Verdict::kForward);
  EXPECT_EQ(arrived.subscriber, kAlice);
  EXPECT_EQ(arrived.destination(), (net::Endpoint{address(kAliceV4), 80}));
  PacketSpec reply = tcp_from(kAliceV4, net::kTcpSyn | net::kTcpAck, 80);
  reply.destination_port = 50'000;
  EXPECT_EQ(world.out(kAlice, reply).source().port, 10'100);
  PacketSpec udp = udp_from("198.51.100.7");
  udp.destination = syn.destination;
  udp.destination_port = 443;
  EXPECT_EQ(world.in(udp).subscriber, kBob);
  world.pass(Duration::seconds(8000));
  EXPECT_EQ(world.in(syn).verdict, Verdict::kForward);
  world.nat().remove_subscriber(kAlice, world.now());
  EXPECT_EQ(world.in(syn).verdict, Verdict::kDrop);
  EXPECT_EQ(world.in(udp).verdict, Verdict::kForward);
}

TEST(Nat, RemoteAddressesThatChangePlacesAllStayKnown) {
  for (const bool v4 : {true, false}) {
    NatWorld world;
    SeededRng rng(7);
    PacketSpec spec = udp_from(v4 ? kAliceV4 : kAliceV6);
    std::vector<Passed> sent(20);
    for (int i = 0; i < 2000; ++i) {
      const auto host = rng.below(sent.size());
      spec.destination.bytes[v4 ? 3 : 15] = static_cast<std::uint8_t>(1 + host);
      sent[host] = world.out(kAlice, spec);
      ASSERT_EQ(sent[host].verdict, Verdict::kForward);
    }
    for (const Passed& packet : sent)
      EXPECT_EQ(world.answer(packet).verdict, Verdict::kForward);
    spec.destination.bytes[v4 ? 3 : 15] = 100;
    Passed stranger;
    PacketSpec external = spec;
    external.source = sent[0].source().address;
    external.source_port = sent[0].source().port;
    stranger.bytes = build(external);
    EXPECT_EQ(world.answer(stranger).drop, Drop::kFiltered);
  }
}

TEST(Nat, ARemovedSubscriberLeavesNothing) {
  NatWorld world;
  std::vector<Passed> sent;
  for (std::uint16_t port = 1; port <= 120; ++port) {
    sent.push_back(world.out(kAlice, udp_from(kAliceV4, port)));
    (void)world.out(kAlice, tcp_from(kAliceV6, net::kTcpSyn, port));
  }
  const Passed bob = world.out(kBob, udp_from("10.66.0.3"));
  world.nat().remove_subscriber(kAlice, world.now());
  EXPECT_EQ(world.nat().counters().mappings, 1U);
  EXPECT_EQ(world.nat().counters().blocks_in_use, 1U);
  for (const Passed& packet : sent)
    EXPECT_EQ(world.answer(packet).drop, Drop::kNoMapping);
  EXPECT_EQ(world.answer(bob).verdict, Verdict::kForward);
  EXPECT_EQ(world.mappings().size(), 1U);
  world.pass(Duration::seconds(500));  // nothing left on the wheel
  EXPECT_EQ(world.out(kAlice, udp_from(kAliceV4)).verdict, Verdict::kForward);
}

TEST(Nat, MappingsOutliveARestart) {
  NatWorld before;
  const Passed udp = before.out(kAlice, udp_from(kAliceV4));
  const Passed ping = before.out(kAlice, ping_from(kAliceV4));
  const Passed tcp = before.out(kBob, tcp_from(kAliceV6, net::kTcpSyn));
  PacketSpec syn_ack;
  syn_ack.tcp_flags = net::kTcpSyn | net::kTcpAck;
  (void)before.answer(tcp, syn_ack);
  before.pass(Duration::seconds(20));
  NatWorld after(NatWorld::small_config(), 99);
  for (const MappingRecord& record : before.mappings()) {
    EXPECT_TRUE(after.nat().restore(record, after.now()));
    EXPECT_FALSE(after.nat().restore(record, after.now()));
  }
  EXPECT_EQ(after.mappings().size(), 3U);
  // Who may answer is said by the next packet out.
  EXPECT_EQ(after.answer(udp).drop, Drop::kFiltered);
  EXPECT_EQ(after.out(kAlice, udp_from(kAliceV4)).source(), udp.source());
  EXPECT_EQ(after.out(kAlice, ping_from(kAliceV4)).source(), ping.source());
  EXPECT_EQ(after.out(kBob, tcp_from(kAliceV6, net::kTcpAck)).source(), tcp.source());
  EXPECT_EQ(after.answer(udp).verdict, Verdict::kForward);
  after.pass(Duration::seconds(7000));
  PacketSpec ack;
  EXPECT_EQ(after.answer(tcp, ack).verdict, Verdict::kForward);
}

TEST(Nat, OpenConnectionsGoOnAfterARestartThoughOnlyTheServerSpeaks) {
  NatWorld before;
  const Passed sent = before.out(kAlice, tcp_from(kAliceV4, net::kTcpSyn));
  PacketSpec syn_ack;
  syn_ack.tcp_flags = net::kTcpSyn | net::kTcpAck;
  (void)before.answer(sent, syn_ack);
  (void)before.out(kAlice, tcp_from(kAliceV4, net::kTcpAck));
  const Passed datagram = before.out(kAlice, udp_from(kAliceV4));
  NatWorld after(NatWorld::small_config(), 99);
  for (const MappingRecord& record : before.mappings())
    ASSERT_TRUE(after.nat().restore(record, after.now()));
  PacketSpec segment;
  segment.tcp_flags = net::kTcpAck | net::kTcpPsh;
  EXPECT_EQ(after.answer(sent, segment).verdict, Verdict::kForward);
  // Nobody may begin a connection, end one, or send datagrams.
  PacketSpec syn;
  syn.tcp_flags = net::kTcpSyn;
  EXPECT_EQ(after.answer(sent, syn).drop, Drop::kUnsolicitedSyn);
  EXPECT_EQ(after.answer(datagram).drop, Drop::kFiltered);
  PacketSpec reset;
  reset.tcp_flags = net::kTcpRst;
  EXPECT_EQ(after.answer(sent, reset).verdict, Verdict::kForward);
  after.pass(Duration::seconds(59));
  EXPECT_EQ(after.answer(sent, segment).verdict, Verdict::kForward);
  after.pass(Duration::seconds(2));
  EXPECT_EQ(after.answer(sent, segment).drop, Drop::kFiltered);
  EXPECT_EQ(after.out(kAlice, tcp_from(kAliceV4, net::kTcpAck)).verdict, Verdict::kForward);
  EXPECT_EQ(after.answer(sent, segment).verdict, Verdict::kForward);
  after.pass(Duration::seconds(7000));  // the long timer: the reset has changed nothing
  EXPECT_EQ(after.answer(sent, segment).verdict, Verdict::kForward);
}

// Who sends into the minute after a restart is answered by a reset, which must not let him in.
TEST(Nat, WhoIsRefusedAfterARestartStaysAStranger) {
  NatWorld before;
  const Passed sent = before.out(kAlice, tcp_from(kAliceV4, net::kTcpSyn));
  PacketSpec syn_ack;
  syn_ack.tcp_flags = net::kTcpSyn | net::kTcpAck;
  (void)before.answer(sent, syn_ack);
  (void)before.out(kAlice, tcp_from(kAliceV4, net::kTcpAck));
  NatWorld after(NatWorld::small_config(), 99);
  for (const MappingRecord& record : before.mappings())
    ASSERT_TRUE(after.nat().restore(record, after.now()));
  PacketSpec probe;
  probe.source = address("198.51.100.66");
  probe.source_port = 4444;
  probe.destination = sent.source().address;
  probe.destination_port = sent.source().port;
  probe.protocol = net::kProtocolTcp;
  probe.tcp_flags = net::kTcpAck;
  ASSERT_EQ(after.in(probe).verdict, Verdict::kForward);
  PacketSpec refusal = tcp_from(kAliceV4, net::kTcpRst);
  refusal.destination = probe.source;
  refusal.destination_port = probe.source_port;
  EXPECT_EQ(after.out(kAlice, refusal).verdict, Verdict::kForward);
  probe.tcp_flags = net::kTcpSyn;
  EXPECT_EQ(after.in(probe).drop, Drop::kUnsolicitedSyn);
  after.pass(Duration::seconds(600));  // past the short timer
  EXPECT_EQ(after.mappings().size(), 1U) << "the refusal has ended the subscriber's connection";
  probe.tcp_flags = net::kTcpAck;
  EXPECT_EQ(after.in(probe).drop, Drop::kFiltered);
}

TEST(Nat, ListsInPiecesHoweverFewOfManySlotsAreUsed) {
  Config config = NatWorld::small_config();
  config.max_mappings = 1U << 15;
  config.first_port = 1024;
  config.last_port = 65535;
  config.max_ports_per_subscriber = 60'000;
  config.max_mappings_per_subscriber = 60'000;
  config.icmp_timeout = Duration::seconds(10);
  NatWorld world(config);
  for (std::uint16_t i = 0; i < 20'000; ++i)
    (void)world.out(kAlice, ping_from(kAliceV4, static_cast<std::uint16_t>(i + 1)));
  (void)world.out(kAlice, udp_from(kAliceV4));
  ASSERT_EQ(world.mappings().size(), 20'001U);
  world.pass(Duration::seconds(60));
  std::array<MappingRecord, 4> page;
  std::size_t count = 0;
  const std::uint32_t cursor = world.nat().list(0, page, count, world.now());
  EXPECT_EQ(count, 0U);
  EXPECT_GT(cursor, 0U);
  EXPECT_LT(cursor, 10'000U);
  ASSERT_EQ(world.mappings().size(), 1U);
  EXPECT_EQ(world.mappings()[0].protocol, net::kProtocolUdp);
}

TEST(Nat, RestoresNothingThatIsNotThisShards) {
  NatWorld world;
  MappingRecord record;
  record.protocol = net::kProtocolUdp;
  record.subscriber = kAlice;
  record.inner = {address(kAliceV4), 5};
  record.external = {address("203.0.113.1"), 10'005};
  record.expires_in = Duration::seconds(100);
  const auto refused = [&](auto&& change) {
    MappingRecord changed = record;
    change(changed);
    return !world.nat().restore(changed, world.now());
  };
  EXPECT_TRUE(refused([](MappingRecord& r) { r.external.port = 9'999; }));
  EXPECT_TRUE(refused([](MappingRecord& r) { r.external.address = address("203.0.113.9"); }));
  EXPECT_TRUE(refused([](MappingRecord& r) { r.inner.address = address(kAliceV6); }));
  EXPECT_TRUE(refused([](MappingRecord& r) { r.protocol = 50; }));
  EXPECT_TRUE(refused([](MappingRecord& r) { r.protocol = net::kProtocolIcmpv6; }));
  EXPECT_TRUE(refused([](MappingRecord& r) { r.subscriber = PeerId::none(); }));
  EXPECT_TRUE(world.nat().restore(record, world.now()));
  EXPECT_TRUE(refused([](MappingRecord& r) { r.inner.port = 6; }));  // port taken
  EXPECT_TRUE(refused([](MappingRecord& r) {                         // Alice's block
    r.subscriber = kBob;
    r.external.port = 10'006;
  }));
  EXPECT_EQ(world.nat().counters().mappings, 1U);
}

TEST(Nat, SaysWhenItIsDue) {
  NatWorld world;
  EXPECT_EQ(world.nat().next_deadline(), Instant::never());
  (void)world.out(kAlice, udp_from(kAliceV4));
  EXPECT_GE(world.nat().next_deadline(), world.now() + Duration::seconds(300));
  EXPECT_LE(world.nat().next_deadline(), world.now() + Duration::seconds(303));
  (void)world.out(kAlice, ping_from(kAliceV4));
  EXPECT_LE(world.nat().next_deadline(), world.now() + Duration::seconds(63));
  world.pass(Duration::seconds(63));
  EXPECT_EQ(world.nat().counters().mappings, 1U);
  EXPECT_LE(world.nat().next_deadline(), world.now() + Duration::seconds(241));
}

TEST(Nat, TheRunningOutOfATtlIsReported) {
  for (const std::string_view inner : {kAliceV4, kAliceV6}) {
    NatWorld world;
    PacketSpec spec = udp_from(inner);
    spec.ttl = 1;
    EXPECT_EQ(world.out(kAlice, spec).drop, Drop::kTtlExpired);
    auto errors = world.outputs();
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_FALSE(errors[0].to_internet);
    EXPECT_EQ(errors[0].subscriber, kAlice);
    EXPECT_TRUE(checksums_right(errors[0].bytes));
    spec.ttl = 2;
    const Passed sent = world.out(kAlice, spec);
    EXPECT_EQ(sent.verdict, Verdict::kForward);
    EXPECT_EQ(sent.bytes[inner == kAliceV4 ? 8 : 7], 1);
    PacketSpec answer;
    answer.ttl = 1;
    EXPECT_EQ(world.answer(sent, answer).drop, Drop::kTtlExpired);
    errors = world.outputs();
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_TRUE(errors[0].to_internet);
  }
}

TEST(Nat, TheMssOfSynsIsClamped) {
  NatWorld world;
  PacketSpec syn = tcp_from(kAliceV4, net::kTcpSyn);
  syn.tcp_options = {2, 4, 0x05, 0xb4};  // 1460
  const Passed sent = world.out(kAlice, syn);
  EXPECT_EQ(load_be<std::uint16_t>(&sent.bytes[42]), 1420 - 40);
  EXPECT_TRUE(checksums_right(sent.bytes));
  PacketSpec answer;
  answer.tcp_flags = net::kTcpSyn | net::kTcpAck;
  answer.tcp_options = syn.tcp_options;
  const Passed back = world.answer(sent, answer);
  EXPECT_EQ(load_be<std::uint16_t>(&back.bytes[42]), 1420 - 40);
  EXPECT_TRUE(checksums_right(back.bytes));
}

// All that a shard does to packets, with all its memory taken at the beginning.
TEST(Nat, AllocatesNothingForPackets) {
  SeededRng rng(5);
  NatWorld world;
  std::vector<PacketBytes> outgoing;
  std::vector<PacketBytes> incoming;
  for (int i = 0; i < 3000; ++i) {
    PacketSpec spec = random_spec(rng);
    const bool v4 = spec.source.is_v4();
    PacketSpec back = spec;
    spec.source = address(v4 ? kAliceV4 : kAliceV6);
    spec.destination.bytes[v4 ? 3 : 15] = static_cast<std::uint8_t>(rng.below(200));
    outgoing.push_back(build(spec));
    back.destination = address(v4 ? "203.0.113.1" : "2001:db8:ffff::1");
    back.destination_port = static_cast<std::uint16_t>(10'000 + rng.below(1000));
    back.tcp_flags = net::kTcpSyn;
    incoming.push_back(build(back));
  }
  Nat& nat = world.nat();
  Instant now = world.now();
  const std::uint64_t before = ::ringway::testing_support::allocations();
  for (std::size_t i = 0; i < outgoing.size(); ++i) {
    Packet out{outgoing[i].data(), static_cast<std::uint32_t>(outgoing[i].size()), kAlice};
    Packet in{incoming[i].data(), static_cast<std::uint32_t>(incoming[i].size()), PeerId::none()};
    nat.outbound({&out, 1}, now);
    nat.inbound({&in, 1}, now);
    Output output;
    while (nat.poll_output(output)) {
    }
    BlockEvent event;
    while (nat.poll_block_event(event)) {
    }
    now = now + Duration::milliseconds(200);
    nat.tick(now);
  }
  nat.remove_subscriber(kAlice, now);
  EXPECT_EQ(::ringway::testing_support::allocations(), before);
  EXPECT_GT(nat.counters().mappings_created, 300U);
  EXPECT_GT(nat.counters().mappings_expired, 100U);
}

}  // namespace
}  // namespace ringway::nat
