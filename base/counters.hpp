// Figures with one writer and any number of readers. The writer pays a plain load and store; a
// reader on another thread sees a whole value, at most a moment old.
#pragma once

#include <atomic>
#include <cstdint>

namespace ringway {

class Counter {
 public:
  void add(std::uint64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void increment() { add(1); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace ringway
