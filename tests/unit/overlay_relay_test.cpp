// Relays: what is on the wire, how one is chosen, and a few nodes in memory of which two cannot
// link.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "overlay/relay/observed_addresses.hpp"
#include "overlay/relay/relay_choice.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "tests/unit/overlay_village.hpp"

namespace ringway::overlay {
namespace {

using wire::RelayMessage;

NodeId sixteenth(std::uint64_t number) {
  return NodeId(Distance{number << 60, 0, 0});
}

std::vector<std::uint8_t> bytes_of(const RelayMessage& message) {
  wire::ByteWriter writer;
  wire::emit(writer, message);
  return {writer.view().begin(), writer.view().end()};
}

wire::NeighbourList list_of(std::size_t count) {
  SeededRng rng(11);
  wire::NeighbourList list;
  for (std::uint16_t i = 0; i < count; ++i)
    list.neighbours.add({NodeId::random(rng), wire::kWantsNear, i, 20, 1});
  return list;
}

std::vector<RelayMessage> one_of_each_kind() {
  const NodeId node = sixteenth(3);
  return {list_of(wire::kMaxNeighbours),
          wire::RelayRequest{node, 7},
          wire::RelayOffer{node, 8, 100},
          wire::RelayAccept{node, 9},
          wire::RelayGrant{node, 10, 101},
          wire::RelayRelease{node, wire::ReleaseReason::kBusy},
          wire::RelaySilence{}};
}

TEST(RelayMessages, ComeBackAsTheyWere) {
  for (const RelayMessage& message : one_of_each_kind()) {
    const auto bytes = bytes_of(message);
    ASSERT_TRUE(wire::is_relay_message(bytes));
    const auto parsed = wire::parse_relay_message(bytes);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->index(), message.index());
    EXPECT_EQ(bytes_of(*parsed), bytes);
  }
}

TEST(RelayMessages, HaveTheBytesOfTheSpecification) {
  NodeId node(Distance{0x0102030405060708, 0, 0});
  std::vector<std::uint8_t> expected{1, 28, 1, 2, 3, 4, 5, 6, 7, 8};
  expected.resize(22);
  expected.insert(expected.end(), {0, 0, 1, 0, 200});
  EXPECT_EQ(bytes_of(wire::RelayGrant{node, 256, 200}), expected);
}

TEST(RelayMessages, AreRefusedUnlessWhole) {
  for (const RelayMessage& message : one_of_each_kind()) {
    const auto bytes = bytes_of(message);
    for (std::size_t length = 0; length < bytes.size(); ++length)
      EXPECT_FALSE(wire::parse_relay_message({bytes.data(), length})) << length;
    auto longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(wire::parse_relay_message(longer));
  }
}

TEST(RelayMessages, RefuseLyingCountsAndUnknownValues) {
  auto list = bytes_of(list_of(wire::kMaxNeighbours));
  list[2] = wire::kMaxNeighbours + 1;
  EXPECT_FALSE(wire::parse_relay_message(list));
  list[2] = wire::kMaxNeighbours - 1;
  EXPECT_FALSE(wire::parse_relay_message(list));
  EXPECT_FALSE(wire::parse_relay_message(bytes_of(wire::RelayRequest{sixteenth(1), 0})));
  auto release = bytes_of(wire::RelayRelease{sixteenth(1), wire::ReleaseReason::kBusy});
  release.back() = 4;
  EXPECT_FALSE(wire::parse_relay_message(release));
}

TEST(RelayMessages, AListFitsInARequest) {
  wire::ByteWriter writer;
  wire::emit_neighbours(writer, list_of(wire::kMaxNeighbours));
  EXPECT_LE(writer.size() + wire::kServiceOverhead, 512U);
}

// --- The choice ----------------------------------------------------------------------------------

RelayLegs legs(std::int64_t near_ms, std::int64_t far_ms) {
  RelayLegs result;
  result.near_rtt = Duration::milliseconds(near_ms);
  result.far_rtt = Duration::milliseconds(far_ms);
  result.age_s = 1000;
  return result;
}

TEST(RelayChoice, CountsBothLegsLossLoadAndAge) {
  const RelayParameters p;
  const Duration plain = relay_cost(legs(40, 60), p);
  EXPECT_EQ(plain, Duration::milliseconds(100));
  EXPECT_EQ(relay_cost(legs(60, 40), p), plain);
  RelayLegs lossy = legs(40, 60);
  lossy.far_loss = 0.1F;
  RelayLegs loaded = legs(40, 60);
  loaded.load = 200;
  RelayLegs young = legs(40, 60);
  young.age_s = 5;
  for (const RelayLegs& worse : {lossy, loaded, young})
    EXPECT_GT(relay_cost(worse, p), plain);
  // What a relay says of itself cannot make up for what was measured.
  RelayLegs far_and_idle = legs(140, 60);
  EXPECT_GT(relay_cost(far_and_idle, p), relay_cost(loaded, p));
}

TEST(RelayChoice, ALittleBetterIsNotBetter) {
  const RelayParameters p;
  const auto ms = [](std::int64_t value) { return Duration::milliseconds(value); };
  EXPECT_FALSE(clearly_better(ms(90), ms(100), p));
  EXPECT_TRUE(clearly_better(ms(70), ms(100), p));
  EXPECT_FALSE(clearly_better(ms(6), ms(10), p));  // much, but of next to nothing
}

// --- At which address others see this node -------------------------------------------------------

class Observed : public testing::Test {
 protected:
  void report(std::uint64_t reporter, const char* endpoint) {
    observed_.add(sixteenth(reporter), *net::Endpoint::parse(endpoint));
  }
  Parameters parameters_;
  SeededRng rng_{1};
  sim::ModelledSigner signer_{sixteenth(0)};
  sim::ModelledSealer sealer_{sixteenth(0), rng_};
  sim::ModelledVerifier verifier_;
  Core core_{parameters_, {sixteenth(0), {}}, signer_, sealer_, verifier_, rng_};
  ObservedAddresses observed_{core_};
};

TEST_F(Observed, TakesTwoReportersToBecomeACandidate) {
  report(1, "192.0.2.1:4000");
  report(1, "192.0.2.1:4000");
  EXPECT_TRUE(core_.candidates.empty());
  report(2, "198.51.100.7:4000");  // another address: of that there is one reporter, too
  EXPECT_TRUE(core_.candidates.empty());
  report(3, "192.0.2.1:4000");
  ASSERT_EQ(core_.candidates.size(), 1U);
  EXPECT_EQ(core_.candidates[0].to_string(), "192.0.2.1:4000");
}

TEST_F(Observed, WherePortsDifferOneStandsForTheAddress) {
  report(1, "192.0.2.1:4000");
  report(2, "192.0.2.1:4001");
  report(3, "192.0.2.1:4002");
  ASSERT_EQ(core_.candidates.size(), 1U);
  EXPECT_EQ(core_.candidates[0].to_string(), "192.0.2.1:4002");
}

TEST_F(Observed, APortThatTwoNamedStaysAgainstOneThatDiffers) {
  report(1, "192.0.2.1:4000");
  report(2, "192.0.2.1:4000");
  report(3, "192.0.2.1:9");
  ASSERT_EQ(core_.candidates.size(), 1U);
  EXPECT_EQ(core_.candidates[0].to_string(), "192.0.2.1:4000");
}

TEST_F(Observed, RefusesWhereNobodyCouldCall) {
  core_.networks.tunnel.push_back(*net::Prefix::parse("192.0.2.0/24"));
  for (std::uint64_t reporter = 1; reporter < 5; ++reporter) {
    report(reporter, "127.0.0.1:4000");
    report(reporter, "192.0.2.1:4000");
  }
  EXPECT_TRUE(core_.candidates.empty());
  EXPECT_EQ(core_.drops.value(Drop::kCandidateLoopback), 4U);
  EXPECT_EQ(core_.drops.value(Drop::kCandidateTunnel), 4U);
}

TEST_F(Observed, LeavesTheDriversOwnAlone) {
  core_.candidates.add(*net::Endpoint::parse("192.0.2.1:51820"));
  for (std::uint64_t reporter = 1; reporter < 5; ++reporter)
    report(reporter, "192.0.2.1:51820");
  EXPECT_EQ(core_.candidates.size(), 1U);
}

// --- Nodes of which two cannot link --------------------------------------------------------------

constexpr Duration kMinutes = Duration::seconds(120);

class Relays : public testing::Test {
 protected:
  // Nodes at the first so many sixteenths; 1 and 2 are next to each other and cannot link.
  void grow(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      village_.add(sixteenth(i));
    village_.part(1, 2);
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) village_.knows(i, 0);
      village_.start(i);
    }
    village_.pass(kMinutes);
    ASSERT_TRUE(village_.near(1, 2));
    ASSERT_TRUE(village_.link(1, 2)->relayed);
  }
  [[nodiscard]] std::vector<std::size_t> relays(std::size_t of, std::size_t to) {
    std::vector<std::size_t> result;
    for (const auto& relay : village_[of].relayed_links().relays_of(village_[to].self()))
      for (std::size_t node = 0; node < 16; ++node)
        if (sixteenth(node) == relay.node) result.push_back(node);
    return result;
  }
  void inject(std::size_t from, std::size_t to, const RelayMessage& message) {
    inject_bytes(from, to, bytes_of(message));
  }
  void inject_bytes(std::size_t from, std::size_t to, const std::vector<std::uint8_t>& bytes) {
    village_[to].receive(village_.clock(), village_.link(to, from)->id, bytes);
    village_.settle();
  }
  [[nodiscard]] std::uint32_t dropped(std::size_t node, Drop reason) {
    return village_[node].drops().value(reason);
  }

  Village village_;
};

