#include "dataplane/tunnel/crypto_batch.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include <sodium.h>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "dataplane/tunnel/ipsec_mb.hpp"
#include "dataplane/tunnel/openssl_aead.hpp"
#include "tests/unit/counted_allocations.hpp"

namespace ringway::tunnel {

void PrintTo(Suite suite, std::ostream* out) {
  *out << suite_name(suite);
}

namespace {

using Selection = CryptoBatch::Selection;

constexpr Suite kSuites[] = {Suite::kChaCha20Poly1305, Suite::kAes256Gcm};
constexpr Selection kSelections[] = {Selection::kIpsecMbOnly, Selection::kOpenSslOnly,
                                     Selection::kMeasure};

std::vector<std::uint8_t> from_hex(std::string_view hex) {
  std::vector<std::uint8_t> bytes(hex.size() / 2);
  EXPECT_EQ(
      sodium_hex2bin(bytes.data(), bytes.size(), hex.data(), hex.size(), " ", nullptr, nullptr), 0);
  return bytes;
}

SecretBytes<kKeyBytes> random_secret(Rng& rng) {
  SecretBytes<kKeyBytes> key;
  rng.fill(key.span());
  return key;
}

// A message with room for its tag.
struct Message {
  Message(const BulkKey& key, std::uint64_t counter, std::vector<std::uint8_t> text)
      : bytes(std::move(text)) {
    bytes.resize(bytes.size() + kTagBytes);
    job = {&key,  bytes.data(), static_cast<std::uint32_t>(bytes.size() - kTagBytes),
           false, key.suite(),  counter};
  }
  Message(const Message& other) : bytes(other.bytes), job(other.job) { job.text = bytes.data(); }
  Message& operator=(const Message&) = delete;

  bool open(CryptoBatch& batch) {
    job.ok = true;
    batch.open({&job, 1});
    return job.ok;
  }
  void seal(CryptoBatch& batch) { batch.seal({&job, 1}); }
  [[nodiscard]] std::vector<std::uint8_t> text() const {
    return {bytes.begin(), bytes.end() - kTagBytes};
  }

