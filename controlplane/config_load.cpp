// A configuration from this machine: the file's bytes and mode, and what reading them asks of the
// host.
#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/config.hpp"
#include "controlplane/keys.hpp"

namespace ringway::control {
namespace {

tl::unexpected<ConfigProblems> unreadable(const std::string& path, std::string message) {
  return tl::unexpected(ConfigProblems{path, {{0, 0, std::move(message)}}, 0});
}

// The whole file, and whether its mode keeps it from group and others.
Result<std::pair<std::string, bool>> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) {
    const int error = errno;
    return system_failure("cannot be opened", error,
                          error == EACCES ? "run as the user that owns it, or as root" : "");
  }
  struct stat info {};
  std::string text;
  int error = ::fstat(fd, &info) == 0 ? 0 : errno;
  if (error == 0 && S_ISDIR(info.st_mode)) error = EISDIR;
  std::array<char, 16384> chunk{};
  while (error == 0 && text.size() <= kMaxConfigBytes) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got == 0) break;
    if (got > 0) {
      text.append(chunk.data(), static_cast<std::size_t>(got));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  ::close(fd);
  secure_wipe(chunk.data(), chunk.size());
  if (error != 0) return system_failure("cannot be read", error);
  if (text.size() > kMaxConfigBytes) return failure("larger than 16 MiB");
  return std::pair(std::move(text), (info.st_mode & 077U) == 0);
}

bool system_has_group(const std::string& name) {
  return ::getgrnam(name.c_str()) != nullptr;
}

}  // namespace

ConfigHost ConfigHost::system() {
  ConfigHost host;
  host.read_private_key = read_private_key_file;
  host.read_preshared_key = read_preshared_key_file;
  host.interface_exists = [](const std::string& name) {
    return ::if_nametoindex(name.c_str()) != 0;
  };
  host.group_exists = system_has_group;
  host.cpu_count = static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_CONF)));
  return host;
}

tl::expected<Config, ConfigProblems> load_config_or_problems(const std::string& path) {
  auto file = read_file(path);
  if (!file) return unreadable(path, file.error().text());
  ConfigHost host = ConfigHost::system();
  host.file_is_private = file->second;
  auto config = parse_config(file->first, path, host);
  secure_wipe(file->first.data(), file->first.size());  // may hold preshared keys
  return config;
}

Result<Config> load_config(const std::string& path) {
  auto config = load_config_or_problems(path);
  if (!config) return failure(config.error().text());
  return std::move(*config);
}

}  // namespace ringway::control
