// The clocks of simulated nodes: each may be set wrong (the calendar) and go fast or slow (both). A
// node without an entry has the true time.
#pragma once

#include <cstdint>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/sim/connections.hpp"

namespace ringway::overlay::sim {

struct ClockError {
  Duration skew;               // of the calendar
  std::int32_t drift_ppm = 0;  // the clock gains so many parts of a million
  [[nodiscard]] bool operator==(const ClockError&) const = default;
};

class NodeClocks {
 public:
  // From `now` on; the node's Instant does not jump.
  void set(NodeIndex node, Instant now, const ClockError& error);

  [[nodiscard]] Clock read(NodeIndex node, Instant now) const;
  // When the node's clock shows `local`.
  [[nodiscard]] Instant when(NodeIndex node, Instant local) const;

 private:
  struct State {
    ClockError error;
    Instant since;       // true time
    Instant then_local;  // what the node's clock showed
  };
  [[nodiscard]] bool right(NodeIndex node) const { return node >= states_.size(); }

  std::vector<State> states_;  // by node, as far as one was set
};

}  // namespace ringway::overlay::sim
