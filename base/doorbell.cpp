#include "base/doorbell.hpp"

#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.hpp"

namespace ringway {

Doorbell::Doorbell() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK(fd_ >= 0);
}

Doorbell::~Doorbell() {
  ::close(fd_);
}

void Doorbell::ring() {
  if (!sleeping_.exchange(false, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  const ssize_t written = ::write(fd_, &one, sizeof one);
  CHECK(written == sizeof one);  // only a counter at its maximum could refuse
}

void Doorbell::announce_sleep() {
  sleeping_.exchange(true, std::memory_order_acq_rel);
}

void Doorbell::awake() {
  sleeping_.store(false, std::memory_order_relaxed);
}

void Doorbell::clear() {
  std::uint64_t rung = 0;
  (void)!::read(fd_, &rung, sizeof rung);
}

}  // namespace ringway
