// A worker with an Internet side, its own NAT between: what goes which way. The translation itself
// has its own tests (nat_*_test.cpp).

#include <set>

#include "tests/unit/gateway_fixture.hpp"

namespace ringway {
namespace {

using namespace testing_support;

class GatewayWorker : public GatewayFixture {
 protected:
  GatewayWorker() : GatewayFixture(1) {}

  void tell(Command&& command) { GatewayFixture::tell(0, std::move(command)); }
  std::vector<std::unique_ptr<BlockEventBatch>> reported_blocks() {
    std::vector<std::unique_ptr<BlockEventBatch>> batches;
    while (auto event = link_.events.try_pop()) {
      if (auto* changed = std::get_if<event::BlocksChanged>(&*event)) {
        batches.push_back(std::move(changed->batch));
      }
    }
    return batches;
  }

  // How many packets leave by `port` while time goes on without anything arriving.
  std::size_t released_within(Duration time, io::MemoryPort& port) {
    for (Instant now = kStart; now <= kStart + time; now = now + Shaper::kTick)
      worker_.run_once(now);
    return taken(port).size();
  }

  io::MemoryPort& inner_ = nodes_[0]->inner;
  io::MemoryPort& outer_ = nodes_[0]->outer;
  io::MemoryPort& internet_ = nodes_[0]->internet;
  ControlLink& link_ = nodes_[0]->link;
  Worker& worker_ = nodes_[0]->worker;
};

TEST_F(GatewayWorker, PacketsReachTheInternetTranslatedAndAnswersComeBack) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  const auto out = taken(internet_);
  ASSERT_EQ(out.size(), 1U);
  const auto query = read_udp(out[0]);
  ASSERT_TRUE(query);
  EXPECT_EQ(query->from, kExternal);
  EXPECT_EQ(query->to, kServer);
  EXPECT_EQ(query->to_port, 53);
  EXPECT_EQ(query->text, "query");
  EXPECT_EQ(out[0][net::Ip4View::kTtlAt], 63);

  send_from_internet(udp_packet(kServer, 53, kExternal, query->from_port, "answer"));
  const auto back = received_by(0);
  ASSERT_EQ(back.size(), 1U);
  const auto answer = read_udp(back[0]);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->from, kServer);
  EXPECT_EQ(answer->to, kInner[0]);
  EXPECT_EQ(answer->to_port, 5000);
  EXPECT_EQ(answer->text, "answer");
  expect_all_home();
}

TEST_F(GatewayWorker, TwoSubscribersWithOnePortHaveTwoOutside) {
  for (std::uint32_t peer = 0; peer < kPeers; ++peer)
    send_from(peer, udp_packet(kInner[peer], 5000, kServer, 53, "query"));
  const auto out = taken(internet_);
  ASSERT_EQ(out.size(), 2U);
  const auto first = read_udp(out[0]);
  const auto second = read_udp(out[1]);
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->from_port, second->from_port);
  send_from_internet(udp_packet(kServer, 53, kExternal, second->from_port, "for the second"));
  ASSERT_EQ(received_by(1).size(), 1U);
  expect_all_home();
}

TEST_F(GatewayWorker, StrangersOnTheInternetReachNobody) {
  send_from_internet(udp_packet(kServer, 53, kExternal, 20000, "who is there"));
  send_from_internet(udp_packet(kServer, 53, kInner[0], 5000, "past the translation"));
  send_from_internet({1, 2, 3});
  EXPECT_TRUE(taken(outer_).empty());
  EXPECT_TRUE(taken(inner_).empty());
  EXPECT_EQ(drops(DropReason::kNatMalformed), 1U);
  expect_all_home();
}

