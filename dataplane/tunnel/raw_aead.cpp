#include "dataplane/tunnel/raw_aead.hpp"

#include <array>

#include "base/check.hpp"
#include "dataplane/tunnel/ipsec_mb.hpp"
#include "dataplane/tunnel/openssl_aead.hpp"

namespace ringway::tunnel {

static_assert(RawAead::kMaxMessages <= kMaxBurst);

struct RawAead::State {
  State(Engine wanted_engine, Suite wanted_suite, const SecretBytes<kKeyBytes>& wanted_key)
      : engine(wanted_engine), suite(wanted_suite), key(wanted_key) {}
  ~State() { secure_wipe(&gcm_key, sizeof gcm_key); }

  // The library's own alignment of this struct hangs on a macro that its users do not have, and its
  // code faults without it.
  alignas(64) gcm_key_data gcm_key{};
  std::array<NonceSlot, kMaxMessages> nonces{};
  std::array<TagSlot, kMaxMessages> tags{};
  std::unique_ptr<IpsecMb> ipsec_mb;
  OpensslAead openssl;
  Engine engine;
  Suite suite;
  SecretBytes<kKeyBytes> key;

  void chacha_burst(ChaChaBurst::Direction direction, std::span<std::uint8_t* const> texts,
                    std::uint32_t text_bytes) {
    ChaChaBurst burst(ipsec_mb->manager(), direction, texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      std::uint8_t* tag =
          direction == ChaChaBurst::Direction::kSeal ? texts[i] + text_bytes : tags[i].bytes.data();
      burst.add(key.data(), nonces[i], texts[i], text_bytes, tag);
    }
    CHECK(burst.submit());
  }
};

bool RawAead::available(Engine engine) {
  return engine == Engine::kOpenssl || IpsecMb::create() != nullptr;
}

RawAead::RawAead(Engine engine, Suite suite, const SecretBytes<kKeyBytes>& key)
    : state_(std::make_unique<State>(engine, suite, key)) {
  for (std::size_t i = 0; i < kMaxMessages; ++i) {
    std::uint8_t* counter = state_->nonces[i].bytes.data() + 4;
    if (suite == Suite::kAes256Gcm) {
      store_be<std::uint64_t>(counter, i);
    } else {
      store_le<std::uint64_t>(counter, i);
    }
  }
  if (engine == Engine::kOpenssl) return;
  state_->ipsec_mb = IpsecMb::create();
  CHECK(state_->ipsec_mb != nullptr);
  state_->ipsec_mb->expand_key(key.data(), state_->gcm_key);
}

RawAead::~RawAead() = default;

void RawAead::seal(std::span<std::uint8_t* const> texts, std::uint32_t text_bytes) {
  State& s = *state_;
  if (s.engine == Engine::kOpenssl) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      CHECK(s.openssl.seal(s.suite, s.key.data(), s.nonces[i].bytes.data(), texts[i], text_bytes));
    }
  } else if (s.suite == Suite::kAes256Gcm) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      s.ipsec_mb->seal_gcm(s.gcm_key, s.nonces[i], texts[i], text_bytes);
    }
  } else {
    s.chacha_burst(ChaChaBurst::Direction::kSeal, texts, text_bytes);
  }
}

void RawAead::open(std::span<std::uint8_t* const> texts, std::uint32_t text_bytes) {
  State& s = *state_;
  if (s.engine == Engine::kOpenssl) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      CHECK(s.openssl.open(s.suite, s.key.data(), s.nonces[i].bytes.data(), texts[i], text_bytes));
    }
  } else if (s.suite == Suite::kAes256Gcm) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      s.ipsec_mb->open_gcm(s.gcm_key, s.nonces[i], texts[i], text_bytes, s.tags[i]);
    }
  } else {
    s.chacha_burst(ChaChaBurst::Direction::kOpen, texts, text_bytes);
  }
}

}  // namespace ringway::tunnel
