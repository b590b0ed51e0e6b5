// Log lines of the control plane, on standard error: text with time and level, lines that systemd's
// journal understands, or JSON. Any thread may log; workers do not. Keys never appear in a log, and
// packets are counted, not logged. The only home of spdlog.
#pragma once

#include <string_view>

#include "controlplane/config.hpp"

namespace ringway::control {

// Once, before other threads start. Before it, lines of level info and above are text.
void setup_logging(const LogConfig& config);
// Any time, any thread.
void set_log_level(LogLevel level);
[[nodiscard]] bool is_logged(LogLevel level);

// A line; line ends and other control characters in it become spaces.
void log(LogLevel level, std::string_view message);

inline void log_trace(std::string_view message) {
  log(LogLevel::kTrace, message);
}
inline void log_debug(std::string_view message) {
  log(LogLevel::kDebug, message);
}
inline void log_info(std::string_view message) {
  log(LogLevel::kInfo, message);
}
inline void log_warn(std::string_view message) {
  log(LogLevel::kWarn, message);
}
inline void log_error(std::string_view message) {
  log(LogLevel::kError, message);
}

}  // namespace ringway::control
