#include "dataplane/timer_wheel.hpp"

#include <map>
#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "tests/unit/samples.hpp"

namespace ringway {
namespace {

using testing_support::kStart;

std::vector<PeerId> due_at(TimerWheel& wheel, Instant now) {
  std::vector<PeerId> due;
  wheel.advance(now, [&](Peer& peer) { due.push_back(peer.id); });
  return due;
}

TEST(TimerWheel, FiresWithinATickAfterTheDeadline) {
  TimerWheel wheel;
  (void)due_at(wheel, kStart);
  Peer peer(PeerId{1}, false);
  wheel.arm(peer, kStart + Duration::milliseconds(1234));
  EXPECT_THAT(due_at(wheel, kStart + Duration::milliseconds(1233)), testing::IsEmpty());
  EXPECT_THAT(due_at(wheel, kStart + Duration::milliseconds(1334)),
              testing::ElementsAre(PeerId{1}));
  EXPECT_EQ(wheel.next_deadline(), Instant::never());
}

TEST(TimerWheel, KeepsTheEarlierOfTwoDeadlines) {
  TimerWheel wheel;
  (void)due_at(wheel, kStart);
  Peer peer(PeerId{1}, false);
  wheel.arm(peer, kStart + Duration::seconds(5));
  wheel.arm(peer, kStart + Duration::seconds(9));
  wheel.arm(peer, kStart + Duration::seconds(2));
  EXPECT_THAT(due_at(wheel, kStart + Duration::milliseconds(2100)),
              testing::ElementsAre(PeerId{1}));
  EXPECT_THAT(due_at(wheel, kStart + Duration::seconds(20)), testing::IsEmpty());
}

TEST(TimerWheel, ForgetsWhatIsDisarmed) {
  TimerWheel wheel;
  (void)due_at(wheel, kStart);
  Peer one(PeerId{1}, false);
  Peer two(PeerId{2}, false);
  wheel.arm(one, kStart + Duration::seconds(1));
  wheel.arm(two, kStart + Duration::seconds(1));
  wheel.disarm(one);
  EXPECT_THAT(due_at(wheel, kStart + Duration::seconds(2)), testing::ElementsAre(PeerId{2}));
}

// A visitor that arms again for a time beyond the horizon must not be called again at once.
TEST(TimerWheel, SurvivesArmingFarAheadWhileItTurns) {
  TimerWheel wheel;
  (void)due_at(wheel, kStart);
  Peer peer(PeerId{1}, false);
  wheel.arm(peer, kStart + Duration::seconds(1));
  int visits = 0;
  wheel.advance(kStart + Duration::seconds(500), [&](Peer& due) {
    ++visits;
    wheel.arm(due, kStart + Duration::seconds(100'000));
  });
  EXPECT_LE(visits, 2);
  wheel.disarm(peer);
}

TEST(TimerWheel, AgreesWithASortedListOnRandomDeadlines) {
  SeededRng rng(4);
  TimerWheel wheel;
  std::vector<std::unique_ptr<Peer>> peers;
  std::map<PeerId, Instant> expected;
  Instant now = kStart;
  (void)due_at(wheel, now);
  for (std::uint32_t id = 0; id < 200; ++id) {
    peers.push_back(std::make_unique<Peer>(PeerId{id}, false));
  }
  for (int step = 0; step < 20'000; ++step) {
    Peer& peer = *peers[rng.below(peers.size())];
    const Instant deadline =
        now + Duration::milliseconds(static_cast<std::int64_t>(rng.below(100'000)));
    wheel.arm(peer, deadline);
    const auto known = expected.find(peer.id);
    if (known == expected.end() || deadline < known->second) expected[peer.id] = deadline;
    now = now + Duration::milliseconds(static_cast<std::int64_t>(rng.below(400)));
    for (const PeerId id : due_at(wheel, now)) {
      ASSERT_TRUE(expected.contains(id));
      ASSERT_LE(expected[id], now);
      expected.erase(id);
    }
    for (const auto& [id, deadline_left] : expected) {
      ASSERT_GT(deadline_left + TimerWheel::kTick, now) << "peer " << id.value << " is overdue";
    }
  }
  for (const auto& peer : peers)
    wheel.disarm(*peer);
}

}  // namespace
}  // namespace ringway
