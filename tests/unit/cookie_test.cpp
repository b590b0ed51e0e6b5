#include "dataplane/tunnel/cookie.hpp"

#include <gtest/gtest.h>

#include "dataplane/tunnel/primitives.hpp"
#include "tests/unit/handshake_test_support.hpp"
#include "tests/vectors/handshake_vectors.hpp"

namespace ringway::tunnel {
namespace {

using test_support::from_hex;
using test_support::secret_from_hex;

Instant at_ms(std::int64_t ms) {
  return Instant::from_ns(ms * 1'000'000);
}
Instant at_s(std::int64_t seconds) {
  return at_ms(seconds * 1000);
}
net::Endpoint endpoint(const char* text) {
  return net::Endpoint::parse(text).value();
}
net::IpAddress address(const char* text) {
  return net::IpAddress::parse(text).value();
}

class CookieTest : public testing::Test {
 protected:
  CookieTest() { rng_.fill(message_); }

  std::array<std::uint8_t, CookieReplyLayout::kSize> reply_at(Instant now,
                                                              const net::Endpoint& source) {
    std::array<std::uint8_t, CookieReplyLayout::kSize> reply;
    checker_.make_reply(now, message_, source, reply);
    return reply;
  }

  SeededRng rng_{21};
  PublicKey key_ = X25519Key::generate(rng_).public_key();
  CookieChecker checker_{key_, rng_};
  CookieJar jar_{key_};
  std::array<std::uint8_t, InitiationLayout::kSize> message_;
  net::Endpoint source_ = endpoint("192.0.2.1:51820");
};

TEST_F(CookieTest, StampedMessageHasAValidMac1AndNoMac2) {
  message_[0] = 1;
  message_[1] = message_[2] = message_[3] = 0;
  jar_.stamp(at_s(0), message_);
  EXPECT_TRUE(checker_.mac1_valid(message_));
  EXPECT_FALSE(checker_.mac2_valid(at_s(0), message_, source_));
  EXPECT_TRUE(std::all_of(message_.end() - kMacBytes, message_.end(),
                          [](std::uint8_t byte) { return byte == 0; }));
}

TEST_F(CookieTest, AnyFlippedBitBeforeMac2BreaksMac1) {
  jar_.stamp(at_s(0), message_);
  for (std::size_t at = 0; at < InitiationLayout::kMac2; ++at) {
    message_[at] ^= 1;
    ASSERT_FALSE(checker_.mac1_valid(message_)) << at;
    message_[at] ^= 1;
  }
  EXPECT_TRUE(checker_.mac1_valid(message_));
}

TEST_F(CookieTest, Mac1IsForOneReceiver) {
  jar_.stamp(at_s(0), message_);
  CookieChecker other(X25519Key::generate(rng_).public_key(), rng_);
  EXPECT_FALSE(other.mac1_valid(message_));
}

TEST_F(CookieTest, ReplyLetsTheNextMessagePass) {
  for (const char* text : {"192.0.2.1:51820", "[2001:db8::1]:51820"}) {
    const net::Endpoint source = endpoint(text);
    CookieJar jar(key_);
    jar.stamp(at_s(0), message_);
    EXPECT_FALSE(checker_.mac2_valid(at_s(0), message_, source));
    EXPECT_TRUE(jar.consume_reply(at_s(0), reply_at(at_s(0), source)));
    EXPECT_FALSE(checker_.mac2_valid(at_s(0), message_, source)) << "not the old message";
    jar.stamp(at_s(5), message_);
    EXPECT_TRUE(checker_.mac1_valid(message_));
    EXPECT_TRUE(checker_.mac2_valid(at_s(5), message_, source));
  }
}

TEST_F(CookieTest, ReplyNamesTheSenderAndKeepsTheSuite) {
  message_[1] = static_cast<std::uint8_t>(Suite::kAes256Gcm);
  jar_.stamp(at_s(0), message_);
  const auto reply = reply_at(at_s(0), source_);
  EXPECT_EQ(reply[0], 3);
  EXPECT_EQ(reply[1], 1);
  EXPECT_EQ(reply[2], 0);
  EXPECT_EQ(reply[3], 0);
  EXPECT_TRUE(std::equal(reply.begin() + 4, reply.begin() + 8, message_.begin() + 4));
  EXPECT_LT(reply.size(), ResponseLayout::kSize);
}

TEST_F(CookieTest, CookieIsBoundToAddressAndPort) {
  jar_.stamp(at_s(0), message_);
  ASSERT_TRUE(jar_.consume_reply(at_s(0), reply_at(at_s(0), source_)));
  jar_.stamp(at_s(1), message_);
  EXPECT_TRUE(checker_.mac2_valid(at_s(1), message_, source_));
  EXPECT_FALSE(checker_.mac2_valid(at_s(1), message_, endpoint("192.0.2.2:51820")));
  EXPECT_FALSE(checker_.mac2_valid(at_s(1), message_, endpoint("192.0.2.1:51821")));
  EXPECT_FALSE(checker_.mac2_valid(at_s(1), message_, endpoint("[2001:db8::1]:51820")));
}

TEST_F(CookieTest, SecretLives120Seconds) {
  jar_.stamp(at_s(0), message_);
  ASSERT_TRUE(jar_.consume_reply(at_s(0), reply_at(at_s(0), source_)));
  jar_.stamp(at_s(1), message_);
  EXPECT_TRUE(checker_.mac2_valid(at_ms(119'999), message_, source_));
  EXPECT_FALSE(checker_.mac2_valid(at_s(120), message_, source_));
}

TEST_F(CookieTest, WhatOneWorkerGaveIsGoodAtAllThatShareTheSeed) {
  CookieSeed seed;
  rng_.fill(seed.span());
  CookieChecker first(key_, seed, rng_);
  CookieChecker second(key_, seed, rng_);
  jar_.stamp(at_s(119), message_);
  std::array<std::uint8_t, CookieReplyLayout::kSize> reply;
  first.make_reply(at_s(119), message_, source_, reply);
  ASSERT_TRUE(jar_.consume_reply(at_s(119), reply));
  jar_.stamp(at_ms(119'500), message_);
  EXPECT_TRUE(second.mac2_valid(at_ms(119'500), message_, source_));
  EXPECT_FALSE(checker_.mac2_valid(at_ms(119'500), message_, source_)) << "a seed of its own";
  EXPECT_FALSE(second.mac2_valid(at_s(120), message_, source_)) << "all change it together";
}

TEST_F(CookieTest, HolderStopsUsingACookieAfter115Seconds) {
  jar_.stamp(at_s(0), message_);
  ASSERT_TRUE(jar_.consume_reply(at_s(0), reply_at(at_s(0), source_)));
  jar_.stamp(at_ms(114'999), message_);
  EXPECT_TRUE(checker_.mac2_valid(at_ms(114'999), message_, source_));
  jar_.stamp(at_s(115), message_);
  EXPECT_FALSE(checker_.mac2_valid(at_s(115), message_, source_));
}

TEST_F(CookieTest, AMac1IsAnsweredOnce) {
  EXPECT_FALSE(jar_.consume_reply(at_s(0), reply_at(at_s(0), source_))) << "nothing was sent";
  jar_.stamp(at_s(0), message_);
  const auto reply = reply_at(at_s(0), source_);
  EXPECT_TRUE(jar_.consume_reply(at_s(0), reply));
  EXPECT_FALSE(jar_.consume_reply(at_s(0), reply));
}

TEST_F(CookieTest, AReplyToAnEarlierMessageIsRefused) {
  jar_.stamp(at_s(0), message_);
  const auto reply = reply_at(at_s(0), source_);
  message_[50] ^= 1;
  jar_.stamp(at_s(5), message_);
  EXPECT_FALSE(jar_.consume_reply(at_s(5), reply));
}

TEST_F(CookieTest, ADamagedReplyIsRefusedAndTheGenuineOneStillCounts) {
  jar_.stamp(at_s(0), message_);
  auto reply = reply_at(at_s(0), source_);
  for (std::size_t at = CookieReplyLayout::kNonce; at < reply.size(); ++at) {
    reply[at] ^= 0x80;
    ASSERT_FALSE(jar_.consume_reply(at_s(0), reply)) << at;
    reply[at] ^= 0x80;
  }
  EXPECT_FALSE(jar_.consume_reply(at_s(0), ConstBytes(reply).first(63)));
  EXPECT_TRUE(jar_.consume_reply(at_s(0), reply));
}

TEST_F(CookieTest, NoTwoRepliesShareANonce) {
  jar_.stamp(at_s(0), message_);
  EXPECT_NE(reply_at(at_s(0), source_), reply_at(at_s(0), source_));
}

TEST(CookieVectors, ReadsWireguardGosReply) {
  const auto& vector = test_vectors::kWireguardGoResponds;
  CookieJar jar(public_key_of(secret_from_hex<32>(vector.responder_private)));
  auto initiation = from_hex(vector.initiation);
  jar.stamp(at_s(0), initiation);
  ASSERT_EQ(initiation, from_hex(vector.initiation));
  EXPECT_TRUE(jar.consume_reply(at_s(0), from_hex(vector.cookie_reply)));
}

TEST(CookieVectors, AcceptsMac1OfWireguardGo) {
  const auto& vector = test_vectors::kWireguardGoInitiates;
  SeededRng rng(22);
  const CookieChecker checker(public_key_of(secret_from_hex<32>(vector.responder_private)), rng);
  EXPECT_TRUE(checker.mac1_valid(from_hex(vector.initiation)));
  const CookieChecker initiators(public_key_of(secret_from_hex<32>(vector.initiator_private)), rng);
  EXPECT_TRUE(initiators.mac1_valid(from_hex(vector.response)));
}

// --- rate limiter ----------------------------------------------------------------------------

TEST(HandshakeRateLimiter, AllowsABurstOfFiveThenTwentyASecond) {
  SeededRng rng(23);
  HandshakeRateLimiter limiter(rng);
  const auto source = address("192.0.2.1");
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(limiter.allow(at_ms(0), source));
  EXPECT_FALSE(limiter.allow(at_ms(0), source));
  EXPECT_FALSE(limiter.allow(at_ms(49), source));
  EXPECT_TRUE(limiter.allow(at_ms(50), source));
  EXPECT_FALSE(limiter.allow(at_ms(51), source));

  int allowed = 0;
  for (int ms = 1000; ms < 11'000; ++ms)
    allowed += limiter.allow(at_ms(ms), source) ? 1 : 0;
  EXPECT_GE(allowed, 200);
  EXPECT_LE(allowed, 205);
}

TEST(HandshakeRateLimiter, ExhaustedSaysWhatAllowWouldAndTakesNothing) {
  SeededRng rng(27);
  HandshakeRateLimiter limiter(rng);
  const auto source = address("192.0.2.1");
  EXPECT_FALSE(limiter.exhausted(at_ms(0), source));
  for (int ms = 0; ms < 2000; ms += 7) {
    for (int again = 0; again < 3; ++again) {
      const bool exhausted = limiter.exhausted(at_ms(ms), source);
      ASSERT_EQ(exhausted, limiter.exhausted(at_ms(ms), source));
      ASSERT_EQ(limiter.allow(at_ms(ms), source), !exhausted) << ms;
    }
  }
  EXPECT_FALSE(limiter.exhausted(at_ms(2000), address("192.0.2.2")));
}

TEST(HandshakeRateLimiter, CountsIpv4AddressesAndIpv6Subnets) {
  SeededRng rng(24);
  HandshakeRateLimiter limiter(rng);
  const auto exhaust = [&](const char* text) {
    while (limiter.allow(at_ms(0), address(text))) {
    }
  };
  exhaust("192.0.2.1");
  EXPECT_TRUE(limiter.allow(at_ms(0), address("192.0.2.2")));
  exhaust("2001:db8:0:1::1");
  EXPECT_FALSE(limiter.allow(at_ms(0), address("2001:db8:0:1:ffff::2"))) << "the same /64";
  EXPECT_TRUE(limiter.allow(at_ms(0), address("2001:db8:0:2::1")));
}

TEST(HandshakeRateLimiter, AFullTableRefusesStrangersUntilBucketsAreIdle) {
  SeededRng rng(25);
  HandshakeRateLimiter limiter(rng, 64);
  const auto stranger = [](std::uint32_t number) {
    std::uint8_t bytes[4];
    store_be(bytes, 0xc6336400U + number);
    return net::IpAddress::v4(bytes);
  };
  int allowed = 0;
  for (std::uint32_t i = 0; i < 10'000; ++i)
    allowed += limiter.allow(at_ms(0), stranger(i)) ? 1 : 0;
  EXPECT_EQ(allowed, 64);
  EXPECT_TRUE(limiter.allow(at_ms(250), stranger(20'000)));
}

TEST(HandshakeRateLimiter, AFullTableThatReplacesKeepsNoStrangerOut) {
  SeededRng rng(26);
  HandshakeRateLimiter limiter(rng, 64, HandshakeRateLimiter::WhenFull::kReplace);
  const auto stranger = [](std::uint32_t number) {
    std::uint8_t bytes[4];
    store_be(bytes, 0xc6336400U + number);
    return net::IpAddress::v4(bytes);
  };
  for (std::uint32_t i = 0; i < 10'000; ++i)
    ASSERT_TRUE(limiter.allow(at_ms(0), stranger(i))) << i;
  // One that keeps asking is still held to its rate.
  int allowed = 0;
  for (int i = 0; i < 1000; ++i)
    allowed += limiter.allow(at_ms(0), stranger(20'000)) ? 1 : 0;
  EXPECT_EQ(allowed, 5);
}

}  // namespace
}  // namespace ringway::tunnel
