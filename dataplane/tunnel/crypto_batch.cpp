#include "dataplane/tunnel/crypto_batch.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "dataplane/tunnel/ipsec_mb.hpp"
#include "dataplane/tunnel/openssl_aead.hpp"

namespace ringway::tunnel {

namespace {

// Expansion only reads the manager, so that all threads may share this one. Null where the CPU
// cannot run ipsec-mb.
const IpsecMb* key_expander() {
  static const std::unique_ptr<IpsecMb> expander = IpsecMb::create();
  return expander.get();
}

enum class Engine : std::uint8_t { kIpsecMb, kOpenssl };
enum class Direction : std::uint8_t { kSeal, kOpen };

// Size class 0 is below 64 bytes, each further one reaches to twice the size, the last has no end.
constexpr std::size_t kSizeClasses = 7;
constexpr std::size_t kFirstClassEnd = 64;
constexpr std::size_t size_class_of(std::uint32_t text_bytes) {
  return std::min<std::size_t>(std::bit_width(text_bytes / kFirstClassEnd), kSizeClasses - 1);
}
constexpr std::size_t size_class_begin(std::size_t size_class) {
  return size_class == 0 ? 0 : kFirstClassEnd << (size_class - 1);
}

using EngineChoice = std::array<std::array<Engine, kSizeClasses>, kSuiteCount>;

EngineChoice always(Engine engine) {
  EngineChoice choice;
  for (auto& classes : choice)
    classes.fill(engine);
  return choice;
}

void emit_nonce(NonceSlot& nonce, Suite suite, std::uint64_t counter) {
  store_le<std::uint32_t>(nonce.bytes.data(), 0);
  store_le<std::uint64_t>(nonce.bytes.data() + 4,
                          suite == Suite::kAes256Gcm ? byte_swap(counter) : counter);
}

// In constant time.
bool tags_equal(const std::uint8_t* a, const std::uint8_t* b) {
  const std::uint64_t low = load_le<std::uint64_t>(a) ^ load_le<std::uint64_t>(b);
  const std::uint64_t high = load_le<std::uint64_t>(a + 8) ^ load_le<std::uint64_t>(b + 8);
  return (low | high) == 0;
}

static_assert(sizeof(gcm_key_data) == BulkKey::kGcmBytes);
const gcm_key_data& expanded(const BulkKey& key) {
  return *reinterpret_cast<const gcm_key_data*>(key.gcm());
}

// An expanded key is 16 cache lines, and with thousands of sessions it is in no near cache: the
// round keys, then 48 powers of the hash key, of which a message needs as many as it has blocks,
// from the last one back (ipsec-mb's layout for VAES; elsewhere it is a wrong guess and no more).
constexpr std::size_t kRoundKeyBytes = 240;
constexpr std::size_t kAesBlockBytes = 16;
constexpr std::size_t kLineBytes = 64;
// Both inlined by force: GCC leaves out calls of a function that only prefetches.
[[gnu::always_inline]] inline void prefetch_afterwards(const AeadJob& job) {
  if (job.afterwards == nullptr) return;
  __builtin_prefetch(job.afterwards, 1);
  __builtin_prefetch(static_cast<const std::uint8_t*>(job.afterwards) + kLineBytes, 1);
}
[[gnu::always_inline]] inline void prefetch_gcm(const AeadJob& job) {
  const std::uint8_t* const bytes = job.key->gcm();
  const std::size_t hash_bytes =
      job.text_bytes + 2 * kAesBlockBytes;  // the last block, the lengths
  std::size_t hash_from = kRoundKeyBytes;
  if (hash_bytes < BulkKey::kGcmBytes - kRoundKeyBytes) hash_from = BulkKey::kGcmBytes - hash_bytes;
  for (std::size_t at = 0; at < kRoundKeyBytes; at += kLineBytes)
    __builtin_prefetch(bytes + at);
  for (std::size_t at = hash_from / kLineBytes * kLineBytes; at < BulkKey::kGcmBytes;
       at += kLineBytes)
    __builtin_prefetch(bytes + at);
  prefetch_afterwards(job);
}

// How many messages ahead: enough work to wait behind, and not so many lines that they push each
// other out. Sealing with 10,000 keys in turn (`ringway-bench crypto --keys 10000`, Zen 4), 64 and
// 1,420 bytes: one message ahead 113 and 508 cycles, 4 ahead 105 and 503, 8 ahead 104 and 531, not
// at all 155 and 909; with one key 82 and 412.
constexpr std::size_t kPrefetchAhead = 4;

// The jobs of a chunk that one engine's one function will do. Nonces are stored for all of them
// before the first is used (see IpsecMb::seal_gcm).
struct Lane {
  std::size_t count = 0;
  std::array<AeadJob*, kMaxBurst> jobs{};
  std::array<NonceSlot, kMaxBurst> nonces{};

