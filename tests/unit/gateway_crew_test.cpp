// Two workers of one gateway: whatever arrives at the wrong one comes to its owner.

#include "tests/unit/gateway_fixture.hpp"

namespace ringway {
namespace {

using namespace testing_support;

constexpr std::size_t kWorkers = 2;

class GatewayCrew : public GatewayFixture {
 protected:
  GatewayCrew() : GatewayFixture(kWorkers) {}

  // Opens a mapping by a query that arrives at `at`; its external port.
  std::uint16_t query(std::uint32_t peer, std::size_t at) {
    send_from(peer, udp_packet(kInner[peer], 5000, kServer, 53, "query"), at);
    const auto out = taken(nodes_[owner_of(peer)]->internet);
    if (out.size() != 1) return 0;
    const auto sent = read_udp(out[0]);
    return sent && sent->from == kExternal ? sent->from_port : std::uint16_t{0};
  }
  [[nodiscard]] std::uint64_t handed_over(std::size_t worker) const {
    return nodes_[worker]->worker.counters().handed_over.value();
  }
};

TEST_F(GatewayCrew, SealedDatagramsComeToTheOwnerOfTheSession) {
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    for (std::size_t at = 0; at < kWorkers; ++at) {
      const std::uint16_t port = query(peer, at);
      ASSERT_NE(port, 0);
      EXPECT_EQ(shard_of(port, kWorkers), owner_of(peer));
    }
  }
  EXPECT_EQ(handed_over(0), 1U);
  EXPECT_EQ(handed_over(1), 1U);
  expect_all_home();
}

TEST_F(GatewayCrew, AnswersComeToTheOwnerOfThePort) {
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    const std::uint16_t port = query(peer, owner_of(peer));
    for (std::size_t at = 0; at < kWorkers; ++at) {
      send_from_internet(udp_packet(kServer, 53, kExternal, port, "answer"), at);
      const auto back = received_by(peer);
      ASSERT_EQ(back.size(), 1U);
      const auto answer = read_udp(back[0]);
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->to, kInner[peer]);
      EXPECT_EQ(answer->text, "answer");
    }
  }
  expect_all_home();
}

TEST_F(GatewayCrew, SubscribersOfDifferentWorkersReachEachOther) {
  for (std::size_t at = 0; at < kWorkers; ++at) {
    send_from(0, udp_packet(kInner[0], 5000, kInner[1], 6000, "inside"), at);
    const auto received = received_by(1);
    ASSERT_EQ(received.size(), 1U);
    const auto datagram = read_udp(received[0]);
    ASSERT_TRUE(datagram);
    EXPECT_EQ(datagram->from, kInner[0]);
    EXPECT_EQ(datagram->text, "inside");
  }
  expect_all_home();
}

TEST_F(GatewayCrew, HairpinsBetweenSubscribersOfDifferentWorkers) {
  std::array<std::uint16_t, kPeers> outside{};
  for (std::uint32_t peer = 0; peer < kPeers; ++peer)
    outside[peer] = query(peer, 0);
  // The first opens the way back, and is not let in itself.
  send_from(0, udp_packet(kInner[0], 5000, kExternal, outside[1], "punch"));
  EXPECT_TRUE(received_by(1).empty());
  EXPECT_EQ(drops(DropReason::kNatFiltered), 1U);
  send_from(1, udp_packet(kInner[1], 5000, kExternal, outside[0], "hello"));
  const auto received = received_by(0);
  ASSERT_EQ(received.size(), 1U);
  const auto hello = read_udp(received[0]);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->from, kExternal);
  EXPECT_EQ(hello->from_port, outside[1]);
  EXPECT_EQ(hello->to, kInner[0]);
  for (const auto& node : nodes_)
    EXPECT_TRUE(taken(node->internet).empty());
  expect_all_home();
}

TEST_F(GatewayCrew, TheHostsPacketsComeToTheOwnerOfThePeer) {
  for (std::size_t at = 0; at < kWorkers; ++at) {
    ASSERT_TRUE(nodes_[at]->inner.inject_copy(udp_packet(kGateway, 53, kInner[1], 5000, "answer")));
    turn();
    EXPECT_EQ(received_by(1).size(), 1U);
  }
  expect_all_home();
}

TEST_F(GatewayCrew, AnUnknownSessionIsDroppedOnceWhereverItArrives) {
  Packet message = sealed(1, udp_packet(kInner[1], 5000, kServer, 53, "query"));
  store_le(message.data() + DataLayout::kReceiver, std::uint32_t{9} << kSlotBits | 1U);
  ASSERT_TRUE(nodes_[0]->outer.inject_copy(message, remote(1)));
  turn();
  EXPECT_EQ(drops(DropReason::kUnknownReceiver), 1U);
  EXPECT_EQ(handed_over(0), 0U) << "there is no ninth worker";
  store_le(message.data() + DataLayout::kReceiver, std::uint32_t{1} << kSlotBits | 7U);
  ASSERT_TRUE(nodes_[0]->outer.inject_copy(message, remote(1)));
  turn();
  EXPECT_EQ(drops(DropReason::kUnknownReceiver), 2U);
  EXPECT_EQ(handed_over(0), 1U);
  expect_all_home();
}

}  // namespace
}  // namespace ringway
