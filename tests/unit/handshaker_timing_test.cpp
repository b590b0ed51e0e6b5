#include "dataplane/tunnel/handshaker.hpp"
#include "tests/unit/handshaker_fixture.hpp"

namespace ringway::tunnel {
namespace {

class HandshakerTimingTest : public HandshakerTest {};

INSTANTIATE_TEST_SUITE_P(Suites, HandshakerTimingTest, testing::ValuesIn(kSuites),
                         [](const auto& parameter) {
                           return std::string(suite_name(parameter.param));
                         });

// --- timers ----------------------------------------------------------------------------------

TEST_P(HandshakerTimingTest, RetransmitsAFreshInitiationAfterFiveSecondsAndJitter) {
  introduce();
  a_->request(now_, wall_);
  const HandshakeBytes first = a_->take_sent();
  const Duration wait = a_->handshaker.next_deadline() - now_;
  EXPECT_GE(wait, seconds(5));
  EXPECT_LE(wait, ms(5333));
  pass(wait - Duration::nanoseconds(1));
  a_->tick(now_, wall_);
  EXPECT_TRUE(a_->sent.empty());
  pass(Duration::nanoseconds(1));
  a_->tick(now_, wall_);
  const HandshakeBytes second = a_->take_sent();
  const auto field = [](const HandshakeBytes& message, std::size_t at, std::size_t size) {
    return test_support::to_vector(message.view().subspan(at, size));
  };
  EXPECT_NE(field(first, InitiationLayout::kSender, 4),
            field(second, InitiationLayout::kSender, 4));
  EXPECT_NE(field(first, InitiationLayout::kEphemeral, 32),
            field(second, InitiationLayout::kEphemeral, 32));
  EXPECT_EQ(a_->indices_of_handshakes(), 1U) << "the first one's index was released";
  // The response to the first is of no use any more, the response to the second is.
  EXPECT_EQ(b_->input(now_, wall_, first.view(), a_->source), HandshakeVerdict::kAccepted);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kUnknownIndex);
  pass(ms(20));
  EXPECT_EQ(b_->input(now_, wall_, second.view(), a_->source), HandshakeVerdict::kAccepted);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kAccepted);
  EXPECT_EQ(a_->handshaker.next_deadline(), now_ + seconds(540)) << "no retry is left over";
}

TEST_P(HandshakerTimingTest, JitterVaries) {
  introduce();
  std::vector<Duration> waits;
  for (int i = 0; i < 12; ++i) {
    a_->request(now_, wall_);
    const Duration wait = a_->handshaker.next_deadline() - now_;
    EXPECT_GE(wait, seconds(5));
    EXPECT_LE(wait, ms(5333));
    waits.push_back(wait);
    pass(wait);
    a_->tick(now_, wall_);
  }
  std::sort(waits.begin(), waits.end());
  EXPECT_GT(waits.back() - waits.front(), ms(50));
}

TEST_P(HandshakerTimingTest, GivesUpAfterNinetySeconds) {
  introduce();
  const Instant began = now_;
  a_->request(now_, wall_);
  int sent = 1;
  while (a_->gave_up == 0) {
    ASSERT_TRUE(a_->handshaker.handshake_in_progress(kPeer));
    pass(a_->handshaker.next_deadline() - now_);
    ASSERT_LT(now_ - began, seconds(120));
    a_->sent.clear();
    a_->tick(now_, wall_);
    sent += static_cast<int>(a_->sent.size());
  }
  EXPECT_GE(now_ - began, seconds(90));
  EXPECT_LE(now_ - began, seconds(96));
  EXPECT_GE(sent, 17);
  EXPECT_LE(sent, 19);
  EXPECT_FALSE(a_->handshaker.handshake_in_progress(kPeer));
  EXPECT_EQ(a_->indices.used(), 0U);
  EXPECT_EQ(a_->handshaker.next_deadline(), Instant::never());
  a_->request(now_, wall_);
  EXPECT_TRUE(a_->handshaker.handshake_in_progress(kPeer)) << "new data starts again";
}

