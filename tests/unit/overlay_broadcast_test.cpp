// Broadcasts: how a node divides its arc, and eight nodes in memory that tell each other, lose
// messages, repeat them and lie.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "overlay/broadcast/arc.hpp"
#include "overlay/broadcast/broadcast.hpp"
#include "overlay/ring_logarithm.hpp"
#include "overlay/wire/broadcast_message.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/link_messages.hpp"
#include "tests/unit/overlay_village.hpp"

namespace ringway::overlay {
namespace {

NodeId spot(std::uint64_t place) {
  return NodeId(Distance{place << 32, 0, 0});
}

// Links with these places, as shortcuts; a link's ID is its place.
LinkTable links_with(std::initializer_list<std::uint32_t> places) {
  LinkTable links;
  for (const std::uint32_t place : places) {
    Link link;
    link.id = LinkId{place};
    link.node = spot(place);
    link.ours = wire::kWantsShortcut;
    links.add(std::move(link));
  }
  return links;
}

TEST(Arcs, AreHalfOpenAndWrapAround) {
  const Arc over_zero{spot(100), spot(10)};
  EXPECT_TRUE(over_zero.contains(spot(100)));
  EXPECT_TRUE(over_zero.contains(spot(5)));
  EXPECT_FALSE(over_zero.contains(spot(10)));
  EXPECT_FALSE(over_zero.contains(spot(50)));
  const Arc whole{spot(7), spot(7)};
  EXPECT_TRUE(whole.contains(spot(7)));
  EXPECT_TRUE(whole.contains(spot(6)));
}

TEST(Arcs, CoverWhatLiesInThem) {
  const Arc arc{spot(10), spot(20)};
  EXPECT_TRUE(arc.covers(arc));
  EXPECT_TRUE(arc.covers({spot(12), spot(20)}));
  EXPECT_FALSE(arc.covers({spot(12), spot(21)}));
  EXPECT_FALSE(arc.covers({spot(9), spot(12)}));
  EXPECT_FALSE(arc.covers({spot(12), spot(11)}));  // almost once around
  EXPECT_FALSE(arc.covers({spot(12), spot(12)}));
  EXPECT_TRUE((Arc{spot(3), spot(3)}.covers({spot(12), spot(12)})));
}

TEST(Division, GivesEachLinkTheArcAroundIt) {
  LinkTable links = links_with({20, 40, 80});
  const auto shares = divide(spot(0), links, {spot(0), spot(0)}, {});
  ASSERT_EQ(shares.size(), 3U);
  EXPECT_EQ(shares[0].arc, (Arc{advance(spot(0), {0, 0, 1}), spot(30)}));
  EXPECT_EQ(shares[1].arc, (Arc{spot(30), spot(60)}));
  EXPECT_EQ(shares[2].arc, (Arc{spot(60), spot(0)}));
}

TEST(Division, LeavesOutWhatLiesOutside) {
  LinkTable links = links_with({10, 20, 40, 80});
  const auto shares = divide(spot(30), links, {spot(15), spot(60)}, {});
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_EQ(shares[0].arc, (Arc{spot(15), spot(30)}));
  EXPECT_EQ(shares[1].arc, (Arc{advance(spot(30), {0, 0, 1}), spot(60)}));
}

// Whatever the links and the arc: no place belongs to two shares, and each node in the arc to which
// there is a link gets the share around itself.
TEST(Division, NeverOverlaps) {
  SeededRng rng(3);
  for (int round = 0; round < 500; ++round) {
    const NodeId self = NodeId::random(rng);
    LinkTable links;
    for (std::uint32_t i = 0; i < 1 + rng.below(20); ++i) {
      Link link;
      link.id = LinkId{i};
      link.node = NodeId::random(rng);
      link.ours = wire::kWantsShortcut;
      links.add(std::move(link));
    }
    const Arc arc{NodeId::random(rng), NodeId::random(rng)};
    const auto shares = divide(self, links, arc, {});
    for (int draw = 0; draw < 50; ++draw) {
      const NodeId place = NodeId::random(rng);
      const auto owners = std::count_if(shares.begin(), shares.end(), [&](const Share& share) {
        return share.arc.contains(place);
      });
      EXPECT_LE(owners, arc.contains(place) ? 1 : 0);
    }
    for (const Share& share : shares) {
      EXPECT_TRUE(arc.covers(share.arc));
      EXPECT_FALSE(share.arc.contains(self));
    }
    for (const Link& link : links) {
      const auto owners = std::count_if(shares.begin(), shares.end(), [&](const Share& share) {
        return share.link->node == link.node && share.arc.contains(link.node);
      });
      EXPECT_EQ(owners, arc.contains(link.node) ? 1 : 0);
    }
  }
}

TEST(Division, HandsAnArcWithoutLinksToTheNearestBesideIt) {
  LinkTable links = links_with({20, 40, 80});
  const Arc arc{spot(50), spot(60)};
  const auto shares = divide(spot(0), links, arc, {});
  ASSERT_EQ(shares.size(), 1U);
  EXPECT_EQ(shares[0].link->node, spot(40));
  EXPECT_EQ(shares[0].arc, arc);
  // Who is the nearest of a side itself knows that nobody is there; and who else could know.
  EXPECT_TRUE(divide(spot(45), links, arc, {}).empty());
  EXPECT_EQ(nearest_across(spot(45), links, arc, {})->node, spot(80));
  EXPECT_TRUE(divide(spot(70), links, arc, {}).empty());
  EXPECT_EQ(nearest_across(spot(70), links, arc, {})->node, spot(40));
}

TEST(Division, DoesWithoutLinksThatWereTried) {
  LinkTable links = links_with({20, 40, 80});
  const LinkId tried[] = {LinkId{40}};
  const auto shares = divide(spot(0), links, {spot(30), spot(60)}, tried);
  ASSERT_EQ(shares.size(), 1U);
  EXPECT_EQ(shares[0].link->node, spot(20));
}

TEST(BurstLimits, GiveABurstAndThenOneAnInterval) {
  const BurstLimit p = BroadcastParameters().an_origin;
  BurstLimits<NodeId> limits(p);
  Instant now = Instant::from_ns(0);
  for (int i = 0; i < p.burst; ++i) {
    EXPECT_TRUE(limits.allows(spot(1), now));
    limits.count(spot(1), now);
  }
  EXPECT_FALSE(limits.allows(spot(1), now));
  EXPECT_TRUE(limits.allows(spot(2), now));  // another origin
  now = now + p.interval;
  EXPECT_TRUE(limits.allows(spot(1), now));
  limits.count(spot(1), now);
  EXPECT_FALSE(limits.allows(spot(1), now));
}

TEST(BurstLimits, RefuseNewOnesWhenTooManyAreBusy) {
  const BurstLimit p = BroadcastParameters().an_origin;
  BurstLimits<NodeId> limits(p);
  const Instant now = Instant::from_ns(0);
  for (std::uint64_t i = 0; i < p.max_keys; ++i)
    limits.count(spot(i), now);
  EXPECT_FALSE(limits.allows(spot(1000), now));
  EXPECT_TRUE(limits.allows(spot(0), now));
  EXPECT_TRUE(limits.allows(spot(1000), now + p.interval));
  limits.count(spot(1000), now + p.interval);
  EXPECT_EQ(limits.size(), 1U);
}

TEST(Sampling, AsksForAboutAsManyAsWanted) {
  const std::uint32_t log2_of_1024 = 10U << kLogFractionBits;
  const std::uint32_t sampling = sampling_for(64, log2_of_1024);
  SeededRng rng(4);
  std::uint32_t answers = 0;
  for (int node = 0; node < 102'400; ++node)
    answers += is_sampled(77, NodeId::random(rng), sampling) ? 1U : 0U;
  EXPECT_NEAR(answers, 6400, 320);  // four standard deviations
  EXPECT_EQ(sampling_for(64, 6U << kLogFractionBits), UINT32_MAX);
  EXPECT_TRUE(is_sampled(77, spot(1), UINT32_MAX));
}

TEST(BroadcastMessages, AreRefusedUnlessWhole) {
  sim::ModelledSigner signer(spot(1));
  wire::BroadcastMessage message;
  message.origin = spot(1);
  message.credential = signer.credential();
  const std::vector<std::uint8_t> payload(50, 1);
  message.payload = payload;
  wire::ByteWriter from_origin;
  wire::emit_signed(from_origin, message, {}, signer);
  wire::ByteWriter writer;
  wire::emit(writer, {513, 2, {spot(1), spot(2)}}, from_origin.view());
  std::vector<std::uint8_t> bytes(writer.view().begin(), writer.view().end());
  const auto parsed = wire::parse_broadcast(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->sequence, 513);
  EXPECT_EQ(parsed->hops, 2);
  EXPECT_EQ(parsed->arc, (Arc{spot(1), spot(2)}));
  EXPECT_EQ(parsed->payload.size(), payload.size());
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(wire::parse_broadcast({bytes.data(), length})) << length;
  bytes.push_back(0);
  EXPECT_FALSE(wire::parse_broadcast(bytes));
}

// --- Eight nodes -------------------------------------------------------------------------------

class Broadcasts : public VillageTest {
 protected:
  static constexpr std::size_t kNodes = 8;

  Broadcasts() { grow(kNodes); }

  std::uint64_t publish(std::size_t node) {
    const std::uint8_t payload[] = {1, 2, 3};
    const std::uint64_t id = village_[node].broadcast(village_.clock(), payload);
    village_.settle();
    return id;
  }
  // How often each node was told of it.
  [[nodiscard]] std::vector<std::size_t> told(std::uint64_t id) const {
    std::vector<std::size_t> counts(kNodes, 0);
    for (const auto& told : village_.events)
      if (const auto* const received = std::get_if<output::BroadcastReceived>(&told.event))
        counts[told.node] += received->message_id == id ? 1U : 0U;
    return counts;
  }
  // A whole message of node 0 for node 1, as one of its links would pass it on.
  [[nodiscard]] std::vector<std::uint8_t> message(const NodeId& signed_by, std::uint64_t id,
                                                  const Arc& arc) {
    sim::ModelledSigner signer(signed_by);
    wire::BroadcastMessage message;
    message.origin = eighth(0);
    message.message_id = id;
    message.sent = village_.clock().wall;
    message.credential = signer.credential();
    wire::ByteWriter from_origin;
    wire::emit_signed(from_origin, message, {}, signer);
    wire::ByteWriter writer;
    wire::emit(writer, {1, 0, arc}, from_origin.view());
    return {writer.view().begin(), writer.view().end()};
  }
  // Nobody: for messages that must not be passed on.
  [[nodiscard]] static Arc around_node_1() {
    return {eighth(1), advance(eighth(1), Distance{0, 0, 1})};
  }
};

bool is_broadcast(const Village::Message& message) {
  return wire::link_message_type(message.bytes) == wire::LinkMessageType::kBroadcast;
}

TEST_F(Broadcasts, ReachEveryOtherNodeOnceWithOneMessageEach) {
  std::size_t messages = 0;
  village_.on_message = [&](const Village::Message& message) {
    messages += is_broadcast(message) ? 1U : 0U;
  };
  const std::uint64_t id = publish(3);
  ASSERT_NE(id, 0U);
  EXPECT_EQ(told(id), (std::vector<std::size_t>{1, 1, 1, 0, 1, 1, 1, 1}));
  EXPECT_EQ(messages, kNodes - 1);
}

TEST_F(Broadcasts, TellTheOriginHowManyWereReached) {
  const std::uint64_t id = publish(3);
  EXPECT_EQ(village_.last_event<output::BroadcastMeasured>(), nullptr);
  village_.pass(Parameters().broadcast.sampling_time + Duration::seconds(1));
  const auto* const measured = village_.last_event<output::BroadcastMeasured>();
  ASSERT_NE(measured, nullptr);
  EXPECT_EQ(measured->message_id, id);
  EXPECT_EQ(measured->reached, kNodes - 1);  // of so few all answer
  EXPECT_GE(measured->hops_most, 1);
}

TEST_F(Broadcasts, GoAnotherWayAroundASilentNode) {
  village_.silence(4);
  const std::uint64_t id = publish(3);
  village_.pass(Duration::seconds(5));
  EXPECT_EQ(told(id), (std::vector<std::size_t>{1, 1, 1, 0, 0, 1, 1, 1}));
}

TEST_F(Broadcasts, AreNotLostWithAMessage) {
  for (std::size_t lost = 1; lost < kNodes; ++lost) {
    // The node hears nothing for a moment in which every message to it is under way.
    village_.silence(lost);
    const std::uint64_t id = publish(0);
    village_.revive(lost);
    village_.pass(Duration::seconds(20));
    EXPECT_EQ(told(id), (std::vector<std::size_t>{0, 1, 1, 1, 1, 1, 1, 1})) << "without " << lost;
  }
}

TEST_F(Broadcasts, OfAnOriginAreTakenSoOften) {
  const BurstLimit p = BroadcastParameters().an_origin;
  for (int i = 0; i < p.burst; ++i)
    EXPECT_NE(publish(3), 0U);
  EXPECT_EQ(publish(3), 0U);  // it does not try
  EXPECT_EQ(dropped(3, Drop::kBroadcastRate), 1U);
  // One that does not keep to it is stopped by its neighbours.
  for (std::uint64_t i = 0; i < 20; ++i)
    inject(0, 1, message(eighth(0), 1000 + i, {eighth(1), eighth(1)}));
  EXPECT_EQ(dropped(1, Drop::kBroadcastRate), 20U - static_cast<unsigned>(p.burst));
  EXPECT_EQ(told(1000)[5], 1U);
  EXPECT_EQ(told(1010)[5], 0U);
}

TEST_F(Broadcasts, ForgedInAnothersNameAreRefused) {
  for (std::uint64_t i = 0; i < 50; ++i)
    inject(2, 1, message(eighth(2), 5 + i, {eighth(1), eighth(1)}));
  EXPECT_EQ(dropped(1, Drop::kBadSignature), 50U);
  // And do not use up what the origin may say.
  inject(0, 1, message(eighth(0), 99, around_node_1()));
  EXPECT_EQ(told(99)[1], 1U);
}

TEST_F(Broadcasts, ReplayedAreNotPassedOnAgainWithoutEnd) {
  std::size_t messages = 0;
  village_.on_message = [&](const Village::Message& message) {
    messages += is_broadcast(message) ? 1U : 0U;
  };
  const auto whole = message(eighth(0), 5, {eighth(1), eighth(1)});
  inject(0, 1, whole);
  const std::size_t first = messages;
  EXPECT_GE(first, kNodes - 2);
  for (int i = 0; i < 100; ++i)
    inject(0, 1, whole);
  EXPECT_EQ(messages, first);
  EXPECT_EQ(dropped(1, Drop::kReplayed), 100U);
  // Ever wider arcs are taken a few times, and every node is told once.
  inject(0, 1, message(eighth(0), 6, around_node_1()));
  for (std::uint64_t i = 1; i < 100; ++i)
    inject(0, 1, message(eighth(0), 6, {eighth(1), advance(eighth(1), Distance{i << 54, 0, 0})}));
  EXPECT_EQ(dropped(1, Drop::kReplayed), 100U + 100U - Parameters().broadcast.max_arcs);
  EXPECT_EQ(told(6)[1], 1U);
}

TEST_F(Broadcasts, OldOrInCirclesAreDropped) {
  const auto old = message(eighth(0), 5, around_node_1());
  auto weary = message(eighth(0), 6, around_node_1());
  constexpr std::size_t kHopsAt = 4;
  weary[kHopsAt] = Parameters().broadcast.max_hops;
  inject(0, 1, weary);
  EXPECT_EQ(dropped(1, Drop::kTtlExpired), 1U);
  village_.pass(Duration::seconds(300));
  inject(0, 1, old);
  EXPECT_EQ(dropped(1, Drop::kOutdated), 1U);
}

TEST_F(Broadcasts, WithTooMuchToSayAreNotSent) {
  const std::vector<std::uint8_t> payload(wire::kMaxBroadcastPayload + 1);
  EXPECT_EQ(village_[0].broadcast(village_.clock(), payload), 0U);
}

TEST_F(Broadcasts, CountAnAnswerOfEachNodeOnce) {
  const std::uint64_t id = publish(3);
  // Answers again, and one for a message that never was.
  const auto answer = [&](std::uint64_t message_id, std::uint64_t own_id) {
    wire::ByteWriter payload;
    wire::emit(payload, wire::BroadcastSample{message_id, 200});
    sim::ModelledSigner signer(eighth(2));
    wire::RoutedMessage routed;
    routed.source = eighth(2);
    routed.destination = eighth(3);
    routed.message_id = own_id;
    routed.sent = village_.clock().wall;
    routed.payload_type = wire::PayloadType::kBroadcastSample;
    routed.credential = signer.credential();
    routed.payload = payload.view();
    wire::ByteWriter writer;
    wire::emit_signed(writer, routed, {}, signer);
    inject(2, 3, {writer.view().begin(), writer.view().end()});
  };
  answer(id, 1);
  answer(id + 1, 2);
  EXPECT_EQ(dropped(3, Drop::kUnexpected), 2U);
  village_.pass(Parameters().broadcast.sampling_time + Duration::seconds(1));
  EXPECT_EQ(village_.last_event<output::BroadcastMeasured>()->reached, kNodes - 1);
}

}  // namespace
}  // namespace ringway::overlay