TEST_F(Relays, TwoThatCannotLinkAreNearOverTheirCommonNeighbour) {
  grow(3);
  EXPECT_TRUE(village_.near(2, 1));
  EXPECT_THAT(relays(1, 2), testing::ElementsAre(0U));
  EXPECT_THAT(relays(2, 1), testing::ElementsAre(0U));
  EXPECT_EQ(village_[0].relay_service().pairs(), 1U);
  EXPECT_FALSE(village_.link(0, 1)->relayed);
  village_[1].lookup(village_.clock(), sixteenth(2), 1);
  village_.settle();
  ASSERT_NE(village_.last_event<output::LookupDone>(), nullptr);
  EXPECT_EQ(village_.last_event<output::LookupDone>()->responder, sixteenth(2));
  EXPECT_EQ(village_.last_event<output::LookupDone>()->hops, 1);  // to the ring it is one link
}

TEST_F(Relays, TheLinkLastsAsLongAsItIsRenewed) {
  grow(3);
  village_.pass(Parameters().relay.lease * 4);
  EXPECT_TRUE(village_.near(1, 2));
  EXPECT_EQ(village_[0].relay_service().pairs(), 1U);
}

TEST_F(Relays, WhenARelayDiesAnotherTakesOver) {
  grow(6);
  const LinkId link = village_.link(1, 2)->id;
  const std::size_t used = relays(1, 2).front();
  village_.silence(used);
  village_.pass(Duration::seconds(20));
  ASSERT_NE(village_.link(1, 2), nullptr);
  EXPECT_EQ(village_.link(1, 2)->id, link);  // nobody else noticed
  EXPECT_TRUE(village_.near(1, 2));
  EXPECT_NE(relays(1, 2).front(), used);
}