  void add(AeadJob& job, Suite suite) {
    jobs[count] = &job;
    emit_nonce(nonces[count], suite, job.counter);
    ++count;
  }
  // Not what the job before has sent for.
  [[gnu::always_inline]] inline void prefetch(std::size_t i) const {
    if (i == 0 || jobs[i]->key != jobs[i - 1]->key) prefetch_gcm(*jobs[i]);
  }
};

}  // namespace

struct CryptoBatch::Engines {
  std::unique_ptr<IpsecMb> ipsec_mb = IpsecMb::create();  // null where the CPU cannot run it
  OpensslAead openssl;
  EngineChoice choice = always(Engine::kOpenssl);
  Lane gcm_lane;
  Lane chacha_lane;
  Lane openssl_lane;
  std::array<TagSlot, kMaxBurst> tags{};

  template <Direction direction>
  void run(std::span<AeadJob> jobs);
  template <Direction direction>
  void run_chunk(std::span<AeadJob> jobs);
  template <Direction direction>
  void run_gcm();
  template <Direction direction>
  void run_chacha();
  template <Direction direction>
  void run_openssl();
};

template <Direction direction>
void CryptoBatch::Engines::run(std::span<AeadJob> jobs) {
  while (!jobs.empty()) {
    const std::size_t count = std::min(jobs.size(), kMaxBurst);
    run_chunk<direction>(jobs.first(count));
    jobs = jobs.subspan(count);
  }
}

template <Direction direction>
void CryptoBatch::Engines::run_chunk(std::span<AeadJob> jobs) {
  gcm_lane.count = chacha_lane.count = openssl_lane.count = 0;
  for (AeadJob& job : jobs) {
    DCHECK(job.text_bytes <= kMaxSegmentPlaintext);
    job.ok = false;
    DCHECK(job.suite == job.key->suite());
    const Suite suite = job.suite;
    const auto& engines = choice[static_cast<std::size_t>(suite)];
    if (engines[size_class_of(job.text_bytes)] == Engine::kOpenssl) {
      openssl_lane.add(job, suite);
    } else if (suite == Suite::kAes256Gcm) {
      gcm_lane.add(job, Suite::kAes256Gcm);
    } else {
      chacha_lane.add(job, Suite::kChaCha20Poly1305);
    }
  }
  if (gcm_lane.count != 0) run_gcm<direction>();
  if (chacha_lane.count != 0) run_chacha<direction>();
  if (openssl_lane.count != 0) run_openssl<direction>();
}

template <Direction direction>
void CryptoBatch::Engines::run_gcm() {
  IpsecMb& library = *ipsec_mb;
  for (std::size_t i = 0; i < std::min(kPrefetchAhead, gcm_lane.count); ++i)
    gcm_lane.prefetch(i);
  for (std::size_t i = 0; i < gcm_lane.count; ++i) {
    AeadJob& job = *gcm_lane.jobs[i];
    const gcm_key_data& key = expanded(*job.key);
    if (i + kPrefetchAhead < gcm_lane.count) gcm_lane.prefetch(i + kPrefetchAhead);
    if constexpr (direction == Direction::kSeal) {
      library.seal_gcm(key, gcm_lane.nonces[i], job.text, job.text_bytes);
      job.ok = true;
    } else {
      library.open_gcm(key, gcm_lane.nonces[i], job.text, job.text_bytes, tags[i]);
      job.ok = tags_equal(tags[i].bytes.data(), job.text + job.text_bytes);
    }
  }
}

template <Direction direction>
void CryptoBatch::Engines::run_chacha() {
  constexpr bool sealing = direction == Direction::kSeal;
  ChaChaBurst burst(ipsec_mb->manager(),
                    sealing ? ChaChaBurst::Direction::kSeal : ChaChaBurst::Direction::kOpen,
                    chacha_lane.count);
  for (std::size_t i = 0; i < chacha_lane.count; ++i) {
    const AeadJob& job = *chacha_lane.jobs[i];
    const std::uint8_t* key = job.key->raw();
    __builtin_prefetch(key);  // 1,420 bytes, 10,000 keys: 1,330 cycles without, 960 with
    prefetch_afterwards(job);
    std::uint8_t* tag = sealing ? job.text + job.text_bytes : tags[i].bytes.data();
    burst.add(key, chacha_lane.nonces[i], job.text, job.text_bytes, tag);
  }
  // A job left undone could send plaintext. The library completes all or is broken.
  CHECK(burst.submit());
  for (std::size_t i = 0; i < chacha_lane.count; ++i) {
    AeadJob& job = *chacha_lane.jobs[i];
    job.ok = sealing || tags_equal(tags[i].bytes.data(), job.text + job.text_bytes);
  }
}

template <Direction direction>
void CryptoBatch::Engines::run_openssl() {
  for (std::size_t i = 0; i < openssl_lane.count; ++i) {
    AeadJob& job = *openssl_lane.jobs[i];
    const std::uint8_t* key = job.key->raw();
    const std::uint8_t* nonce = openssl_lane.nonces[i].bytes.data();
    if constexpr (direction == Direction::kSeal) {
      job.ok = openssl.seal(job.suite, key, nonce, job.text, job.text_bytes);
      CHECK(job.ok);  // otherwise plaintext could be sent
    } else {
      job.ok = openssl.open(job.suite, key, nonce, job.text, job.text_bytes);
    }
  }
  // The session and its key may be gone before the next call.
  openssl.forget_keys();
}

// ---- Keys ----

BulkKey::BulkKey(Suite suite, const SecretBytes<kKeyBytes>& key) : suite_(suite), raw_(key) {
  const IpsecMb* expander = key_expander();
  if (suite == Suite::kAes256Gcm && expander != nullptr) {
    expander->expand_key(key.data(), *reinterpret_cast<gcm_key_data*>(gcm_.data()));
  }
}

BulkKey::~BulkKey() {
  secure_wipe(gcm_.data(), gcm_.size());
}

// ---- The choice of engines ----

namespace {

constexpr std::size_t kTrialJobs = 16;
constexpr int kTrialRounds = 5;
// The engine that has no per-call state to re-key keeps a class unless it is clearly beaten.
constexpr double kOpensslMustWinBy = 0.95;

// One message size that stands for a class: what networks send much of, where there is such.
constexpr std::array<std::uint32_t, kSizeClasses> kTrialBytes = {48, 96, 192, 384, 768, 1424, 8192};

// Times one suite at one size on the engine that `engines.choice` holds for it.
class EngineTrial {
 public:
  EngineTrial() : buffer_(kTrialJobs * kSlotBytes) {}

