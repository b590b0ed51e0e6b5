// Distributions in whole numbers: those of the standard library differ from one compiler to the
// next, and a seed must mean the same everywhere.
#pragma once

#include <cstdint>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "overlay/ring_logarithm.hpp"

namespace ringway::overlay::sim {

// Exponentially distributed: the time between events that do not know of each other.
[[nodiscard]] inline Duration draw_exponential(Rng& rng, Duration mean) {
  // -ln u = ln 2 * (64 - log2 of a number of 64 bits).
  const Distance uniform{0, rng.next_u64() | 1, 0};  // 32 bits to the left
  const std::uint64_t minus_log2 = (96U << kLogFractionBits) - log2_of(uniform);
  constexpr std::uint64_t kLn2 = 45'426;  // in units of 1/65536
  const std::uint64_t factor = (minus_log2 * kLn2) >> kLogFractionBits;
  const std::int64_t us = mean.count_ns() / 1000;
  return Duration::microseconds((us * static_cast<std::int64_t>(factor)) >> kLogFractionBits);
}

[[nodiscard]] inline Duration draw_uniform(Rng& rng, Duration below) {
  if (below <= Duration{}) return {};
  return Duration::nanoseconds(
      static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(below.count_ns()))));
}

}  // namespace ringway::overlay::sim