TEST_F(GatewayWorker, PingAndDnsReachTheHostAndNothingElse) {
  send_from(0, echo_request(kInner[0], kGateway));
  send_from(0, udp_packet(kInner[0], 5000, kGateway, 53, "query"));
  send_from(0, echo_request(kInner[0], kExternal));
  EXPECT_EQ(taken(inner_).size(), 3U);
  send_from(0, udp_packet(kInner[0], 5000, kGateway, 22, "ssh"));
  send_from(0, udp_packet(kInner[0], 5000, kExternal, 51820, "the tunnel's own port"));
  send_from(0, ip_packet(kInner[0], kGateway, 47, Packet(20)));
  EXPECT_TRUE(taken(inner_).empty());
  EXPECT_EQ(drops(DropReason::kHostDenied), 3U);
  EXPECT_TRUE(taken(internet_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, TheHostsAnswersReachTheSubscriber) {
  ASSERT_TRUE(inner_.inject_copy(udp_packet(kGateway, 53, kInner[0], 5000, "answer")));
  turn();
  ASSERT_EQ(received_by(0).size(), 1U);
  expect_all_home();
}

TEST_F(GatewayWorker, SubscribersReachEachOtherUntranslated) {
  const Packet packet = udp_packet(kInner[0], 5000, kInner[1], 6000, "hello");
  send_from(0, packet);
  const auto back = received_by(1);
  ASSERT_EQ(back.size(), 1U);
  EXPECT_EQ(back[0], packet);
  EXPECT_TRUE(taken(internet_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, InnerAddressesOfNobodyGoNowhere) {
  send_from(0, udp_packet(kInner[0], 5000, "198.51.100.77", 6000, "hello"));
  EXPECT_TRUE(taken(internet_).empty());
  EXPECT_TRUE(taken(outer_).empty());
  EXPECT_EQ(drops(DropReason::kNoRoute), 1U);
  expect_all_home();
}

TEST_F(GatewayWorker, SubscribersPunchHolesForEachOtherByTheirExternalAddresses) {
  std::array<std::uint16_t, kPeers> outside{};
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    send_from(peer, udp_packet(kInner[peer], 6000, kServer, 3478, "who am I"));
    outside[peer] = read_udp(taken(internet_).at(0))->from_port;
  }
  // The first knock is filtered, and opens the way for the second.
  send_from(0, udp_packet(kInner[0], 6000, kExternal, outside[1], "knock"));
  EXPECT_TRUE(received_by(1).empty());
  send_from(1, udp_packet(kInner[1], 6000, kExternal, outside[0], "hello"));
  const auto back = received_by(0);
  ASSERT_EQ(back.size(), 1U);
  const auto hello = read_udp(back[0]);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->from, kExternal);
  EXPECT_EQ(hello->from_port, outside[1]);
  EXPECT_EQ(hello->to, kInner[0]);
  EXPECT_EQ(hello->to_port, 6000);
  EXPECT_TRUE(taken(internet_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, SendersWhoseTtlRanOutAreToldByTheGateway) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 33434, "trace", 1));
  EXPECT_TRUE(taken(internet_).empty());
  const auto back = received_by(0);
  ASSERT_EQ(back.size(), 1U);
  const auto ip = net::Ip4View::parse(back[0]);
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->source_address().to_string(), kGateway);
  EXPECT_EQ(ip->protocol(), net::kProtocolIcmp);
  EXPECT_EQ(ip->payload()[0], net::kIcmpTimeExceeded);
  expect_all_home();
}

TEST_F(GatewayWorker, ASubscriberThatIsRemovedLosesItsMappings) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  const auto query = read_udp(taken(internet_).at(0));
  ASSERT_TRUE(query);
  tell(command::RemovePeer{{0}});
  turn();
  send_from_internet(udp_packet(kServer, 53, kExternal, query->from_port, "answer"));
  EXPECT_TRUE(taken(outer_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, SurroundingsAreExchangedWhileItRuns) {
  auto surroundings = std::make_unique<Surroundings>();
  surroundings->external_addresses = {address("192.0.2.9")};
  surroundings->ways =
      ways_of({address("192.0.2.9"), address(kGateway)},
              {*net::Prefix::parse("198.51.100.0/24"), *net::Prefix::parse("203.0.113.128/25")});
  tell(command::SetSurroundings{std::move(surroundings)});
  turn();
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  const auto query = read_udp(taken(internet_).at(0));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->from, "192.0.2.9");
  // What belongs to a subscriber's network, and is nobody's, goes nowhere.
  send_from(0, udp_packet(kInner[0], 5000, "203.0.113.200", 53, "query"));
  EXPECT_TRUE(taken(internet_).empty());
  expect_all_home();
}

