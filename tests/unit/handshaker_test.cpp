#include "dataplane/tunnel/handshaker.hpp"

#include <deque>
#include <optional>

#include <gtest/gtest.h>

#include "dataplane/tunnel/cookie.hpp"
#include "dataplane/tunnel/noise.hpp"
#include "tests/unit/handshake_test_support.hpp"

namespace ringway::tunnel {
namespace {

using namespace handshake_output;

constexpr PeerId kPeer{3};
constexpr Suite kSuites[] = {Suite::kChaCha20Poly1305, Suite::kAes256Gcm};
const WallTime kStartOfWall = WallTime::from_unix_ns(1'700'000'000'000'000'000);

Suite other_than(Suite suite) {
  return suite == Suite::kChaCha20Poly1305 ? Suite::kAes256Gcm : Suite::kChaCha20Poly1305;
}
Duration ms(std::int64_t count) {
  return Duration::milliseconds(count);
}
Duration seconds(std::int64_t count) {
  return Duration::seconds(count);
}

// A handshaker with the part of its caller that matters here: it keeps what came out.
struct Node {
  Node(const PrivateKey& private_key, std::uint64_t seed, const char* address,
       Tai64n last_sent = {})
      : rng(seed), indices(10, rng), handshaker(private_key, last_sent, indices, rng) {
    source.remote = net::Endpoint::parse(address).value();
  }

  // Takes the outputs; the messages among them stay in `sent`.
  void drain() {
    HandshakeOutput output;
    while (handshaker.poll_output(output)) {
      if (auto* to_peer = std::get_if<SendToPeer>(&output)) {
        sent.push_back(to_peer->message);
      } else if (auto* to = std::get_if<SendTo>(&output)) {
        sent.push_back(to->message);
        answered.push_back(to->to);
      } else if (auto* install = std::get_if<InstallSession>(&output)) {
        sessions.push_back(std::move(install->keys));
      } else if (std::holds_alternative<GaveUp>(output)) {
        ++gave_up;
      } else if (std::holds_alternative<EraseSessions>(output)) {
        ++erased;
      } else if (auto* seen = std::get_if<EndpointSeen>(&output)) {
        endpoints.push_back(seen->from.remote);
      } else if (auto* stamp = std::get_if<TimestampSent>(&output)) {
        timestamps_sent.push_back(stamp->timestamp);
      } else if (auto* received = std::get_if<TimestampReceived>(&output)) {
        timestamps_received.push_back(received->timestamp);
      }
    }
  }
  void request(Instant now, WallTime wall, bool new_data = true, PeerId peer = kPeer) {
    handshaker.request_session(peer, now, wall, new_data);
    drain();
  }
  void tick(Instant now, WallTime wall) {
    handshaker.tick(now, wall);
    drain();
  }
  HandshakeVerdict input(Instant now, WallTime wall, ConstBytes message,
                         const DatagramSource& from) {
    const HandshakeVerdict verdict = handshaker.input(now, wall, message, from);
    drain();
    return verdict;
  }
  HandshakeBytes take_sent() {
    CHECK(!sent.empty());
    const HandshakeBytes message = sent.front();
    sent.pop_front();
    return message;
  }
  // Sessions are never ended by these tests, so every index is a session's or a handshake's.
  std::size_t indices_of_handshakes() const { return indices.used() - sessions.size(); }

  SeededRng rng;
  ReceiverIndexAllocator indices;
  Handshaker handshaker;
  DatagramSource source;  // as others see it
  std::deque<HandshakeBytes> sent;
  std::vector<DatagramSource> answered;
  std::deque<SessionKeys> sessions;
  std::vector<net::Endpoint> endpoints;
  std::vector<Tai64n> timestamps_sent, timestamps_received;
  int gave_up = 0;
  int erased = 0;
};

PrivateKey draw_private(Rng& rng) {
  PrivateKey key;
  rng.fill(key.span());
  return key;
}

// Two nodes that know each other. `larger` has the larger public key.
class HandshakerTest : public testing::TestWithParam<Suite> {
 protected:
  HandshakerTest() {
    PrivateKey first = draw_private(key_rng_);
    PrivateKey second = draw_private(key_rng_);
    if (public_key_of(first) < public_key_of(second)) std::swap(first, second);
    larger_private_ = first;
    larger_.emplace(first, 31, "192.0.2.1:51820");
    smaller_.emplace(second, 32, "192.0.2.2:51820");
    a_ = &*larger_;
    b_ = &*smaller_;
  }

