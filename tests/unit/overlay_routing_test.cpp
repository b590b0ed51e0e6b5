// Where messages go, and which are accepted: routing over a table of links, the replay cache, the
// choice between two links to one node, and where shortcuts lead.

#include <gtest/gtest.h>

#include "overlay/replay_cache.hpp"
#include "overlay/ring_logarithm.hpp"
#include "overlay/routing.hpp"
#include "overlay/shortcuts.hpp"

namespace ringway::overlay {
namespace {

// Places on a small scale: the ring's 2^160 in 1,000 parts would hide what a test means.
NodeId at(std::uint32_t number) {
  return NodeId(Distance{0, 0, number});
}

class Routing : public testing::Test {
 protected:
  void link(std::uint32_t place, std::uint8_t kind = wire::kWantsShortcut) {
    Link link;
    link.id = LinkId{place};
    link.node = at(place);
    link.ours = kind;
    if (kind == wire::kWantsNear) link.theirs = kind;
    links_.add(link);
  }
  [[nodiscard]] NextHop route(std::uint32_t destination, LinkId came_from = {}) {
    message_.destination = at(destination);
    return next_hop(at(100), links_, message_, came_from, tried_);
  }
  static void expect_to(const NextHop& hop, std::uint32_t place) {
    ASSERT_NE(hop.link, nullptr);
    EXPECT_EQ(hop.link->node, at(place));
  }

