// When a queue that stands too long tells its senders so: CoDel, RFC 8289 section 5, as a function
// of how long each packet waited. One instance a queue; one worker.
//
//            waits >= target for an interval                  drop_next_ has come: signal,
//   waiting ───────────────────────────────► signalling ◄──── the next one sooner (control law)
//           ◄───────────────────────────────
//            a packet waited less, or the queue is empty
#pragma once

#include <cmath>
#include <cstdint>

#include "base/time.hpp"

namespace ringway {

class CoDel {
 public:
  static constexpr Duration kTarget = Duration::milliseconds(5);      // RFC 8289 section 4.4
  static constexpr Duration kInterval = Duration::milliseconds(100);  // section 4.3

  // For each packet that leaves the queue: whether it is to carry a signal to its sender (a mark or
  // its loss). `target`: kTarget, or more where a packet takes that long at the queue's rate.
  [[nodiscard]] bool signals(Duration waited, bool last, Duration target, Instant now) {
    const bool too_long = stands_too_long(waited, last, target, now);
    if (!too_long) {
      signalling_ = false;
      return false;
    }
    if (signalling_) {
      if (now < next_) return false;
      ++count_;
      next_ = next_ + step();
      return true;
    }
    signalling_ = true;
    // Soon after the last time: go on at about the rate that was right then (section 5.5).
    const std::uint32_t since_start = count_ - count_at_start_;
    count_ = since_start > 1 && now - next_ < kInterval * 16 ? since_start : 1;
    count_at_start_ = count_;
    next_ = now + step();
    return true;
  }

 private:
  bool stands_too_long(Duration waited, bool last, Duration target, Instant now) {
    if (waited < target || last) {
      above_ = false;
      return false;
    }
    if (!above_) {
      above_ = true;
      above_for_interval_ = now + kInterval;
    }
    return now >= above_for_interval_;
  }
  // The control law: losses at 1/sqrt(count) make TCP's rate fall linearly (section 4.2).
  [[nodiscard]] Duration step() const {
    return Duration::nanoseconds(static_cast<std::int64_t>(
        static_cast<double>(kInterval.count_ns()) / std::sqrt(static_cast<double>(count_))));
  }

  bool above_ = false;       // the target, since above_for_interval_ less an interval
  bool signalling_ = false;  // RFC 8289: "dropping state"
  std::uint32_t count_ = 0;  // signals since signalling began, and what it began with
  std::uint32_t count_at_start_ = 0;
  Instant above_for_interval_;
  Instant next_;
};

}  // namespace ringway
