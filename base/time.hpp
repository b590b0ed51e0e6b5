// Two clocks that must not be confused. Instant counts from boot and goes on during suspension
// (CLOCK_BOOTTIME), so that suspension ages keys; every protocol deadline is an Instant. WallTime
// is the calendar, used for TAI64N and certificates only. Protocol code is given `now`; only the
// edges (worker loop, control loop, programs) call the clocks.
#pragma once

#include <compare>
#include <cstdint>

namespace ringway {

class Duration {
 public:
  constexpr Duration() = default;
  [[nodiscard]] static constexpr Duration nanoseconds(std::int64_t n) { return Duration(n); }
  [[nodiscard]] static constexpr Duration microseconds(std::int64_t n) {
    return Duration(n * 1'000);
  }
  [[nodiscard]] static constexpr Duration milliseconds(std::int64_t n) {
    return Duration(n * 1'000'000);
  }
  [[nodiscard]] static constexpr Duration seconds(std::int64_t n) {
    return Duration(n * 1'000'000'000);
  }

  [[nodiscard]] constexpr std::int64_t count_ns() const { return ns_; }
  [[nodiscard]] constexpr std::int64_t count_ms() const { return ns_ / 1'000'000; }
  [[nodiscard]] constexpr double count_s() const { return static_cast<double>(ns_) * 1e-9; }

  constexpr auto operator<=>(const Duration&) const = default;
  [[nodiscard]] constexpr Duration operator+(Duration other) const {
    return Duration(ns_ + other.ns_);
  }
  [[nodiscard]] constexpr Duration operator-(Duration other) const {
    return Duration(ns_ - other.ns_);
  }
  [[nodiscard]] constexpr Duration operator*(std::int64_t factor) const {
    return Duration(ns_ * factor);
  }

 private:
  explicit constexpr Duration(std::int64_t ns) : ns_(ns) {}
  std::int64_t ns_ = 0;
};

class Instant {
 public:
  constexpr Instant() = default;
  [[nodiscard]] static constexpr Instant from_ns(std::int64_t ns) { return Instant(ns); }
  // Earlier and later than every instant a clock returns.
  [[nodiscard]] static constexpr Instant distant_past() { return Instant(INT64_MIN / 4); }
  [[nodiscard]] static constexpr Instant never() { return Instant(INT64_MAX / 4); }
  [[nodiscard]] static Instant now();  // CLOCK_BOOTTIME

  [[nodiscard]] constexpr std::int64_t ns() const { return ns_; }
  constexpr auto operator<=>(const Instant&) const = default;
  [[nodiscard]] constexpr Instant operator+(Duration d) const {
    return Instant(ns_ + d.count_ns());
  }
  [[nodiscard]] constexpr Instant operator-(Duration d) const {
    return Instant(ns_ - d.count_ns());
  }
  [[nodiscard]] constexpr Duration operator-(Instant other) const {
    return Duration::nanoseconds(ns_ - other.ns_);
  }

 private:
  explicit constexpr Instant(std::int64_t ns) : ns_(ns) {}
  std::int64_t ns_ = 0;
};

class WallTime {
 public:
  constexpr WallTime() = default;
  [[nodiscard]] static constexpr WallTime from_unix_ns(std::int64_t ns) { return WallTime(ns); }
  [[nodiscard]] static WallTime now();  // CLOCK_REALTIME
  [[nodiscard]] constexpr std::int64_t unix_ns() const { return ns_; }
  [[nodiscard]] constexpr std::int64_t unix_seconds() const { return ns_ / 1'000'000'000; }
  constexpr auto operator<=>(const WallTime&) const = default;
  [[nodiscard]] constexpr WallTime operator+(Duration d) const {
    return WallTime(ns_ + d.count_ns());
  }

 private:
  explicit constexpr WallTime(std::int64_t ns) : ns_(ns) {}
  std::int64_t ns_ = 0;  // since 1970-01-01T00:00:00Z
};

}  // namespace ringway
