#include "dataplane/tunnel/primitives.hpp"

#include <string>

#include <sodium.h>

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/sha.h>

#include "dataplane/tunnel/edwards_map.hpp"
#include "dataplane/tunnel/hkdf.hpp"
#include "tests/unit/handshake_test_support.hpp"

namespace ringway::tunnel {
namespace {

using test_support::array_from_hex;
using test_support::bytes_of;
using test_support::from_hex;
using test_support::secret_from_hex;
using test_support::to_vector;

std::vector<std::uint8_t> blake2s_of(ConstBytes data, std::size_t digest_bytes = 32,
                                     ConstBytes key = {}) {
  Blake2s hash(digest_bytes, key);
  hash.update(data);
  std::vector<std::uint8_t> digest(digest_bytes);
  hash.finish(digest.data());
  return digest;
}

std::vector<std::uint8_t> random_bytes(Rng& rng, std::size_t count) {
  std::vector<std::uint8_t> bytes(count);
  rng.fill(bytes);
  return bytes;
}

// --- BLAKE2s ---------------------------------------------------------------------------------

TEST(Blake2s, Rfc7693AppendixB) {
  EXPECT_EQ(blake2s_of(bytes_of("abc")),
            from_hex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"));
}

// The self-test of RFC 7693, appendix E: a hash over hashes, plain and keyed, of several digest and
// input lengths on both sides of a block.
TEST(Blake2s, Rfc7693SelfTest) {
  const auto sequence = [](std::size_t length, std::size_t seed) {
    std::uint32_t a = 0xdead4bad * static_cast<std::uint32_t>(seed);
    std::uint32_t b = 1;
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i < length; ++i) {
      const std::uint32_t sum = a + b;
      a = b;
      b = sum;
      bytes.push_back(static_cast<std::uint8_t>(sum >> 24));
    }
    return bytes;
  };
  Blake2s all;
  for (const std::size_t digest_bytes : {16U, 20U, 28U, 32U}) {
    for (const std::size_t input_bytes : {0U, 3U, 64U, 65U, 255U, 1024U}) {
      const auto input = sequence(input_bytes, input_bytes);
      all.update(blake2s_of(input, digest_bytes));
      all.update(blake2s_of(input, digest_bytes, sequence(digest_bytes, digest_bytes)));
    }
  }
  EXPECT_EQ(to_vector(all.finish()),
            from_hex("6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe"));
}

TEST(Blake2s, AgreesWithOpenSslForEveryLengthAndSplit) {
  SeededRng rng(1);
  for (std::size_t length = 0; length <= 300; ++length) {
    const auto data = random_bytes(rng, length);
    std::uint8_t expected[32];
    ASSERT_EQ(EVP_Digest(data.data(), data.size(), expected, nullptr, EVP_blake2s256(), nullptr),
              1);
    const std::size_t cut = rng.below(length + 1);
    Blake2s hash;
    hash.update(ConstBytes(data).first(cut));
    hash.update(ConstBytes(data).subspan(cut));
    ASSERT_EQ(to_vector(hash.finish()), to_vector(expected)) << length << " cut at " << cut;
  }
}

// --- HMAC and HKDF ---------------------------------------------------------------------------

// Every number of messages up to more than two full vectors of sixteen.
TEST(Blake2sMac, AgreesWithTheMacThatAbsorbsItsKeyEachTime) {
  SeededRng rng(32);
  std::array<std::uint8_t, 32> key{};
  rng.fill(key);
  const Blake2sMac keyed(key);
  std::array<std::array<std::uint8_t, 200>, 35> messages{};
  std::array<const std::uint8_t*, 35> starts{};
  for (std::size_t i = 0; i < messages.size(); ++i) {
    rng.fill(messages[i]);
    starts[i] = messages[i].data();
  }
  for (std::size_t length = 1; length <= messages[0].size(); ++length) {
    const std::size_t count = length % (messages.size() + 1);
    std::array<Mac, 35> macs{};
    keyed.sign_each(std::span(starts).first(count), length, macs);
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_EQ(macs[i], blake2s_mac(key, {starts[i], length}))
          << length << ", " << i << " of " << count;
    for (std::size_t i = count; i < macs.size(); ++i)
      ASSERT_EQ(macs[i], Mac{}) << "past the end";
  }
}

// SHA-256 in the shape of Blake2s, for the vectors of RFC 4231 and RFC 5869.
class Sha256 {
 public:
  static constexpr std::size_t kDigestBytes = 32;
  static constexpr std::size_t kBlockBytes = 64;
  using Digest = std::array<std::uint8_t, kDigestBytes>;

