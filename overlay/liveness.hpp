// Whether the other ends of the links are alive: heartbeats on a common beat, and pings where one
// stays away. Time is cut into turns; a turn costs one timer for all links of the node.
#pragma once

#include "overlay/core.hpp"

namespace ringway::overlay {

// Asks for a sign of life. When none comes in time the link is suspect.
void probe(Core& core, Link& link);

class Liveness {
 public:
  explicit Liveness(Core& core) : core_(core) {}

  void start();
  // Sends what is due. Fills `dead` with links that did not answer; the caller drops them, and
  // calls again when the list came back full.
  using DeadLinks = BoundedList<LinkId, 16>;
  void tick(DeadLinks& dead);
  // The other end of this link died; who else did? Of a neighbour, or the last of several, probes
  // all links that are left.
  void on_lost(const Link& link);
  // True once a turn, for work that has no hurry.
  [[nodiscard]] bool turn_began() const { return turn_began_; }

 private:
  void begin_turn();
  void raise_alarm();
  void check(Link& link, DeadLinks& dead);
  [[nodiscard]] Duration heartbeat_period(const Link& link) const;

  Core& core_;
  Instant next_turn_ = Instant::never();
  Instant last_alarm_ = Instant::distant_past();
  Instant losses_since_ = Instant::distant_past();
  int losses_ = 0;
  std::uint32_t turn_ = 0;
  bool turn_began_ = false;
};

}  // namespace ringway::overlay
