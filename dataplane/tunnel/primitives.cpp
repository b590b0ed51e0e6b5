#include "dataplane/tunnel/primitives.hpp"

#include <sodium.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/check.hpp"
#include "dataplane/tunnel/edwards_map.hpp"
#include "dataplane/tunnel/hkdf.hpp"

namespace ringway::tunnel {
namespace {

constexpr std::size_t kAeadNonceBytes = 12;
using AeadNonce = std::array<std::uint8_t, kAeadNonceBytes>;
constexpr AeadNonce kZeroNonce{};
constexpr std::array<std::uint8_t, kKeyBytes> kZeroKey{};

struct OpenSslFree {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};

// A cipher context for one suite, keyed anew for every message and with zeros afterwards.
class AeadContext {
 public:
  AeadContext(const char* name, bool seal) : context_(EVP_CIPHER_CTX_new()) {
    const std::unique_ptr<EVP_CIPHER, OpenSslFree> cipher(EVP_CIPHER_fetch(nullptr, name, nullptr));
    CHECK(cipher != nullptr && context_ != nullptr);
    CHECK(EVP_CipherInit_ex2(context_.get(), cipher.get(), kZeroKey.data(), kZeroNonce.data(),
                             seal ? 1 : 0, nullptr) == 1);
  }

  void start(const SymmetricKey& key, const AeadNonce& nonce, ConstBytes associated) {
    rekey(key.data(), nonce);
    update(nullptr, associated);
  }
  void update(std::uint8_t* out, ConstBytes in) {
    if (in.empty()) return;
    int written = 0;
    CHECK(EVP_CipherUpdate(context_.get(), out, &written, in.data(), static_cast<int>(in.size())) ==
          1);
  }
  void seal_tag(std::uint8_t* tag) {
    int written = 0;
    CHECK(EVP_CipherFinal_ex(context_.get(), tag, &written) == 1 && written == 0);
    CHECK(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag) == 1);
    rekey(kZeroKey.data(), kZeroNonce);
  }
  [[nodiscard]] bool open_tag(const std::uint8_t* tag, std::uint8_t* out) {
    std::array<std::uint8_t, kTagBytes> expected{};
    std::memcpy(expected.data(), tag, kTagBytes);
    CHECK(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, expected.data()) ==
          1);
    int written = 0;
    const bool authentic = EVP_CipherFinal_ex(context_.get(), out, &written) == 1;
    if (!authentic) ERR_clear_error();
    rekey(kZeroKey.data(), kZeroNonce);
    return authentic;
  }

 private:
  void rekey(const std::uint8_t* key, const AeadNonce& nonce) {
    CHECK(EVP_CipherInit_ex2(context_.get(), nullptr, key, nonce.data(), -1, nullptr) == 1);
  }

  std::unique_ptr<EVP_CIPHER_CTX, OpenSslFree> context_;
};

struct AeadContexts {
  AeadContext seal[kSuiteCount] = {{"ChaCha20-Poly1305", true}, {"AES-256-GCM", true}};
  AeadContext open[kSuiteCount] = {{"ChaCha20-Poly1305", false}, {"AES-256-GCM", false}};
};
AeadNonce nonce_of(Suite suite, std::uint64_t counter) {
  AeadNonce nonce{};
  std::uint8_t* const position = nonce.data() + nonce.size() - sizeof counter;
  if (suite == Suite::kAes256Gcm) {
    store_be(position, counter);
  } else {
    store_le(position, counter);
  }
  return nonce;
}

AeadContexts& aead_contexts() {
  thread_local AeadContexts contexts;
  return contexts;
}

void start_sodium() {
  static const int started = sodium_init();
  CHECK(started >= 0);
}

// The base point's multiple on the Edwards curve, then mapped (edwards_map.hpp). A private key that
// is clamped (RFC 7748, section 5) is no multiple of the group's order, so the product always
// exists.
PublicKey make_public_key(const PrivateKey& private_key) {
  start_sodium();
  PrivateKey scalar = private_key;
  scalar.data()[0] &= 0xf8;
  scalar.data()[31] = static_cast<std::uint8_t>((scalar.data()[31] & 0x7f) | 0x40);
  std::array<std::uint8_t, kKeyBytes> point{};
  CHECK(crypto_scalarmult_ed25519_base_noclamp(point.data(), scalar.data()) == 0);
  return edwards_to_montgomery(point);
}