  void update(ConstBytes data) { absorbed_.insert(absorbed_.end(), data.begin(), data.end()); }
  void commit_block() {}
  void finish(std::uint8_t* digest) { SHA256(absorbed_.data(), absorbed_.size(), digest); }

 private:
  std::vector<std::uint8_t> absorbed_;
};

std::vector<std::uint8_t> counting(std::uint8_t first, std::size_t count) {
  std::vector<std::uint8_t> bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::uint8_t>(first + i);
  return bytes;
}

struct HkdfCase {
  std::vector<std::uint8_t> input, salt, info;
  const char* pseudorandom_key;
  const char* output;
};

TEST(Hkdf, Rfc5869Vectors) {
  const std::vector<std::uint8_t> elevens(22, 0x0b);
  const HkdfCase cases[] = {
      {elevens, counting(0x00, 13), counting(0xf0, 10),
       "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
       "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
      {counting(0x00, 80), counting(0x60, 80), counting(0xb0, 80),
       "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
       "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e"
       "590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
      {elevens,
       {},
       {},
       "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
       "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
  };
  for (const HkdfCase& test : cases) {
    Sha256::Digest pseudorandom_key;
    hmac<Sha256>(test.salt, test.input, pseudorandom_key.data());
    EXPECT_EQ(to_vector(pseudorandom_key), from_hex(test.pseudorandom_key));
    const auto expected = from_hex(test.output);
    std::vector<std::uint8_t> output(expected.size());
    hkdf<Sha256>(test.salt, test.input, test.info, output);
    EXPECT_EQ(output, expected);
  }
}

std::vector<std::uint8_t> openssl_hkdf_blake2s(ConstBytes salt, ConstBytes input,
                                               std::size_t length) {
  std::vector<std::uint8_t> output(length);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr);
  EXPECT_EQ(EVP_PKEY_derive_init(context), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set_hkdf_md(context, EVP_blake2s256()), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set1_hkdf_salt(context, salt.data(), static_cast<int>(salt.size())), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set1_hkdf_key(context, input.data(), static_cast<int>(input.size())), 1);
  EXPECT_EQ(EVP_PKEY_derive(context, output.data(), &length), 1);
  EVP_PKEY_CTX_free(context);
  return output;
}

TEST(Kdf, AgreesWithOpenSslForEachNumberOfOutputs) {
  SeededRng rng(2);
  for (int round = 0; round < 20; ++round) {
    SymmetricKey chaining_key;
    rng.fill(chaining_key.span());
    const auto input = random_bytes(rng, 32);
    const auto expected = openssl_hkdf_blake2s(chaining_key.span(), input, 96);
    const auto part = [&](std::size_t i) {
      return to_vector(ConstBytes(expected).subspan(32 * i, 32));
    };
    SymmetricKey first, second, third;
    kdf1(chaining_key, input, first);
    EXPECT_EQ(to_vector(first.span()), part(0));
    kdf2(chaining_key, input, first, second);
    EXPECT_EQ(to_vector(first.span()), part(0));
    EXPECT_EQ(to_vector(second.span()), part(1));
    kdf3(chaining_key, input, chaining_key, second, third);
    EXPECT_EQ(to_vector(chaining_key.span()), part(0));  // in place
    EXPECT_EQ(to_vector(second.span()), part(1));
    EXPECT_EQ(to_vector(third.span()), part(2));
  }
}

// The last derivation of a handshake has no input. OpenSSL's HKDF refuses that, its HMAC does not.
TEST(Kdf, EmptyInputIsHmacOfNothing) {
  SeededRng rng(3);
  SymmetricKey chaining_key, first;
  rng.fill(chaining_key.span());
  kdf1(chaining_key, {}, first);

  const auto openssl_hmac = [](ConstBytes key, ConstBytes message) {
    std::vector<std::uint8_t> mac(32);
    std::size_t length = 0;
    EXPECT_NE(EVP_Q_mac(nullptr, "HMAC", nullptr, "BLAKE2s256", nullptr, key.data(), key.size(),
                        message.data(), message.size(), mac.data(), mac.size(), &length),
              nullptr);
    return mac;
  };
  const std::uint8_t nothing[1] = {};
  const auto extracted = openssl_hmac(chaining_key.span(), ConstBytes(nothing).first(0));
  const std::uint8_t one[1] = {1};
  EXPECT_EQ(to_vector(first.span()), openssl_hmac(extracted, one));
}

// --- X25519 ----------------------------------------------------------------------------------

struct AgreementCase {
  const char* private_key;
  const char* public_key;
  const char* shared;
};

TEST(X25519, Rfc7748Vectors) {
  const AgreementCase cases[] = {
      {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
       "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
       "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
      {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
       "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
       "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
      {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
       "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
       "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
  };
  for (const AgreementCase& test : cases) {
    const X25519Key key(secret_from_hex<32>(test.private_key));
    SharedSecret shared;
    ASSERT_TRUE(key.agree(array_from_hex<32>(test.public_key), shared));
    EXPECT_EQ(to_vector(shared.span()), from_hex(test.shared));
  }
}

TEST(X25519, Rfc7748PublicKeys) {
  EXPECT_EQ(to_vector(public_key_of(secret_from_hex<32>(
                "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))),
            from_hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
  EXPECT_EQ(to_vector(public_key_of(secret_from_hex<32>(
                "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))),
            from_hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
}

TEST(X25519, PublicKeysAgreeWithOpenSsl) {
  SeededRng rng(8);
  for (int round = 0; round < 500; ++round) {
    PrivateKey private_key;
    rng.fill(private_key.span());
    if (round == 0) private_key.wipe();
    if (round == 1) std::fill_n(private_key.data(), 32, std::uint8_t{0xff});
    EVP_PKEY* key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, private_key.data(), 32);
    std::array<std::uint8_t, 32> expected;
    std::size_t length = expected.size();
    ASSERT_EQ(EVP_PKEY_get_raw_public_key(key, expected.data(), &length), 1);
    EVP_PKEY_free(key);
    ASSERT_EQ(public_key_of(private_key), expected);
  }
}

// Against OpenSSL's big numbers; the extremes make every carry and reduction happen.
TEST(EdwardsMap, AgreesWithBigNumberArithmetic) {
  std::vector<std::array<std::uint8_t, 32>> points = {{}, {1}, {2}, {3}, {18}, {19}, {20}};
  for (const unsigned low : {0xffU, 0xfeU, 0xefU, 0xeeU, 0xedU, 0xecU, 0xebU, 0xdaU, 0x00U}) {
    std::array<std::uint8_t, 32> point;
    point.fill(0xff);
    point[0] = static_cast<std::uint8_t>(low);
    points.push_back(point);
    point[31] = 0x7f;
    points.push_back(point);
  }
  SeededRng rng(9);
  for (int i = 0; i < 2000; ++i) {
    std::array<std::uint8_t, 32> point;
    rng.fill(point);
    points.push_back(point);
    // Runs of equal bits carry far.
    for (std::size_t j = 0; j < 32; ++j) {
      point[j] = static_cast<std::uint8_t>(rng.below(2) == 0 ? 0x00 : 0xff);
    }
    points.push_back(point);
  }

  BN_CTX* context = BN_CTX_new();
  BIGNUM *prime = BN_new(), *one = BN_new(), *y = BN_new(), *above = BN_new(), *below = BN_new();
  BN_set_bit(prime, 255);
  BN_sub_word(prime, 19);
  BN_one(one);
  for (const auto& point : points) {
    auto without_sign = point;
    without_sign[31] &= 0x7f;
    BN_lebin2bn(without_sign.data(), 32, y);
    BN_mod_add(above, one, y, prime, context);
    BN_mod_sub(below, one, y, prime, context);
    std::array<std::uint8_t, 32> expected{};
    if (!BN_is_zero(below)) {
      ASSERT_NE(BN_mod_inverse(below, below, prime, context), nullptr);
      BN_mod_mul(above, above, below, prime, context);
      BN_bn2lebinpad(above, expected.data(), 32);
    }
    ASSERT_EQ(edwards_to_montgomery(point), expected);
  }
  for (BIGNUM* number : {prime, one, y, above, below})
    BN_free(number);
  BN_CTX_free(context);
}

TEST(X25519, Rfc7748ThousandIterations) {
  std::array<std::uint8_t, 32> scalar{9};
  std::array<std::uint8_t, 32> point{9};
  for (int i = 0; i < 1000; ++i) {
    SharedSecret result;
    ASSERT_TRUE(X25519Key(PrivateKey(scalar)).agree(point, result));
    point = scalar;
    std::copy(result.span().begin(), result.span().end(), scalar.begin());
  }
  EXPECT_EQ(to_vector(scalar),
            from_hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

// The points of order 1, 2, 4 and 8, and those of their encodings that are not reduced.
TEST(X25519, RefusesPointsOfLowOrder) {
  SeededRng rng(4);
  const X25519Key key = X25519Key::generate(rng);
  for (const char* point : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
           "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
       }) {
    SharedSecret shared(
        array_from_hex<32>("4141414141414141414141414141414141414141414141414141414141414141"));
    EXPECT_FALSE(key.agree(array_from_hex<32>(point), shared)) << point;
    EXPECT_EQ(shared, SharedSecret()) << "must be wiped";
  }
  // And the key is still good for others.
  const X25519Key other = X25519Key::generate(rng);
  SharedSecret ours, theirs;
  EXPECT_TRUE(key.agree(other.public_key(), ours));
  EXPECT_TRUE(other.agree(key.public_key(), theirs));
  EXPECT_EQ(ours, theirs);
}

TEST(X25519, AgreesWithLibsodiumForAlternatingPeers) {
  SeededRng rng(5);
  const auto private_bytes = random_bytes(rng, 32);
  const X25519Key key(PrivateKey(std::span<const std::uint8_t, 32>(private_bytes.data(), 32)));
  for (int round = 0; round < 200; ++round) {
    PublicKey point;
    rng.fill(point);
    std::uint8_t expected[32];
    ASSERT_EQ(crypto_scalarmult_curve25519(expected, private_bytes.data(), point.data()), 0);
    SharedSecret shared;
    ASSERT_TRUE(key.agree(point, shared));
    ASSERT_EQ(to_vector(shared.span()), to_vector(expected));
  }
}

// --- AEAD ------------------------------------------------------------------------------------

struct AeadCase {
  Suite suite;
  const char* key;
  std::uint64_t counter;
  const char* associated;
  std::vector<std::uint8_t> plaintext;
  const char* sealed;
};

const std::string kRfc8439Text =
    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
    "replaced, or obsoleted by other documents at any time. It is inappropriate to use "
    "Internet-Drafts as reference material or to cite them other than as /\xe2\x80\x9cwork in "
    "progress./\xe2\x80\x9d";

// RFC 8439 appendix A.5, whose nonce has Noise's layout; the Galois/Counter Mode specification
// (McGrew and Viega), test cases 13 and 14, whose nonce is zero.
const AeadCase kAeadCases[] = {
    {Suite::kChaCha20Poly1305, "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
     0x0807060504030201, "f33388860000000000004e91", to_vector(bytes_of(kRfc8439Text)),
     "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d"
     "26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1"
     "ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b"
     "5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea"
     "1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d36"
     "1094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336"
     "fea1851f38"},
    {Suite::kAes256Gcm,
     "0000000000000000000000000000000000000000000000000000000000000000",
     0,
     "",
     {},
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {Suite::kAes256Gcm, "0000000000000000000000000000000000000000000000000000000000000000", 0, "",
     std::vector<std::uint8_t>(16),
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
};

TEST(Aead, PublishedVectors) {
  for (const AeadCase& test : kAeadCases) {
    const SymmetricKey key = secret_from_hex<32>(test.key);
    const auto associated = from_hex(test.associated);
    const auto expected = from_hex(test.sealed);
    std::vector<std::uint8_t> sealed(test.plaintext.size() + kTagBytes);
    aead_seal(test.suite, key, test.counter, associated, test.plaintext, sealed.data());
    EXPECT_EQ(sealed, expected);
    std::vector<std::uint8_t> opened(test.plaintext.size());
    EXPECT_TRUE(aead_open(test.suite, key, test.counter, associated, expected, opened.data()));
    EXPECT_EQ(opened, test.plaintext);
  }
}

TEST(Aead, GcmCounterIsBigEndian) {
  SeededRng rng(6);
  SymmetricKey key;
  rng.fill(key.span());
  const auto text = random_bytes(rng, 40);
  std::vector<std::uint8_t> sealed(text.size() + kTagBytes);
  aead_seal(Suite::kAes256Gcm, key, 0x0102, {}, text, sealed.data());

  std::uint8_t nonce[12] = {};
  nonce[10] = 1;
  nonce[11] = 2;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  std::vector<std::uint8_t> expected(text.size());
  int written = 0;
  ASSERT_EQ(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce), 1);
  ASSERT_EQ(EVP_EncryptUpdate(context, expected.data(), &written, text.data(),
                              static_cast<int>(text.size())),
            1);
  EVP_CIPHER_CTX_free(context);
  EXPECT_EQ(to_vector(ConstBytes(sealed).first(text.size())), expected);
}

TEST(Aead, EveryFlippedBitIsRefusedAndNothingLeaks) {
  SeededRng rng(7);
  for (const Suite suite : {Suite::kChaCha20Poly1305, Suite::kAes256Gcm}) {
    SymmetricKey key;
    rng.fill(key.span());
    const auto associated = random_bytes(rng, 32);
    const auto text = random_bytes(rng, 12);
    std::vector<std::uint8_t> sealed(text.size() + kTagBytes);
    aead_seal(suite, key, 0, associated, text, sealed.data());
    std::vector<std::uint8_t> opened(text.size());
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      auto damaged = sealed;
      damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1U << (bit % 8)));
      std::fill(opened.begin(), opened.end(), std::uint8_t{0xaa});
      ASSERT_FALSE(aead_open(suite, key, 0, associated, damaged, opened.data()));
      ASSERT_EQ(opened, std::vector<std::uint8_t>(text.size()));
    }
    ASSERT_FALSE(aead_open(suite, key, 1, associated, sealed, opened.data()));
    ASSERT_FALSE(aead_open(suite, key, 0, {}, sealed, opened.data()));
    ASSERT_TRUE(aead_open(suite, key, 0, associated, sealed, opened.data()));
    ASSERT_EQ(opened, text);
  }
}

// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
TEST(XAead, DraftVector) {
  const auto key =
      array_from_hex<32>("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const auto nonce = array_from_hex<24>("404142434445464748494a4b4c4d4e4f5051525354555657");
  const auto associated = from_hex("50515253c0c1c2c3c4c5c6c7");
  const std::string text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it.";
  const auto expected = from_hex(
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda"
      "7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b23835"
      "65d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49");
  std::vector<std::uint8_t> sealed(text.size() + kTagBytes);
  xaead_seal(key, nonce, associated, bytes_of(text), sealed.data());
  EXPECT_EQ(sealed, expected);
  std::vector<std::uint8_t> opened(text.size());
  EXPECT_TRUE(xaead_open(key, nonce, associated, sealed, opened.data()));
  EXPECT_EQ(opened, to_vector(bytes_of(text)));
  sealed[0] ^= 1;
  EXPECT_FALSE(xaead_open(key, nonce, associated, sealed, opened.data()));
}

// --- TAI64N ----------------------------------------------------------------------------------

TEST(Tai64n, CountsFromItsEpochAndRoundsNanosecondsDown) {
  EXPECT_EQ(to_vector(tai64n(WallTime::from_unix_ns(0))), from_hex("400000000000000a00000000"));
  // 2023-11-14T22:13:20Z and 999,999,999 ns: 59 whole steps of 2^24 ns.
  EXPECT_EQ(to_vector(tai64n(WallTime::from_unix_ns(1'700'000'000'999'999'999))),
            from_hex("400000006553f10a3b000000"));
  EXPECT_EQ(to_vector(tai64n(WallTime::from_unix_ns((1 << 24) - 1))),
            from_hex("400000000000000a00000000"));
  EXPECT_EQ(to_vector(tai64n(WallTime::from_unix_ns(1 << 24))),
            from_hex("400000000000000a01000000"));
}

TEST(Tai64n, BeforeTheUnixEpoch) {
  EXPECT_EQ(to_vector(tai64n(WallTime::from_unix_ns(-1))), from_hex("40000000000000093b000000"));
}

TEST(Tai64n, SuccessorIsAlwaysLaterAndCarriesIntoSeconds) {
  EXPECT_EQ(to_vector(tai64n_successor(array_from_hex<12>("400000006553f10a3b000000"))),
            from_hex("400000006553f10b00000000"));
  Tai64n timestamp = tai64n(WallTime::from_unix_ns(1'700'000'000'000'000'000));
  for (int i = 0; i < 200; ++i) {
    const Tai64n next = tai64n_successor(timestamp);
    ASSERT_GT(next, timestamp);
    timestamp = next;
  }
  // 200 steps of 60 a second.
  EXPECT_EQ(to_vector(timestamp), from_hex("400000006553f10d14000000"));
}

}  // namespace
}  // namespace ringway::tunnel