  virtual PeerSettings settings_for(const Node& other) {
    PeerSettings settings;
    settings.public_key = other.handshaker.public_key();
    settings.preshared_key = psk_;
    settings.suite = GetParam();
    settings.ringway = ringway_;
    return settings;
  }
  void introduce() {
    ASSERT_TRUE(a_->handshaker.add_peer(kPeer, settings_for(*b_), {}));
    ASSERT_TRUE(b_->handshaker.add_peer(kPeer, settings_for(*a_), {}));
  }
  void introduce_as(bool ringway) {
    ringway_ = ringway;
    introduce();
  }
  void pass(Duration duration) {
    now_ = now_ + duration;
    wall_ = wall_ + duration;
  }
  HandshakeVerdict deliver(Node& from, Node& to) {
    return to.input(now_, wall_, from.take_sent().view(), from.source);
  }
  // Whole handshake, `a` initiating.
  void connect(Node& a, Node& b) {
    a.request(now_, wall_);
    ASSERT_EQ(deliver(a, b), HandshakeVerdict::kAccepted);
    ASSERT_EQ(deliver(b, a), HandshakeVerdict::kAccepted);
  }
  static void expect_same_session(const SessionKeys& initiator, const SessionKeys& responder) {
    EXPECT_TRUE(initiator.initiator);
    EXPECT_FALSE(responder.initiator);
    EXPECT_EQ(initiator.suite, responder.suite);
    EXPECT_EQ(initiator.send_key, responder.receive_key);
    EXPECT_EQ(initiator.receive_key, responder.send_key);
    EXPECT_EQ(initiator.local_index, responder.remote_index);
    EXPECT_EQ(initiator.remote_index, responder.local_index);
    EXPECT_EQ(initiator.handshake_hash, responder.handshake_hash);
  }

  SeededRng key_rng_{30};
  PresharedKey psk_;
  PrivateKey larger_private_;
  std::optional<Node> larger_, smaller_;
  Node* a_ = nullptr;
  Node* b_ = nullptr;
  bool ringway_ = false;
  Instant now_ = Instant::from_ns(1'000'000'000'000);
  WallTime wall_ = kStartOfWall;
};

INSTANTIATE_TEST_SUITE_P(Suites, HandshakerTest, testing::ValuesIn(kSuites),
                         [](const auto& parameter) {
                           return std::string(suite_name(parameter.param));
                         });

// --- the way of a handshake ------------------------------------------------------------------

TEST_P(HandshakerTest, TwoMessagesMakeOneSessionOnEachSide) {
  introduce();
  a_->request(now_, wall_);
  EXPECT_TRUE(a_->handshaker.handshake_in_progress(kPeer));
  ASSERT_EQ(a_->sent.size(), 1U);
  EXPECT_EQ(a_->sent[0].length, InitiationLayout::kSize);
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kAccepted);
  ASSERT_EQ(b_->sessions.size(), 1U);
  EXPECT_EQ(b_->sessions[0].peer, kPeer);
  EXPECT_EQ(b_->sessions[0].created, now_);
  EXPECT_EQ(b_->endpoints, std::vector{a_->source.remote});
  ASSERT_EQ(b_->answered.size(), 1U);
  EXPECT_EQ(b_->answered[0].remote, a_->source.remote);
  EXPECT_EQ(b_->sent[0].length, ResponseLayout::kSize);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kAccepted);
  ASSERT_EQ(a_->sessions.size(), 1U);
  EXPECT_EQ(a_->endpoints, std::vector{b_->source.remote});
  expect_same_session(a_->sessions[0], b_->sessions[0]);
  EXPECT_EQ(a_->sessions[0].suite, GetParam());
  EXPECT_FALSE(a_->handshaker.handshake_in_progress(kPeer));
  EXPECT_EQ(a_->indices_of_handshakes(), 0U);
  EXPECT_EQ(b_->indices_of_handshakes(), 0U);
  EXPECT_EQ(b_->handshaker.verdict_count(HandshakeVerdict::kAccepted), 1U);
}

