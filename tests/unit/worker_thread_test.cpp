// A worker on its own thread, asleep whenever it may be, and a control thread that wakes it: every
// command is answered, whatever the interleaving. Worth most under ThreadSanitizer.

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include <poll.h>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/worker.hpp"

namespace ringway {
namespace {

constexpr int kPatienceMs = 20'000;

io::MemoryPortConfig sleeping_port(const char* name) {
  io::MemoryPortConfig config;
  config.name = name;
  config.queue_slots = 64;
  config.buffer_count = 64;
  config.wake_fd = true;
  return config;
}

class WorkerThread : public testing::Test {
 protected:
  WorkerThread() {
    WorkerOptions options;
    options.session_slot_bits = 8;
    options.max_peers = 16;
    options.crypto = tunnel::CryptoBatch::Selection::kOpenSslOnly;
    worker_ = std::make_unique<Worker>(options, inner_, outer_, link_, rng_);
    thread_ = std::thread([this] { worker_->run(PollMode::kAdaptive); });
  }
  ~WorkerThread() override {
    if (!thread_.joinable()) return;
    send(command::Stop{});
    thread_.join();
  }

  void send(Command command) {
    EXPECT_TRUE(link_.commands.try_push(std::move(command)));
    link_.worker_doorbell.ring();
  }

  // The next event, asleep until it comes; empty when it never does.
  std::optional<Event> wait_for_event() {
    for (;;) {
      if (auto event = link_.events.try_pop()) return event;
      link_.control_doorbell.announce_sleep();
      pollfd waiting{link_.control_doorbell.fd(), POLLIN, 0};
      const bool lost = link_.events.empty() && ::poll(&waiting, 1, kPatienceMs) == 0;
      link_.control_doorbell.awake();
      link_.control_doorbell.clear();
      if (lost) return std::nullopt;
    }
  }

  io::MemoryPort inner_{sleeping_port("inner")};
  io::MemoryPort outer_{sleeping_port("outer")};
  ControlLink link_;
  SystemRng rng_;
  std::unique_ptr<Worker> worker_;
  std::thread thread_;
};

TEST_F(WorkerThread, AnswersEveryCommandThoughBothSidesSleep) {
  for (int round = 0; round < 10'000; ++round) {
    send(command::Snapshot{std::make_unique<WorkerSnapshot>()});
    const auto event = wait_for_event();
    ASSERT_TRUE(event) << "no answer in round " << round << ": a wake-up was lost";
    ASSERT_TRUE(std::holds_alternative<event::SnapshotTaken>(*event));
  }
}

TEST_F(WorkerThread, SendsHomeWhatItWasGiven) {
  send(command::AddPeer{std::make_unique<Peer>(PeerId{3}, false)});
  send(command::SetAllowedIps{std::make_unique<const tunnel::AllowedIps>()});
  send(command::RemovePeer{PeerId{3}});
  const auto first = wait_for_event();
  ASSERT_TRUE(first && std::holds_alternative<event::AllowedIpsRetired>(*first));
  const auto second = wait_for_event();
  ASSERT_TRUE(second && std::holds_alternative<event::PeerRemoved>(*second));
  EXPECT_EQ(std::get<event::PeerRemoved>(*second).peer->id, PeerId{3});
}

TEST_F(WorkerThread, SleepsWhenThereIsNothingToDo) {
  send(command::Snapshot{std::make_unique<WorkerSnapshot>()});
  ASSERT_TRUE(wait_for_event());
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  // Ports, timers and rings are empty: some turns to find that out, not thousands.
  EXPECT_LT(worker_->counters().turns.value(), 100U);
  EXPECT_GT(worker_->counters().sleeps.value(), 0U);
}

TEST_F(WorkerThread, StopsAtOnceThoughItSlept) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const Instant asked = Instant::now();
  send(command::Stop{});
  thread_.join();
  EXPECT_LT(Instant::now() - asked, Duration::seconds(2));  // its longest sleep is five
}

}  // namespace
}  // namespace ringway
