// Which node a command means: by socket, by interface, by configuration, or the only one there is.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "controlplane/config.hpp"

namespace ringway::control::cli {

struct Target {
  std::string interface;
  std::string socket;
  std::string state_directory;
};

// What the options say; empty where they do not.
struct TargetOptions {
  std::string interface;
  std::string socket;
};

// All nodes whose sockets stand in the usual place, by name.
[[nodiscard]] std::vector<Target> running_nodes();

[[nodiscard]] Result<Target> find_target(const TargetOptions& options);

// "FILE" where it has a slash or ends in .toml; else the name of one in /etc/ringway.
[[nodiscard]] std::string config_path(const std::string& file_or_name);

// For commands that take a configuration or a name, like `down`.
[[nodiscard]] Result<Target> find_target(const TargetOptions& options,
                                         const std::string& file_or_name);

}  // namespace ringway::control::cli