TEST_P(HandshakerTest, SessionIsInstalledBeforeTheResponseLeavesAndAfterTheTimestampIsKept) {
  introduce();
  a_->request(now_, wall_);
  const HandshakeBytes initiation = a_->take_sent();
  ASSERT_EQ(b_->handshaker.input(now_, wall_, initiation.view(), a_->source),
            HandshakeVerdict::kAccepted);
  std::vector<std::size_t> order;
  HandshakeOutput output;
  while (b_->handshaker.poll_output(output))
    order.push_back(output.index());
  const std::vector<std::size_t> expected = {
      HandshakeOutput(EndpointSeen{}).index(), HandshakeOutput(TimestampReceived{}).index(),
      HandshakeOutput(InstallSession{}).index(), HandshakeOutput(SendTo{}).index()};
  EXPECT_EQ(order, expected);
}

TEST_P(HandshakerTest, TimestampIsReportedBeforeTheInitiationThatCarriesIt) {
  introduce();
  a_->handshaker.request_session(kPeer, now_, wall_, true);
  HandshakeOutput output;
  ASSERT_TRUE(a_->handshaker.poll_output(output));
  ASSERT_TRUE(std::holds_alternative<TimestampSent>(output));
  EXPECT_EQ(std::get<TimestampSent>(output).timestamp, tai64n(wall_));
  ASSERT_TRUE(a_->handshaker.poll_output(output));
  EXPECT_TRUE(std::holds_alternative<SendToPeer>(output));
  EXPECT_FALSE(a_->handshaker.poll_output(output));
}

TEST_P(HandshakerTest, BothMessagesCarryAValidMac1) {
  introduce();
  CookieChecker a_checker(a_->handshaker.public_key(), key_rng_);
  CookieChecker b_checker(b_->handshaker.public_key(), key_rng_);
  a_->request(now_, wall_);
  EXPECT_TRUE(b_checker.mac1_valid(a_->sent[0].view()));
  deliver(*a_, *b_);
  EXPECT_TRUE(a_checker.mac1_valid(b_->sent[0].view()));
}

TEST_P(HandshakerTest, EachHandshakeHasNewKeysAndIndices) {
  introduce();
  connect(*a_, *b_);
  pass(seconds(10));
  connect(*a_, *b_);
  pass(seconds(10));
  connect(*b_, *a_);
  ASSERT_EQ(a_->sessions.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = i + 1; j < 3; ++j) {
      EXPECT_NE(a_->sessions[i].send_key, a_->sessions[j].send_key);
      EXPECT_NE(a_->sessions[i].local_index, a_->sessions[j].local_index);
    }
  }
}

TEST_P(HandshakerTest, PresharedKeyMustMatch) {
  key_rng_.fill(psk_.span());
  introduce();
  connect(*a_, *b_);
  expect_same_session(a_->sessions[0], b_->sessions[0]);

  pass(seconds(10));
  PeerSettings changed = settings_for(*a_);
  changed.preshared_key = PresharedKey();
  b_->handshaker.change_peer(kPeer, changed);
  a_->request(now_, wall_);
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kAccepted) << "it shows in the response only";
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kDecryptFailed);
  EXPECT_EQ(a_->sessions.size(), 1U);
  EXPECT_TRUE(a_->handshaker.handshake_in_progress(kPeer));
}

// --- what is refused -------------------------------------------------------------------------

TEST_P(HandshakerTest, NoSuiteButTheConfiguredOneInEitherRole) {
  // a is configured for one suite, b for the other: neither gives way.
  ASSERT_TRUE(a_->handshaker.add_peer(kPeer, settings_for(*b_), {}));
  PeerSettings settings = settings_for(*a_);
  settings.suite = other_than(GetParam());
  ASSERT_TRUE(b_->handshaker.add_peer(kPeer, settings, {}));
  a_->request(now_, wall_);
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kWrongSuite);
  b_->request(now_, wall_);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kWrongSuite);
  EXPECT_TRUE(a_->sessions.empty());
  EXPECT_TRUE(b_->sessions.empty());
  EXPECT_EQ(b_->handshaker.verdict_count(HandshakeVerdict::kWrongSuite), 1U);
}

