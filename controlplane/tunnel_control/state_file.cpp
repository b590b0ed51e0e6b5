#include "controlplane/tunnel_control/state_file.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>

namespace ringway::control {
namespace {

std::string fresh_name(const std::string& path) {
  return path + ".new";
}

FileDescriptor create(const std::string& path) {
  return FileDescriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

}  // namespace

Result<void> make_directories(const std::string& directory) {
  for (std::size_t end = 1; end != std::string::npos;) {
    end = directory.find('/', end + 1);
    const std::string part = directory.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      return system_failure("making the state directory " + part, errno,
                            "set [state] directory to a place that this user may write");
    }
  }
  return {};
}

bool write_all(int fd, ConstBytes bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

Result<std::vector<std::uint8_t>> read_file(const std::string& path, std::size_t max_bytes) {
  std::vector<std::uint8_t> content;
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) {
    if (errno == ENOENT) return content;
    return system_failure("reading " + path, errno);
  }
  std::vector<std::uint8_t> chunk(1U << 16);
  for (;;) {
    const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure("reading " + path, errno);
    if (got == 0) return content;
    content.insert(content.end(), chunk.begin(), chunk.begin() + got);
    if (content.size() > max_bytes) return failure(path + " is too long to be what it should be");
  }
}

Result<void> replace_file(const std::string& path, ConstBytes content) {
  const std::string fresh = fresh_name(path);
  const FileDescriptor file = create(fresh);
  if (!file.open() || !write_all(file.get(), content) || ::fsync(file.get()) != 0 ||
      ::rename(fresh.c_str(), path.c_str()) != 0) {
    return system_failure("writing " + path, errno, "check the state directory's space and owner");
  }
  return {};
}

FileReplacement::~FileReplacement() {
  if (file_.open()) ::unlink(fresh_name(path_).c_str());
}

Result<void> FileReplacement::open() {
  file_ = create(fresh_name(path_));
  if (!file_.open()) return failed();
  return {};
}

Result<void> FileReplacement::append(ConstBytes bytes) {
  if (!write_all(file_.get(), bytes)) return failed();
  return {};
}

Result<void> FileReplacement::commit() {
  if (::rename(fresh_name(path_).c_str(), path_.c_str()) != 0) return failed();
  file_.close();
  return {};
}

tl::unexpected<Error> FileReplacement::failed() const {
  return system_failure("writing " + path_, errno, "check the state directory's space and owner");
}

}  // namespace ringway::control
