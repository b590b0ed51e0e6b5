#include "dataplane/worker.hpp"

#include <algorithm>
#include <array>

#include <sys/epoll.h>
#include <unistd.h>

#include "dataplane/commands.hpp"
#include "dataplane/from_internet.hpp"
#include "dataplane/from_tunnel.hpp"
#include "dataplane/hand_over.hpp"
#include "dataplane/neighbour_reports.hpp"
#include "dataplane/release_held.hpp"
#include "dataplane/session_slots.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {

std::size_t Worker::run_once(Instant now) {
  run_commands(state_, now);
  run_ethernet(state_, now);
  std::size_t moved = from_tunnel(state_, now);
  moved += from_internet(state_, now);
  moved += to_tunnel(state_, now);
  moved += send_frames_of_others(state_);
  moved += release_held(state_, now);
  run_timers(state_, now);
  state_.inner.reclaim();
  state_.outer.reclaim();
  if (state_.internet != nullptr) state_.internet->port.reclaim();
  if (state_.handoff != nullptr) state_.handoff->reclaim();
  flush_retired_sessions(state_);
  if (state_.events_pushed) {
    state_.events_pushed = false;
    state_.link.control_doorbell.ring();
  }
  state_.counters.turns.increment();
  if (moved == 0) state_.counters.idle_turns.increment();
  end_stage(state_.stage_clock, Stage::kRest);
  return moved;
}

void Worker::run(PollMode mode) {
  while (!state_.stop_requested) {
    const std::size_t moved = run_once(Instant::now());
    if (moved == 0 && mode == PollMode::kAdaptive && !state_.stop_requested) sleep();
  }
}

namespace {

// The longest sleep: after suspension the kernel's timeout runs on where it stood, and deadlines
// that passed meanwhile must not wait for it.
constexpr Duration kLongestSleep = Duration::seconds(5);
constexpr Duration kPollInterval = Duration::milliseconds(1);  // of a port that wants polling

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
  watch(epoll_fd_, outer.side_wake_fd());
  watch(epoll_fd_, link.worker_doorbell.fd());
}

void Worker::open_internet_side(io::Port& internet, const nat::Config& config,
                                forwarding::EthernetLink* ethernet) {
  CHECK(state_.internet == nullptr);
  state_.internet = std::make_unique<InternetSide>(internet, config, state_.rng, ethernet);
  watch(epoll_fd_, internet.wake_fd());
}

std::size_t Worker::restore_mappings(std::span<const nat::MappingRecord> records, Instant now) {
  CHECK(state_.internet != nullptr && state_.counters.turns.value() == 0);
  std::size_t restored = 0;
  for (const nat::MappingRecord& record : records) {
    if (state_.internet->nat.restore(record, now)) ++restored;
  }
  return restored;
}

void Worker::set_stage_clock(StageClock* clock) {
  state_.stage_clock = clock;
}

void Worker::join(Handoff& end) {
  CHECK(state_.handoff == nullptr);
  state_.handoff = &end;
}

Instant Worker::next_deadline() const {
  const Instant deadline = std::min(state_.wheel.next_deadline(), state_.shaper.next_deadline());
  if (state_.internet == nullptr) return deadline;
  const forwarding::EthernetLink* ethernet = state_.internet->ethernet;
  return std::min({deadline, state_.internet->nat.next_deadline(),
                   ethernet == nullptr ? Instant::never() : ethernet->next_deadline()});
}

Worker::~Worker() {
  for (std::size_t id = 0; id < state_.peers.size(); ++id) {
    Peer* peer = state_.peers[id];
    if (peer == nullptr) continue;
    state_.staging.drop_all(*peer);
    state_.shaper.drop_all(peer->id, peer->up, peer->down);
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
  if (state_.link.commands.empty() && (state_.handoff == nullptr || !state_.handoff->waiting())) {
    state_.counters.sleeps.increment();
    const Duration until_deadline = next_deadline() - Instant::now();
    const Duration longest = state_.outer.wants_polling() ? kPollInterval : kLongestSleep;
    const std::int64_t timeout_ms =
        std::clamp<std::int64_t>(until_deadline.count_ms() + 1, 0, longest.count_ms());
    std::array<epoll_event, 5> ready;  // the ports and the doorbell
    const int count = ::epoll_wait(epoll_fd_, ready.data(), static_cast<int>(ready.size()),
                                   static_cast<int>(timeout_ms));
    for (int i = 0; i < count; ++i) {
      if (ready[static_cast<std::size_t>(i)].data.fd == state_.link.worker_doorbell.fd()) {
        state_.link.worker_doorbell.clear();
      }
    }
  }
  state_.link.worker_doorbell.awake();
}

}  // namespace ringway
