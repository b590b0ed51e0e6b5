// Two, three and five nodes in memory: the protocol, step by step.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/overlay_village.hpp"

namespace ringway::overlay {
namespace {

class Overlays : public VillageTest {};

TEST_F(Overlays, ANodeAloneWaits) {
  village_.add(eighth(0));
  village_.start(0);
  village_.pass(kLong);
  EXPECT_EQ(village_[0].links().size(), 0U);
  EXPECT_FALSE(village_[0].in_ring());
}

TEST_F(Overlays, APairHasOneLinkAndIsARing) {
  grow(2);
  EXPECT_EQ(village_[0].links().size(), 1U);
  EXPECT_TRUE(village_.near(0, 1));
  EXPECT_TRUE(village_.near(1, 0));
  EXPECT_TRUE(village_[0].in_ring());
  // Joining took a leaf link; by now it is there for the ring alone.
  EXPECT_EQ(village_.link(1, 0)->ours, wire::kWantsNear);
}

TEST_F(Overlays, AThirdNodeIsToldOfTheSecondByTheFirst) {
  grow(3);
  EXPECT_TRUE(village_.near(2, 1));
  EXPECT_TRUE(village_.near(1, 2));
}

TEST_F(Overlays, FiveNodesKeepTwoNeighboursASide) {
  grow(5);
  const auto& right = village_[1].near_neighbours().right();
  const auto& left = village_[1].near_neighbours().left();
  ASSERT_EQ(right.size(), 2U);
  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(right[0], eighth(2));
  EXPECT_EQ(right[1], eighth(3));
  EXPECT_EQ(left[0], eighth(0));
  EXPECT_EQ(left[1], eighth(4));
}

TEST_F(Overlays, ALookupEndsAtTheNodeNearestToThePlace) {
  grow(5);
  const NodeId place = advance(eighth(3), Distance{1, 0, 0});
  EXPECT_NE(village_[0].lookup(village_.clock(), place, 1), 0U);
  village_.settle();
  ASSERT_EQ(village_.events.size(), 1U);
  EXPECT_TRUE(village_.last_event<output::LookupDone>()->answered);
  EXPECT_EQ(village_.last_event<output::LookupDone>()->responder, eighth(3));
  EXPECT_GE(village_.last_event<output::LookupDone>()->hops, 1);
}

TEST_F(Overlays, ALookupOfOnesOwnPlaceNeedsNoMessage) {
  grow(3);
  village_[1].lookup(village_.clock(), advance(eighth(1), Distance{1, 0, 0}), 1);
  village_.settle();
  ASSERT_EQ(village_.events.size(), 1U);
  EXPECT_EQ(village_.last_event<output::LookupDone>()->responder, eighth(1));
  EXPECT_EQ(village_.last_event<output::LookupDone>()->hops, 0);
}

TEST_F(Overlays, ASilentNodeIsMissedAndTheGapClosed) {
  grow(5);
  village_.silence(2);
  // A heartbeat's period and grace, three probes, and what the turns round up.
  village_.pass(Duration::seconds(14));
  EXPECT_EQ(village_.link(1, 2), nullptr);
  EXPECT_EQ(village_.link(3, 2), nullptr);
  EXPECT_EQ(village_[1].near_neighbours().right()[0], eighth(3));
  EXPECT_TRUE(village_.near(1, 3));
}

TEST_F(Overlays, ANodeThatLeavesIsGoneAtOnce) {
  grow(4);
  village_[2].leave(village_.clock());
  village_.silence(2);
  village_.settle();
  EXPECT_EQ(village_.link(1, 2), nullptr);
  EXPECT_EQ(village_.link(3, 2), nullptr);
}

TEST_F(Overlays, OfALinkOnDemandTheOtherEndCallsAndOnlyOnce) {
  grow(8);
  ASSERT_EQ(village_.link(0, 4), nullptr);
  const std::size_t opens = village_.opens;
  village_[0].connect(village_.clock(), eighth(4));
  village_.settle();
  const Link* const link = village_.link(0, 4);
  ASSERT_NE(link, nullptr);
  EXPECT_FALSE(link->opened_here);
  village_.pass(Duration::seconds(3));
  EXPECT_EQ(village_.link(0, 4)->ours, wire::kWantsOnDemand);
  EXPECT_EQ(village_.opens - opens, 1U);
  // Nothing is routed over it: it goes in the end.
  village_.pass(Parameters().on_demand_idle + kLong);
  EXPECT_EQ(village_.link(0, 4), nullptr);
}

TEST_F(Overlays, CallsToWhoDoesNotAnswerBecomeRarer) {
  village_.add(eighth(0));
  village_.add(eighth(1));
  village_.add(eighth(2));
  village_.part(1, 2);  // these two are neighbours and can never link
  for (const std::size_t node : {1U, 2U})
    village_.knows(node, 0);
  for (const std::size_t node : {0U, 1U, 2U})
    village_.start(node);
  village_.pass(kLong);
  const std::size_t first_minute = village_.opens;
  village_.pass(kLong * 9);
  EXPECT_LT(village_.opens - first_minute, first_minute * 6);
  EXPECT_TRUE(village_.near(0, 1));
  EXPECT_TRUE(village_.near(0, 2));
}

TEST_F(Overlays, OfCrossedCallsBothEndsKeepTheSame) {
  grow(2);
  // A second link, opened by the end whose calls lose: refused. By the other: taken.
  const LinkId before = village_.link(1, 0)->id;
  const bool first_opened_by_larger = village_.link(1, 0)->opened_here;
  EXPECT_TRUE(first_opened_by_larger);  // node 1 joined, and has the larger ID
  village_[1].link_up(village_.clock(), {LinkId{1001}, eighth(0), {}, {}, {}});
  EXPECT_EQ(village_.link(1, 0)->id, before);
}

// --- Hostile neighbours ------------------------------------------------------------------------

TEST_F(Overlays, GarbageIsCountedAndChangesNothing) {
  grow(3);
  SeededRng rng(5);
  const std::size_t links = village_[1].links().size();
  constexpr std::uint32_t kMessages = 2000;
  const std::uint32_t before = dropped(1, Drop::kMalformed);
  for (std::uint32_t i = 0; i < kMessages; ++i) {
    std::vector<std::uint8_t> bytes(rng.below(200));
    rng.fill(bytes);
    if (bytes.size() >= 2) bytes[0] = 0;  // never a version that we speak
    inject(0, 1, bytes);
  }
  EXPECT_EQ(dropped(1, Drop::kMalformed) - before, kMessages);
  EXPECT_EQ(village_[1].links().size(), links);
}

TEST_F(Overlays, AReplayedRequestIsNotAnsweredTwice) {
  grow(3);
  std::vector<Village::Message> recorded;
  village_.on_message = [&](const Village::Message& message) {
    if (message.bytes[1] == static_cast<std::uint8_t>(wire::LinkMessageType::kRouted))
      recorded.push_back(message);
  };
  village_[0].lookup(village_.clock(), eighth(1), 1);
  village_.settle();
  village_.on_message = nullptr;
  ASSERT_EQ(recorded.size(), 2U);  // there and back
  for (int i = 0; i < 100; ++i)
    inject(0, 1, recorded[0].bytes);
  EXPECT_EQ(dropped(1, Drop::kReplayed), 100U);
  for (int i = 0; i < 100; ++i)
    inject(1, 0, recorded[1].bytes);
  EXPECT_EQ(dropped(0, Drop::kReplayed), 100U);
  EXPECT_EQ(village_.events.size(), 1U);
}

TEST_F(Overlays, AnOldMessageAndAChangedOneAreRefused) {
  grow(3);
  std::vector<std::uint8_t> request;
  village_.on_message = [&](const Village::Message& message) {
    if (message.to == 1 &&
        message.bytes[1] == static_cast<std::uint8_t>(wire::LinkMessageType::kRouted))
      request = message.bytes;
  };
  village_[0].lookup(village_.clock(), eighth(1), 1);
  village_.settle();
  village_.on_message = nullptr;
  ASSERT_FALSE(request.empty());
  std::vector<std::uint8_t> changed = request;
  constexpr std::size_t kMessageIdAt = 48;
  changed[kMessageIdAt] ^= 1;  // so that it is no replay
  inject(0, 1, changed);
  EXPECT_EQ(dropped(1, Drop::kBadSignature), 1U);
  village_.pass(Duration::seconds(300));
  inject(0, 1, request);
  EXPECT_EQ(dropped(1, Drop::kOutdated), 1U);
}

TEST_F(Overlays, AMessageThatGoesInCirclesEnds) {
  grow(5);
  std::vector<std::uint8_t> request;
  village_.on_message = [&](const Village::Message& message) {
    if (message.bytes[1] == static_cast<std::uint8_t>(wire::LinkMessageType::kRouted))
      request = message.bytes;
  };
  village_[0].lookup(village_.clock(), eighth(3), 1);
  village_.settle();
  std::size_t passed_on = 0;
  village_.on_message = [&](const Village::Message& message) {
    if (message.bytes[1] == static_cast<std::uint8_t>(wire::LinkMessageType::kRouted)) ++passed_on;
  };
  wire::store_hop_fields(request, {1, 100, 0, false});
  inject(3, 1, request);  // its hops are used up; node 1 is not where it goes
  EXPECT_EQ(passed_on, 0U);
  EXPECT_EQ(dropped(1, Drop::kTtlExpired), 1U);
}

TEST_F(Overlays, AReplyToNoRequestIsRefused) {
  grow(2);
  const wire::Reply reply{wire::Method::kLookup, 12345, 1, {}, {}};
  wire::ByteWriter payload;
  wire::emit(payload, reply);
  sim::ModelledSigner signer(eighth(0));
  wire::RoutedMessage message;
  message.source = eighth(0);
  message.destination = eighth(1);
  message.message_id = 1;
  message.sent = village_.clock().wall;
  message.payload_type = wire::PayloadType::kReply;
  message.credential = signer.credential();
  message.payload = payload.view();
  wire::ByteWriter writer;
  wire::emit_signed(writer, message, {}, signer);
  inject(0, 1, {writer.view().begin(), writer.view().end()});
  EXPECT_EQ(dropped(1, Drop::kUnexpected), 1U);
}

TEST_F(Overlays, AFloodOfLeavesIsBounded) {
  grow(2);
  SeededRng rng(6);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const LinkId id{10'000 + i};
    village_[0].link_up(village_.clock(), {id, NodeId::random(rng), {}, {}, {}});
    Output output;
    while (village_[0].poll_output(output)) {
    }
  }
  const Parameters parameters;
  EXPECT_LE(village_[0].links().size(), parameters.max_links + parameters.max_leaves);
  EXPECT_GT(dropped(0, Drop::kRefusedLink), 0U);
}

TEST_F(Overlays, AnOverloadedLinkIsGivenUp) {
  grow(2);
  const LinkId link = village_.link(1, 0)->id;
  village_[1].send_queue(village_.clock(), link, 100'000);
  EXPECT_NE(village_.link(1, 0), nullptr);  // once is no overload
  for (int i = 0; i < 10; ++i)
    village_[1].send_queue(village_.clock(), link, 100'000);
  EXPECT_EQ(village_.link(1, 0), nullptr);
}

}  // namespace
}  // namespace ringway::overlay
