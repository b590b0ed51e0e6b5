// Two nodes and the network between them in virtual time, from a seed: the real worker, handshaker
// and tunnel service, over a link that loses, delays, reorders, duplicates and corrupts, with
// clocks that jump, machines that are suspended, and addresses that change. Checkers stand in its
// way.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "controlplane/tunnel_control/tunnel_service.hpp"
#include "dataplane/worker.hpp"
#include "tests/sim/memory_timestamps.hpp"
#include "tests/sim/sim_port.hpp"

namespace ringway::sim {

// Probabilities in thousandths a datagram.
struct LinkFaults {
  std::uint64_t loss = 0;
  std::uint64_t duplication = 0;
  std::uint64_t corruption = 0;
  Duration min_delay = Duration::milliseconds(5);
  Duration max_delay = Duration::milliseconds(5);  // above min_delay: reordering
};

struct PairOptions {
  std::uint64_t seed = 1;
  tunnel::Suite suite = tunnel::Suite::kChaCha20Poly1305;
  bool ringway = false;
  Duration keepalive_a = {};
  Duration keepalive_b = {};
  bool b_knows_a = true;  // false: b learns a's endpoint from its first handshake
};

// Which end: 0 is "a", 1 is "b".
using End = std::size_t;

class TunnelPair {
 public:
  explicit TunnelPair(const PairOptions& options);
  ~TunnelPair();

  LinkFaults faults;

  // An IPv4 packet with a fresh number goes into `from`'s inner side.
  std::uint32_t send(End from);
  // Runs the world until `virtual_time` from now has passed.
  void run_for(Duration virtual_time);
  // Runs until a packet sent then by `from` arrives, trying once a second; how long it took.
  // Empty when `limit` passed.
  std::optional<Duration> time_to_reach(End from, Duration limit);

  void jump_wall_clock(End end, Duration by) { wall_offset_[end] = wall_offset_[end] + by; }
  // The machine stands still and hears nothing, while boot time goes on.
  void suspend(End end, Duration length) { suspended_until_[end] = now_ + length; }
  void move(End end);     // a new address: old ones no longer reach it
  void restart(End end);  // sessions and counters are lost, keys and timestamps stay
  // Straight into the outer port of `at`, as from any sender.
  void inject_outer(End at, Datagram datagram);
  [[nodiscard]] const std::vector<Datagram>& recorded(End from) const { return recorded_[from]; }
  // An old datagram of `from` once more.
  void replay_recorded(End from);

  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] bool delivered(std::uint32_t number) const { return delivered_.contains(number); }
  [[nodiscard]] std::size_t delivered_count() const { return delivered_.size(); }
  [[nodiscard]] std::uint64_t data_messages() const { return data_messages_; }
  [[nodiscard]] std::uint64_t initiations() const { return initiations_; }
  [[nodiscard]] Worker& worker(End end) { return *nodes_[end]->worker; }
  [[nodiscard]] control::TunnelService& service(End end) { return *nodes_[end]->service; }
  // What the checkers found: empty when all is well.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  // Ends the nodes and checks the buffers. To be called last.
  void finish();

 private:
  struct Node {
    ControlLink link;
    std::unique_ptr<SimPort> inner;
    std::unique_ptr<SimPort> outer;
    std::unique_ptr<Worker> worker;
    std::unique_ptr<control::TunnelService> service;
  };
  struct InFlight {
    Instant at;
    std::uint64_t order;
    End to;
    net::Endpoint destination;
    Datagram datagram;
    bool operator<(const InFlight& other) const {
      return std::tie(other.at, other.order) < std::tie(at, order);
    }
  };

  void boot(End end);
  void introduce(End end);  // tells it about the other
  void shut_down(End end);
  void on_outer_sent(End from, Datagram datagram);
  void on_inner_delivered(End at, const Datagram& datagram);
  void check_nonce(End from, const std::vector<std::uint8_t>& message);
  void put_in_flight(End from, const Datagram& datagram);
  void settle(End end);
  [[nodiscard]] bool suspended(End end) const { return now_ < suspended_until_[end]; }
  [[nodiscard]] WallTime wall(End end) const;
  [[nodiscard]] bool chance(std::uint64_t thousandths) { return rng_.below(1000) < thousandths; }
  void violation(std::string what);

  PairOptions options_;
  SeededRng rng_;
  Instant now_ = Instant::from_ns(1'000'000'000'000);
  std::array<Duration, 2> wall_offset_{};
  std::array<Instant, 2> suspended_until_{Instant::distant_past(), Instant::distant_past()};
  std::array<net::Endpoint, 2> address_;
  std::array<tunnel::PrivateKey, 2> keys_;
  std::array<MemoryTimestamps, 2> timestamps_;
  std::array<std::unique_ptr<Node>, 2> nodes_;
  std::priority_queue<InFlight> in_flight_;
  std::array<std::vector<Datagram>, 2> recorded_;
  std::uint64_t next_order_ = 0;
  std::uint32_t next_number_ = 1;
  std::uint16_t next_port_ = 1000;
  std::set<std::uint32_t> delivered_;
  std::set<std::tuple<End, std::uint32_t, std::uint64_t>> nonces_;
  std::uint64_t data_messages_ = 0;
  std::uint64_t initiations_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace ringway::sim
