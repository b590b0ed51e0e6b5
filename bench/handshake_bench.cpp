#include "bench/handshake_bench.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <time.h>

#include <openssl/evp.h>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "bench/measure.hpp"
#include "dataplane/tunnel/handshaker.hpp"
#include "dataplane/tunnel/primitives.hpp"

namespace ringway::bench {
namespace {

using tunnel::HandshakeBytes;
using tunnel::HandshakeOutput;
using tunnel::Handshaker;
using tunnel::HandshakeVerdict;
using tunnel::kHashBytes;
using tunnel::kKeyBytes;
using tunnel::kSuiteCount;
using tunnel::kTagBytes;
using tunnel::kTimestampBytes;
using tunnel::PeerSettings;
using tunnel::PrivateKey;
using tunnel::ReceiverIndexAllocator;
using tunnel::Suite;
using tunnel::suite_name;
using tunnel::Tai64n;
using tunnel::handshake_output::InstallSession;
using tunnel::handshake_output::SendTo;
using tunnel::handshake_output::SendToPeer;

constexpr Suite kSuites[kSuiteCount] = {Suite::kChaCha20Poly1305, Suite::kAes256Gcm};

// One side of one handshake: an ephemeral key is made and three secrets agreed (static-static is
// computed once a peer, at configuration); static key, timestamp and empty payload sealed or
// opened.
constexpr int kAgreementsPerHandshake = 3;
constexpr int kKeyGenerationsPerHandshake = 1;
constexpr std::size_t kNoisePayloadBytes[] = {kKeyBytes, kTimestampBytes, 0};

constexpr double kMicrosecondsPerSecond = 1e6;

double read_clock(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) * 1e-9;
}
// What this thread has computed: "a core" is meant, however busy the machine is besides.
double cpu_seconds() {
  return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

// Seconds for one call of `operation`, over `count` calls.
template <typename Operation>
double time_of(int count, Operation&& operation) {
  const double start = cpu_seconds();
  for (int i = 0; i < count; ++i)
    operation();
  return (cpu_seconds() - start) / count;
}

// --- the raw operations ----------------------------------------------------------------------

// OpenSSL itself, everything prepared that can be: the fastest that these operations get here.
class RawKeyAgreement {
 public:
  RawKeyAgreement() {
    SystemRng rng;
    rng.fill(private_key_);
    const Key ours = generate();
    rng.fill(private_key_);
    const Key theirs = generate();
    context_.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, ours.get(), nullptr));
    CHECK(EVP_PKEY_derive_init(context_.get()) == 1);
    CHECK(EVP_PKEY_derive_set_peer(context_.get(), theirs.get()) == 1);
  }
  void agree() {
    std::uint8_t shared[kKeyBytes];
    std::size_t length = sizeof shared;
    CHECK(EVP_PKEY_derive(context_.get(), shared, &length) == 1);
  }
  void generate_key() { CHECK(generate() != nullptr); }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  Key generate() const {
    return Key(EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, private_key_,
                                               sizeof private_key_));
  }
  std::uint8_t private_key_[kKeyBytes];
  std::unique_ptr<EVP_PKEY_CTX, Free> context_;
};

class RawPayloads {
 public:
  explicit RawPayloads(Suite suite) : context_(EVP_CIPHER_CTX_new()) {
    EVP_CIPHER* const cipher = EVP_CIPHER_fetch(
        nullptr, suite == Suite::kAes256Gcm ? "AES-256-GCM" : "ChaCha20-Poly1305", nullptr);
    CHECK(EVP_EncryptInit_ex2(context_.get(), cipher, key_, nonce_, nullptr) == 1);
    EVP_CIPHER_free(cipher);
  }
  // The three payloads of a handshake, each with a new key and a hash as associated data.
  void seal_payloads() {
    for (const std::size_t bytes : kNoisePayloadBytes) {
      int written = 0;
      std::uint8_t tag[kTagBytes];
      ++key_[0];
      EVP_EncryptInit_ex2(context_.get(), nullptr, key_, nonce_, nullptr);
      EVP_EncryptUpdate(context_.get(), nullptr, &written, associated_, sizeof associated_);
      if (bytes > 0) {
        EVP_EncryptUpdate(context_.get(), text_, &written, text_, static_cast<int>(bytes));
      }
      EVP_EncryptFinal_ex(context_.get(), text_, &written);
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, sizeof tag, tag);
    }
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
  std::uint8_t key_[kKeyBytes] = {};
  std::uint8_t nonce_[12] = {};
  std::uint8_t associated_[kHashBytes] = {};
  std::uint8_t text_[kKeyBytes] = {};
};

// --- handshakes ------------------------------------------------------------------------------