  LinkTable links_;
  wire::RoutedMessage message_;
  std::vector<LinkId> tried_;
};

TEST_F(Routing, GoesToTheLinkNearestToTheDestinationOnEitherSide) {
  for (const std::uint32_t place : {50U, 90U, 110U, 200U, 300U})
    link(place);
  expect_to(route(210), 200);
  expect_to(route(190), 200);
  expect_to(route(60), 50);
  EXPECT_EQ(route(103).verdict, Verdict::kDeliver);  // nobody is nearer than 100 itself
  EXPECT_EQ(route(100).verdict, Verdict::kDeliver);
}

TEST_F(Routing, InOneDirectionNeverPassesTheDestination) {
  for (const std::uint32_t place : {90U, 110U, 200U})
    link(place);
  message_.route.direction = wire::Direction::kSuccessor;  // the first at or behind it
  expect_to(route(105), 110);
  expect_to(route(150), 200);
  EXPECT_EQ(route(95).verdict, Verdict::kDeliver);
  message_.route.direction = wire::Direction::kPredecessor;
  EXPECT_EQ(route(105).verdict, Verdict::kDeliver);
  expect_to(route(95), 90);
  expect_to(route(150), 110);
}

TEST_F(Routing, NeverToTheSourceNorBackNorWhereItWasTriedNorOverASuspect) {
  for (const std::uint32_t place : {200U, 190U, 180U, 170U})
    link(place);
  message_.source = at(200);
  expect_to(route(201), 190);
  expect_to(route(201, LinkId{190}), 180);
  tried_ = {LinkId{180}};
  expect_to(route(201, LinkId{190}), 170);
  links_.find(LinkId{170})->probes = 2;
  EXPECT_EQ(route(201, LinkId{190}).verdict, Verdict::kDeliver);
}

TEST_F(Routing, LeavesAreReachedByTheirNameOnly) {
  link(200, wire::kWantsLeaf);
  EXPECT_EQ(route(200).verdict, Verdict::kDeliver);  // "nearest" does not count them
  message_.route.exact = true;
  expect_to(route(200), 200);
}

TEST_F(Routing, NearLinksCountWhenBothEndsWantThem) {
  link(200, wire::kWantsNear);
  links_.find(LinkId{200})->theirs = wire::kWantsNothing;
  EXPECT_EQ(route(200).verdict, Verdict::kDeliver);
  links_.find(LinkId{200})->theirs = wire::kWantsNear;
  expect_to(route(200), 200);
}

TEST_F(Routing, AnExactMessageTakesOneDetourAndNoMore) {
  link(300);
  link(320);
  message_.route.exact = true;
  EXPECT_EQ(route(101).verdict, Verdict::kNoRoute);
  message_.route.annealing = true;
  const NextHop detour = route(101, LinkId{300});
  EXPECT_EQ(detour.verdict, Verdict::kForwardDetour);
  expect_to(detour, 320);  // not back
  message_.detour_taken = true;
  EXPECT_EQ(route(101, LinkId{300}).verdict, Verdict::kNoRoute);
}

TEST_F(Routing, ByWayOfAnotherToItsLeafAndNoFurther) {
  link(200);
  message_.via = at(210);
  expect_to(route(101), 200);  // towards 210, though 101 is close by
  message_.via = at(100);
  EXPECT_EQ(route(150).verdict, Verdict::kNoRoute);  // it does not hang here
  link(150, wire::kWantsLeaf);
  expect_to(route(150), 150);
}

TEST(DuplicateLinks, BothEndsKeepTheSameOne) {
  const NodeId small = at(1);
  const NodeId large = at(2);
  for (const bool older_by_large : {true, false}) {
    for (const bool newer_by_large : {true, false}) {
      Link at_large;
      at_large.node = small;
      at_large.opened_here = older_by_large;
      Link at_small;
      at_small.node = large;
      at_small.opened_here = !older_by_large;
      const bool large_takes_newer = newer_link_wins(large, at_large, newer_by_large, false);
      EXPECT_EQ(large_takes_newer, newer_link_wins(small, at_small, !newer_by_large, false));
      EXPECT_EQ(large_takes_newer, newer_by_large || !older_by_large);
    }
  }
}

class Replays : public testing::Test {
 protected:
  [[nodiscard]] static WallTime second(std::int64_t n) {
    return WallTime::from_unix_ns(n * 1'000'000'000);
  }
  // Both clocks show the same; the calendar may be set.
  [[nodiscard]] static Clock clock(std::int64_t n, std::int64_t calendar_ahead = 0) {
    return {Instant::from_ns(n * 1'000'000'000), second(n + calendar_ahead)};
  }
  // Whether it was taken.
  bool offer(const NodeId& source, std::uint64_t id, WallTime sent, Clock at) {
    if (cache_.check(source, id, sent, at) != ReplayCache::Verdict::kFresh) return false;
    cache_.remember(source, id, sent, at);
    return true;
  }
  ReplayCache cache_{Duration::seconds(120), 4};
};

TEST_F(Replays, AcceptsAMessageOnce) {
  using enum ReplayCache::Verdict;
  EXPECT_EQ(cache_.check(at(1), 7, second(1000), clock(1000)), kFresh);
  EXPECT_EQ(cache_.check(at(1), 7, second(1000), clock(1000)), kFresh);  // not authentic so far
  cache_.remember(at(1), 7, second(1000), clock(1000));
  EXPECT_EQ(cache_.check(at(1), 7, second(1000), clock(1001)), kReplayed);
  EXPECT_EQ(cache_.check(at(1), 8, second(1000), clock(1001)), kFresh);
  EXPECT_EQ(cache_.check(NodeId(Distance{1, 0, 0}), 7, second(1000), clock(1001)), kFresh);
}

TEST_F(Replays, RefusesWhatIsTooOldOrFromTheFuture) {
  using enum ReplayCache::Verdict;
  EXPECT_EQ(cache_.check(at(1), 7, second(1000), clock(1121)), kOutdated);
  EXPECT_EQ(cache_.check(at(1), 7, second(1000), clock(1120)), kFresh);
  EXPECT_EQ(cache_.check(at(1), 7, second(1121), clock(1000)), kOutdated);
  // The latest time that a message can carry.
  EXPECT_EQ(cache_.check(at(1), 7, WallTime::from_unix_ns(INT64_MAX), clock(1000)), kOutdated);
}

TEST_F(Replays, ACalendarThatIsSetBackMakesNothingFresh) {
  EXPECT_TRUE(offer(at(1), 7, second(1000), clock(1000, 100)));
  EXPECT_FALSE(offer(at(1), 7, second(1000), clock(1030, 100)));  // outdated, as it seems
  EXPECT_FALSE(offer(at(1), 7, second(1000), clock(1040, -76)));  // and now it would not be
  EXPECT_TRUE(offer(at(1), 8, second(1000), clock(1040, -76)));
}

TEST_F(Replays, AFloodMakesItStricterAndNeverForgetful) {
  using enum ReplayCache::Verdict;
  for (std::uint64_t id = 0; id < 10; ++id) {
    offer(at(1), id, second(1000 + static_cast<std::int64_t>(id)), clock(1010));
    EXPECT_LE(cache_.size(), 4U);
  }
  for (std::uint64_t id = 0; id < 10; ++id) {
    EXPECT_NE(cache_.check(at(1), id, second(1000 + static_cast<std::int64_t>(id)), clock(1010)),
              kFresh);
  }
  EXPECT_EQ(cache_.check(at(1), 99, second(1010), clock(1010)), kFresh);
}

TEST_F(Replays, AFloodThatIsDatedAheadCostsItsSourceAlone) {
  const NodeId flooding(Distance{1, 0, 0});
  EXPECT_TRUE(offer(at(1), 1, second(1000), clock(1000)));
  for (std::uint64_t id = 0; id < 100; ++id)
    offer(flooding, id, second(1110), clock(1001));
  EXPECT_FALSE(offer(flooding, 200, second(1110), clock(1001)));
  EXPECT_TRUE(offer(at(1), 2, second(1001), clock(1001)));
  EXPECT_FALSE(offer(at(1), 1, second(1000), clock(1001)));
  EXPECT_LE(cache_.size(), 4U);
}

TEST(ShortcutPlaces, FollowTheHarmonicLaw) {
  // Of a ring of 2^16 nodes: lengths from 2^144 to 2^159, each octave as often as any other.
  constexpr std::uint32_t kLog2Size = 16U << kLogFractionBits;
  constexpr int kDraws = 15'000;
  SeededRng rng(3);
  std::array<int, kRingBits> octaves{};
  int to_the_right = 0;
  for (int i = 0; i < kDraws; ++i) {
    const NodeId drawn = draw_shortcut_place(at(5), kLog2Size, rng);
    ++octaves[log2_of(ring_distance(at(5), drawn)) >> kLogFractionBits];
    to_the_right += clockwise(at(5), drawn) < clockwise(drawn, at(5)) ? 1 : 0;
  }
  for (std::size_t octave = 0; octave < kRingBits; ++octave) {
    if (octave < 144 || octave > 158) {
      EXPECT_LE(octaves[octave], 1) << octave;  // both ends of the range
    } else {
      EXPECT_NEAR(octaves[octave], kDraws / 15, 200) << octave;
    }
  }
  EXPECT_NEAR(to_the_right, kDraws / 2, 400);
}

TEST(ShortcutPlaces, HalfOfLog2NAreAskedFor) {
  const Parameters parameters;
  const auto of_log2 = [&](std::uint32_t log2) {
    return wanted_shortcuts(log2 << kLogFractionBits, parameters);
  };
  EXPECT_EQ(of_log2(3), 0U);  // 8 nodes: no more than 10
  EXPECT_EQ(of_log2(4), 2U);
  EXPECT_EQ(of_log2(10), 5U);
  EXPECT_EQ(of_log2(13), 7U);
  EXPECT_EQ(of_log2(150), parameters.max_shortcuts);
}

}  // namespace
}  // namespace ringway::overlay
