// A file descriptor that somebody owns: closed with its owner.
#pragma once

#include <utility>

#include <unistd.h>

namespace ringway {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    close();
    fd_ = other.release();
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void close() {
    if (const int fd = release(); fd >= 0) ::close(fd);
  }

 private:
  int fd_ = -1;
};

}  // namespace ringway