  // TSC cycles to seal and open kTrialJobs messages, the best of some rounds, because anything
  // else that runs only adds. UINT64_MAX when the engine does not get its own messages back.
  template <typename Engines>
  [[nodiscard]] std::uint64_t cycles(Engines& engines, const BulkKey& key, std::uint32_t bytes) {
    std::array<AeadJob, kTrialJobs> jobs{};
    for (std::size_t i = 0; i < kTrialJobs; ++i) {
      jobs[i] = {&key, buffer_.data() + i * kSlotBytes, bytes, false, key.suite(), i};
    }
    std::uint64_t best = UINT64_MAX;
    for (int round = 0; round < kTrialRounds; ++round) {
      const std::uint64_t start = __builtin_ia32_rdtsc();
      engines.template run<Direction::kSeal>(jobs);
      engines.template run<Direction::kOpen>(jobs);
      best = std::min<std::uint64_t>(best, __builtin_ia32_rdtsc() - start);
      if (!std::all_of(jobs.begin(), jobs.end(), [](const AeadJob& job) { return job.ok; })) {
        return UINT64_MAX;
      }
    }
    return best;
  }

 private:
  static constexpr std::size_t kSlotBytes = kTrialBytes.back() + 64;
  std::vector<std::uint8_t> buffer_;
};

template <typename Engines>
EngineChoice measure(Engines& engines) {
  EngineTrial trial;
  EngineChoice fastest = always(Engine::kIpsecMb);
  for (std::size_t s = 0; s < kSuiteCount; ++s) {
    const BulkKey key(static_cast<Suite>(s), SecretBytes<kKeyBytes>());
    for (std::size_t c = 0; c < kSizeClasses; ++c) {
      engines.choice = always(Engine::kOpenssl);
      const auto openssl = static_cast<double>(trial.cycles(engines, key, kTrialBytes[c]));
      engines.choice = always(Engine::kIpsecMb);
      const auto ipsec_mb = static_cast<double>(trial.cycles(engines, key, kTrialBytes[c]));
      if (openssl < ipsec_mb * kOpensslMustWinBy) fastest[s][c] = Engine::kOpenssl;
    }
  }
  return fastest;
}

}  // namespace

CryptoBatch::CryptoBatch(Selection selection) : engines_(std::make_unique<Engines>()) {
  if (engines_->ipsec_mb == nullptr || selection == Selection::kOpenSslOnly) {
    engines_->choice = always(Engine::kOpenssl);
  } else if (selection == Selection::kIpsecMbOnly) {
    engines_->choice = always(Engine::kIpsecMb);
  } else {
    // Once a process: the answer is the machine's, and workers should not disagree about it.
    static const EngineChoice measured = measure(*engines_);
    engines_->choice = measured;
  }
}

CryptoBatch::~CryptoBatch() = default;

void CryptoBatch::seal(std::span<AeadJob> jobs) {
  engines_->run<Direction::kSeal>(jobs);
}
void CryptoBatch::open(std::span<AeadJob> jobs) {
  engines_->run<Direction::kOpen>(jobs);
}

std::string CryptoBatch::describe() const {
  const auto name = [&](Engine engine) {
    if (engine == Engine::kOpenssl) return std::string("OpenSSL");
    return "ipsec-mb (" + std::string(engines_->ipsec_mb->architecture()) + ")";
  };
  std::string text;
  for (std::size_t s = 0; s < kSuiteCount; ++s) {
    const auto& classes = engines_->choice[s];
    if (s > 0) text += "; ";
    text += std::string(suite_name(static_cast<Suite>(s))) + ": " + name(classes[0]);
    for (std::size_t c = 1; c < kSizeClasses; ++c) {
      if (classes[c] == classes[c - 1]) continue;
      text += ", from " + std::to_string(size_class_begin(c)) + " B " + name(classes[c]);
    }
  }
  return text;
}

}  // namespace ringway::tunnel