TEST_P(HandshakerTest, ARewrittenSuiteByteOfAnInitiationFails) {
  introduce();
  a_->request(now_, wall_);
  HandshakeBytes message = a_->take_sent();
  message.data[1] ^= 1;
  EXPECT_EQ(b_->input(now_, wall_, message.view(), a_->source), HandshakeVerdict::kDecryptFailed);
}

TEST_P(HandshakerTest, ARewrittenSuiteByteOfAResponseFailsAndTheGenuineOneStillCounts) {
  introduce();
  a_->request(now_, wall_);
  deliver(*a_, *b_);
  HandshakeBytes message = b_->take_sent();
  message.data[1] ^= 1;
  EXPECT_EQ(a_->input(now_, wall_, message.view(), b_->source), HandshakeVerdict::kWrongSuite);
  message.data[1] ^= 1;
  EXPECT_EQ(a_->input(now_, wall_, message.view(), b_->source), HandshakeVerdict::kAccepted);
}

TEST_P(HandshakerTest, MalformedMessages) {
  introduce();
  a_->request(now_, wall_);
  const HandshakeBytes genuine = a_->take_sent();
  const auto verdict_of = [&](const HandshakeBytes& message, std::size_t length) {
    return b_->input(now_, wall_, ConstBytes(message.data).first(length), a_->source);
  };
  for (std::size_t length = 0; length < InitiationLayout::kSize; ++length) {
    ASSERT_EQ(verdict_of(genuine, length), HandshakeVerdict::kMalformed) << length;
  }
  std::array<std::uint8_t, InitiationLayout::kSize + 1> longer{};
  std::copy(genuine.data.begin(), genuine.data.end(), longer.begin());
  EXPECT_EQ(b_->input(now_, wall_, longer, a_->source), HandshakeVerdict::kMalformed);
  for (const std::size_t reserved : {2U, 3U}) {
    HandshakeBytes message = genuine;
    message.data[reserved] = 1;
    EXPECT_EQ(verdict_of(message, message.length), HandshakeVerdict::kMalformed);
  }
  for (const unsigned type : {0U, 2U, 3U, 4U, 5U, 255U}) {
    HandshakeBytes message = genuine;
    message.data[0] = static_cast<std::uint8_t>(type);
    EXPECT_EQ(verdict_of(message, message.length), HandshakeVerdict::kMalformed);
  }
  EXPECT_TRUE(b_->sessions.empty());
  EXPECT_EQ(verdict_of(genuine, genuine.length), HandshakeVerdict::kAccepted);
}

TEST_P(HandshakerTest, AStrangersInitiationIsRefusedSilently) {
  ASSERT_TRUE(a_->handshaker.add_peer(kPeer, settings_for(*b_), {}));
  a_->request(now_, wall_);
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kUnknownPeer);
  EXPECT_TRUE(b_->sent.empty());
  EXPECT_TRUE(b_->endpoints.empty());
}

TEST_P(HandshakerTest, AReplayedInitiationIsRefused) {
  introduce();
  a_->request(now_, wall_);
  const HandshakeBytes first = a_->take_sent();
  EXPECT_EQ(b_->input(now_, wall_, first.view(), a_->source), HandshakeVerdict::kAccepted);
  pass(seconds(6));
  a_->tick(now_, wall_);
  const HandshakeBytes second = a_->take_sent();
  EXPECT_EQ(b_->input(now_, wall_, second.view(), a_->source), HandshakeVerdict::kAccepted);
  pass(seconds(1));
  for (const HandshakeBytes& old : {first, second}) {
    EXPECT_EQ(b_->input(now_, wall_, old.view(), a_->source), HandshakeVerdict::kReplayedTimestamp);
  }
  EXPECT_EQ(b_->sessions.size(), 2U);
}