// OpenSSL's key object for a key pair that is known.
EVP_PKEY* make_key_object(const PrivateKey& private_key, const PublicKey& public_key) {
  thread_local const std::unique_ptr<EVP_PKEY_CTX, OpenSslFree> importer = [] {
    std::unique_ptr<EVP_PKEY_CTX, OpenSslFree> context(
        EVP_PKEY_CTX_new_from_name(nullptr, "X25519", nullptr));
    CHECK(context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1);
    return context;
  }();
  // Copies, because OpenSSL's parameters are not const.
  PublicKey public_part = public_key;
  PrivateKey private_part = private_key;
  OSSL_PARAM parts[] = {
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public_part.data(), kKeyBytes),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, private_part.data(), kKeyBytes),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  CHECK(EVP_PKEY_fromdata(importer.get(), &key, EVP_PKEY_KEYPAIR, parts) == 1);
  return key;
}

// One public key a thread into which every agreement puts the other side's: cheaper by a tenth of
// an agreement than making a key object for each.
EVP_PKEY* scratch_public_key() {
  thread_local const std::unique_ptr<EVP_PKEY, OpenSslFree> key = [] {
    constexpr std::array<std::uint8_t, kKeyBytes> base_point{9};
    return std::unique_ptr<EVP_PKEY, OpenSslFree>(EVP_PKEY_new_raw_public_key_ex(
        nullptr, "X25519", nullptr, base_point.data(), base_point.size()));
  }();
  CHECK(key != nullptr);
  return key.get();
}

template <std::size_t kOutputs>
void kdf(const SymmetricKey& chaining_key, ConstBytes input,
         const std::array<SymmetricKey*, kOutputs>& outputs) {
  SecretBytes<kOutputs * kHashBytes> all;
  hkdf<Blake2s>(chaining_key.span(), input, {}, all.span());
  for (std::size_t i = 0; i < kOutputs; ++i) {
    std::memcpy(outputs[i]->data(), all.data() + i * kHashBytes, kHashBytes);
  }
}

}  // namespace

Hash blake2s(ConstBytes first, ConstBytes second) {
  Blake2s hash;
  hash.update(first);
  hash.update(second);
  return hash.finish();
}

Mac blake2s_mac(ConstBytes key, ConstBytes first, ConstBytes second) {
  Blake2s hash(kMacBytes, key);
  hash.update(first);
  hash.update(second);
  Mac mac;
  hash.finish(mac.data());
  return mac;
}

Blake2sMac::Blake2sMac(ConstBytes key) : keyed_(kMacBytes, key) {
  keyed_.commit_block();
}

void Blake2sMac::sign_each(std::span<const std::uint8_t* const> messages, std::size_t bytes,
                           std::span<Mac> macs) const {
  static_assert(sizeof(Mac) == kMacBytes);
  DCHECK(macs.size() >= messages.size());
  keyed_.finish_each(messages, bytes, macs.empty() ? nullptr : macs[0].data());
}

void kdf1(const SymmetricKey& chaining_key, ConstBytes input, SymmetricKey& first) {
  kdf<1>(chaining_key, input, {&first});
}
void kdf2(const SymmetricKey& chaining_key, ConstBytes input, SymmetricKey& first,
          SymmetricKey& second) {
  kdf<2>(chaining_key, input, {&first, &second});
}
void kdf3(const SymmetricKey& chaining_key, ConstBytes input, SymmetricKey& first,
          SymmetricKey& second, SymmetricKey& third) {
  kdf<3>(chaining_key, input, {&first, &second, &third});
}

X25519Key::X25519Key(const PrivateKey& private_key) : public_key_(make_public_key(private_key)) {
  key_.reset(make_key_object(private_key, public_key_));
  context_.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  CHECK(context_ != nullptr && EVP_PKEY_derive_init(context_.get()) == 1);
}

X25519Key X25519Key::generate(Rng& rng) {
  PrivateKey private_key;
  rng.fill(private_key.span());
  return X25519Key(private_key);
}

X25519Key::X25519Key(X25519Key&&) noexcept = default;
X25519Key& X25519Key::operator=(X25519Key&&) noexcept = default;
X25519Key::~X25519Key() = default;

void X25519Key::Free::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}
void X25519Key::Free::operator()(evp_pkey_ctx_st* context) const {
  EVP_PKEY_CTX_free(context);
}

