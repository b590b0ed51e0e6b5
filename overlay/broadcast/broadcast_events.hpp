// What the driver is told of broadcasts.
#pragma once

#include <cstdint>
#include <vector>

#include "overlay/node_id.hpp"

namespace ringway::overlay::output {

// A message for everybody came. Its origin is who it says; whether that node may say what it says
// is for the receiver to know.
struct BroadcastReceived {
  NodeId origin;
  std::uint64_t message_id = 0;
  std::uint8_t hops = 0;
  std::vector<std::uint8_t> payload;
};

// The sample of a message of this node is complete.
struct BroadcastMeasured {
  std::uint64_t message_id = 0;
  std::uint32_t answers = 0;
  std::uint32_t reached = 0;  // an estimate, this node excluded; exact where everyone answers
  float hops_mean = 0;        // of those who answered
  std::uint8_t hops_most = 0;
};

}  // namespace ringway::overlay::output