TEST_P(HandshakerTest, AnInitiationFromBeforeARestartIsRefused) {
  ASSERT_TRUE(a_->handshaker.add_peer(kPeer, settings_for(*b_), {}));
  a_->request(now_, wall_);
  const HandshakeBytes old = a_->take_sent();
  // b kept the timestamp of that very initiation.
  ASSERT_TRUE(b_->handshaker.add_peer(kPeer, settings_for(*a_), a_->timestamps_sent.back()));
  EXPECT_EQ(b_->input(now_, wall_, old.view(), a_->source), HandshakeVerdict::kReplayedTimestamp);
}

TEST_P(HandshakerTest, AtMostFiftyInitiationsASecondFromOnePeer) {
  // Initiations faster than the handshaker would send them, from its own primitives.
  introduce();
  const LocalIdentity local(larger_private_);
  RemoteIdentity remote;
  remote.public_key = b_->handshaker.public_key();
  ASSERT_TRUE(local.key().agree(remote.public_key, remote.static_static));
  Tai64n timestamp = tai64n(wall_);
  const auto initiate_at = [&](Duration after) {
    timestamp = tai64n_successor(timestamp);
    std::array<std::uint8_t, InitiationLayout::kSize> message;
    EXPECT_TRUE(create_initiation(local, remote, GetParam(), {1}, timestamp, key_rng_, message));
    return b_->input(now_ + after, wall_, message, a_->source);
  };
  EXPECT_EQ(initiate_at(ms(0)), HandshakeVerdict::kAccepted);
  EXPECT_EQ(initiate_at(ms(10)), HandshakeVerdict::kTooSoon);
  EXPECT_EQ(initiate_at(ms(19)), HandshakeVerdict::kTooSoon);
  EXPECT_EQ(initiate_at(ms(20)), HandshakeVerdict::kAccepted);
  int accepted = 0;
  for (int i = 1; i <= 1000; ++i) {
    accepted += initiate_at(ms(1000 + i)) == HandshakeVerdict::kAccepted ? 1 : 0;
  }
  EXPECT_EQ(accepted, 50);
}

TEST_P(HandshakerTest, AResponseForNoHandshakeOfOursIsRefused) {
  introduce();
  a_->request(now_, wall_);
  deliver(*a_, *b_);
  const HandshakeBytes response = b_->take_sent();
  EXPECT_EQ(a_->input(now_, wall_, response.view(), b_->source), HandshakeVerdict::kAccepted);
  EXPECT_EQ(a_->input(now_, wall_, response.view(), b_->source), HandshakeVerdict::kUnknownIndex)
      << "a second time";
  EXPECT_EQ(a_->sessions.size(), 1U);
}

TEST_P(HandshakerTest, AForgedResponseDoesNotEndTheHandshake) {
  introduce();
  a_->request(now_, wall_);
  deliver(*a_, *b_);
  const HandshakeBytes genuine = b_->take_sent();
  for (std::size_t at = ResponseLayout::kEphemeral; at < ResponseLayout::kMac1; at += 5) {
    HandshakeBytes forged = genuine;
    forged.data[at] ^= 4;
    ASSERT_EQ(a_->input(now_, wall_, forged.view(), b_->source), HandshakeVerdict::kDecryptFailed);
  }
  EXPECT_TRUE(a_->endpoints.empty()) << "roaming follows authentic messages only";
  EXPECT_EQ(a_->input(now_, wall_, genuine.view(), b_->source), HandshakeVerdict::kAccepted);
}

TEST_P(HandshakerTest, AFullSessionTableRefusesAndRecovers) {
  introduce();
  std::vector<ReceiverIndex> taken;
  while (const auto index = b_->indices.allocate())
    taken.push_back(*index);
  a_->request(now_, wall_);
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kNoIndex);
  b_->request(now_, wall_);
  EXPECT_TRUE(b_->sent.empty());
  b_->indices.release(taken.back());
  pass(seconds(6));
  b_->tick(now_, wall_);
  EXPECT_EQ(b_->sent.size(), 1U) << "the retry finds room";
}

// --- timers ----------------------------------------------------------------------------------

