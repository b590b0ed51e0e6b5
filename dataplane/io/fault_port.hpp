// A bad network around a port, for tests: loses, delays, reorders, duplicates and corrupts
// datagrams with given probabilities, drawn from a seed, so that a run can be repeated. Time comes
// from advance(); without it nothing that was delayed ever arrives.
//
//   rx:  wrapped port ──> faults ──> lane ──(due)──> rx_burst
//   tx:  tx_burst ──> faults ──> lane ──(due)──> wrapped port
//
// A lane holds a bounded number of datagrams and orders them by the time they are due. Delay and
// jitter keep the order; only what `reordering` picks is overtaken. Runs of datagrams are cut, so
// that each datagram meets its own fate; a TCP or UDP super-packet is one packet here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/io/port.hpp"

namespace ringway::io {

// Probabilities from 0 to 1, each drawn for each datagram, in this order.
struct FaultRates {
  double loss = 0;
  double duplication = 0;  // a second copy, right behind the first
  double corruption = 0;   // one bit flipped (of the copy or the original: drawn for each)
  double reordering = 0;   // this much later than it would have been:
  Duration reordering_delay = Duration::milliseconds(1);
  Duration delay{};   // every datagram
  Duration jitter{};  // and up to this much more, uniformly
};

struct FaultConfig {
  FaultRates rx;
  FaultRates tx;
  std::size_t max_held = 4096;  // datagrams in each lane; more are lost and counted
  std::uint64_t seed = 1;
};

struct FaultCounters {
  std::uint64_t seen = 0;  // datagrams that came in
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t corrupted = 0;
  std::uint64_t reordered = 0;
  std::uint64_t overflowed = 0;  // the lane was full
  std::uint64_t uncopied = 0;    // a duplicate that found no buffer
  std::uint64_t delivered = 0;   // that went out
  // seen + duplicated == lost + overflowed + delivered + held, always.
};

class FaultPort final : public Port {
 public:
  // `wrapped` must outlive this port. Its counters go on counting what really passes it.
  FaultPort(Port& wrapped, const FaultConfig& config);
  ~FaultPort() override;  // releases what is held
  FaultPort(const FaultPort&) = delete;
  FaultPort& operator=(const FaultPort&) = delete;

  // Time passes: sends what is due. What is due to be received comes with the next rx_burst. Time
  // never goes back: an earlier `now` is ignored.
  void advance(Instant now);
  // When the next held datagram is due; Instant::never() when none is.
  [[nodiscard]] Instant next_due() const;

  void set_rx_rates(const FaultRates& rates) { rx_.rates = rates; }
  void set_tx_rates(const FaultRates& rates) { tx_.rates = rates; }
  [[nodiscard]] const FaultCounters& rx_faults() const { return rx_.counters; }
  [[nodiscard]] const FaultCounters& tx_faults() const { return tx_.counters; }
  [[nodiscard]] std::size_t held() const { return rx_.heap.size() + tx_.heap.size(); }

  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override;
  // What the faults take counts as sent; what the wrapped port refuses, as dropped.
  std::size_t tx_burst(std::span<Slot> slots) override;
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override {
    return wrapped_.alloc_burst(out);
  }
  void reclaim() override { wrapped_.reclaim(); }
  [[nodiscard]] const PortCapabilities& capabilities() const override {
    return wrapped_.capabilities();
  }
  // The wrapped port's: who sleeps on it must also wake at next_due().
  [[nodiscard]] int wake_fd() const override { return wrapped_.wake_fd(); }
  [[nodiscard]] int side_wake_fd() const override { return wrapped_.side_wake_fd(); }
  [[nodiscard]] bool wants_polling() const override { return wrapped_.wants_polling(); }
  [[nodiscard]] std::string describe() const override;

 private:
  struct Held {
    Instant due;
    std::uint64_t order = 0;  // of arrival, where two are due together
    Slot slot;
  };
  static bool later(const Held& a, const Held& b) {
    return a.due != b.due ? a.due > b.due : a.order > b.order;
  }
  struct Lane {
    FaultRates rates;
    FaultCounters counters;
    std::vector<Held> heap;  // the earliest on top
    Instant last_due = Instant::distant_past();
    std::uint64_t next_order = 0;
  };

  void enter(Lane& lane, const Slot& slot);
  void hold(Lane& lane, const Slot& slot);
  void corrupt(Lane& lane, const Slot& slot);
  [[nodiscard]] bool copy(const Slot& from, Slot& to);
  [[nodiscard]] std::size_t take_due(Lane& lane, std::span<Slot> out);
  std::size_t send_due();
  [[nodiscard]] bool chance(double probability);

  Port& wrapped_;
  std::size_t max_held_;
  SeededRng rng_;
  Instant now_ = Instant::distant_past();
  Lane rx_;
  Lane tx_;
};

}  // namespace ringway::io
