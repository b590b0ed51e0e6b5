// Two nodes that know each other, for the tests of Handshaker: virtual time, seeded randomness, and
// outputs that are kept until a test looks at them.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/tunnel/handshaker.hpp"
#include "dataplane/tunnel/primitives.hpp"
#include "tests/unit/handshake_test_support.hpp"

namespace ringway::tunnel {

inline constexpr PeerId kPeer{3};
inline constexpr unsigned kSlotBits = 10;
inline constexpr Suite kSuites[] = {Suite::kChaCha20Poly1305, Suite::kAes256Gcm};
inline const WallTime kStartOfWall = WallTime::from_unix_ns(1'700'000'000'000'000'000);

inline Suite other_than(Suite suite) {
  return suite == Suite::kChaCha20Poly1305 ? Suite::kAes256Gcm : Suite::kChaCha20Poly1305;
}
inline Duration ms(std::int64_t count) {
  return Duration::milliseconds(count);
}
inline Duration seconds(std::int64_t count) {
  return Duration::seconds(count);
}

// A handshaker with the part of its caller that matters here: it keeps what came out.
struct Node {
  Node(const PrivateKey& private_key, std::uint64_t seed, const char* address,
       Tai64n last_sent = {})
      : rng(seed), indices(kSlotBits, rng), handshaker(private_key, last_sent, indices, rng) {
    source.remote = net::Endpoint::parse(address).value();
  }

  // Takes the outputs; the messages among them stay in `sent`.
  void drain() {
    HandshakeOutput output;
    while (handshaker.poll_output(output)) {
      if (auto* to_peer = std::get_if<handshake_output::SendToPeer>(&output)) {
        sent.push_back(to_peer->message);
      } else if (auto* to = std::get_if<handshake_output::SendTo>(&output)) {
        sent.push_back(to->message);
        answered.push_back(to->to);
      } else if (auto* install = std::get_if<handshake_output::InstallSession>(&output)) {
        sessions.push_back(std::move(install->keys));
      } else if (std::holds_alternative<handshake_output::GaveUp>(output)) {
        ++gave_up;
      } else if (std::holds_alternative<handshake_output::EraseSessions>(output)) {
        ++erased;
      } else if (auto* seen = std::get_if<handshake_output::EndpointSeen>(&output)) {
        endpoints.push_back(seen->from.remote);
      } else if (auto* stamp = std::get_if<handshake_output::TimestampSent>(&output)) {
        timestamps_sent.push_back(stamp->timestamp);
      } else if (auto* received = std::get_if<handshake_output::TimestampReceived>(&output)) {
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

inline PrivateKey draw_private(Rng& rng) {
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

}  // namespace ringway::tunnel