// A node whose caller keeps the messages and ends every session at once.
struct Node {
  Node() : indices(16, rng) {
    PrivateKey key;
    rng.fill(key.span());
    handshaker = std::make_unique<Handshaker>(key, Tai64n{}, indices, rng);
  }
  void add(PeerId id, const Node& other, Suite suite) const {
    PeerSettings settings;
    settings.public_key = other.handshaker->public_key();
    settings.suite = suite;
    settings.ringway = suite == Suite::kAes256Gcm;
    CHECK(handshaker->add_peer(id, settings, {}));
  }
  void drain(std::vector<HandshakeBytes>& sent) {
    HandshakeOutput output;
    while (handshaker->poll_output(output)) {
      if (auto* to_peer = std::get_if<SendToPeer>(&output)) sent.push_back(to_peer->message);
      if (auto* to = std::get_if<SendTo>(&output)) sent.push_back(to->message);
      if (auto* install = std::get_if<InstallSession>(&output)) {
        indices.release(install->keys.local_index);
        ++sessions;
      }
    }
  }

  SystemRng rng;
  ReceiverIndexAllocator indices;
  std::unique_ptr<Handshaker> handshaker;
  std::uint64_t sessions = 0;
};

// The node that is measured, and the peers that make its other half. Time is virtual, so that no
// rate limit is met.
class Scene {
 public:
  explicit Scene(Suite suite) : peers_(kPeers) {
    for (std::uint32_t i = 0; i < kPeers; ++i) {
      measured_.add({i}, peers_[i], suite);
      peers_[i].add({0}, measured_, suite);
    }
  }

  double initiator_seconds() {
    pass_time();
    std::vector<HandshakeBytes> initiations, responses, nothing;
    double spent = timed([&] {
      for (std::uint32_t i = 0; i < kPeers; ++i) {
        measured_.handshaker->request_session({i}, now_, wall_, true);
      }
      measured_.drain(initiations);
    });
    CHECK(initiations.size() == kPeers);
    for (std::uint32_t i = 0; i < kPeers; ++i) {
      deliver(initiations[i], peers_[i]);
      peers_[i].drain(responses);
    }
    CHECK(responses.size() == kPeers);
    spent += timed([&] {
      for (const HandshakeBytes& response : responses)
        deliver(response, measured_);
      measured_.drain(nothing);
    });
    return spent / kPeers;
  }

  double responder_seconds() {
    pass_time();
    std::vector<HandshakeBytes> initiations, responses;
    for (Node& peer : peers_) {
      peer.handshaker->request_session({0}, now_, wall_, true);
      peer.drain(initiations);
    }
    const double spent = timed([&] {
      for (const HandshakeBytes& initiation : initiations)
        deliver(initiation, measured_);
      measured_.drain(responses);
    });
    CHECK(responses.size() == kPeers);
    for (std::uint32_t i = 0; i < kPeers; ++i)
      deliver(responses[i], peers_[i]);
    for (Node& peer : peers_)
      peer.drain(responses);
    return spent / kPeers;
  }

 private:
  static constexpr std::uint32_t kPeers = 16;

  template <typename Work>
  static double timed(Work&& work) {
    const double start = cpu_seconds();
    work();
    return cpu_seconds() - start;
  }
  void pass_time() {
    now_ = now_ + Duration::seconds(10);
    wall_ = wall_ + Duration::seconds(10);
  }
  void deliver(const HandshakeBytes& message, Node& to) const {
    CHECK(to.handshaker->input(now_, wall_, message.view(), {}) == HandshakeVerdict::kAccepted);
  }

  Node measured_;
  std::vector<Node> peers_;
  Instant now_ = Instant::from_ns(0);
  WallTime wall_ = WallTime::from_unix_ns(1'700'000'000'000'000'000);
};

// --- measuring and printing ------------------------------------------------------------------

struct SuiteSamples {
  std::vector<double> aead, initiator, responder;
};
struct HandshakeSamples {
  std::vector<double> agreement, key_generation;
  SuiteSamples suites[kSuiteCount];
};

// Rounds in which everything is measured in turn, so that a change of the machine's pace meets all
// alike.
HandshakeSamples measure(double seconds) {
  constexpr int raw_calls = 40;
  constexpr std::size_t min_rounds = 5;
  RawKeyAgreement raw;
  RawPayloads raw_aead[kSuiteCount] = {RawPayloads(kSuites[0]), RawPayloads(kSuites[1])};
  Scene scenes[kSuiteCount] = {Scene(kSuites[0]), Scene(kSuites[1])};
  HandshakeSamples samples;
  const double end = read_clock(CLOCK_MONOTONIC) + seconds;
  while (read_clock(CLOCK_MONOTONIC) < end || samples.agreement.size() < min_rounds) {
    samples.agreement.push_back(time_of(raw_calls, [&] { raw.agree(); }));
    samples.key_generation.push_back(time_of(raw_calls, [&] { raw.generate_key(); }));
    for (std::size_t i = 0; i < kSuiteCount; ++i) {
      SuiteSamples& suite = samples.suites[i];
      suite.aead.push_back(time_of(raw_calls, [&] { raw_aead[i].seal_payloads(); }));
      suite.initiator.push_back(scenes[i].initiator_seconds());
      suite.responder.push_back(scenes[i].responder_seconds());
    }
  }
  return samples;
}

