// How many ICMP errors the gateway sends: a rate and a burst for every receiver, and another for
// all together, so that no subscriber uses up what the others need. RFC 1812 section 4.3.2.8 and
// RFC 4443 section 2.4(f) want a token bucket.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/net/address.hpp"
#include "base/time.hpp"
#include "dataplane/nat/keyed_hash.hpp"

namespace ringway::nat {

struct TokenRate {
  std::int64_t per_second = 1;
  std::int64_t burst = 1;
};

class TokenBucket {
 public:
  // Takes a token; false when there is none. `rate` is the same at every call.
  [[nodiscard]] bool take(TokenRate rate, Instant now) {
    const Duration interval = Duration::nanoseconds(1'000'000'000 / rate.per_second);
    const Instant full = std::max(full_at_, now);
    if (full - now > interval * (rate.burst - 1)) return false;
    full_at_ = full + interval;
    return true;
  }

 private:
  Instant full_at_ = Instant::distant_past();  // when all tokens are back
};

class ErrorLimiter {
 public:
  static constexpr TokenRate kPerReceiver = {.per_second = 20, .burst = 10};
  static constexpr TokenRate kInAll = {.per_second = 1000, .burst = 200};

  explicit ErrorLimiter(Rng& rng) : hash_(rng) {}

  // Receivers share buckets by chance: the table has a fixed size.
  [[nodiscard]] bool allow(const net::IpAddress& receiver, Instant now) {
    const std::uint64_t words[] = {load_le<std::uint64_t>(receiver.bytes.data()),
                                   load_le<std::uint64_t>(receiver.bytes.data() + 8)};
    TokenBucket& own = receivers_[hash_(words) % receivers_.size()];
    return own.take(kPerReceiver, now) && all_.take(kInAll, now);
  }

 private:
  KeyedHash hash_;
  TokenBucket all_;
  std::array<TokenBucket, 512> receivers_{};
};

}  // namespace ringway::nat