  std::vector<std::uint8_t> bytes;
  AeadJob job;
};

std::vector<std::uint8_t> random_text(Rng& rng, std::size_t size) {
  std::vector<std::uint8_t> text(size);
  rng.fill(text);
  return text;
}

// ---- Vectors from outside ----

// The AES-256 cases of McGrew and Viega's GCM specification as submitted to NIST whose nonce is
// zero, as our counter 0 makes it: test cases 13 and 14.
TEST(CryptoBatch, MatchesTheGcmSpecificationsVectors) {
  const BulkKey key(Suite::kAes256Gcm, SecretBytes<kKeyBytes>());
  for (const Selection selection : kSelections) {
    CryptoBatch batch(selection);
    Message empty(key, 0, {});
    empty.seal(batch);
    EXPECT_EQ(empty.bytes, from_hex("530f8afbc74536b9a963b4f1c4cb738b"));
    Message block(key, 0, std::vector<std::uint8_t>(16));
    block.seal(batch);
    EXPECT_EQ(block.bytes,
              from_hex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"));
    EXPECT_TRUE(block.open(batch));
    EXPECT_EQ(block.text(), std::vector<std::uint8_t>(16));
  }
}

struct EngineVector {
  Suite suite;
  std::string_view key, nonce, plaintext, sealed;
};

// Test case 15 of the GCM specification, whose nonce is not of our shape: the engines themselves.
const EngineVector kGcmCase15{Suite::kAes256Gcm,
                              "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
                              "cafebabefacedbaddecaf888",
                              "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                              "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
                              "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                              "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
                              "b094dac5d93471bdec1a502270e3cc6c"};

std::vector<std::uint8_t> seal_by_openssl(const EngineVector& vector) {
  OpensslAead openssl;
  auto text = from_hex(vector.plaintext);
  const auto size = static_cast<std::uint32_t>(text.size());
  text.resize(size + kTagBytes);
  EXPECT_TRUE(openssl.seal(vector.suite, from_hex(vector.key).data(), from_hex(vector.nonce).data(),
                           text.data(), size));
  return text;
}

std::vector<std::uint8_t> seal_by_ipsec_mb(IpsecMb& library, const EngineVector& vector) {
  const auto key = from_hex(vector.key);
  auto text = from_hex(vector.plaintext);
  const auto size = static_cast<std::uint32_t>(text.size());
  text.resize(size + kTagBytes);
  NonceSlot nonce{};
  std::ranges::copy(from_hex(vector.nonce), nonce.bytes.begin());
  if (vector.suite == Suite::kAes256Gcm) {
    alignas(64) gcm_key_data expanded;
    library.expand_key(key.data(), expanded);
    library.seal_gcm(expanded, nonce, text.data(), size);
  } else {
    ChaChaBurst burst(library.manager(), ChaChaBurst::Direction::kSeal, 1);
    burst.add(key.data(), nonce, text.data(), size, text.data() + size);
    EXPECT_TRUE(burst.submit());
  }
  return text;
}

TEST(BulkEngines, MatchTheGcmSpecificationsCase15) {
  const auto expected = from_hex(kGcmCase15.sealed);
  EXPECT_EQ(seal_by_openssl(kGcmCase15), expected);
  const auto library = IpsecMb::create();
  if (library == nullptr) GTEST_SKIP() << "this CPU cannot run ipsec-mb";
  EXPECT_EQ(seal_by_ipsec_mb(*library, kGcmCase15), expected);
}

// RFC 8439, section 2.8.2. Its message has additional data and data messages have none, so the
// ciphertext is the RFC's, and the tag is Poly1305 with the one-time key that the RFC states, over
// the padded ciphertext and the two lengths.
constexpr std::string_view kRfc8439Poly1305Key =
    "7bac2b252db447af09b67a55a4e955840ae1d6731075d9eb2a9375783ed553ff";
constexpr std::string_view kRfc8439Ciphertext =
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
    "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
    "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
    "3ff4def08e4b7a9de576d26586cec64b6116";
const EngineVector kRfc8439{Suite::kChaCha20Poly1305,
                            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
                            "070000004041424344454647",
                            "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
                            "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
                            "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
                            "637265656e20776f756c642062652069742e",
                            kRfc8439Ciphertext};

std::vector<std::uint8_t> rfc8439_sealed_without_additional_data() {
  auto sealed = from_hex(kRfc8439Ciphertext);
  auto authenticated = sealed;
  authenticated.resize((sealed.size() + 15) / 16 * 16 + 16);
  store_le<std::uint64_t>(authenticated.data() + authenticated.size() - 8, sealed.size());
  std::array<std::uint8_t, kTagBytes> tag;
  crypto_onetimeauth_poly1305(tag.data(), authenticated.data(), authenticated.size(),
                              from_hex(kRfc8439Poly1305Key).data());
  sealed.insert(sealed.end(), tag.begin(), tag.end());
  return sealed;
}

TEST(BulkEngines, MatchRfc8439) {
  const auto expected = rfc8439_sealed_without_additional_data();
  EXPECT_EQ(seal_by_openssl(kRfc8439), expected);
  const auto library = IpsecMb::create();
  if (library == nullptr) GTEST_SKIP() << "this CPU cannot run ipsec-mb";
  EXPECT_EQ(seal_by_ipsec_mb(*library, kRfc8439), expected);
}

// ---- Agreement ----

TEST(CryptoBatch, ChaChaAgreesWithLibsodiumAtLargeCounters) {
  SeededRng rng(1);
  const auto raw_key = random_secret(rng);
  const BulkKey key(Suite::kChaCha20Poly1305, raw_key);
  for (const Selection selection : kSelections) {
    CryptoBatch batch(selection);
    for (const std::uint64_t counter : {std::uint64_t{0}, std::uint64_t{1},
                                        std::uint64_t{0x0123456789abcdef}, UINT64_MAX - 9000}) {
      const auto text = random_text(rng, 100);
      std::array<std::uint8_t, 12> nonce{};
      store_le(nonce.data() + 4, counter);
      std::vector<std::uint8_t> expected(text.size() + kTagBytes);
      crypto_aead_chacha20poly1305_ietf_encrypt(expected.data(), nullptr, text.data(), text.size(),
                                                nullptr, 0, nullptr, nonce.data(), raw_key.data());
      Message message(key, counter, text);
      message.seal(batch);
      EXPECT_EQ(message.bytes, expected);
    }
  }
}

// WireGuard and Noise: little-endian for ChaCha20-Poly1305, big-endian for AES-GCM.
TEST(CryptoBatch, GcmNonceIsTheCounterInNetworkOrder) {
  SeededRng rng(10);
  const auto raw_key = random_secret(rng);
  const BulkKey key(Suite::kAes256Gcm, raw_key);
  for (const Selection selection : kSelections) {
    CryptoBatch batch(selection);
    const auto text = random_text(rng, 100);
    Message message(key, 0x0123456789abcdef, text);
    message.seal(batch);
    auto expected = text;
    expected.resize(text.size() + kTagBytes);
    ASSERT_TRUE(OpensslAead().seal(Suite::kAes256Gcm, raw_key.data(),
                                   from_hex("000000000123456789abcdef").data(), expected.data(),
                                   100));
    EXPECT_EQ(message.bytes, expected);
  }
}

class BothSuites : public testing::TestWithParam<Suite> {};
INSTANTIATE_TEST_SUITE_P(CryptoBatch, BothSuites, testing::ValuesIn(kSuites),
                         [](const auto& param) { return std::string(suite_name(param.param)); });

TEST_P(BothSuites, EnginesAgreeAtEveryLength) {
  SeededRng rng(2);
  const BulkKey key(GetParam(), random_secret(rng));
  CryptoBatch one(Selection::kIpsecMbOnly);
  CryptoBatch other(Selection::kOpenSslOnly);
  std::vector<std::size_t> lengths(2101);
  for (std::size_t i = 0; i < lengths.size(); ++i)
    lengths[i] = i;
  lengths.insert(lengths.end(), {4096, 9000, 65519, 65520, 65535});
  for (const std::size_t length : lengths) {
    const std::uint64_t counter = rng.next_u64();
    const auto text = random_text(rng, length);
    Message by_one(key, counter, text);
    Message by_other = by_one;
    by_one.seal(one);
    by_other.seal(other);
    ASSERT_EQ(by_one.bytes, by_other.bytes) << length;
    ASSERT_TRUE(by_one.open(other)) << length;
    ASSERT_EQ(by_one.text(), text) << length;
    ASSERT_TRUE(by_other.open(one)) << length;
    ASSERT_EQ(by_other.text(), text) << length;
  }
}

TEST_P(BothSuites, TouchesNothingBeyondTextAndTag) {
  SeededRng rng(3);
  const BulkKey key(GetParam(), random_secret(rng));
  constexpr std::size_t kMargin = 128;
  for (const Selection selection : kSelections) {
    CryptoBatch batch(selection);
    for (std::size_t length = 0; length < 300; ++length) {
      std::vector<std::uint8_t> memory(kMargin + length + kTagBytes + kMargin, 0xa5);
      AeadJob job{
          &key, memory.data() + kMargin, static_cast<std::uint32_t>(length), false, key.suite(), 7};
      const auto margins_intact = [&] {
        const auto is_margin = [](std::uint8_t byte) { return byte == 0xa5; };
        return std::all_of(memory.begin(), memory.begin() + kMargin, is_margin) &&
               std::all_of(memory.end() - kMargin, memory.end(), is_margin);
      };
      batch.seal({&job, 1});
      ASSERT_TRUE(margins_intact()) << length;
      batch.open({&job, 1});
      ASSERT_TRUE(margins_intact()) << length;
      ASSERT_TRUE(job.ok);
    }
  }
}

// ---- Refusals ----

TEST_P(BothSuites, RefusesEveryFlippedBit) {
  SeededRng rng(4);
  const BulkKey key(GetParam(), random_secret(rng));
  for (const Selection selection : kSelections) {
    CryptoBatch batch(selection);
    for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{64}}) {
      Message sealed(key, 3, random_text(rng, length));
      sealed.seal(batch);
      for (std::size_t bit = 0; bit < sealed.bytes.size() * 8; ++bit) {
        Message flipped = sealed;
        auto& byte = flipped.bytes[bit / 8];
        byte = static_cast<std::uint8_t>(byte ^ 1U << bit % 8);
        ASSERT_FALSE(flipped.open(batch)) << "length " << length << " bit " << bit;
      }
      EXPECT_TRUE(sealed.open(batch));
    }
  }
}

TEST_P(BothSuites, RefusesWrongCounterKeyLengthAndSuite) {
  SeededRng rng(5);
  const auto raw_key = random_secret(rng);
  const Suite other_suite =
      GetParam() == Suite::kAes256Gcm ? Suite::kChaCha20Poly1305 : Suite::kAes256Gcm;
  const BulkKey key(GetParam(), raw_key);
  const BulkKey other_key(GetParam(), random_secret(rng));
  const BulkKey key_of_other_suite(other_suite, raw_key);
  for (const Selection selection : kSelections) {
    CryptoBatch batch(selection);
    Message sealed(key, 1000, random_text(rng, 80));
    sealed.seal(batch);
    for (unsigned bit = 0; bit < 64; ++bit) {
      Message wrong = sealed;
      wrong.job.counter ^= std::uint64_t{1} << bit;
      EXPECT_FALSE(wrong.open(batch)) << bit;
    }
    Message wrong_key = sealed;
    wrong_key.job.key = &other_key;
    EXPECT_FALSE(wrong_key.open(batch));
    Message wrong_suite = sealed;
    wrong_suite.job.key = &key_of_other_suite;
    wrong_suite.job.suite = other_suite;
    EXPECT_FALSE(wrong_suite.open(batch));
    Message shorter = sealed;
    --shorter.job.text_bytes;
    EXPECT_FALSE(shorter.open(batch));
    EXPECT_TRUE(sealed.open(batch));
  }
}

// A new session's key may lie where an erased one's lay.
TEST_P(BothSuites, TakesANewKeyAtAnOldAddressForNew) {
  SeededRng rng(9);
  for (const Selection selection : kSelections) {
    CryptoBatch batch(selection);
    for (int i = 0; i < 50; ++i) {
      const auto key = std::make_unique<BulkKey>(GetParam(), random_secret(rng));
      const auto text = random_text(rng, 40);
      Message message(*key, 1, text);
      message.seal(batch);
      CryptoBatch other(Selection::kOpenSslOnly);
      ASSERT_TRUE(message.open(other));
      ASSERT_EQ(message.text(), text);
      message.seal(batch);
      ASSERT_TRUE(message.open(batch));
    }
  }
}

// ---- Batches ----

// Random suites, keys, sizes; some messages spoilt. Each job must get its own answer.
TEST(CryptoBatch, MixedBatchesAnswerForEachJob) {
  SeededRng rng(6);
  std::vector<std::unique_ptr<BulkKey>> keys;
  for (int i = 0; i < 9; ++i) {
    keys.push_back(std::make_unique<BulkKey>(kSuites[i % 2], random_secret(rng)));
  }
  for (const Selection selection : kSelections) {
    CryptoBatch sealer(selection);
    CryptoBatch opener(Selection::kOpenSslOnly);
    CryptoBatch opener_too(Selection::kIpsecMbOnly);
    for (const std::size_t count : {0U, 1U, 2U, 63U, 64U, 65U, 128U, 300U}) {
      std::vector<std::vector<std::uint8_t>> texts;
      std::vector<Message> messages;
      for (std::size_t i = 0; i < count; ++i) {
        texts.push_back(random_text(rng, rng.below(4) == 0 ? rng.below(9000) : rng.below(200)));
        messages.emplace_back(*keys[rng.below(keys.size())], rng.next_u64(), texts.back());
      }
      std::vector<AeadJob> jobs;
      for (const Message& message : messages)
        jobs.push_back(message.job);
      sealer.seal(jobs);
      std::vector<bool> spoilt(count);
      for (std::size_t i = 0; i < count; ++i) {
        spoilt[i] = rng.below(3) == 0;
        if (spoilt[i]) messages[i].bytes[rng.below(messages[i].bytes.size())] ^= 0x10;
      }
      std::vector<Message> copies = messages;
      std::vector<AeadJob> copied_jobs;
      for (const Message& copy : copies)
        copied_jobs.push_back(copy.job);
      opener.open(jobs);
      opener_too.open(copied_jobs);
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(jobs[i].ok, !spoilt[i]) << i << " of " << count;
        ASSERT_EQ(copied_jobs[i].ok, !spoilt[i]) << i << " of " << count;
        if (spoilt[i]) continue;
        ASSERT_EQ(messages[i].text(), texts[i]);
        ASSERT_EQ(copies[i].text(), texts[i]);
      }
    }
  }
}

