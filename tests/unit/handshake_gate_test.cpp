#include "dataplane/handshake_gate.hpp"

#include <array>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/tunnel/primitives.hpp"
#include "tests/unit/samples.hpp"

namespace ringway {
namespace {

using testing_support::kStart;

Instant at_ms(std::int64_t ms) {
  return kStart + Duration::milliseconds(ms);
}

class HandshakeGate : public testing::Test {
 protected:
  HandshakeGate() : key_(tunnel::X25519Key::generate(rng_)), worker_(options()) {}

  struct Worker {
    explicit Worker(const WorkerOptions& options) : state(options, inner, outer, link, rng) {}
    SeededRng rng{1};
    io::MemoryPort inner{{}};
    io::MemoryPort outer{{}};
    ControlLink link;
    WorkerState state;
  };
  WorkerOptions options() const {
    WorkerOptions options;
    options.own_key = key_.public_key();
    options.session_slot_bits = 8;
    options.max_peers = 16;
    options.crypto = tunnel::CryptoBatch::Selection::kOpenSslOnly;
    return options;
  }

  // An initiation without a cookie.
  void offer(Instant now, bool valid_mac1 = true) {
    std::array<std::uint8_t, tunnel::InitiationLayout::kSize> message{};
    rng_.fill(message);
    tunnel::emit_message_header(message.data(), tunnel::MessageType::kInitiation,
                                tunnel::Suite::kChaCha20Poly1305);
    tunnel::CookieJar(key_.public_key()).stamp(now, message);
    if (!valid_mac1) message[tunnel::InitiationLayout::kMac1] ^= 1;
    tunnel::MessageHeader header{};
    ASSERT_TRUE(tunnel::parse_message_header(message, header));
    offer_handshake(worker_.state, message, header, source_, now);
    admit_offered(worker_.state, now);
  }
  void offer_many(std::size_t count, Instant now) {
    for (std::size_t i = 0; i < count; ++i)
      offer(now);
  }
  void empty_ring() {
    while (worker_.link.handshakes.try_pop()) {
    }
  }
  [[nodiscard]] std::uint64_t demanded() const {
    return worker_.state.counters.drops.value(DropReason::kCookieDemanded);
  }

  SeededRng rng_{2};
  tunnel::X25519Key key_;
  Worker worker_;
  tunnel::DatagramSource source_{{net::IpAddress::parse("192.0.2.1").value(), 9}, {}, 0};
};

TEST_F(HandshakeGate, DemandsCookiesOnceTheRingIsCrowded) {
  offer_many(kUnderLoadHandshakes, at_ms(0));
  EXPECT_EQ(demanded(), 0U);
  offer(at_ms(0));
  EXPECT_EQ(demanded(), 1U);
  EXPECT_EQ(worker_.link.handshakes.size(), kUnderLoadHandshakes);
}

TEST_F(HandshakeGate, DemandEndsASecondAfterTheCrowd) {
  offer_many(kUnderLoadHandshakes + 1, at_ms(0));
  empty_ring();
  offer(at_ms(999));
  EXPECT_EQ(demanded(), 2U);
  offer(at_ms(1000));
  EXPECT_EQ(demanded(), 2U);
  EXPECT_EQ(worker_.link.handshakes.size(), 1U);
}

TEST_F(HandshakeGate, DemandLastsAsLongAsTheFlood) {
  offer_many(kUnderLoadHandshakes + 1, at_ms(0));
  empty_ring();
  // 1,000 a second, far beyond the hysteresis: none is let in between.
  for (int ms = 0; ms < 10'000; ++ms)
    offer(at_ms(ms));
  EXPECT_EQ(worker_.link.handshakes.size(), 0U);
  EXPECT_EQ(worker_.state.counters.under_load.value(), 1U);
  offer(at_ms(10'999));
  EXPECT_EQ(worker_.link.handshakes.size(), 1U);
}

TEST_F(HandshakeGate, AFewHandshakesDoNotProlongTheDemand) {
  offer_many(kUnderLoadHandshakes + 1, at_ms(0));
  empty_ring();
  for (int ms = 0; ms < 1000; ms += 10)
    offer(at_ms(ms));
  offer(at_ms(1000));
  EXPECT_EQ(worker_.link.handshakes.size(), 1U);
}

TEST_F(HandshakeGate, OnlyAValidMac1UsesRepliesUp) {
  offer_many(kUnderLoadHandshakes, at_ms(0));
  for (int i = 0; i < 100; ++i)
    offer(at_ms(0), false);
  EXPECT_EQ(worker_.state.counters.drops.value(DropReason::kBadMac1), 100U);
  for (int i = 0; i < 100; ++i)
    offer(at_ms(0));
  flush_cookie_replies(worker_.state);
  EXPECT_EQ(worker_.state.counters.cookie_replies.value(), 5U);
  EXPECT_EQ(demanded(), 100U);
  // Whose replies are used up is not hashed any more, and has a reply again when it is due.
  offer(at_ms(0), false);
  EXPECT_EQ(demanded(), 101U);
  offer(at_ms(50));
  flush_cookie_replies(worker_.state);
  EXPECT_EQ(worker_.state.counters.cookie_replies.value(), 6U);
}

}  // namespace
}  // namespace ringway
