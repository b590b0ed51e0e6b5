// What the network between simulated nodes does to messages: loss, duplication, jitter (and with it
// reordering), delay spikes, and uplinks of a certain bandwidth with a queue in front. Everything
// is drawn from a seed. A simulation that asks for none of it has no Network.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "overlay/sim/connections.hpp"

namespace ringway::overlay::sim {

// Parts of a million are of the messages, whichever way they go.
struct Conditions {
  std::uint32_t loss_ppm = 0;
  std::uint32_t duplicate_ppm = 0;  // they arrive twice
  std::uint32_t spike_ppm = 0;      // they take `spike` longer
  Duration spike;
  Duration jitter;  // all take up to this much longer, each as it comes

  [[nodiscard]] bool operator==(const Conditions&) const = default;
};

struct Uplink {
  std::uint32_t kbit_s = 0;           // zero: without limit
  std::uint32_t queue_packets = 256;  // what comes to a full queue is lost
  [[nodiscard]] bool operator==(const Uplink&) const = default;
};

class Network {
 public:
  explicit Network(std::uint64_t seed) : rng_(seed) {}

  void set_conditions(const Conditions& conditions) { conditions_ = conditions; }
  void set_uplink(NodeIndex node, const Uplink& uplink);
  [[nodiscard]] bool limits(NodeIndex node) const {
    return node < uplinks_.size() && uplinks_[node].limit.kbit_s > 0;
  }

  // When a message arrives that leaves now: not at all, once, or twice.
  struct Arrivals {
    std::array<Instant, 2> at;
    std::size_t count = 0;
  };
  [[nodiscard]] Arrivals carry(NodeIndex from, LinkId link, std::size_t bytes, Instant now,
                               Duration one_way);
  // The node's packets for this link that did not leave yet.
  [[nodiscard]] std::size_t waiting(NodeIndex node, LinkId link, Instant now);

 private:
  struct Packet {
    Instant leaves;
    LinkId link;
  };
  struct UplinkState {
    Uplink limit;
    Instant free_at = Instant::distant_past();
    std::deque<Packet> queue;
  };
  [[nodiscard]] bool one_in(std::uint32_t ppm) { return ppm > 0 && rng_.below(1'000'000) < ppm; }
  // False when the queue is full; else `leaves` becomes the time when the last bit is out.
  [[nodiscard]] bool enqueue(NodeIndex from, LinkId link, std::size_t bytes, Instant& leaves);
  [[nodiscard]] Duration drawn_delay();

  Conditions conditions_;
  SeededRng rng_;
  std::vector<UplinkState> uplinks_;  // by node, as far as one was limited
};

}  // namespace ringway::overlay::sim