TEST_P(HandshakerTimingTest, NewDataRestartsTheAttemptWindowAndARequestWithoutDoesNot) {
  introduce();
  const Instant began = now_;
  const auto run_for = [&](Duration span, bool new_data) {
    const Instant end = now_ + span;
    while (a_->handshaker.next_deadline() <= end) {
      pass(a_->handshaker.next_deadline() - now_);
      a_->tick(now_, wall_);
      a_->request(now_, wall_, new_data);
      if (a_->gave_up != 0) return;
    }
    pass(end - now_);
  };
  a_->request(now_, wall_);
  run_for(seconds(300), true);
  EXPECT_EQ(a_->gave_up, 0);
  a_->request(now_, wall_, false);
  run_for(seconds(100), false);
  EXPECT_EQ(a_->gave_up, 1);
  EXPECT_GT(now_ - began, seconds(380));
}

TEST_P(HandshakerTimingTest, RequestsWhileOneIsUnderWaySendNothing) {
  introduce();
  for (int i = 0; i < 100; ++i) {
    a_->request(now_, wall_);
    pass(ms(40));
  }
  EXPECT_EQ(a_->sent.size(), 1U);
}

TEST_P(HandshakerTimingTest, AHandshakeMessageIsFollowedByNoInitiationForFiveSeconds) {
  introduce();
  connect(*a_, *b_);
  a_->sent.clear();
  pass(seconds(1));
  for (Node* node : {a_, b_}) {
    node->request(now_, wall_);
    EXPECT_TRUE(node->sent.empty());
    EXPECT_TRUE(node->handshaker.handshake_in_progress(kPeer));
    EXPECT_EQ(node->handshaker.next_deadline(), now_ + seconds(4));
  }
  pass(seconds(4));
  b_->tick(now_, wall_);
  EXPECT_EQ(b_->sent.size(), 1U) << "sent when the time has come";
}

TEST_P(HandshakerTimingTest, AConfirmedSessionMakesADelayedInitiationUnneeded) {
  introduce();
  connect(*a_, *b_);
  pass(seconds(1));
  b_->request(now_, wall_);
  b_->handshaker.session_confirmed(kPeer);
  EXPECT_FALSE(b_->handshaker.handshake_in_progress(kPeer));
  pass(seconds(10));
  b_->tick(now_, wall_);
  EXPECT_TRUE(b_->sent.empty());
}

TEST_P(HandshakerTimingTest, ErasesKeysAfter540SecondsWithoutANewSession) {
  introduce();
  connect(*a_, *b_);
  pass(seconds(200));
  connect(*a_, *b_);
  for (Node* node : {a_, b_}) {
    EXPECT_EQ(node->handshaker.next_deadline(), now_ + seconds(540));
    node->tick(now_ + seconds(540) - ms(1), wall_);
    EXPECT_EQ(node->erased, 0);
    node->tick(now_ + seconds(540), wall_);
    EXPECT_EQ(node->erased, 1);
    EXPECT_EQ(node->handshaker.next_deadline(), Instant::never());
  }
}

