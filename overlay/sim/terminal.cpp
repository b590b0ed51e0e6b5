#include "overlay/sim/terminal.hpp"

#include <cinttypes>
#include <cstdio>

#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include "base/check.hpp"

namespace ringway::overlay::sim {
namespace {

double cpu_seconds() {
  struct timespec used {};
  CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

}  // namespace

CpuStopwatch::CpuStopwatch() : begin_s_(cpu_seconds()) {}

double CpuStopwatch::seconds() const {
  return cpu_seconds() - begin_s_;
}

ProgressLine::ProgressLine() : on_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (on_) std::fprintf(stderr, "\r\033[K");
}

bool ProgressLine::due() {
  if (!on_ || since_shown_.seconds() < 1) return false;
  since_shown_ = Stopwatch();
  return true;
}

void ProgressLine::show(const std::string& text) const {
  if (on_) std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

std::size_t heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string hexadecimal(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, value);
  return text;
}

}  // namespace ringway::overlay::sim