TEST_F(GatewayWorker, BlocksAreReportedInTheTurnThatGaveThem) {
  for (std::size_t i = 0; i < kBlockEventBatches; ++i)
    tell(command::LendBlockEvents{std::make_unique<BlockEventBatch>()});
  ASSERT_TRUE(
      outer_.inject_copy(sealed(0, udp_packet(kInner[0], 5000, kServer, 53, "q")), remote(0)));
  worker_.run_once(kStart);
  const auto batches = reported_blocks();
  ASSERT_EQ(batches.size(), 1U);
  ASSERT_EQ(batches[0]->count, 1U);
  EXPECT_EQ(batches[0]->at, kStart);
  EXPECT_EQ(batches[0]->lost, 0U);
  const nat::BlockEvent& given = batches[0]->events[0];
  EXPECT_TRUE(given.allocated);
  EXPECT_EQ(given.subscriber, PeerId{0});
  EXPECT_EQ(given.protocol, net::kProtocolUdp);
  EXPECT_EQ(given.external_address, address(kExternal));
}

TEST_F(GatewayWorker, BlocksOfARemovedSubscriberAreReportedBeforeItsIdIsFree) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  for (std::size_t i = 0; i < kBlockEventBatches; ++i)
    tell(command::LendBlockEvents{std::make_unique<BlockEventBatch>()});
  tell(command::RemovePeer{{0}});
  worker_.run_once(kStart);
  bool gone = false;
  std::size_t returned = 0;
  while (auto event = link_.events.try_pop()) {
    if (std::holds_alternative<event::PeerRemoved>(*event)) gone = true;
    const auto* changed = std::get_if<event::BlocksChanged>(&*event);
    if (changed == nullptr) continue;
    EXPECT_FALSE(gone);
    for (std::size_t i = 0; i < changed->batch->count; ++i)
      returned += changed->batch->events[i].allocated ? 0U : 1U;
  }
  EXPECT_TRUE(gone);
  EXPECT_EQ(returned, 1U);
}

TEST_F(GatewayWorker, BlocksThatNobodyHasRoomForAreCounted) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  tell(command::RemovePeer{{0}});
  turn();
  tell(command::LendBlockEvents{std::make_unique<BlockEventBatch>()});
  send_from(1, udp_packet(kInner[1], 5000, kServer, 53, "query"));
  EXPECT_EQ(worker_.internet_side()->nat.counters().block_events_lost, 2U);
}

TEST_F(GatewayWorker, MappingsAreListedInPieces) {
  constexpr std::uint16_t kFlows = 700;  // more than a page holds
  for (std::uint16_t i = 0; i < kFlows; ++i) {
    send_from(0, udp_packet(kInner[0], static_cast<std::uint16_t>(1000 + i), kServer, 53, "q"));
    (void)taken(internet_);
  }
  std::set<std::uint16_t> ports;
  std::uint32_t cursor = 0;
  unsigned pages = 0;
  do {
    auto page = std::make_unique<MappingPage>();
    page->cursor = cursor;
    tell(command::ListMappings{std::move(page)});
    worker_.run_once(kStart);
    auto event = link_.events.try_pop();
    ASSERT_TRUE(event && std::holds_alternative<event::MappingsListed>(*event));
    const MappingPage& listed = *std::get<event::MappingsListed>(*event).page;
    EXPECT_EQ(listed.at, kStart);
    for (std::size_t i = 0; i < listed.count; ++i)
      ports.insert(listed.records[i].inner.port);
    cursor = listed.cursor;
    ++pages;
  } while (cursor != 0);
  EXPECT_EQ(ports.size(), kFlows);
  EXPECT_EQ(pages, 2U);
}

// At 1 Mbit/s, 12 packets of 1,028 bytes fit into the burst of 100 ms, and a 13th begins in it.
constexpr std::size_t kPassedAtOneMbps = 13;
constexpr std::size_t kHeldAtOneMbps = Shaper::kFewestPackets;
const std::string kKilobyte(1000, 'x');

TEST_F(GatewayWorker, WhatIsAboveTheUploadLimitWaitsThenIsLostAndNobodyElseLoses) {
  tell(command::SetRateLimits{{0}, {.up_mbps = 1}});
  constexpr std::size_t kSent = 32;  // a burst, with the other's
  for (std::size_t i = 0; i < kSent; ++i) {
    for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
      const Packet packet = udp_packet(kInner[peer], 5000, kServer, 53, kKilobyte);
      ASSERT_TRUE(outer_.inject_copy(sealed(peer, packet), remote(peer)));
    }
  }
  turn();
  EXPECT_EQ(taken(internet_).size(), kPassedAtOneMbps + kSent);
  EXPECT_EQ(worker_.held_packets(), kHeldAtOneMbps);
  EXPECT_EQ(drops(DropReason::kRateLimited), kSent - kPassedAtOneMbps - kHeldAtOneMbps);
  send_from(1, udp_packet(kInner[1], 5000, kServer, 53, kKilobyte));
  EXPECT_EQ(taken(internet_).size(), 1U);

  EXPECT_EQ(released_within(Duration::milliseconds(140), internet_), kHeldAtOneMbps);
  EXPECT_EQ(drops(DropReason::kRateLimited), kSent - kPassedAtOneMbps - kHeldAtOneMbps);
  expect_all_home();
}

