#include "dataplane/worker.hpp"

#include <algorithm>

#include <sys/epoll.h>
#include <unistd.h>

#include "dataplane/commands.hpp"
#include "dataplane/from_tunnel.hpp"
#include "dataplane/session_slots.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {

std::size_t Worker::run_once(Instant now) {
  run_commands(state_, now);
  std::size_t moved = from_tunnel(state_, now);
  moved += to_tunnel(state_, now);
  run_timers(state_, now);
  state_.inner.reclaim();
  state_.outer.reclaim();
  flush_retired_sessions(state_);
  if (state_.events_pushed) {
    state_.events_pushed = false;
    state_.link.control_doorbell.ring();
  }
  state_.counters.turns.increment();
  if (moved == 0) state_.counters.idle_turns.increment();
  return moved;
}

void Worker::run(PollMode mode) {
  while (!state_.stop_requested) {
    const std::size_t moved = run_once(Instant::now());
    if (moved == 0 && mode == PollMode::kAdaptive) sleep();
  }
}

namespace {

// The longest sleep: after suspension the kernel's timeout runs on where it stood, and deadlines
// that passed meanwhile must not wait for it.
constexpr Duration kLongestSleep = Duration::seconds(5);

void watch(int epoll_fd, int fd) {
  if (fd < 0) return;
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.fd = fd;
  CHECK(::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &interest) == 0);
}

}  // namespace

Worker::Worker(const WorkerOptions& options, io::Port& inner, io::Port& outer, ControlLink& link,
               Rng& rng)
    : state_(options, inner, outer, link, rng), epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_fd_ >= 0);
  watch(epoll_fd_, inner.wake_fd());
  watch(epoll_fd_, outer.wake_fd());
  watch(epoll_fd_, link.worker_doorbell.fd());
}

Worker::~Worker() {
  for (std::size_t id = 0; id < state_.peers.size(); ++id) {
    Peer* peer = state_.peers[id];
    if (peer == nullptr) continue;
    state_.staging.drop_all(*peer);
    delete peer;
  }
  while (state_.retired != nullptr) {
    tunnel::Session* session = state_.retired;
    state_.retired = session->next_retired;
    delete session;
  }
  ::close(epoll_fd_);
}

void Worker::sleep() {
  state_.link.worker_doorbell.announce_sleep();
  if (state_.link.commands.empty()) {
    const Duration until_deadline = next_deadline() - Instant::now();
    const std::int64_t timeout_ms =
        std::clamp<std::int64_t>(until_deadline.count_ms() + 1, 0, kLongestSleep.count_ms());
    state_.counters.sleeps.increment();  // before it: others may ask while we sleep
    epoll_event ready[3];
    ::epoll_wait(epoll_fd_, ready, 3, static_cast<int>(timeout_ms));
  }
  state_.link.worker_doorbell.awake();
}

}  // namespace ringway
