#include "dataplane/tunnel/noise.hpp"

#include <gtest/gtest.h>

#include "dataplane/tunnel/cookie.hpp"
#include "tests/unit/handshake_test_support.hpp"
#include "tests/vectors/handshake_vectors.hpp"

namespace ringway::tunnel {
namespace {

using test_support::array_from_hex;
using test_support::from_hex;
using test_support::ScriptedRng;
using test_support::secret_from_hex;
using test_support::to_vector;

constexpr Suite kSuites[] = {Suite::kChaCha20Poly1305, Suite::kAes256Gcm};

RemoteIdentity remote_of(const LocalIdentity& local, const PublicKey& public_key,
                         const PresharedKey& preshared_key) {
  RemoteIdentity remote;
  remote.public_key = public_key;
  EXPECT_TRUE(local.key().agree(public_key, remote.static_static));
  remote.preshared_key = preshared_key;
  return remote;
}

std::array<std::uint8_t, InitiationLayout::kSize> initiation_from_hex(const char* text) {
  return array_from_hex<InitiationLayout::kSize>(text);
}
std::array<std::uint8_t, ResponseLayout::kSize> response_from_hex(const char* text) {
  return array_from_hex<ResponseLayout::kSize>(text);
}

// Opens a recorded data message.
std::vector<std::uint8_t> open_data(const char* text, const SymmetricKey& key) {
  const auto message = from_hex(text);
  const std::uint64_t counter = load_le<std::uint64_t>(message.data() + DataLayout::kCounter);
  std::vector<std::uint8_t> plaintext(message.size() - DataLayout::kOverhead);
  EXPECT_TRUE(aead_open(Suite::kChaCha20Poly1305, key, counter, {},
                        ConstBytes(message).subspan(DataLayout::kCiphertext), plaintext.data()));
  return plaintext;
}

// --- against other implementations -----------------------------------------------------------

TEST(NoiseVectors, ConsumesWireguardGosInitiationAndAnswersAsItAccepted) {
  const auto& vector = test_vectors::kWireguardGoInitiates;
  const LocalIdentity local(secret_from_hex<32>(vector.responder_private));
  const auto initiation = initiation_from_hex(vector.initiation);
  auto opened = open_initiation(local, Suite::kChaCha20Poly1305, initiation);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->remote_static, public_key_of(secret_from_hex<32>(vector.initiator_private)));

  const RemoteIdentity remote =
      remote_of(local, opened->remote_static, secret_from_hex<32>(vector.psk));
  const auto timestamp = authenticate_initiation(remote, initiation, opened->state);
  ASSERT_TRUE(timestamp);
  EXPECT_EQ(to_vector(*timestamp), from_hex(vector.timestamp));

  ScriptedRng rng(from_hex(vector.responder_ephemeral_private));
  std::array<std::uint8_t, ResponseLayout::kSize> response;
  const auto keys = create_response(remote, {vector.responder_index}, rng, response, opened->state);
  ASSERT_TRUE(keys);
  CookieJar(remote.public_key).stamp(Instant::from_ns(0), response);
  EXPECT_EQ(to_vector(response), from_hex(vector.response));
  EXPECT_TRUE(open_data(vector.first_data, keys->receive).empty()) << "a keepalive";
}

TEST(NoiseVectors, MakesTheInitiationThatWireguardGoAnswered) {
  const auto& vector = test_vectors::kWireguardGoResponds;
  const LocalIdentity local(secret_from_hex<32>(vector.initiator_private));
  const RemoteIdentity remote =
      remote_of(local, public_key_of(secret_from_hex<32>(vector.responder_private)),
                secret_from_hex<32>(vector.psk));
  ScriptedRng rng(from_hex(vector.initiator_ephemeral_private));
  std::array<std::uint8_t, InitiationLayout::kSize> initiation;
  const auto state =
      create_initiation(local, remote, Suite::kChaCha20Poly1305, {vector.initiator_index},
                        array_from_hex<12>(vector.timestamp), rng, initiation);
  ASSERT_TRUE(state);
  CookieJar(remote.public_key).stamp(Instant::from_ns(0), initiation);
  EXPECT_EQ(to_vector(initiation), from_hex(vector.initiation));

  const auto keys = consume_response(local, remote, response_from_hex(vector.response), *state);
  ASSERT_TRUE(keys);
  const auto echo_reply = open_data(vector.first_data, keys->receive);
  ASSERT_GE(echo_reply.size(), 21U);
  EXPECT_EQ(echo_reply[0], 0x45);  // IPv4
  EXPECT_EQ(echo_reply[9], 1);     // ICMP
  EXPECT_EQ(echo_reply[20], 0);    // echo reply
}

TEST(NoiseVectors, AesHandshakeOfTheSecondImplementation) {
  const auto& vector = test_vectors::kAesHandshake;
  const LocalIdentity initiator(secret_from_hex<32>(vector.initiator_private));
  const LocalIdentity responder(secret_from_hex<32>(vector.responder_private));
  const PresharedKey psk = secret_from_hex<32>(vector.psk);
  const RemoteIdentity responder_remote = remote_of(initiator, responder.public_key(), psk);
  const RemoteIdentity initiator_remote = remote_of(responder, initiator.public_key(), psk);

  ScriptedRng rng(from_hex(vector.initiator_ephemeral_private));
  std::array<std::uint8_t, InitiationLayout::kSize> initiation;
  const auto state =
      create_initiation(initiator, responder_remote, Suite::kAes256Gcm, {vector.initiator_index},
                        array_from_hex<12>(vector.timestamp), rng, initiation);
  ASSERT_TRUE(state);
  CookieJar(responder.public_key()).stamp(Instant::from_ns(0), initiation);
  EXPECT_EQ(to_vector(initiation), from_hex(vector.initiation));

  auto opened = open_initiation(responder, Suite::kAes256Gcm, initiation);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->remote_static, initiator.public_key());
  ASSERT_TRUE(authenticate_initiation(initiator_remote, initiation, opened->state));
  ScriptedRng responder_rng(from_hex(vector.responder_ephemeral_private));
  std::array<std::uint8_t, ResponseLayout::kSize> response;
  const auto responder_keys = create_response(initiator_remote, {vector.responder_index},
                                              responder_rng, response, opened->state);
  ASSERT_TRUE(responder_keys);
  CookieJar(initiator.public_key()).stamp(Instant::from_ns(0), response);
  EXPECT_EQ(to_vector(response), from_hex(vector.response));