TEST_P(HandshakerTimingTest, AfterSuspensionTheOldAttemptEndsAndANewOneWorks) {
  introduce();
  a_->request(now_, wall_);
  pass(seconds(86'400));
  a_->tick(now_, wall_);
  EXPECT_EQ(a_->gave_up, 1);
  a_->sent.clear();
  connect(*a_, *b_);
  expect_same_session(a_->sessions[0], b_->sessions[0]);
}

// --- timestamps ------------------------------------------------------------------------------

TEST_P(HandshakerTimingTest, TimestampsRiseThoughTheWallClockGoesBack) {
  introduce();
  connect(*a_, *b_);
  for (int i = 0; i < 5; ++i) {
    now_ = now_ + seconds(10);
    wall_ = wall_ + seconds(-3600);
    connect(*a_, *b_);
    ASSERT_FALSE(HasFatalFailure());
  }
  ASSERT_EQ(a_->timestamps_sent.size(), 6U);
  for (std::size_t i = 1; i < 6; ++i) {
    EXPECT_EQ(a_->timestamps_sent[i], tai64n_successor(a_->timestamps_sent[i - 1]));
  }
  EXPECT_EQ(b_->timestamps_received, a_->timestamps_sent);
}

TEST_P(HandshakerTimingTest, ARestartWithAClockInThePastGoesOnFromTheKeptTimestamp) {
  introduce();
  connect(*a_, *b_);
  const Tai64n kept = a_->timestamps_sent.back();
  pass(seconds(10));
  wall_ = WallTime::from_unix_ns(0);
  Node restarted(larger_private_, 99, "192.0.2.1:51820", kept);
  ASSERT_TRUE(restarted.handshaker.add_peer(kPeer, settings_for(*b_), {}));
  connect(restarted, *b_);
  EXPECT_GT(restarted.timestamps_sent.back(), kept);
}

TEST_P(HandshakerTimingTest, APeerRemovedAndAddedAgainStillSeesRisingTimestamps) {
  introduce();
  connect(*a_, *b_);
  a_->handshaker.remove_peer(kPeer);
  ASSERT_TRUE(a_->handshaker.add_peer(kPeer, settings_for(*b_), {}));
  pass(seconds(10));
  wall_ = kStartOfWall;  // meanwhile the clock was set back
  connect(*a_, *b_);
}

TEST_P(HandshakerTimingTest, ManyPeersOfOneMomentDoNotPushTimestampsIntoTheFuture) {
  for (std::uint32_t i = 0; i < 200; ++i) {
    PeerSettings settings = settings_for(*b_);
    settings.public_key = X25519Key::generate(key_rng_).public_key();
    ASSERT_TRUE(a_->handshaker.add_peer({i}, settings, {}));
  }
  for (std::uint32_t i = 0; i < 200; ++i)
    a_->request(now_, wall_, true, {i});
  EXPECT_EQ(a_->sent.size(), 200U);
  EXPECT_EQ(a_->timestamps_sent, std::vector{tai64n(wall_)}) << "kept on disk once";
}

// --- crossed initiations ---------------------------------------------------------------------

TEST_P(HandshakerTimingTest, StockPeersThatCrossFindASessionByTheRetry) {
  introduce();
  a_->request(now_, wall_);
  b_->request(now_, wall_);
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kAccepted);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kAccepted);
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kUnknownIndex) << "each dropped its own";
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kUnknownIndex);
  EXPECT_EQ(a_->indices_of_handshakes(), 0U);

  // Neither may use what it has. The jitter decides who retries first.
  Node* first = a_->handshaker.next_deadline() < b_->handshaker.next_deadline() ? a_ : b_;
  Node* second = first == a_ ? b_ : a_;
  ASSERT_NE(a_->handshaker.next_deadline(), b_->handshaker.next_deadline());
  pass(first->handshaker.next_deadline() - now_);
  first->tick(now_, wall_);
  EXPECT_EQ(deliver(*first, *second), HandshakeVerdict::kAccepted);
  EXPECT_EQ(deliver(*second, *first), HandshakeVerdict::kAccepted);
  expect_same_session(first->sessions.back(), second->sessions.back());
  // The first data message tells the second that all is well.
  second->handshaker.session_confirmed(kPeer);
  EXPECT_FALSE(first->handshaker.handshake_in_progress(kPeer));
  EXPECT_FALSE(second->handshaker.handshake_in_progress(kPeer));
}

TEST_P(HandshakerTimingTest, AnAcceptedInitiationOverwritesOursAndReleasesItsIndex) {
  introduce();
  a_->request(now_, wall_);
  EXPECT_EQ(a_->indices_of_handshakes(), 1U);
  b_->request(now_, wall_);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kAccepted);
  EXPECT_EQ(a_->indices_of_handshakes(), 0U);
  EXPECT_TRUE(a_->handshaker.handshake_in_progress(kPeer));
  a_->handshaker.session_confirmed(kPeer);
  EXPECT_FALSE(a_->handshaker.handshake_in_progress(kPeer));
}

TEST_P(HandshakerTimingTest, BetweenRingwayPeersTheLargerKeysInitiationWins) {
  introduce_as(true);
  larger_->request(now_, wall_);
  smaller_->request(now_, wall_);
  EXPECT_EQ(deliver(*smaller_, *larger_), HandshakeVerdict::kCrossed);
  EXPECT_EQ(larger_->endpoints, std::vector{smaller_->source.remote}) << "it was authentic";
  EXPECT_EQ(deliver(*larger_, *smaller_), HandshakeVerdict::kAccepted);
  EXPECT_EQ(deliver(*smaller_, *larger_), HandshakeVerdict::kAccepted);
  ASSERT_EQ(larger_->sessions.size(), 1U);
  ASSERT_EQ(smaller_->sessions.size(), 1U);
  expect_same_session(larger_->sessions[0], smaller_->sessions[0]);
  smaller_->handshaker.session_confirmed(kPeer);
  EXPECT_FALSE(smaller_->handshaker.handshake_in_progress(kPeer));
  EXPECT_FALSE(larger_->handshaker.handshake_in_progress(kPeer));
  EXPECT_EQ(larger_->handshaker.verdict_count(HandshakeVerdict::kCrossed), 1U);
}

