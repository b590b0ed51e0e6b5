// Files of the state directory: read whole, replaced whole, closed to everybody but their owner.
// Control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/file_descriptor.hpp"
#include "base/result.hpp"

namespace ringway::control {

// A directory and those above it, as far as they are missing, with mode 0700.
[[nodiscard]] Result<void> make_directories(const std::string& directory);

// False, with errno, when not everything could be written.
[[nodiscard]] bool write_all(int fd, ConstBytes bytes);

// The whole file; empty where there is none, an error beyond `max_bytes`.
[[nodiscard]] Result<std::vector<std::uint8_t>> read_file(const std::string& path,
                                                          std::size_t max_bytes);

// A crash, of the machine too, leaves the old content or the new.
[[nodiscard]] Result<void> replace_file(const std::string& path, ConstBytes content);

// The same for content that comes piece by piece, and without waiting for the disk: a power cut may
// leave a torn file, which its format has to recognise. Without commit() nothing changes.
class FileReplacement {
 public:
  explicit FileReplacement(std::string path) : path_(std::move(path)) {}
  ~FileReplacement();
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;

  [[nodiscard]] Result<void> open();
  [[nodiscard]] Result<void> append(ConstBytes bytes);
  [[nodiscard]] Result<void> commit();

 private:
  [[nodiscard]] tl::unexpected<Error> failed() const;

  std::string path_;
  FileDescriptor file_;
};

}  // namespace ringway::control