  const auto initiator_keys = consume_response(initiator, responder_remote, response, *state);
  ASSERT_TRUE(initiator_keys);
  for (const TransportKeys& keys :
       {*initiator_keys, TransportKeys{responder_keys->receive, responder_keys->send,
                                       responder_keys->handshake_hash}}) {
    EXPECT_EQ(to_vector(keys.send.span()), from_hex(vector.initiator_sends_with));
    EXPECT_EQ(to_vector(keys.receive.span()), from_hex(vector.responder_sends_with));
    EXPECT_EQ(to_vector(keys.handshake_hash), from_hex(vector.handshake_hash));
  }
}

// --- both sides ours -------------------------------------------------------------------------

class NoiseTest : public testing::TestWithParam<Suite> {
 protected:
  NoiseTest() {
    PresharedKey psk;
    rng_.fill(psk.span());
    to_responder_ = remote_of(initiator_, responder_.public_key(), psk);
    to_initiator_ = remote_of(responder_, initiator_.public_key(), psk);
  }

  static PrivateKey draw_private(Rng& rng) {
    PrivateKey key;
    rng.fill(key.span());
    return key;
  }

  std::optional<InitiatorState> initiate(Suite suite) {
    return create_initiation(initiator_, to_responder_, suite, {7}, timestamp_, rng_, initiation_);
  }
  // The responder's part; empty at whichever step refuses.
  std::optional<TransportKeys> respond(Suite suite) {
    auto opened = open_initiation(responder_, suite, initiation_);
    if (!opened || opened->remote_static != initiator_.public_key()) return std::nullopt;
    const auto timestamp = authenticate_initiation(to_initiator_, initiation_, opened->state);
    if (!timestamp || *timestamp != timestamp_) return std::nullopt;
    return create_response(to_initiator_, {8}, rng_, response_, opened->state);
  }

  SeededRng rng_{11};
  LocalIdentity initiator_{draw_private(rng_)};
  LocalIdentity responder_{draw_private(rng_)};
  RemoteIdentity to_responder_;
  RemoteIdentity to_initiator_;
  Tai64n timestamp_ = tai64n(WallTime::from_unix_ns(1'700'000'000'000'000'000));
  std::array<std::uint8_t, InitiationLayout::kSize> initiation_{};
  std::array<std::uint8_t, ResponseLayout::kSize> response_{};
};

TEST_P(NoiseTest, BothSidesDeriveTheSameKeys) {
  const auto state = initiate(GetParam());
  ASSERT_TRUE(state);
  EXPECT_EQ(initiation_[1], static_cast<std::uint8_t>(GetParam()));
  const auto theirs = respond(GetParam());
  ASSERT_TRUE(theirs);
  EXPECT_EQ(response_[1], static_cast<std::uint8_t>(GetParam()));
  const auto ours = consume_response(initiator_, to_responder_, response_, *state);
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->send, theirs->receive);
  EXPECT_EQ(ours->receive, theirs->send);
  EXPECT_NE(ours->send, ours->receive);
  EXPECT_EQ(ours->handshake_hash, theirs->handshake_hash);
}

