// A gateway's worker that runs short: of frames, and of room in a transmit ring. What it costs is
// packets, each counted with its reason; nothing is lost otherwise, and it goes on when there is
// room again.

#include <vector>

#include <gtest/gtest.h>

#include "base/net/ip4.hpp"
#include "tests/unit/nat_packets.hpp"
#include "tests/unit/whole_gateway.hpp"

namespace ringway {
namespace {

using nat::testing_support::build;
using nat::testing_support::cut;
using nat::testing_support::PacketSpec;

constexpr std::size_t kRingSlots = 8;
constexpr std::uint32_t kFewFrames = 16;

PacketSpec to_server(const WholeGateway& gateway, std::uint16_t port) {
  PacketSpec spec;
  spec.source = gateway.at.subscriber4;
  spec.destination = gateway.at.server4;
  spec.source_port = port;
  spec.destination_port = kServerPort;
  return spec;
}

// A flow of the subscriber's, and the answer to it.
PacketSpec answer_to(const WholeGateway& gateway, const std::vector<std::uint8_t>& sent) {
  PacketSpec spec;
  spec.source = gateway.at.server4;
  spec.destination = gateway.at.external4;
  spec.source_port = kServerPort;
  spec.destination_port = load_be<std::uint16_t>(&sent[net::Ip4View::kMinHeaderBytes]);
  return spec;
}

std::size_t send_flows(WholeGateway& gateway, std::uint16_t first_port, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto port = static_cast<std::uint16_t>(first_port + i);
    if (!gateway.offer_inner(build(to_server(gateway, port)))) return i;
  }
  return count;
}

TEST(GatewayPressure, AFullRingTowardsTheInternetCostsPacketsAndIsCounted) {
  WholeGateway gateway({}, {.ring_slots = kRingSlots});
  ASSERT_EQ(send_flows(gateway, 5000, 20), 20U);
  gateway.turn();
  const std::size_t passed = gateway.received().by_internet.size();
  EXPECT_LE(passed, kRingSlots);
  EXPECT_GT(passed, 0U);
  EXPECT_EQ(gateway.drops(DropReason::kTxFailed), 20 - passed);
  EXPECT_EQ(gateway.all_drops(), 20 - passed);
  ASSERT_EQ(send_flows(gateway, 6000, 5), 5U);
  gateway.turn();
  EXPECT_EQ(gateway.received().by_internet.size(), 5U);
  gateway.expect_all_home();
}

TEST(GatewayPressure, AFullRingTowardsTheTunnelCostsPacketsAndIsCounted) {
  WholeGateway gateway({.ring_slots = kRingSlots}, {});
  ASSERT_EQ(send_flows(gateway, 5000, 1), 1U);
  gateway.turn();
  const auto sent = gateway.received().by_internet;
  ASSERT_EQ(sent.size(), 1U);
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(gateway.offer_packet(build(answer_to(gateway, sent[0]))));
  gateway.turn();
  const std::size_t passed = gateway.received().by_subscriber.size();
  EXPECT_LE(passed, kRingSlots);
  EXPECT_GT(passed, 0U);
  EXPECT_EQ(gateway.drops(DropReason::kTxFailed), 20 - passed);
  ASSERT_TRUE(gateway.offer_packet(build(answer_to(gateway, sent[0]))));
  gateway.turn();
  EXPECT_EQ(gateway.received().by_subscriber.size(), 1U);
  gateway.expect_all_home();
}

// No frame is free: what is sealed where it lies needs none, what the gateway itself has to say
// does.
TEST(GatewayPressure, WithoutAFreeFrameOnlyWhatNeedsItsOwnIsDroppedAndCounted) {
  WholeGateway gateway({.frames = kFewFrames}, {.frames = kFewFrames});
  ASSERT_EQ(send_flows(gateway, 5000, 1), 1U);
  gateway.turn();
  const auto sent = gateway.received().by_internet;
  ASSERT_EQ(sent.size(), 1U);
  PacketSpec expiring = answer_to(gateway, sent[0]);
  expiring.ttl = 1;  // its sender is to be told
  ASSERT_TRUE(gateway.offer_packet(build(expiring)));
  std::size_t answers = 0;
  while (gateway.offer_packet(build(answer_to(gateway, sent[0]))))
    ++answers;
  EXPECT_EQ(answers, kFewFrames - 1);
  std::vector<Slot> kept(kFewFrames);
  kept.resize(gateway.lan.alloc_burst(kept));
  EXPECT_EQ(kept.size(), kFewFrames) << "the port that frames of the gateway's own come from";
  gateway.turn();
  auto received = gateway.received();
  EXPECT_EQ(received.by_subscriber.size(), answers);
  EXPECT_TRUE(received.by_internet.empty());
  EXPECT_EQ(gateway.drops(DropReason::kNatTtlExpired), 1U);
  EXPECT_EQ(gateway.drops(DropReason::kNoBuffer), 1U);
  for (const Slot& slot : kept)
    BufferPool::release(slot);
  ASSERT_TRUE(gateway.offer_packet(build(expiring)));
  gateway.turn();
  EXPECT_EQ(gateway.received().by_internet.size(), 1U);
  EXPECT_EQ(gateway.drops(DropReason::kNoBuffer), 1U);
  gateway.expect_all_home();
}

// Fragments that came before their first, all of the host's own.
TEST(GatewayPressure, WhatIsTheKernelsIsGivenBackAndAFloodOfItIsBounded) {
  WholeGateway gateway;
  PacketSpec spec = answer_to(gateway, std::vector<std::uint8_t>(40));
  spec.destination_port = 53'000;  // not of the NAT's range
  spec.payload.assign(400, 1);
  const auto parts = cut(build(spec), 96, 9);
  for (std::size_t i = parts.size(); i-- > 0;)
    ASSERT_TRUE(gateway.offer_packet(parts[i]));
  gateway.turn();
  EXPECT_EQ(gateway.to_control(), parts.size());
  EXPECT_EQ(gateway.all_drops(), 0U);

  const std::uint64_t before = gateway.to_control();
  constexpr std::uint64_t kFlood = 500;
  for (std::uint64_t i = 0; i < kFlood; ++i) {
    ASSERT_TRUE(gateway.offer_packet(build(spec)));
    if (i % 50 == 49) gateway.turn();
  }
  const std::uint64_t given = gateway.to_control() - before;
  EXPECT_GT(given, 0U);
  EXPECT_LE(given, kForKernelRingEntries);
  EXPECT_EQ(gateway.drops(DropReason::kGiveBackLimit), kFlood - given);
  gateway.turn(Duration::seconds(1));
  ASSERT_TRUE(gateway.offer_packet(build(spec)));
  gateway.turn();
  EXPECT_EQ(gateway.to_control() - before, given + 1);
  EXPECT_EQ(gateway.received().count(), 0U);
  gateway.expect_all_home();
}

TEST(GatewayPressure, FragmentsWhoseFirstNeverCameAreCounted) {
  WholeGateway gateway;
  PacketSpec spec = to_server(gateway, 5000);
  spec.payload.assign(400, 1);
  const auto parts = cut(build(spec), 96, 9);
  for (std::size_t i = 1; i < parts.size(); ++i)
    ASSERT_TRUE(gateway.offer_inner(parts[i]));
  gateway.turn();
  EXPECT_EQ(gateway.all_drops(), 0U) << "they wait";
  for (int second = 0; second < 60; ++second)
    gateway.turn(Duration::seconds(1));
  EXPECT_EQ(gateway.drops(DropReason::kNatFragmentExpired), parts.size() - 1);
  EXPECT_EQ(gateway.received().count(), 0U);
  gateway.expect_all_home();
}

}  // namespace
}  // namespace ringway
