#include "dataplane/tunnel/cookie.hpp"

#include <algorithm>
#include <string_view>

#include <sodium.h>

#include "base/check.hpp"
#include "dataplane/tunnel/primitives.hpp"

namespace ringway::tunnel {
namespace {

constexpr std::string_view kMac1Label = "mac1----";
constexpr std::string_view kCookieLabel = "cookie--";

// The MAC keys that belong to a static key: anyone who knows the public key can compute them.
Hash labelled_key(std::string_view label, const PublicKey& public_key) {
  return blake2s({reinterpret_cast<const std::uint8_t*>(label.data()), label.size()}, public_key);
}

// mac1 and mac2 are the last two fields of both messages. mac1 covers all before it, mac2 mac1 too.
constexpr std::size_t kMacsBytes = 2 * kMacBytes;
ConstBytes before_mac1(ConstBytes message) {
  return message.first(message.size() - kMacsBytes);
}
ConstBytes mac1_of(ConstBytes message) {
  return message.subspan(message.size() - kMacsBytes, kMacBytes);
}
ConstBytes before_mac2(ConstBytes message) {
  return message.first(message.size() - kMacBytes);
}
ConstBytes mac2_of(ConstBytes message) {
  return message.last(kMacBytes);
}

CookieSeed fresh_seed(Rng& rng) {
  CookieSeed seed;
  rng.fill(seed.span());
  return seed;
}

}  // namespace

// --- CookieChecker ---------------------------------------------------------------------------

CookieChecker::CookieChecker(const PublicKey& own_key, const CookieSeed& seed, Rng& rng)
    : rng_(rng),
      mac1_(labelled_key(kMac1Label, own_key)),
      cookie_key_(labelled_key(kCookieLabel, own_key)),
      seed_(seed) {}

CookieChecker::CookieChecker(const PublicKey& own_key, Rng& rng)
    : CookieChecker(own_key, fresh_seed(rng), rng) {}

bool CookieChecker::mac1_valid(ConstBytes message) const {
  bool valid = false;
  check_mac1({&message, 1}, {&valid, 1});
  return valid;
}

void CookieChecker::check_mac1(std::span<const ConstBytes> messages, std::span<bool> valid) const {
  DCHECK(messages.size() <= kMac1Batch && valid.size() >= messages.size());
  std::array<const std::uint8_t*, kMac1Batch> starts;
  std::array<Mac, kMac1Batch> macs;
  for (std::size_t first = 0, end = 0; first < messages.size(); first = end) {
    const std::size_t bytes = messages[first].size();
    DCHECK(bytes > kMacsBytes);
    for (; end < messages.size() && messages[end].size() == bytes; ++end)
      starts[end - first] = messages[end].data();
    mac1_.sign_each({starts.data(), end - first}, before_mac1(messages[first]).size(), macs);
    for (std::size_t i = first; i < end; ++i)
      valid[i] = constant_time_equal(macs[i - first], mac1_of(messages[i]));
  }
}

bool CookieChecker::has_mac2(ConstBytes message) {
  DCHECK(message.size() > kMacsBytes);
  const ConstBytes mac2 = mac2_of(message);
  return std::any_of(mac2.begin(), mac2.end(), [](std::uint8_t byte) { return byte != 0; });
}

bool CookieChecker::mac2_valid(Instant now, ConstBytes message, const net::Endpoint& source) {
  // A flood has none either: no need to compute what it is not.
  if (!has_mac2(message)) return false;
  refresh_secret(now);
  return constant_time_equal(blake2s_mac(cookie_for(source), before_mac2(message)),
                             mac2_of(message));
}

void CookieChecker::make_reply(Instant now, ConstBytes message, const net::Endpoint& source,
                               std::span<std::uint8_t, CookieReplyLayout::kSize> reply) {
  using Layout = CookieReplyLayout;
  DCHECK(message.size() > kMacsBytes);
  refresh_secret(now);
  emit_message_header(reply.data(), MessageType::kCookieReply, static_cast<Suite>(message[1]));
  static_assert(InitiationLayout::kSender == ResponseLayout::kSender);
  std::memcpy(reply.data() + Layout::kReceiver, message.data() + InitiationLayout::kSender,
              sizeof(std::uint32_t));
  const auto nonce = reply.subspan<Layout::kNonce, kCookieNonceBytes>();
  rng_.fill(nonce);
  xaead_seal(cookie_key_, nonce, mac1_of(message), cookie_for(source),
             reply.data() + Layout::kCookie);
}

// By the clock, which is the same for all who share the seed.
void CookieChecker::refresh_secret(Instant now) {
  const std::int64_t period =
      (now - Instant::from_ns(0)).count_ns() / kCookieSecretLifetime.count_ns();
  if (period == secret_period_) return;
  secret_period_ = period;
  std::array<std::uint8_t, sizeof(std::uint64_t)> number{};
  store_le(number.data(), static_cast<std::uint64_t>(period));
  secret_ = SecretBytes<kHashBytes>(blake2s(seed_.span(), number));
}

Mac CookieChecker::cookie_for(const net::Endpoint& source) const {
  std::array<std::uint8_t, sizeof source.port> port{};
  store_be(port.data(), source.port);
  return blake2s_mac(secret_.span(), source.address.view(), port);
}

// --- HandshakeRateLimiter --------------------------------------------------------------------

namespace {
constexpr std::int64_t kHandshakesPerSecond = 20;
constexpr std::int64_t kHandshakeBurst = 5;
constexpr std::int64_t kHandshakeCostNs = 1'000'000'000 / kHandshakesPerSecond;
constexpr std::int64_t kFullBucketNs = kHandshakeCostNs * kHandshakeBurst;
// A source may stand in any bucket of its set: few enough for one look, enough that sets do not
// fill long before the table does.
constexpr std::size_t kBucketsPerSet = 8;
constexpr std::size_t kIpv6SourceBytes = 8;  // a /64 is one subscriber

std::uint64_t source_key(const std::uint64_t (&seed)[2], const net::IpAddress& source) {
  static_assert(sizeof seed == crypto_shorthash_KEYBYTES);
  static_assert(sizeof(std::uint64_t) == crypto_shorthash_BYTES);
  std::uint8_t input[1 + kIpv6SourceBytes] = {static_cast<std::uint8_t>(source.family)};
  const std::size_t used = source.is_v4() ? 4 : kIpv6SourceBytes;
  std::memcpy(input + 1, source.bytes.data(), used);
  std::uint8_t hash[crypto_shorthash_BYTES];
  crypto_shorthash(hash, input, sizeof input, reinterpret_cast<const unsigned char*>(seed));
  return load_le<std::uint64_t>(hash);
}
}  // namespace

HandshakeRateLimiter::HandshakeRateLimiter(Rng& rng, std::size_t capacity, WhenFull when_full)
    : hash_seed_{rng.next_u64(), rng.next_u64()},
      buckets_((std::max(capacity, kBucketsPerSet) / kBucketsPerSet) * kBucketsPerSet),
      when_full_(when_full) {}

bool HandshakeRateLimiter::allow(Instant now, const net::IpAddress& source) {
  const std::uint64_t key = source_key(hash_seed_, source);
  const std::size_t set_count = buckets_.size() / kBucketsPerSet;
  Bucket* const set = &buckets_[(key % set_count) * kBucketsPerSet];
  Bucket* reusable = nullptr;
  for (Bucket* bucket = set; bucket != set + kBucketsPerSet; ++bucket) {
    // A bucket that has had the time to fill up says nothing that a fresh one would not.
    const std::int64_t idle_ns = std::max<std::int64_t>(0, (now - bucket->refilled).count_ns());
    if (idle_ns >= kFullBucketNs) {
      reusable = bucket;
      continue;
    }
    if (bucket->key != key) continue;
    bucket->tokens_ns = std::min(kFullBucketNs, bucket->tokens_ns + idle_ns);
    bucket->refilled = now;
    if (bucket->tokens_ns < kHandshakeCostNs) return false;
    bucket->tokens_ns -= kHandshakeCostNs;
    return true;
  }
  if (reusable == nullptr) {
    if (when_full_ == WhenFull::kRefuse) return false;
    // The hash is keyed: nobody outside can choose whom a source replaces.
    reusable = set + (key >> 32) % kBucketsPerSet;
  }
  *reusable = {key, kFullBucketNs - kHandshakeCostNs, now};
  return true;
}

bool HandshakeRateLimiter::exhausted(Instant now, const net::IpAddress& source) const {
  const std::uint64_t key = source_key(hash_seed_, source);
  const std::size_t set_count = buckets_.size() / kBucketsPerSet;
  const Bucket* const set = &buckets_[(key % set_count) * kBucketsPerSet];
  return std::any_of(set, set + kBucketsPerSet, [&](const Bucket& bucket) {
    const std::int64_t idle_ns = std::max<std::int64_t>(0, (now - bucket.refilled).count_ns());
    return bucket.key == key && bucket.tokens_ns + idle_ns < kHandshakeCostNs;
  });
}

// --- CookieJar -------------------------------------------------------------------------------

CookieJar::CookieJar(const PublicKey& peer_key)
    : mac1_key_(labelled_key(kMac1Label, peer_key)),
      cookie_key_(labelled_key(kCookieLabel, peer_key)) {}

void CookieJar::stamp(Instant now, Bytes message) {
  DCHECK(message.size() > kMacsBytes);
  last_mac1_ = blake2s_mac(mac1_key_, before_mac1(message));
  awaiting_reply_ = true;
  const Bytes macs = message.last(kMacsBytes);
  std::copy(last_mac1_.begin(), last_mac1_.end(), macs.begin());
  const Bytes mac2 = macs.last(kMacBytes);
  if (now - cookie_born_ < kCookieUsableFor) {
    const Mac value = blake2s_mac(cookie_, before_mac2(message));
    std::copy(value.begin(), value.end(), mac2.begin());
  } else {
    std::fill(mac2.begin(), mac2.end(), 0);
  }
}

bool CookieJar::consume_reply(Instant now, ConstBytes reply) {
  using Layout = CookieReplyLayout;
  if (!awaiting_reply_ || reply.size() != Layout::kSize) return false;
  Mac cookie;
  if (!xaead_open(cookie_key_, reply.subspan<Layout::kNonce, kCookieNonceBytes>(), last_mac1_,
                  reply.subspan(Layout::kCookie), cookie.data())) {
    return false;
  }
  cookie_ = cookie;
  cookie_born_ = now;
  awaiting_reply_ = false;
  return true;
}

}  // namespace ringway::tunnel
