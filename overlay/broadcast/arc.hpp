// A part of the ring, half-open, and how a node divides one among its links: each link's node gets
// the arc around itself, up to half way to the next link, so that arcs never overlap and nobody
// gets a message twice while links are right.
//
//   from           l1           this node           l2      l3              to
//    |------- to l1 ----------------|------ to l2 ------|------ to l3 -------|
//
// Between a node and the next to which it has a link there is nobody: those are its neighbours.
// Source: broadcast over structured overlays by recursive division of the identifier space
// (El-Ansary, Alima, Brand, Haridi, IPTPS 2003). There arcs begin at their node; in the middle of
// its arc a node has use for its links of both sides.
#pragma once

#include <span>
#include <vector>

#include "overlay/link_table.hpp"
#include "overlay/node_id.hpp"

namespace ringway::overlay {

struct Arc {
  NodeId from;
  NodeId to;  // excluded; the same as `from`: once around

  [[nodiscard]] bool operator==(const Arc&) const = default;
  [[nodiscard]] constexpr bool contains(const NodeId& id) const {
    return from == to || clockwise(from, id) < clockwise(from, to);
  }
  // All of it, of another arc.
  [[nodiscard]] constexpr bool covers(const Arc& other) const {
    if (from == to) return true;
    if (other.from == other.to || !contains(other.from)) return false;
    return clockwise(from, other.from) + clockwise(other.from, other.to) <= clockwise(from, to) &&
           clockwise(other.from, other.to) <= clockwise(from, to);
  }
};

struct Share {
  Link* link;
  Arc arc;
};

// Over links that count for routing, `tried` excepted. Where none leads into the arc, all of it
// goes to the node nearest to it on either side; where this node is the nearest of a side, nobody
// is there.
[[nodiscard]] std::vector<Share> divide(const NodeId& self, LinkTable& links, const Arc& arc,
                                        std::span<const LinkId> tried);

// The link nearest to the arc on the side on which this node is not the nearest itself.
[[nodiscard]] Link* nearest_across(const NodeId& self, LinkTable& links, const Arc& arc,
                                   std::span<const LinkId> tried);

}  // namespace ringway::overlay
