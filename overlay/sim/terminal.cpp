#include "overlay/sim/terminal.hpp"

#include <cinttypes>
#include <cstdio>

#include <malloc.h>
#include <unistd.h>

namespace ringway::overlay::sim {

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
