// Starting ringwayd in the background and waiting for it to be ready, and waiting for it to end.
// The daemon says "ready" on a pipe (--ready-fd); what went wrong is the last line of its log.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace ringway::control::cli {

struct LaunchOptions {
  std::string daemon;    // path of ringwayd
  std::string config;    // absolute path
  std::string log_file;  // its standard error; made with its directory where missing
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
};

// Beside the running program, else the first in PATH.
[[nodiscard]] Result<std::string> find_daemon();
// The daemon's process once it is ready. When it fails, takes too long, or the user interrupts,
// it has ended before this returns.
[[nodiscard]] Result<std::int64_t> launch_daemon(const LaunchOptions& options);
// Until the process has ended; an error when it takes longer or the user interrupts.
[[nodiscard]] Result<void> wait_for_end(std::int64_t pid, std::chrono::milliseconds timeout);

}  // namespace ringway::control::cli
