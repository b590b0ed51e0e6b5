// Kernel settings under /proc/sys. Names have slashes ("net/ipv4/conf/eth0.5/forwarding"), because
// interface names may have dots. The values are those of the calling thread's network namespace.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace ringway::control::sysctl {

[[nodiscard]] bool exists(const std::string& name);
// Without the trailing newline.
[[nodiscard]] Result<std::string> read(const std::string& name);
[[nodiscard]] Result<void> write(const std::string& name, const std::string& value);
// What stands in a directory, sorted: list("net/ipv6/conf") gives "all", "default", "eth0", "lo".
[[nodiscard]] std::vector<std::string> list(const std::string& directory);

}  // namespace ringway::control::sysctl
