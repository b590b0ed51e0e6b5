#include "base/time.hpp"

#include <time.h>

namespace ringway {
namespace {
std::int64_t read_clock_ns(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return static_cast<std::int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}
}  // namespace

Instant Instant::now() {
  return from_ns(read_clock_ns(CLOCK_BOOTTIME));
}
WallTime WallTime::now() {
  return from_unix_ns(read_clock_ns(CLOCK_REALTIME));
}

}  // namespace ringway
