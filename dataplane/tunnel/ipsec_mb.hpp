// Intel's ipsec-mb, narrowed to the two AEADs of the tunnel. Private to the bulk engines
// (crypto_batch, raw_aead): nobody else includes the library's header.
// A manager belongs to one thread; its key expansion only reads it and may be shared.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#define NO_COMPAT_IMB_API_053  // keeps the header's short macro names out of the way
#include <intel-ipsec-mb.h>

namespace ringway::tunnel {

inline constexpr std::size_t kNonceBytes = 12;

// A 12-byte nonce in a slot that is loaded and stored aligned.
struct alignas(16) NonceSlot {
  std::array<std::uint8_t, 16> bytes;
};
struct alignas(16) TagSlot {
  std::array<std::uint8_t, 16> bytes;
};

// What ipsec-mb calls a burst, at most.
inline constexpr std::size_t kMaxBurst = 64;
static_assert(kMaxBurst <= IMB_MAX_BURST_SIZE);

class IpsecMb {
 public:
  // Empty where the CPU lacks what the library needs (at least SSE4.2 and AES-NI), or the library
  // failed its own self-test.
  [[nodiscard]] static std::unique_ptr<IpsecMb> create();

  [[nodiscard]] IMB_MGR& manager() { return *manager_; }
  // "AVX512", "AVX2", ... as the library dispatched itself.
  [[nodiscard]] std::string_view architecture() const;

  // into: on a 64-byte boundary.
  void expand_key(const std::uint8_t* key, gcm_key_data& into) const {
    manager_->gcm256_pre(key, &into);
  }

  // AES-256-GCM of one message in place, without additional data. The nonce should have been
  // stored some time before: the library loads it in one piece, and a load that spans fresh stores
  // stalls (45 cycles on Zen 5).
  void seal_gcm(const gcm_key_data& key, const NonceSlot& nonce, std::uint8_t* text,
                std::uint32_t text_bytes) {
    manager_->gcm256_enc(&key, &context_, text, text, text_bytes, nonce.bytes.data(), nullptr, 0,
                         text + text_bytes, kTagSize);
  }
  // The tag that the message should have goes to `tag`.
  void open_gcm(const gcm_key_data& key, const NonceSlot& nonce, std::uint8_t* text,
                std::uint32_t text_bytes, TagSlot& tag) {
    manager_->gcm256_dec(&key, &context_, text, text, text_bytes, nonce.bytes.data(), nullptr, 0,
                         tag.bytes.data(), kTagSize);
  }

 private:
  static constexpr std::uint64_t kTagSize = 16;
  struct FreeManager {
    void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
  };
  explicit IpsecMb(IMB_MGR* manager) : manager_(manager) {}

  std::unique_ptr<IMB_MGR, FreeManager> manager_;
  IMB_ARCH architecture_ = IMB_ARCH_NONE;
  gcm_context_data context_{};
};

// A burst of ChaCha20-Poly1305 jobs: add at most kMaxBurst, then submit. Jobs complete in order and
// within the call. The job path is the faster one for this suite: it makes the Poly1305 key in the
// same pass as the first keystream block.
class ChaChaBurst {
 public:
  enum class Direction { kSeal, kOpen };

  // Reserves `count` jobs; exactly so many must be added.
  ChaChaBurst(IMB_MGR& manager, Direction direction, std::size_t count);
  // All pointers stay valid until submit(). In place; the computed tag goes to `tag`.
  void add(const std::uint8_t* key, const NonceSlot& nonce, std::uint8_t* text,
           std::uint32_t text_bytes, std::uint8_t* tag);
  // False when the library did not complete every job; then none may be trusted.
  [[nodiscard]] bool submit();

 private:
  IMB_MGR& manager_;
  Direction direction_;
  std::uint32_t reserved_;
  std::uint32_t added_ = 0;
  std::array<IMB_JOB*, kMaxBurst> jobs_{};
};

}  // namespace ringway::tunnel