TEST_P(HandshakerTest, RetransmitsAFreshInitiationAfterFiveSecondsAndJitter) {
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

TEST_P(HandshakerTest, JitterVaries) {
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

TEST_P(HandshakerTest, GivesUpAfterNinetySeconds) {
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

TEST_P(HandshakerTest, NewDataRestartsTheAttemptWindowAndARequestWithoutDoesNot) {
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

TEST_P(HandshakerTest, RequestsWhileOneIsUnderWaySendNothing) {
  introduce();
  for (int i = 0; i < 100; ++i) {
    a_->request(now_, wall_);
    pass(ms(40));
  }
  EXPECT_EQ(a_->sent.size(), 1U);
}

TEST_P(HandshakerTest, AHandshakeMessageIsFollowedByNoInitiationForFiveSeconds) {
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

TEST_P(HandshakerTest, AConfirmedSessionMakesADelayedInitiationUnneeded) {
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

TEST_P(HandshakerTest, ErasesKeysAfter540SecondsWithoutANewSession) {
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

TEST_P(HandshakerTest, AfterSuspensionTheOldAttemptEndsAndANewOneWorks) {
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

TEST_P(HandshakerTest, TimestampsRiseThoughTheWallClockGoesBack) {
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

TEST_P(HandshakerTest, ARestartWithAClockInThePastGoesOnFromTheKeptTimestamp) {
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

TEST_P(HandshakerTest, APeerRemovedAndAddedAgainStillSeesRisingTimestamps) {
  introduce();
  connect(*a_, *b_);
  a_->handshaker.remove_peer(kPeer);
  ASSERT_TRUE(a_->handshaker.add_peer(kPeer, settings_for(*b_), {}));
  pass(seconds(10));
  wall_ = kStartOfWall;  // meanwhile the clock was set back
  connect(*a_, *b_);
}

TEST_P(HandshakerTest, ManyPeersOfOneMomentDoNotPushTimestampsIntoTheFuture) {
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

TEST_P(HandshakerTest, StockPeersThatCrossFindASessionByTheRetry) {
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

TEST_P(HandshakerTest, AnAcceptedInitiationOverwritesOursAndReleasesItsIndex) {
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

TEST_P(HandshakerTest, BetweenRingwayPeersTheLargerKeysInitiationWins) {
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

TEST_P(HandshakerTest, OnlyAuthenticInitiationsCountAsCrossed) {
  introduce_as(true);
  larger_->request(now_, wall_);
  smaller_->request(now_, wall_);
  HandshakeBytes forged = smaller_->take_sent();
  forged.data[InitiationLayout::kTimestamp] ^= 1;
  EXPECT_EQ(larger_->input(now_, wall_, forged.view(), smaller_->source),
            HandshakeVerdict::kDecryptFailed);
}

TEST_P(HandshakerTest, AnInitiationOfTheLargerKeyThatSeemsLostLosesItsPrecedence) {
  introduce_as(true);
  larger_->request(now_, wall_);
  larger_->sent.clear();  // lost, or sent to where the other no longer is
  pass(seconds(1));
  smaller_->request(now_, wall_);
  EXPECT_EQ(deliver(*smaller_, *larger_), HandshakeVerdict::kAccepted);
  EXPECT_EQ(deliver(*larger_, *smaller_), HandshakeVerdict::kAccepted);
  expect_same_session(smaller_->sessions[0], larger_->sessions[0]);
}

TEST_P(HandshakerTest, ARetransmissionOfTheLargerKeyHasNoPrecedence) {
  introduce_as(true);
  larger_->request(now_, wall_);
  pass(larger_->handshaker.next_deadline() - now_);
  larger_->tick(now_, wall_);
  smaller_->request(now_, wall_);
  EXPECT_EQ(deliver(*smaller_, *larger_), HandshakeVerdict::kAccepted);
}

// --- cookies ---------------------------------------------------------------------------------

TEST_P(HandshakerTest, UnderLoadTheCookieOpensTheWayAtTheNextRetry) {
  introduce();
  CookieChecker checker(b_->handshaker.public_key(), key_rng_);
  a_->request(now_, wall_);
  const HandshakeBytes first = a_->take_sent();
  ASSERT_TRUE(checker.mac1_valid(first.view()));
  ASSERT_FALSE(checker.mac2_valid(now_, first.view(), a_->source.remote));
  std::array<std::uint8_t, CookieReplyLayout::kSize> reply;
  checker.make_reply(now_, first.view(), a_->source.remote, reply);

  EXPECT_EQ(a_->input(now_, wall_, reply, b_->source), HandshakeVerdict::kAccepted);
  EXPECT_TRUE(a_->sent.empty()) << "waits for the retry";
  EXPECT_TRUE(a_->endpoints.empty()) << "a cookie reply moves no endpoint";
  pass(a_->handshaker.next_deadline() - now_);
  a_->tick(now_, wall_);
  EXPECT_TRUE(checker.mac1_valid(a_->sent[0].view()));
  EXPECT_TRUE(checker.mac2_valid(now_, a_->sent[0].view(), a_->source.remote));
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kAccepted);
}

TEST_P(HandshakerTest, AResponseCanBeAnsweredWithACookieToo) {
  introduce();
  CookieChecker checker(a_->handshaker.public_key(), key_rng_);
  a_->request(now_, wall_);
  deliver(*a_, *b_);
  const HandshakeBytes response = b_->take_sent();
  std::array<std::uint8_t, CookieReplyLayout::kSize> reply;
  checker.make_reply(now_, response.view(), b_->source.remote, reply);
  EXPECT_EQ(b_->input(now_, wall_, reply, a_->source), HandshakeVerdict::kAccepted);
  pass(a_->handshaker.next_deadline() - now_);
  a_->tick(now_, wall_);
  deliver(*a_, *b_);
  EXPECT_TRUE(checker.mac2_valid(now_, b_->sent[0].view(), b_->source.remote));
}

TEST_P(HandshakerTest, ForgedAndRepeatedCookieRepliesAreRefused) {
  introduce();
  CookieChecker checker(b_->handshaker.public_key(), key_rng_);
  a_->request(now_, wall_);
  std::array<std::uint8_t, CookieReplyLayout::kSize> reply;
  checker.make_reply(now_, a_->sent[0].view(), a_->source.remote, reply);
  const auto changed = [&](std::size_t at) {
    auto copy = reply;
    copy[at] ^= 1;
    return copy;
  };
  EXPECT_EQ(a_->input(now_, wall_, changed(CookieReplyLayout::kCookie), b_->source),
            HandshakeVerdict::kDecryptFailed);
  EXPECT_EQ(a_->input(now_, wall_, changed(CookieReplyLayout::kReceiver), b_->source),
            HandshakeVerdict::kUnknownIndex);
  EXPECT_EQ(a_->input(now_, wall_, changed(1), b_->source), HandshakeVerdict::kWrongSuite);
  EXPECT_EQ(a_->input(now_, wall_, reply, b_->source), HandshakeVerdict::kAccepted);
  EXPECT_EQ(a_->input(now_, wall_, reply, b_->source), HandshakeVerdict::kDecryptFailed);
}

// --- peers come and go -----------------------------------------------------------------------

TEST_P(HandshakerTest, RefusesPeersThatCannotBe) {
  introduce();
  PeerSettings settings = settings_for(*b_);
  EXPECT_FALSE(a_->handshaker.add_peer({4}, settings, {})) << "belongs to another";
  settings.public_key = a_->handshaker.public_key();
  EXPECT_FALSE(a_->handshaker.add_peer({4}, settings, {})) << "ours";
  settings.public_key = {};
  EXPECT_FALSE(a_->handshaker.add_peer({4}, settings, {})) << "low order";
  settings.public_key = {1};
  EXPECT_FALSE(a_->handshaker.add_peer({4}, settings, {})) << "low order";
  settings.public_key = X25519Key::generate(key_rng_).public_key();
  EXPECT_TRUE(a_->handshaker.add_peer({4}, settings, {}));
}

TEST_P(HandshakerTest, ARemovedPeerIsForgotten) {
  introduce();
  connect(*a_, *b_);
  pass(seconds(10));
  a_->request(now_, wall_);
  deliver(*a_, *b_);
  a_->handshaker.remove_peer(kPeer);
  a_->drain();
  EXPECT_EQ(a_->erased, 1);
  EXPECT_EQ(a_->indices_of_handshakes(), 0U);
  EXPECT_EQ(a_->handshaker.next_deadline(), Instant::never());
  EXPECT_FALSE(a_->handshaker.handshake_in_progress(kPeer));
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kUnknownIndex);
  a_->request(now_, wall_);
  EXPECT_TRUE(a_->sent.empty());
  pass(seconds(10));
  b_->request(now_, wall_);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kUnknownPeer);
  // The same number and key may come back.
  ASSERT_TRUE(a_->handshaker.add_peer(kPeer, settings_for(*b_), b_->timestamps_sent.back()));
  pass(seconds(10));
  b_->tick(now_, wall_);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kAccepted);
}

TEST_P(HandshakerTest, AChangedSuiteEndsTheHandshakeUnderTheOldOne) {
  introduce();
  a_->request(now_, wall_);
  deliver(*a_, *b_);
  PeerSettings settings = settings_for(*b_);
  settings.suite = other_than(GetParam());
  a_->handshaker.change_peer(kPeer, settings);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kUnknownIndex) << "no session of the old suite";
  EXPECT_TRUE(a_->sessions.empty());
  EXPECT_EQ(a_->indices_of_handshakes(), 0U);

  settings = settings_for(*a_);
  settings.suite = other_than(GetParam());
  b_->handshaker.change_peer(kPeer, settings);
  pass(a_->handshaker.next_deadline() - now_);
  a_->tick(now_, wall_);
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kAccepted);
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kAccepted);
  EXPECT_EQ(a_->sessions.back().suite, other_than(GetParam()));
}

TEST_P(HandshakerTest, AChangeThatChangesNothingLetsTheHandshakeFinish) {
  introduce();
  a_->request(now_, wall_);
  deliver(*a_, *b_);
  a_->handshaker.change_peer(kPeer, settings_for(*b_));
  EXPECT_EQ(deliver(*b_, *a_), HandshakeVerdict::kAccepted);
}

TEST_P(HandshakerTest, DestructionReleasesTheIndicesOfUnfinishedHandshakes) {
  SeededRng rng(40);
  ReceiverIndexAllocator indices(4, rng);
  {
    Handshaker handshaker(draw_private(key_rng_), {}, indices, rng);
    ASSERT_TRUE(handshaker.add_peer(kPeer, settings_for(*b_), {}));
    handshaker.request_session(kPeer, now_, wall_, true);
    EXPECT_EQ(indices.used(), 1U);
  }
  EXPECT_EQ(indices.used(), 0U);
}

TEST_P(HandshakerTest, TicksAreBoundedAndCatchUp) {
  constexpr std::uint32_t kPeers = 300;
  for (std::uint32_t i = 0; i < kPeers; ++i) {
    PeerSettings settings = settings_for(*b_);
    settings.public_key = X25519Key::generate(key_rng_).public_key();
    ASSERT_TRUE(a_->handshaker.add_peer({i}, settings, {}));
    a_->request(now_, wall_, true, {i});
  }
  a_->sent.clear();
  pass(seconds(6));
  int ticks = 0;
  while (a_->handshaker.next_deadline() <= now_) {
    a_->tick(now_, wall_);
    ++ticks;
    ASSERT_LE(ticks, 100);
  }
  EXPECT_GT(ticks, 1);
  EXPECT_EQ(a_->sent.size(), kPeers);
}

// --- everything at once ----------------------------------------------------------------------

// A lossy, reordering, duplicating network and both sides asking at random: an invariant a step,
// and in the end a session that both have.
TEST_P(HandshakerTest, SurvivesABadNetwork) {
  for (const bool ringway : {false, true}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
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

TEST(HandshakeVerdict, EveryVerdictHasItsOwnLabel) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < kHandshakeVerdictCount; ++i) {
    labels.emplace_back(verdict_label(static_cast<HandshakeVerdict>(i)));
    EXPECT_NE(labels.back(), "unknown");
  }
  std::sort(labels.begin(), labels.end());
  EXPECT_EQ(std::adjacent_find(labels.begin(), labels.end()), labels.end());
}

}  // namespace
}  // namespace ringway::tunnel
