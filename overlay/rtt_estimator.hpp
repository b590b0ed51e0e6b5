// Round-trip times: their mean and spread, and the timeout that follows, mean + 6 sigma (Brunet)
// and at least a quarter above the mean.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/time.hpp"

namespace ringway::overlay {

class RttEstimator {
 public:
  void add(Duration sample) {
    const auto ms = static_cast<float>(sample.count_ns()) * 1e-6F;
    if (mean_ms_ < 0) {
      mean_ms_ = ms;
      variance_ = ms * ms / 16;  // a quarter of the first sample, until there are more
      return;
    }
    const float deviation = ms - mean_ms_;
    mean_ms_ += kGain * deviation;
    variance_ += kGain * (deviation * deviation - variance_);
  }
  [[nodiscard]] bool known() const { return mean_ms_ >= 0; }
  [[nodiscard]] Duration mean() const {
    return Duration::microseconds(static_cast<std::int64_t>(std::max(mean_ms_, 0.0F) * 1000));
  }
  // `shortest` while nothing is known: what comes of it is another try.
  [[nodiscard]] Duration timeout(Duration shortest, Duration longest) const {
    if (!known()) return shortest;
    // Where the samples hardly differ, the next one may still be a little late.
    const float ms = mean_ms_ + std::max(6 * std::sqrt(variance_), mean_ms_ / 4);
    return std::clamp(Duration::microseconds(static_cast<std::int64_t>(ms * 1000)), shortest,
                      longest);
  }

 private:
  static constexpr float kGain = 0.125F;  // RFC 6298's for the mean

  float mean_ms_ = -1;
  float variance_ = 0;
};

}  // namespace ringway::overlay