TEST_P(HandshakerTimingTest, OnlyAuthenticInitiationsCountAsCrossed) {
  introduce_as(true);
  larger_->request(now_, wall_);
  smaller_->request(now_, wall_);
  HandshakeBytes forged = smaller_->take_sent();
  forged.data[InitiationLayout::kTimestamp] ^= 1;
  EXPECT_EQ(larger_->input(now_, wall_, forged.view(), smaller_->source),
            HandshakeVerdict::kDecryptFailed);
}

TEST_P(HandshakerTimingTest, AnInitiationOfTheLargerKeyThatSeemsLostLosesItsPrecedence) {
  introduce_as(true);
  larger_->request(now_, wall_);
  larger_->sent.clear();  // lost, or sent to where the other no longer is
  pass(seconds(1));
  smaller_->request(now_, wall_);
  EXPECT_EQ(deliver(*smaller_, *larger_), HandshakeVerdict::kAccepted);
  EXPECT_EQ(deliver(*larger_, *smaller_), HandshakeVerdict::kAccepted);
  expect_same_session(smaller_->sessions[0], larger_->sessions[0]);
}

TEST_P(HandshakerTimingTest, ARetransmissionOfTheLargerKeyHasNoPrecedence) {
  introduce_as(true);
  larger_->request(now_, wall_);
  pass(larger_->handshaker.next_deadline() - now_);
  larger_->tick(now_, wall_);
  smaller_->request(now_, wall_);
  EXPECT_EQ(deliver(*smaller_, *larger_), HandshakeVerdict::kAccepted);
}

// --- everything at once ----------------------------------------------------------------------

// A lossy, reordering, duplicating network and both sides asking at random: an invariant a step,
// and in the end a session that both have.
TEST_P(HandshakerTimingTest, SurvivesABadNetwork) {
  for (const bool ringway : {false, true}) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      SeededRng rng(seed);
      Node first(draw_private(rng), seed * 2 + 100, "192.0.2.1:51820");
      Node second(draw_private(rng), seed * 2 + 101, "192.0.2.2:51820");
      ringway_ = ringway;
      ASSERT_TRUE(first.handshaker.add_peer(kPeer, settings_for(second), {}));
      ASSERT_TRUE(second.handshaker.add_peer(kPeer, settings_for(first), {}));
      struct Flying {
        HandshakeBytes message;
        Node* from;
        Node* to;
      };
      std::vector<Flying> flying;
      for (int step = 0; step < 400; ++step) {
        pass(ms(static_cast<std::int64_t>(rng.below(500))));
        Node& node = rng.below(2) == 0 ? first : second;
        if (rng.below(4) == 0) node.request(now_, wall_, rng.below(2) == 0);
        for (Node* each : {&first, &second}) {
          each->tick(now_, wall_);
          while (!each->sent.empty()) {
            const HandshakeBytes message = each->take_sent();
            for (std::uint64_t copies = rng.below(3); copies > 0; --copies) {
              flying.push_back({message, each, each == &first ? &second : &first});
            }
          }
          ASSERT_LE(each->indices_of_handshakes(), 1U);
        }
        while (!flying.empty() && rng.below(3) != 0) {
          const std::size_t pick = rng.below(flying.size());
          const Flying one = flying[pick];
          flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(pick));
          one.to->input(now_, wall_, one.message.view(), one.from->source);
        }
      }
      // Calm: nothing more is lost, and they still find each other.
      const auto agreed = [&] {
        return !first.sessions.empty() && !second.sessions.empty() &&
               first.sessions.back().send_key == second.sessions.back().receive_key;
      };
      first.sessions.clear();
      second.sessions.clear();
      const Instant calm = now_;
      first.request(now_, wall_);
      while (!agreed()) {
        ASSERT_LT(now_ - calm, seconds(60)) << "seed " << seed;
        while (!first.sent.empty())
          deliver(first, second);
        while (!second.sent.empty())
          deliver(second, first);
        if (agreed()) break;
        pass(ms(100));
        first.tick(now_, wall_);
        second.tick(now_, wall_);
      }
    }
  }
}

}  // namespace
}  // namespace ringway::tunnel