TEST_F(GatewayWorker, WhatIsAboveTheUploadLimitAndFindsNoRoomIsNotEvenOpened) {
  tell(command::SetRateLimits{{0}, {.up_mbps = 1}});
  Packet forged = sealed(0, udp_packet(kInner[0], 5000, kServer, 53, kKilobyte));
  forged.back() ^= 1;
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(outer_.inject_copy(forged, remote(0)));
  turn();
  EXPECT_EQ(drops(DropReason::kAuthFailed), 20U);
  EXPECT_EQ(drops(DropReason::kRateLimited), 0U) << "forged packets count against nobody";
  for (std::size_t i = 0; i < kPassedAtOneMbps + kHeldAtOneMbps; ++i)
    send_from(0, udp_packet(kInner[0], 5000, kServer, 53, kKilobyte));
  EXPECT_EQ(taken(internet_).size(), kPassedAtOneMbps);
  ASSERT_TRUE(outer_.inject_copy(forged, remote(0)));
  turn();
  EXPECT_EQ(drops(DropReason::kAuthFailed), 20U);
  EXPECT_EQ(drops(DropReason::kRateLimited), 1U);
  tell(command::RemovePeer{{0}});
  turn();
  EXPECT_EQ(drops(DropReason::kRateLimited), 1 + kHeldAtOneMbps) << "what waits goes with the peer";
  expect_all_home();
}

TEST_F(GatewayWorker, WhatIsAboveTheDownloadLimitComesLaterInOrder) {
  send_from(0, udp_packet(kInner[0], 5000, kServer, 53, "query"));
  const std::uint16_t port = read_udp(taken(internet_).at(0))->from_port;
  tell(command::SetRateLimits{{0}, {.down_mbps = 1}});
  constexpr std::size_t kSent = 20;
  for (std::size_t i = 0; i < kSent; ++i)
    send_from_internet(udp_packet(kServer, 53, kExternal, port, kKilobyte + std::to_string(i)));
  std::vector<Packet> received = received_by(0);
  EXPECT_EQ(received.size(), kPassedAtOneMbps);
  for (Instant now = kStart; received.size() < kSent && now < kStart + Duration::seconds(1);
       now = now + Shaper::kTick) {
    worker_.run_once(now);
    for (Packet& packet : received_by(0))
      received.push_back(std::move(packet));
  }
  ASSERT_EQ(received.size(), kSent);
  for (std::size_t i = 0; i < kSent; ++i)
    EXPECT_EQ(read_udp(received[i])->text, kKilobyte + std::to_string(i));
  EXPECT_EQ(drops(DropReason::kRateLimited), 0U);
  tell(command::SetRateLimits{{0}, {}});
  for (std::size_t i = 0; i < kSent; ++i)
    send_from_internet(udp_packet(kServer, 53, kExternal, port, kKilobyte));
  EXPECT_EQ(received_by(0).size(), kSent);
  expect_all_home();
}

TEST_F(GatewayWorker, BurstsOfManyFlowsBothWaysLoseNothing) {
  std::vector<std::uint16_t> external;
  for (std::uint16_t i = 0; i < 200; ++i) {
    send_from(i % 2, udp_packet(kInner[i % 2], static_cast<std::uint16_t>(3000 + i), kServer, 53,
                                "query " + std::to_string(i)));
  }
  const auto out = taken(internet_);
  ASSERT_EQ(out.size(), 200U);
  for (const Packet& packet : out)
    external.push_back(read_udp(packet)->from_port);
  for (std::size_t i = 0; i < out.size(); ++i) {
    ASSERT_TRUE(internet_.inject_copy(
        udp_packet(kServer, 53, kExternal, external[i], "answer " + std::to_string(i))));
  }
  for (int i = 0; i < 8; ++i)
    turn();
  EXPECT_EQ(taken(outer_).size(), 200U);
  expect_all_home();
}

}  // namespace
}  // namespace ringway
