#include "dataplane/tunnel/handshaker.hpp"

#include "dataplane/tunnel/cookie.hpp"
#include "dataplane/tunnel/noise.hpp"
#include "tests/unit/handshaker_fixture.hpp"

namespace ringway::tunnel {
namespace {

using namespace handshake_output;

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

// Such a source can be forged, and nothing can be sent to it: it must not make us the initiator,
// who uses the session before the other end has confirmed it.
TEST_P(HandshakerTest, AnInitiationFromPortZeroMakesAResponder) {
  introduce();
  a_->source.remote.port = 0;
  a_->request(now_, wall_);
  EXPECT_EQ(deliver(*a_, *b_), HandshakeVerdict::kAccepted);
  ASSERT_EQ(b_->sessions.size(), 1U);
  EXPECT_FALSE(b_->sessions[0].initiator);
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
  while (const auto index = b_->indices.allocate(WorkerId{}))
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

TEST_P(HandshakerTest, ThePeerBelongsToTheWorkerOfItsFirstInitiation) {
  introduce();
  a_->request(now_, wall_);
  const auto owner_after = [&](WorkerId arrived_at) {
    a_->tick(now_, wall_);  // sends again what was not answered
    const HandshakeBytes initiation = a_->take_sent();
    (void)b_->handshaker.input(now_, wall_, initiation.view(), a_->source, arrived_at);
    HandshakeOutput output;
    std::optional<WorkerId> owner;
    while (b_->handshaker.poll_output(output)) {
      if (const auto* seen = std::get_if<EndpointSeen>(&output)) owner = seen->owner;
      if (const auto* install = std::get_if<InstallSession>(&output)) {
        EXPECT_EQ(owner_of(install->keys.local_index, kSlotBits), owner);
      }
    }
    return owner;
  };
  EXPECT_EQ(owner_after(WorkerId{3}), WorkerId{3});
  pass(seconds(10));
  EXPECT_EQ(owner_after(WorkerId{1}), WorkerId{3}) << "later ones may arrive anywhere";
  b_->handshaker.set_owner(kPeer, WorkerId{15});
  pass(seconds(10));
  EXPECT_EQ(owner_after(WorkerId{1}), WorkerId{15});
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
