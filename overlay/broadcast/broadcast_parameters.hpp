// The numbers of broadcasts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.hpp"
#include "overlay/burst_limits.hpp"

namespace ringway::overlay {

struct BroadcastParameters {
  // What a ring is told of as a whole is rare: a revocation, a change of policy.
  BurstLimit an_origin = {4, Duration::seconds(15), 64};
  // Ours measured 6 hops at 1,000 nodes and 8 at 10,000; more is a message that goes in circles.
  std::uint8_t max_hops = 64;
  std::size_t max_flights = 256;  // shares that wait for acknowledgement, of all messages
  std::size_t max_waves = 16;     // messages whose shares wait
  // Arcs taken of one message: one, and those of nodes that did not acknowledge.
  std::size_t max_arcs = 8;
  std::size_t remembered_arcs = 256;  // of all messages
  std::size_t replay_entries = 256;
  // Answers that the origin asks for: the estimate's deviation is a part of 1/sqrt of them.
  std::uint32_t sample = 64;
  Duration sampling_time = Duration::seconds(10);
  std::size_t max_measured = 4;  // of this node's own messages at a time
};

}  // namespace ringway::overlay
