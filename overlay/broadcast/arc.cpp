#include "overlay/broadcast/arc.hpp"

#include <algorithm>

namespace ringway::overlay {
namespace {

bool usable(const Link& link, std::span<const LinkId> tried) {
  return link.routable() && std::find(tried.begin(), tried.end(), link.id) == tried.end();
}

// A node in the arc; this one has no link.
struct Point {
  NodeId node;
  Link* link;
};

// Where the share of the second begins.
NodeId border(const Point& first, const Point& second) {
  if (first.link == nullptr) return advance(first.node, {0, 0, 1});
  return second.link == nullptr ? second.node : midpoint(first.node, second.node);
}

// The nearest to an arc outside of it; null where this node is nearer.
struct Outside {
  Link* before = nullptr;
  Distance before_by;
  Link* behind = nullptr;
  Distance behind_by;

  [[nodiscard]] Link* nearer() const {
    if (before == nullptr || behind == nullptr) return before == nullptr ? behind : before;
    return before_by < behind_by ? before : behind;
  }
};

Outside nearest_outside(const NodeId& self, LinkTable& links, const Arc& arc,
                        std::span<const LinkId> tried) {
  Outside nearest;
  nearest.before_by = clockwise(self, arc.from);
  nearest.behind_by = clockwise(arc.to, self);
  for (Link& link : links) {
    if (!usable(link, tried)) continue;
    if (const Distance way = clockwise(link.node, arc.from); way < nearest.before_by) {
      nearest.before = &link;
      nearest.before_by = way;
    }
    if (const Distance way = clockwise(arc.to, link.node); way < nearest.behind_by) {
      nearest.behind = &link;
      nearest.behind_by = way;
    }
  }
  return nearest;
}

}  // namespace

std::vector<Share> divide(const NodeId& self, LinkTable& links, const Arc& arc,
                          std::span<const LinkId> tried) {
  std::vector<Point> points;
  if (arc.contains(self)) points.push_back({self, nullptr});
  for (Link& link : links)
    if (arc.contains(link.node) && usable(link, tried)) points.push_back({link.node, &link});
  std::sort(points.begin(), points.end(), [&](const Point& a, const Point& b) {
    return clockwise(arc.from, a.node) < clockwise(arc.from, b.node);
  });
  std::vector<Share> shares;
  if (points.empty()) {
    const Outside nearest = nearest_outside(self, links, arc, tried);
    if (nearest.before != nullptr && nearest.behind != nullptr)
      shares.push_back({nearest.nearer(), arc});
  }
  NodeId from = arc.from;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const NodeId to = i + 1 < points.size() ? border(points[i], points[i + 1]) : arc.to;
    if (points[i].link != nullptr) shares.push_back({points[i].link, {from, to}});
    from = to;
  }
  return shares;
}

Link* nearest_across(const NodeId& self, LinkTable& links, const Arc& arc,
                     std::span<const LinkId> tried) {
  return nearest_outside(self, links, arc, tried).nearer();
}

}  // namespace ringway::overlay
