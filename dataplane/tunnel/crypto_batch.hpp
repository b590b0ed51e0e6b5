// Bulk AEAD for data messages: many segments a call, in place, on whichever engine is fastest for
// the suite and size on this machine. One CryptoBatch a worker thread
// (an ipsec-mb manager is not thread-safe); keys may be expanded on any thread.
// Sources: RFC 8439 (ChaCha20-Poly1305), NIST SP 800-38D (AES-GCM); nonces as Noise lays them out:
// 32 zero bits, then the 64-bit counter, little-endian for ChaCha20-Poly1305 and big-endian for
// GCM.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::tunnel {

// The longest plaintext of one segment.
inline constexpr std::size_t kMaxSegmentPlaintext = 65535;

// One direction of one session, expanded once and then only read. Wiped on destruction. It holds
// both engines' forms of the key, so that the engine may be chosen for each message, and holds them
// itself, so that whoever has its address can have them fetched without looking at it.
class BulkKey {
 public:
  BulkKey(Suite suite, const SecretBytes<kKeyBytes>& key);
  ~BulkKey();
  BulkKey(const BulkKey&) = delete;
  BulkKey& operator=(const BulkKey&) = delete;

  [[nodiscard]] Suite suite() const { return suite_; }
  [[nodiscard]] const std::uint8_t* raw() const { return raw_.data(); }
  // ipsec-mb's expanded key of AES-256-GCM, on a cache line's boundary.
  [[nodiscard]] const std::uint8_t* gcm() const { return gcm_.data(); }

  static constexpr std::size_t kGcmBytes = 1008;

 private:
  alignas(64) std::array<std::uint8_t, kGcmBytes> gcm_{};
  Suite suite_;
  alignas(32) SecretBytes<kKeyBytes> raw_;
};

// One segment, sealed or opened in place. `text` is the first plaintext byte; `text_bytes` the
// plaintext length without tag, at most kMaxSegmentPlaintext. seal(): the 16-byte tag is written at
// text + text_bytes; it always succeeds, or aborts rather than let plaintext through. open(): the
// tag is read there; `ok` says whether it was right, and where it was not the bytes at text are
// unspecified and must not be used.
struct AeadJob {
  const BulkKey* key;
  std::uint8_t* text;
  std::uint32_t text_bytes;
  bool ok;
  Suite suite;  // the key's, which for that need not be looked at
  std::uint64_t counter;
  // Two cache lines that whoever asks will look at afterwards: they are fetched with the key, while
  // the messages before are worked on. Null: none.
  const void* afterwards = nullptr;
};

class CryptoBatch {
 public:
  // Measures the engines on this machine (some milliseconds, once a process) unless told which to
  // use. Where the CPU cannot run ipsec-mb, everything is done by OpenSSL whatever was asked for.
  enum class Selection { kMeasure, kIpsecMbOnly, kOpenSslOnly };
  explicit CryptoBatch(Selection selection = Selection::kMeasure);
  ~CryptoBatch();
  CryptoBatch(const CryptoBatch&) = delete;
  CryptoBatch& operator=(const CryptoBatch&) = delete;

  // Jobs of one call may mix keys, suites and sizes. Nothing is allocated.
  void seal(std::span<AeadJob> jobs);
  void open(std::span<AeadJob> jobs);

  // What was chosen, for logs and `ringway status`: "aes256gcm: ipsec-mb (AVX512); ..."
  [[nodiscard]] std::string describe() const;

 private:
  struct Engines;
  std::unique_ptr<Engines> engines_;
};

}  // namespace ringway::tunnel
