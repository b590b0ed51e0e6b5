// How one thread wakes another that may be asleep in epoll, without a system call when it is awake.
// The sleeper announces, looks at its rings once more and only then waits; the ringer publishes,
// and writes the eventfd only if the sleeper has announced. Both exchange the same flag: whichever
// comes second sees what the other did before, so no wake-up is lost.
#pragma once

#include <atomic>

namespace ringway {

class Doorbell {
 public:
  Doorbell();
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  // Ringer: after publishing.
  void ring();

  // Sleeper: announce; then look at everything once more; then wait on fd().
  void announce_sleep();
  // Sleeper: awake again.
  void awake();
  // Sleeper: takes what was rung. To be called whenever fd() was readable: a ring may arrive after
  // awake() of the sleep that it was meant for, and would keep the next one from being one.
  void clear();
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
  std::atomic<bool> sleeping_{false};
};

}  // namespace ringway
