// What a peer may send, or be sent, in bytes over time: a token bucket, kept as the instant up to
// which the bytes so far are paid for (the virtual scheduling algorithm of ITU-T I.371). Whether
// the rate is exceeded can be asked without charging anything, so that what an unauthenticated
// packet claims never counts against a peer. One worker.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.hpp"

namespace ringway {

// Of inner bytes: IP packets as the peer sends and gets them. 0: no limit.
struct RateLimits {
  std::uint32_t up_mbps = 0;    // from the peer, 10^6 bits a second
  std::uint32_t down_mbps = 0;  // to the peer
  bool operator==(const RateLimits&) const = default;
};

inline constexpr std::uint32_t kMaxLimitMbps = 100'000;

class RateLimiter {
 public:
  // How far ahead of the rate a peer may be: what is short, as most that people wait for, passes as
  // if there were no limit.
  static constexpr Duration kBurst = Duration::milliseconds(100);

  // 0: no limit. What was charged stays charged.
  void set_rate(std::uint32_t mbps) { cost_ = mbps == 0 ? 0 : (kCostAtOneMbps + mbps / 2) / mbps; }
  [[nodiscard]] bool limits() const { return cost_ != 0; }

  [[nodiscard]] bool exceeded(Instant now) const { return limits() && paid_until_ - now > kBurst; }
  // When exceeded() ends, if nothing more is charged.
  [[nodiscard]] Instant free_at() const {
    return limits() ? paid_until_ - kBurst : Instant::distant_past();
  }
  // How long so much takes at the rate; nothing where there is none.
  [[nodiscard]] Duration time_of(std::uint32_t bytes) const {
    const std::uint64_t cost = std::uint64_t{bytes} * cost_;
    return Duration::nanoseconds(static_cast<std::int64_t>(cost >> kFractionBits));
  }
  void charge(std::uint32_t bytes, Instant now) {
    const std::uint64_t cost = std::uint64_t{bytes} * cost_ + fraction_;
    const auto cost_ns = static_cast<std::int64_t>(cost >> kFractionBits);
    paid_until_ = std::max(paid_until_, now) + Duration::nanoseconds(cost_ns);
    fraction_ = cost & ((1U << kFractionBits) - 1);
  }

 private:
  // A byte at 10 Gbit/s costs 0.8 ns: hence fractions. At kMaxLimitMbps a cost is exact to 0.15 %.
  static constexpr unsigned kFractionBits = 12;
  static constexpr std::uint32_t kCostAtOneMbps = 8'000U << kFractionBits;  // 8 bits at 1 bit/us

  std::uint32_t cost_ = 0;      // of a byte, in 2^-12 ns
  std::uint32_t fraction_ = 0;  // likewise, to be charged with the next
  Instant paid_until_ = Instant::distant_past();
};

}  // namespace ringway
