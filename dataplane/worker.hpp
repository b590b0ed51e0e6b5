// A worker: one thread that owns its ports, sessions and buffers and moves packets between them.
// Read worker.cpp first: its loop is the packet's way.
#pragma once

#include <cstddef>
#include <span>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/control_api.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

enum class PollMode : std::uint8_t {
  kAdaptive,  // sleeps when nothing comes: an idle node costs nothing
  kBusy,      // never sleeps: for appliances with a core to spend
};

class Worker {
 public:
  // Everything passed must outlive the worker.
  Worker(const WorkerOptions& options, io::Port& inner, io::Port& outer, ControlLink& link,
         Rng& rng);
  // Makes the worker a gateway that translates by itself. Before its first turn. `ethernet`: what
  // is below `internet`, and below the outer port, where that is an Ethernet link.
  void open_internet_side(io::Port& internet, const nat::Config& config,
                          forwarding::EthernetLink* ethernet = nullptr);
  // Puts back mappings that were kept over a restart; how many fitted. After open_internet_side()
  // and before the first turn.
  std::size_t restore_mappings(std::span<const nat::MappingRecord> records, Instant now);
  // Makes it one of several: what it receives and another one owns is handed over by `end`, whose
  // doorbell is the link's. Before its first turn.
  void join(Handoff& end);
  // Releases what waits and frees peers and sessions. The thread in run() must have returned.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // One turn: commands, a burst from each side, timers. How many slots it moved.
  std::size_t run_once(Instant now);
  // When the next turn is due though nothing arrives.
  [[nodiscard]] Instant next_deadline() const;

  // Turns until a Stop command arrives.
  void run(PollMode mode);

  [[nodiscard]] bool stopped() const { return state_.stop_requested; }
  [[nodiscard]] const WorkerCounters& counters() const { return state_.counters; }
  [[nodiscard]] std::string describe_crypto() const { return state_.crypto.describe(); }
  [[nodiscard]] std::uint32_t staged_packets() const { return state_.staging.held(); }
  [[nodiscard]] std::uint32_t held_packets() const { return state_.shaper.held(); }
  // Times the stages of each turn from now on; null: no longer. For the worker's thread.
  void set_stage_clock(StageClock* clock);
  // Null unless it was opened. For the worker's thread.
  [[nodiscard]] InternetSide* internet_side() { return state_.internet.get(); }

 private:
  void sleep();

  WorkerState state_;
  int epoll_fd_ = -1;
};

}  // namespace ringway
