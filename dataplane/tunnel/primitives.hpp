// The cryptographic primitives of the handshake under one roof: X25519, the two suites' AEAD for
// handshake payloads, XChaCha20-Poly1305 for cookies, the Noise KDF, and TAI64N. Data messages do
// not come here (crypto_batch.hpp). OpenSSL's algorithms and contexts are fetched once a thread, so
// any thread may call; an X25519Key belongs to one thread at a time.
// Sources: RFC 7748, RFC 8439, NIST SP 800-38D, draft-irtf-cfrg-xchacha-03, Noise revision 34.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/tunnel/blake2s.hpp"
#include "dataplane/tunnel/messages.hpp"

struct evp_pkey_st;
struct evp_pkey_ctx_st;

namespace ringway::tunnel {

using Hash = Blake2s::Digest;
using SymmetricKey = SecretBytes<kKeyBytes>;
using SharedSecret = SecretBytes<kKeyBytes>;

// --- hash, MAC, key derivation ---------------------------------------------------------------

// BLAKE2s of the concatenation.
[[nodiscard]] Hash blake2s(ConstBytes first, ConstBytes second = {});
// Keyed BLAKE2s with a 16-byte digest: mac1, mac2 and cookies. key: up to 32 bytes.
[[nodiscard]] Mac blake2s_mac(ConstBytes key, ConstBytes first, ConstBytes second = {});

// The same with a key that is absorbed once, for any number of messages of at least one byte.
class Blake2sMac {
 public:
  explicit Blake2sMac(ConstBytes key);
  // Of messages of `bytes` bytes each (not 0): many cost less than as many times one.
  void sign_each(std::span<const std::uint8_t* const> messages, std::size_t bytes,
                 std::span<Mac> macs) const;

 private:
  Blake2s keyed_;
};

// Noise's HKDF with 1, 2 or 3 outputs: the outputs of HKDF(salt = chaining_key, input, no info) in
// order. An output may be the chaining key itself.
void kdf1(const SymmetricKey& chaining_key, ConstBytes input, SymmetricKey& first);
void kdf2(const SymmetricKey& chaining_key, ConstBytes input, SymmetricKey& first,
          SymmetricKey& second);
void kdf3(const SymmetricKey& chaining_key, ConstBytes input, SymmetricKey& first,
          SymmetricKey& second, SymmetricKey& third);

// --- X25519 ----------------------------------------------------------------------------------

// A private key with its public key, ready for any number of agreements.
class X25519Key {
 public:
  explicit X25519Key(const PrivateKey& private_key);
  [[nodiscard]] static X25519Key generate(Rng& rng);
  X25519Key(X25519Key&&) noexcept;
  X25519Key& operator=(X25519Key&&) noexcept;
  ~X25519Key();  // wipes

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  // False, and `shared` wiped, when the result is all zero: `other` is of low order.
  [[nodiscard]] bool agree(const PublicKey& other, SharedSecret& shared) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
    void operator()(evp_pkey_ctx_st* context) const;
  };
  PublicKey public_key_;
  std::unique_ptr<evp_pkey_st, Free> key_;
  std::unique_ptr<evp_pkey_ctx_st, Free> context_;
};

[[nodiscard]] PublicKey public_key_of(const PrivateKey& private_key);

// --- AEAD ------------------------------------------------------------------------------------

// One message at a time, for handshakes (counter 0) and tests. The nonce is `counter` as Noise lays
// it out for the suite: 32 zero bits, then 64 bits, little-endian for ChaCha20-Poly1305 and
// big-endian for GCM. out: plaintext.size() + kTagBytes; may not overlap the plaintext.
void aead_seal(Suite suite, const SymmetricKey& key, std::uint64_t counter, ConstBytes associated,
               ConstBytes plaintext, std::uint8_t* out);
// Opens `ciphertext` (at least kTagBytes) into `out` (ciphertext.size() - kTagBytes). False when
// the tag is wrong; `out` is then wiped.
[[nodiscard]] bool aead_open(Suite suite, const SymmetricKey& key, std::uint64_t counter,
                             ConstBytes associated, ConstBytes ciphertext, std::uint8_t* out);

// XChaCha20-Poly1305 with a nonce of kCookieNonceBytes; the sizes as above.
void xaead_seal(std::span<const std::uint8_t, kKeyBytes> key,
                std::span<const std::uint8_t, kCookieNonceBytes> nonce, ConstBytes associated,
                ConstBytes plaintext, std::uint8_t* out);
[[nodiscard]] bool xaead_open(std::span<const std::uint8_t, kKeyBytes> key,
                              std::span<const std::uint8_t, kCookieNonceBytes> nonce,
                              ConstBytes associated, ConstBytes ciphertext, std::uint8_t* out);

// --- TAI64N ----------------------------------------------------------------------------------

// Nanoseconds are rounded down to a multiple of this, so that timestamps do not betray the exact
// time of sending.
inline constexpr std::uint32_t kTimestampStepNs = 1U << 24;

// Seconds since 1970 on top of 2^62 + 10, then nanoseconds, both big-endian.
[[nodiscard]] Tai64n tai64n(WallTime wall);
// The first timestamp after `timestamp` that differs by at least one step.
[[nodiscard]] Tai64n tai64n_successor(const Tai64n& timestamp);

}  // namespace ringway::tunnel
