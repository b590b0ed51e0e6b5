#include "bench/measure.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include <sched.h>
#include <unistd.h>

namespace ringway::bench {

TscCalibration::TscCalibration()
    : start_time_(std::chrono::steady_clock::now()), start_tsc_(tsc()) {}

double TscCalibration::hz() const {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_time_;
  return static_cast<double>(tsc() - start_tsc_) / elapsed.count();
}

double median(std::vector<double>& samples) {
  if (samples.empty()) return 0;
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

double rounded(double value, int digits) {
  const double scale = std::pow(10, digits);
  return std::round(value * scale) / scale;
}

Result<void> pin_to_core(unsigned core) {
  const std::string what = "pinning to core " + std::to_string(core);
  if (core >= CPU_SETSIZE) return failure(what + ": there is no such core");
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) != 0) {
    return system_failure(what, errno, "nproc tells how many there are; the first is 0");
  }
  return {};
}

Colours Colours::of_stdout() {
  const char* terminal = std::getenv("TERM");
  const bool plain = isatty(STDOUT_FILENO) == 0 || std::getenv("NO_COLOR") != nullptr ||
                     terminal == nullptr || std::strcmp(terminal, "dumb") == 0;
  if (plain) return {};
  return {"\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m", "\033[0m"};
}

}  // namespace ringway::bench
