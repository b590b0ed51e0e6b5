// What the simulator's commands share: a line of progress on a terminal, the time of the wall
// clock and of the processor, the program's memory, and how results are written.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace ringway::overlay::sim {

class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// The time that this process had on its cores: true on a busy machine.
class CpuStopwatch {
 public:
  CpuStopwatch();
  [[nodiscard]] double seconds() const;

 private:
  double begin_s_;
};

// One line on standard error, written over again, and gone in the end; nothing where that is no
// terminal.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  [[nodiscard]] bool due();  // once a second
  void show(const std::string& text) const;

 private:
  bool on_;
  Stopwatch since_shown_;
};

[[nodiscard]] std::size_t heap_bytes();                      // that the program holds
[[nodiscard]] std::string hexadecimal(std::uint64_t value);  // 16 digits

}  // namespace ringway::overlay::sim