struct SuiteResult {
  std::string_view name;
  double aead_us, limit_us, initiator_us, responder_us;
};
struct BenchResult {
  double agreement_us, key_generation_us;
  std::size_t rounds;
  SuiteResult suites[kSuiteCount];
};

BenchResult evaluate(HandshakeSamples&& samples) {
  BenchResult result{};
  result.rounds = samples.agreement.size();
  result.agreement_us = median(samples.agreement) * kMicrosecondsPerSecond;
  result.key_generation_us = median(samples.key_generation) * kMicrosecondsPerSecond;
  for (std::size_t i = 0; i < kSuiteCount; ++i) {
    SuiteSamples& from = samples.suites[i];
    SuiteResult& to = result.suites[i];
    to.name = suite_name(kSuites[i]);
    to.aead_us = median(from.aead) * kMicrosecondsPerSecond;
    to.limit_us = kAgreementsPerHandshake * result.agreement_us +
                  kKeyGenerationsPerHandshake * result.key_generation_us + to.aead_us;
    to.initiator_us = median(from.initiator) * kMicrosecondsPerSecond;
    to.responder_us = median(from.responder) * kMicrosecondsPerSecond;
  }
  return result;
}

double per_second(double microseconds) {
  return kMicrosecondsPerSecond / microseconds;
}

void print_table(const BenchResult& result) {
  std::printf("raw operations of OpenSSL on this core, median of %zu rounds\n", result.rounds);
  std::printf("  X25519 agreement       %8.2f us  %8.0f /s\n", result.agreement_us,
              per_second(result.agreement_us));
  std::printf("  X25519 key generation  %8.2f us  %8.0f /s\n", result.key_generation_us,
              per_second(result.key_generation_us));
  for (const SuiteResult& suite : result.suites) {
    std::printf("\n%.*s\n", static_cast<int>(suite.name.size()), suite.name.data());
    std::printf("  AEAD, 3 payloads (%zu, %zu, %zu bytes)  %.2f us\n", kNoisePayloadBytes[0],
                kNoisePayloadBytes[1], kNoisePayloadBytes[2], suite.aead_us);
    std::printf("  limit: %d x %.2f + %d x %.2f + %.2f = %.2f us -> %.0f handshakes/s a core\n",
                kAgreementsPerHandshake, result.agreement_us, kKeyGenerationsPerHandshake,
                result.key_generation_us, suite.aead_us, suite.limit_us,
                per_second(suite.limit_us));
    const auto print_role = [&](const char* role, double microseconds) {
      std::printf("  %s  %.2f us  %8.0f handshakes/s  %5.1f %% of the limit\n", role, microseconds,
                  per_second(microseconds), 100 * suite.limit_us / microseconds);
    };
    print_role("initiator", suite.initiator_us);
    print_role("responder", suite.responder_us);
  }
}

void print_json(const BenchResult& result) {
  std::printf(R"({"rounds": %zu, "x25519_agreements_per_s": %.1f, )", result.rounds,
              per_second(result.agreement_us));
  std::printf(R"("x25519_key_generations_per_s": %.1f, "suites": {)",
              per_second(result.key_generation_us));
  const char* separator = "";
  for (const SuiteResult& suite : result.suites) {
    std::printf(R"(%s"%.*s": {"aead_us": %.3f, "limit_per_s": %.1f, )", separator,
                static_cast<int>(suite.name.size()), suite.name.data(), suite.aead_us,
                per_second(suite.limit_us));
    std::printf(R"("initiator_per_s": %.1f, "initiator_share": %.4f, )",
                per_second(suite.initiator_us), suite.limit_us / suite.initiator_us);
    std::printf(R"("responder_per_s": %.1f, "responder_share": %.4f})",
                per_second(suite.responder_us), suite.limit_us / suite.responder_us);
    separator = ", ";
  }
  std::printf("}}\n");
}

}  // namespace

int run_handshake_bench(const HandshakeBenchOptions& options) {
  const BenchResult result = evaluate(measure(options.seconds));
  if (options.json) {
    print_json(result);
  } else {
    print_table(result);
  }
  return 0;
}

}  // namespace ringway::bench
