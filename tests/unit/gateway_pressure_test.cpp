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

constexpr std::uint16_t kServerPort = 443;
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

std::vector<Slot> all_frames_of(io::MemoryPort& port) {
  std::vector<Slot> kept(kFewFrames);
  kept.resize(port.alloc_burst(kept));
  return kept;
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

TEST(GatewayPressure, WithoutAFreeFrameAnswersAreSealedWhereTheyAre) {
  WholeGateway gateway({.frames = kFewFrames}, {.frames = kFewFrames});
  ASSERT_EQ(send_flows(gateway, 5000, 1), 1U);
  gateway.turn();
  const auto sent = gateway.received().by_internet;
  ASSERT_EQ(sent.size(), 1U);
  std::size_t offered = 0;
  while (gateway.offer_packet(build(answer_to(gateway, sent[0]))))
    ++offered;
  EXPECT_EQ(offered, kFewFrames);
  const std::vector<Slot> kept = all_frames_of(gateway.lan);
  EXPECT_EQ(kept.size(), kFewFrames) << "the port that frames for the tunnel come from";
  gateway.turn();
  EXPECT_EQ(gateway.received().by_subscriber.size(), offered);
  EXPECT_EQ(gateway.all_drops(), 0U);
  for (const Slot& slot : kept)
    BufferPool::release(slot);
  gateway.expect_all_home();
}

// From the tunnel back into it: the datagram that a packet came in cannot become the one that it
// leaves in, as others may be in it.
TEST(GatewayPressure, WithoutAFreeFrameWhatNeedsOneIsDroppedAndCounted) {
  constexpr std::size_t kPackets = 4;
  WholeGateway gateway({.frames = kFewFrames}, {});
  PacketSpec spec = to_server(gateway, 5000);
  spec.destination = gateway.at.subscriber4;
  for (std::size_t i = 0; i < kPackets; ++i)
    ASSERT_TRUE(gateway.offer_inner(build(spec)));
  const std::vector<Slot> kept = all_frames_of(gateway.lan);
  EXPECT_EQ(kept.size(), kFewFrames - kPackets);
  gateway.turn();
  EXPECT_TRUE(gateway.received().by_subscriber.empty());
  EXPECT_EQ(gateway.drops(DropReason::kNoBuffer), kPackets);
  for (const Slot& slot : kept)
    BufferPool::release(slot);
  ASSERT_TRUE(gateway.offer_inner(build(spec)));
  gateway.turn();
  EXPECT_EQ(gateway.received().by_subscriber.size(), 1U);
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
