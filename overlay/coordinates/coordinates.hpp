// This node's place in the space of round-trip times. Each heartbeat brings the place of the link's
// other end; the link's round trips say how far it really is, and the node moves a little towards
// where both fit, the more the less sure it is of its place, and the surer the other of its own.
// Floating point in a fixed order and with exact operations only: the same on every machine.
#pragma once

#include "overlay/coordinates/coordinate.hpp"
#include "overlay/core.hpp"

namespace ringway::overlay {

class Coordinates {
 public:
  explicit Coordinates(Core& core) : core_(core) {}

  // The other end of the link says where it is.
  void on_heard(Link& link, const Coordinate& theirs);
  void sample(Duration rtt, const Coordinate& theirs);

 private:
  struct Direction {
    float x, y;
  };
  [[nodiscard]] Direction own_direction() const;
  void publish();

  Core& core_;
  float x_ms_ = 0;
  float y_ms_ = 0;
  float height_ms_ = 0;
  float error_ = 1;
};

}  // namespace ringway::overlay
