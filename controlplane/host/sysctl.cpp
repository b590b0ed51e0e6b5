#include "controlplane/host/sysctl.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace ringway::control::sysctl {
namespace {

std::string path_of(const std::string& name) {
  return "/proc/sys/" + name;
}

tl::unexpected<Error> sysctl_failure(const std::string& what, int error) {
  std::string remedy;
  if (error == EACCES || error == EPERM) {
    remedy = "run it as root, or give it the capability CAP_NET_ADMIN";
  }
  if (error == EROFS) remedy = "/proc/sys is mounted read-only here, as in some containers";
  return system_failure(what, error, std::move(remedy));
}

}  // namespace

bool exists(const std::string& name) {
  std::error_code ignored;
  return std::filesystem::exists(path_of(name), ignored);
}

Result<std::string> read(const std::string& name) {
  const int file = ::open(path_of(name).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return sysctl_failure("reading the setting " + name, errno);
  std::array<char, 4096> buffer{};
  const ssize_t size = ::read(file, buffer.data(), buffer.size());
  const int error = errno;
  ::close(file);
  if (size < 0) return sysctl_failure("reading the setting " + name, error);
  std::string value(buffer.data(), static_cast<std::size_t>(size));
  while (!value.empty() && value.back() == '\n')
    value.pop_back();
  return value;
}

Result<void> write(const std::string& name, const std::string& value) {
  const std::string what = "setting " + name + " to " + value;
  const int file = ::open(path_of(name).c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return sysctl_failure(what, errno);
  const ssize_t size = ::write(file, value.data(), value.size());
  const int error = errno;
  ::close(file);
  if (size != static_cast<ssize_t>(value.size())) return sysctl_failure(what, error);
  return {};
}

std::vector<std::string> list(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path_of(directory), ignored)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ringway::control::sysctl
