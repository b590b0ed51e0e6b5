// Where a message goes next: greedy on the ring, in one of three directions, and with one step away
// from the destination where that is allowed. Pure functions over the link table.
// Source: greedy and annealing routing of Brunet; Symphony section 3.
#pragma once

#include <span>

#include "overlay/link_table.hpp"
#include "overlay/wire/routed_message.hpp"

namespace ringway::overlay {

enum class Verdict : std::uint8_t { kForward, kForwardDetour, kDeliver, kNoRoute };

struct NextHop {
  Verdict verdict = Verdict::kNoRoute;
  Link* link = nullptr;  // to forward over
};

// The way that is left from `node`, measured in the direction of the route.
[[nodiscard]] Distance way_left(wire::Direction direction, const NodeId& node,
                                const NodeId& destination);

// came_from: never back over this link. tried: links that did not acknowledge the message.
[[nodiscard]] NextHop next_hop(const NodeId& self, LinkTable& links,
                               const wire::RoutedMessage& message, LinkId came_from,
                               std::span<const LinkId> tried);

}  // namespace ringway::overlay