TEST_F(Relays, ADirectLinkTakesOverWhenItCanBeHad) {
  grow(5);
  village_.rejoin();
  village_.pass(Parameters().relay.longest_direct_retry * 2);
  EXPECT_FALSE(village_.link(1, 2)->relayed);
  EXPECT_FALSE(village_.link(2, 1)->relayed);
  EXPECT_TRUE(village_.near(1, 2));
  for (std::size_t node = 0; node < 5; ++node) {
    EXPECT_EQ(village_[node].relay_service().pairs(), 0U);
    EXPECT_EQ(village_[node].relayed_links().peers(), 0U);
  }
}

TEST_F(Relays, DirectIsTriedLessAndLessOften) {
  grow(3);
  const std::size_t before = village_.opens;
  village_.pass(Duration::seconds(3600));
  EXPECT_GE(village_.opens - before, 4U);
  EXPECT_LE(village_.opens - before, 40U);
}

TEST_F(Relays, ABusyRelayRefusesAndAnotherIsAsked) {
  grow(6);
  const std::size_t used = relays(1, 2).front();
  const auto others = relays(1, 2);
  // Too much waits on the link of that one: it gives nothing new, but keeps what it gave.
  village_[used].send_queue(village_.clock(), village_.link(used, 1)->id, 100'000);
  const std::size_t pairs = village_[used].relay_service().pairs();
  inject(1, used,
         wire::RelayRequest{village_.link(used, 0) != nullptr ? sixteenth(0) : sixteenth(5), 77});
  EXPECT_EQ(village_[used].relay_service().pairs(), pairs);
  EXPECT_EQ(dropped(used, Drop::kRelayRefused), 1U);
  village_.pass(kMinutes);
  EXPECT_TRUE(village_.near(1, 2));
}

TEST_F(Relays, NoRelayGoesOverARelayedLink) {
  grow(4);
  // 1 asks 2, which it reaches over a relay, to relay to 3; and 3 asks 2 to relay to 1.
  inject(1, 2, wire::RelayRequest{sixteenth(3), 5});
  inject(3, 2, wire::RelayRequest{sixteenth(1), 6});
  EXPECT_EQ(village_[2].relay_service().pairs(), 0U);
  EXPECT_EQ(dropped(2, Drop::kRelayRefused), 2U);
}

TEST_F(Relays, AnotherRelayIsTakenOnlyWhenItIsClearlyBetterTwice) {
  grow(6);
  const auto before = relays(1, 2);
  ASSERT_GE(before.size(), 2U);
  const auto say = [&](std::uint16_t first_ms, std::uint16_t second_ms) {
    wire::NeighbourList list;
    list.neighbours.add({sixteenth(before[0]), wire::kWantsNear, 1000, first_ms, 0});
    list.neighbours.add({sixteenth(before[1]), wire::kWantsNear, 1000, second_ms, 0});
    inject(2, 1, list);
  };
  say(100, 95);
  say(100, 95);
  EXPECT_EQ(relays(1, 2).front(), before[0]);  // a little better
  say(100, 20);
  EXPECT_EQ(relays(1, 2).front(), before[0]);  // once
  say(20, 100);
  say(100, 20);
  EXPECT_EQ(relays(1, 2).front(), before[0]);  // not twice in a row
  say(100, 20);
  EXPECT_EQ(relays(1, 2).front(), before[1]);
}

// --- Hostile relays and neighbours ---------------------------------------------------------------

TEST_F(Relays, WhatNobodyAskedForIsCountedAndChangesNothing) {
  grow(4);
  const auto before = relays(1, 2);
  const std::uint32_t unasked = dropped(1, Drop::kRelayUnasked);
  inject(0, 1, wire::RelayGrant{sixteenth(9), 1, 0});  // of a node that is no peer
  inject(0, 1, wire::RelayAccept{sixteenth(9), 1});    // to no offer
  inject(2, 1, wire::RelayGrant{sixteenth(2), 1, 0});  // over a relayed link
  inject(0, 1, list_of(3));                            // of a node that needs no relay
  inject(0, 1, wire::RelaySilence{});                  // the same
  EXPECT_EQ(dropped(1, Drop::kRelayUnasked) - unasked, 5U);
  EXPECT_EQ(relays(1, 2), before);
}

TEST_F(Relays, ListsThatLieLeadNowhere) {
  grow(4);
  wire::NeighbourList lies;
  for (const std::size_t node : {1U, 2U, 2U, 9U, 10U, 11U})  // itself, the other, nobody
    lies.neighbours.add({sixteenth(node), wire::kWantsNear, 1000, 0, 0});
  for (int i = 0; i < 100; ++i)
    inject(2, 1, lies);
  village_.pass(kMinutes);
  EXPECT_TRUE(village_.near(1, 2));
  for (const std::size_t relay : relays(1, 2))
    EXPECT_THAT(relay, testing::AnyOf(0U, 3U));
}

TEST_F(Relays, AFloodOfOffersAndRequestsIsBounded) {
  grow(4);
  const RelayParameters p;
  SeededRng rng(8);
  for (std::uint32_t i = 1; i < 2000; ++i) {
    inject(0, 1, wire::RelayOffer{NodeId::random(rng), i, 0});
    inject(0, 1, wire::RelayRequest{NodeId::random(rng), i});
    inject(0, 1, wire::RelayRequest{sixteenth(3), i});  // a pair that there may be: one of it
  }
  EXPECT_LE(village_[1].relayed_links().peers(), p.max_peers);
  EXPECT_LE(village_[1].relay_service().pairs(), 1U);
  // What came to nothing is forgotten, and the real one is still there.
  village_.pass(p.lease * 2);
  EXPECT_EQ(village_[1].relayed_links().peers(), 1U);
  EXPECT_TRUE(village_.near(1, 2));
}

TEST_F(Relays, GarbageIsMalformed) {
  grow(3);
  SeededRng rng(9);
  constexpr std::uint32_t kMessages = 500;
  const std::uint32_t before = dropped(1, Drop::kMalformed);
  for (std::uint32_t i = 0; i < kMessages; ++i) {
    std::vector<std::uint8_t> bytes(2 + rng.below(15));  // too short for any
    rng.fill(bytes);
    bytes[0] = 1;
    bytes[1] = static_cast<std::uint8_t>(25 + i % 5);
    inject_bytes(0, 1, bytes);
  }
  EXPECT_EQ(dropped(1, Drop::kMalformed) - before, kMessages);
}

}  // namespace
}  // namespace ringway::overlay
