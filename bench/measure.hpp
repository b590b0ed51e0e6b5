// What the benchmarks share: TSC cycles, medians, pinning, and colours that appear on terminals
// only.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/result.hpp"

namespace ringway::bench {

// The time stamp counter. It ticks at a constant rate, whatever the core's own frequency.
[[nodiscard]] inline std::uint64_t tsc() {
  return __builtin_ia32_rdtsc();
}

// Measures the TSC's rate against the monotonic clock from its construction on.
class TscCalibration {
 public:
  TscCalibration();
  // More exact the longer after construction; at least some tens of milliseconds.
  [[nodiscard]] double hz() const;

 private:
  std::chrono::steady_clock::time_point start_time_;
  std::uint64_t start_tsc_;
};

// Reorders the samples. 0 where there are none.
[[nodiscard]] double median(std::vector<double>& samples);

// To so many decimal digits.
[[nodiscard]] double rounded(double value, int digits);

// Keeps the calling thread on one core.
[[nodiscard]] Result<void> pin_to_core(unsigned core);

// Escape sequences, or empty strings where standard output is no terminal or NO_COLOR is set.
struct Colours {
  const char* bold = "";
  const char* dim = "";
  const char* good = "";
  const char* fair = "";
  const char* bad = "";
  const char* reset = "";
  [[nodiscard]] static Colours of_stdout();
};

}  // namespace ringway::bench