TEST_P(NoiseTest, AnInitiationOfOneSuiteDoesNotOpenAsTheOther) {
  const Suite other = GetParam() == kSuites[0] ? kSuites[1] : kSuites[0];
  ASSERT_TRUE(initiate(GetParam()));
  EXPECT_FALSE(respond(other));
  initiation_[1] = static_cast<std::uint8_t>(other);  // as a rewriting network would
  EXPECT_FALSE(respond(other));
}

TEST_P(NoiseTest, AResponseOfOneSuiteDoesNotFinishTheOther) {
  const Suite other = GetParam() == kSuites[0] ? kSuites[1] : kSuites[0];
  auto state = initiate(GetParam());
  ASSERT_TRUE(state);
  ASSERT_TRUE(respond(GetParam()));
  state->suite = other;
  EXPECT_FALSE(consume_response(initiator_, to_responder_, response_, *state));
}

// Everything in a message that the handshake authenticates. Header, indices and macs are covered by
// mac1 instead.
TEST_P(NoiseTest, EveryFlippedBitOfTheInitiationIsRefused) {
  ASSERT_TRUE(initiate(GetParam()));
  const auto genuine = initiation_;
  for (std::size_t at = InitiationLayout::kEphemeral; at < InitiationLayout::kMac1; ++at) {
    for (unsigned bit = 0; bit < 8; bit += 3) {
      initiation_ = genuine;
      initiation_[at] = static_cast<std::uint8_t>(initiation_[at] ^ (1U << bit));
      ASSERT_FALSE(respond(GetParam())) << at << "." << bit;
    }
  }
  initiation_ = genuine;
  EXPECT_TRUE(respond(GetParam()));
}

TEST_P(NoiseTest, EveryFlippedBitOfTheResponseIsRefusedAndTheGenuineOneStillCounts) {
  const auto state = initiate(GetParam());
  ASSERT_TRUE(state);
  ASSERT_TRUE(respond(GetParam()));
  const auto genuine = response_;
  for (std::size_t at = ResponseLayout::kEphemeral; at < ResponseLayout::kMac1; ++at) {
    for (unsigned bit = 0; bit < 8; bit += 3) {
      response_ = genuine;
      response_[at] = static_cast<std::uint8_t>(response_[at] ^ (1U << bit));
      ASSERT_FALSE(consume_response(initiator_, to_responder_, response_, *state));
    }
  }
  EXPECT_TRUE(consume_response(initiator_, to_responder_, genuine, *state));
}

TEST_P(NoiseTest, AnotherPresharedKeyFailsAtTheResponse) {
  const auto state = initiate(GetParam());
  ASSERT_TRUE(state);
  to_initiator_.preshared_key = PresharedKey();
  ASSERT_TRUE(respond(GetParam()));
  EXPECT_FALSE(consume_response(initiator_, to_responder_, response_, *state));
}

TEST_P(NoiseTest, AStrangerCannotSpeakForAKnownStaticKey) {
  // Seals the victim's public key as its own, but does not know the static-static agreement.
  RemoteIdentity forged = to_responder_;
  rng_.fill(forged.static_static.span());
  ASSERT_TRUE(
      create_initiation(initiator_, forged, GetParam(), {7}, timestamp_, rng_, initiation_));
  auto opened = open_initiation(responder_, GetParam(), initiation_);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->remote_static, initiator_.public_key());
  EXPECT_FALSE(authenticate_initiation(to_initiator_, initiation_, opened->state));
}

TEST_P(NoiseTest, AnEphemeralKeyOfLowOrderIsRefused) {
  ASSERT_TRUE(initiate(GetParam()));
  std::fill_n(initiation_.begin() + InitiationLayout::kEphemeral, kKeyBytes, std::uint8_t{0});
  EXPECT_FALSE(open_initiation(responder_, GetParam(), initiation_));

  const auto state = initiate(GetParam());
  ASSERT_TRUE(respond(GetParam()));
  std::fill_n(response_.begin() + ResponseLayout::kEphemeral, kKeyBytes, std::uint8_t{0});
  EXPECT_FALSE(consume_response(initiator_, to_responder_, response_, *state));
}

TEST_P(NoiseTest, AnInitiationForAnotherIsNotOurs) {
  ASSERT_TRUE(initiate(GetParam()));
  const LocalIdentity other(draw_private(rng_));
  EXPECT_FALSE(open_initiation(other, GetParam(), initiation_));
}

INSTANTIATE_TEST_SUITE_P(Suites, NoiseTest, testing::ValuesIn(kSuites), [](const auto& parameter) {
  return std::string(suite_name(parameter.param));
});

}  // namespace
}  // namespace ringway::tunnel
