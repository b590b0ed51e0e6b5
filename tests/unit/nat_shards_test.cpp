// Two shards of one gateway's NAT, as two workers have them: the same external addresses, each its
// own ports.
#include <gtest/gtest.h>

#include "tests/unit/nat_world.hpp"

namespace ringway::nat {
namespace {

using namespace testing_support;

constexpr WorkerId kFirst{0};
constexpr WorkerId kSecond{1};
constexpr std::uint16_t kFirstOfSecond = 10'500;

Config shard_config(WorkerId shard) {
  Config config = NatWorld::small_config();
  const OtherShard first{kFirst, config.first_port, kFirstOfSecond - 1};
  const OtherShard second{kSecond, kFirstOfSecond, config.last_port};
  const OtherShard& own = shard == kFirst ? first : second;
  config.first_port = own.first_port;
  config.last_port = own.last_port;
  config.other_shards = {shard == kFirst ? second : first};
  return config;
}

struct TwoShards {  // Alice is the first's, Bob the second's
  NatWorld first{shard_config(kFirst), 1};
  NatWorld second{shard_config(kSecond), 2};
};

PacketSpec answer_to(const Passed& sent) {
  PacketSpec spec;
  spec.source = sent.destination().address;
  spec.destination = sent.source().address;
  spec.source_port = sent.destination().port;
  spec.destination_port = sent.source().port;
  return spec;
}

TEST(NatShards, AnAnswerBelongsToTheShardThatHasItsPort) {
  TwoShards shards;
  const Passed sent = shards.second.out(kBob, udp_from(kBobV4));
  ASSERT_EQ(sent.verdict, Verdict::kForward);
  EXPECT_GE(sent.source().port, kFirstOfSecond);
  const PacketBytes answer = build(answer_to(sent));
  const Passed elsewhere = shards.first.in(answer);
  EXPECT_EQ(elsewhere.verdict, Verdict::kOtherShard);
  EXPECT_EQ(elsewhere.shard, kSecond);
  EXPECT_EQ(elsewhere.bytes, answer) << "untouched";
  const Passed received = shards.second.in(elsewhere.bytes);
  ASSERT_EQ(received.verdict, Verdict::kForward);
  EXPECT_EQ(received.subscriber, kBob);
}

TEST(NatShards, AnErrorGoesToTheShardOfThePacketItQuotes) {
  TwoShards shards;
  const Passed sent = shards.second.out(kBob, udp_from(kBobV4));
  const PacketBytes error = build_error(address("192.0.2.200"), sent.source().address,
                                        net::kIcmpTimeExceeded, 0, 0, sent.bytes);
  const Passed elsewhere = shards.first.in(error);
  EXPECT_EQ(elsewhere.verdict, Verdict::kOtherShard);
  EXPECT_EQ(elsewhere.shard, kSecond);
  EXPECT_EQ(shards.second.in(elsewhere.bytes).verdict, Verdict::kForward);
}

TEST(NatShards, APortOfNobodyIsNobodys) {
  TwoShards shards;
  PacketSpec spec;
  spec.destination = address("203.0.113.1");
  spec.destination_port = 22;
  EXPECT_EQ(shards.first.in(spec).verdict, Verdict::kNotOurs);
  EXPECT_EQ(shards.second.in(spec).verdict, Verdict::kNotOurs);
}

TEST(NatShards, FragmentsFollowTheirFirstInOrder) {
  TwoShards shards;
  const Passed sent = shards.second.out(kBob, udp_from(kBobV4));
  PacketSpec spec = answer_to(sent);
  spec.payload.resize(2000);
  const auto fragments = cut(build(spec), 800, 77);
  ASSERT_EQ(fragments.size(), 3U);
  EXPECT_EQ(shards.first.in(fragments[2]).verdict, Verdict::kHeld);
  const Passed head = shards.first.in(fragments[0]);
  ASSERT_EQ(head.verdict, Verdict::kOtherShard);
  const auto released = shards.first.outputs();
  ASSERT_EQ(released.size(), 1U);
  EXPECT_TRUE(released[0].to_shard);
  EXPECT_FALSE(released[0].hairpin);
  EXPECT_EQ(released[0].bytes, fragments[2]);
  EXPECT_EQ(shards.first.in(fragments[1]).verdict, Verdict::kOtherShard);

  EXPECT_EQ(shards.second.in(head.bytes).verdict, Verdict::kForward);
  EXPECT_EQ(shards.second.in(released[0].bytes).verdict, Verdict::kForward);
  EXPECT_EQ(shards.second.in(fragments[1]).verdict, Verdict::kForward);
}

// Alice and Bob talk through their external endpoints, as after STUN.
struct ShardPair {
  ShardPair() {
    alice_outside = shards.first.out(kAlice, alice).source();
    bob_outside = shards.second.out(kBob, bob).source();
  }
  [[nodiscard]] Passed alice_to_bob() {
    PacketSpec spec = alice;
    spec.destination = bob_outside.address;
    spec.destination_port = bob_outside.port;
    const Passed sent = shards.first.out(kAlice, spec);
    EXPECT_EQ(sent.verdict, Verdict::kOtherShard);
    EXPECT_EQ(sent.shard, kSecond);
    return shards.second.in(sent.bytes, true);
  }
  [[nodiscard]] Passed bob_to_alice() {
    PacketSpec spec = bob;
    spec.destination = alice_outside.address;
    spec.destination_port = alice_outside.port;
    const Passed sent = shards.second.out(kBob, spec);
    EXPECT_EQ(sent.verdict, Verdict::kOtherShard);
    EXPECT_EQ(sent.shard, kFirst);
    return shards.first.in(sent.bytes, true);
  }
  TwoShards shards;
  PacketSpec alice = udp_from(kAliceV4);
  PacketSpec bob = udp_from(kBobV4);
  net::Endpoint alice_outside, bob_outside;
};

TEST(NatShards, HairpinsBetweenShardsWithTheExternalSource) {
  ShardPair pair;
  EXPECT_EQ(pair.alice_to_bob().drop, Drop::kFiltered);  // Bob has not asked for it
  const Passed reply = pair.bob_to_alice();
  ASSERT_EQ(reply.verdict, Verdict::kForward);
  EXPECT_EQ(reply.subscriber, kAlice);
  EXPECT_EQ(reply.source(), pair.bob_outside);
  EXPECT_EQ(reply.destination(), (net::Endpoint{address(kAliceV4), 40'000}));
  EXPECT_TRUE(checksums_right(reply.bytes));
  const Passed sent = pair.alice_to_bob();
  ASSERT_EQ(sent.verdict, Verdict::kForward);
  EXPECT_EQ(sent.subscriber, kBob);
  EXPECT_EQ(sent.source(), pair.alice_outside);
  EXPECT_TRUE(checksums_right(sent.bytes));
}

TEST(NatShards, HairpinningDoesNotOpenTheFilterToTheInternet) {
  ShardPair pair;
  (void)pair.alice_to_bob();
  (void)pair.bob_to_alice();
  PacketSpec spoofed;
  spoofed.source = pair.bob_outside.address;
  spoofed.source_port = pair.bob_outside.port;
  spoofed.destination = pair.alice_outside.address;
  spoofed.destination_port = pair.alice_outside.port;
  EXPECT_EQ(pair.shards.first.in(spoofed).drop, Drop::kSourceDenied);
}

TEST(NatShards, AHairpinToNobodyIsAnsweredBySilence) {
  TwoShards shards;
  PacketSpec spec = tcp_from(kAliceV4, net::kTcpSyn);
  spec.destination = address("203.0.113.1");
  spec.destination_port = kFirstOfSecond + 7;
  const Passed sent = shards.first.out(kAlice, spec);
  ASSERT_EQ(sent.verdict, Verdict::kOtherShard);
  EXPECT_EQ(shards.second.in(sent.bytes, true).drop, Drop::kNoMapping);
  shards.second.pass(Duration::seconds(20));
  EXPECT_TRUE(shards.second.outputs().empty());
}

}  // namespace
}  // namespace ringway::nat