bool X25519Key::agree(const PublicKey& other, SharedSecret& shared) const {
  EVP_PKEY* const peer = scratch_public_key();
  CHECK(EVP_PKEY_set1_encoded_public_key(peer, other.data(), other.size()) == 1);
  CHECK(EVP_PKEY_derive_set_peer_ex(context_.get(), peer, /*validate_peer=*/0) == 1);
  std::size_t length = kKeyBytes;
  // Fails on an all-zero result and on nothing else (RFC 7748, section 6.1).
  if (EVP_PKEY_derive(context_.get(), shared.data(), &length) == 1) return true;
  ERR_clear_error();
  shared.wipe();
  return false;
}

PublicKey public_key_of(const PrivateKey& private_key) {
  return make_public_key(private_key);
}

void aead_seal(Suite suite, const SymmetricKey& key, std::uint64_t counter, ConstBytes associated,
               ConstBytes plaintext, std::uint8_t* out) {
  AeadContext& context = aead_contexts().seal[static_cast<std::size_t>(suite)];
  context.start(key, nonce_of(suite, counter), associated);
  context.update(out, plaintext);
  context.seal_tag(out + plaintext.size());
}

bool aead_open(Suite suite, const SymmetricKey& key, std::uint64_t counter, ConstBytes associated,
               ConstBytes ciphertext, std::uint8_t* out) {
  DCHECK(ciphertext.size() >= kTagBytes);
  const std::size_t text_bytes = ciphertext.size() - kTagBytes;
  AeadContext& context = aead_contexts().open[static_cast<std::size_t>(suite)];
  context.start(key, nonce_of(suite, counter), associated);
  context.update(out, ciphertext.first(text_bytes));
  std::uint8_t past_the_end[kTagBytes];
  if (context.open_tag(ciphertext.data() + text_bytes, past_the_end)) return true;
  secure_wipe(out, text_bytes);
  return false;
}

void xaead_seal(std::span<const std::uint8_t, kKeyBytes> key,
                std::span<const std::uint8_t, kCookieNonceBytes> nonce, ConstBytes associated,
                ConstBytes plaintext, std::uint8_t* out) {
  static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == kCookieNonceBytes);
  static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == kTagBytes);
  start_sodium();
  CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(out, nullptr, plaintext.data(), plaintext.size(),
                                                   associated.data(), associated.size(), nullptr,
                                                   nonce.data(), key.data()) == 0);
}

bool xaead_open(std::span<const std::uint8_t, kKeyBytes> key,
                std::span<const std::uint8_t, kCookieNonceBytes> nonce, ConstBytes associated,
                ConstBytes ciphertext, std::uint8_t* out) {
  start_sodium();
  return crypto_aead_xchacha20poly1305_ietf_decrypt(
             out, nullptr, nullptr, ciphertext.data(), ciphertext.size(), associated.data(),
             associated.size(), nonce.data(), key.data()) == 0;
}

namespace {
constexpr std::uint64_t kTaiEpoch = (std::uint64_t{1} << 62) + 10;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

Tai64n emit_tai64n(std::uint64_t seconds, std::uint32_t nanoseconds) {
  Tai64n timestamp;
  store_be(timestamp.data(), seconds);
  store_be(timestamp.data() + 8, nanoseconds);
  return timestamp;
}
}  // namespace

Tai64n tai64n(WallTime wall) {
  std::int64_t seconds = wall.unix_ns() / kNsPerSecond;
  std::int64_t nanoseconds = wall.unix_ns() % kNsPerSecond;
  if (nanoseconds < 0) {  // before 1970
    nanoseconds += kNsPerSecond;
    --seconds;
  }
  return emit_tai64n(kTaiEpoch + static_cast<std::uint64_t>(seconds),
                     static_cast<std::uint32_t>(nanoseconds) & ~(kTimestampStepNs - 1));
}

Tai64n tai64n_successor(const Tai64n& timestamp) {
  const std::uint64_t seconds = load_be<std::uint64_t>(timestamp.data());
  const std::uint64_t nanoseconds =
      std::uint64_t{load_be<std::uint32_t>(timestamp.data() + 8)} + kTimestampStepNs;
  if (nanoseconds >= static_cast<std::uint64_t>(kNsPerSecond)) return emit_tai64n(seconds + 1, 0);
  return emit_tai64n(seconds, static_cast<std::uint32_t>(nanoseconds));
}

}  // namespace ringway::tunnel