TEST(CryptoBatch, AllocatesNothing) {
  ASSERT_TRUE(testing_support::openssl_is_counted());
  SeededRng rng(7);
  const BulkKey chacha(Suite::kChaCha20Poly1305, random_secret(rng));
  const BulkKey gcm(Suite::kAes256Gcm, random_secret(rng));
  std::vector<Message> messages;
  for (std::size_t i = 0; i < 100; ++i) {
    messages.emplace_back(i % 2 == 0 ? chacha : gcm, i, random_text(rng, i * 30));
  }
  std::vector<AeadJob> jobs;
  for (const Message& message : messages)
    jobs.push_back(message.job);
  for (const Selection selection : kSelections) {
    CryptoBatch batch(selection);
    const std::uint64_t before = testing_support::allocations();
    batch.seal(jobs);
    batch.open(jobs);
    EXPECT_EQ(testing_support::allocations(), before) << batch.describe();
  }
}

TEST(CryptoBatch, ThreadsShareKeys) {
  SeededRng rng(8);
  const BulkKey chacha(Suite::kChaCha20Poly1305, random_secret(rng));
  const BulkKey gcm(Suite::kAes256Gcm, random_secret(rng));
  std::atomic<int> failures{0};
  const auto work = [&](std::uint64_t seed) {
    SeededRng own_rng(seed);
    CryptoBatch batch;
    for (std::uint64_t i = 0; i < 2000; ++i) {
      const auto text = random_text(own_rng, own_rng.below(300));
      Message message(i % 2 == 0 ? chacha : gcm, i, text);
      message.seal(batch);
      if (!message.open(batch) || message.text() != text) ++failures;
    }
  };
  std::thread first(work, 1);
  std::thread second(work, 2);
  first.join();
  second.join();
  EXPECT_EQ(failures, 0);
}

TEST(CryptoBatch, DescribesItsChoice) {
  EXPECT_EQ(CryptoBatch(Selection::kOpenSslOnly).describe(),
            "chacha20poly1305: OpenSSL; aes256gcm: OpenSSL");
  const std::string measured = CryptoBatch(Selection::kMeasure).describe();
  EXPECT_NE(measured.find("aes256gcm: "), std::string::npos) << measured;
}

TEST(BulkKey, TenThousandSessionsFitInAHundredMegabytes) {
  constexpr std::size_t kSessions = 10'000;
  std::vector<std::unique_ptr<BulkKey>> keys;
  keys.reserve(2 * kSessions);
  const std::uint64_t before = testing_support::allocated_bytes();
  for (std::size_t i = 0; i < 2 * kSessions; ++i) {
    keys.push_back(std::make_unique<BulkKey>(kSuites[i % 2], SecretBytes<kKeyBytes>()));
  }
  EXPECT_GT(testing_support::allocated_bytes() - before, 2 * kSessions * kKeyBytes);
  EXPECT_LT(testing_support::allocated_bytes() - before, 100'000'000U);
}

}  // namespace
}  // namespace ringway::tunnel
