#include "overlay/routing.hpp"

#include <algorithm>

namespace ringway::overlay {
namespace {

class Search {
 public:
  Search(LinkTable& links, const wire::RoutedMessage& message, LinkId came_from,
         std::span<const LinkId> tried)
      : links_(links), message_(message), came_from_(came_from), tried_(tried) {}

  // The link that leaves the shortest way to `destination`, if shorter than `bound`.
  [[nodiscard]] Link* closest(wire::Direction direction, const NodeId& destination,
                              Distance bound) const {
    Link* best = nullptr;
    for (Link& link : links_) {
      if (!link.routable()) continue;
      const Distance left = way_left(direction, link.node, destination);
      if (left >= bound || !usable(link)) continue;
      best = &link;
      bound = left;
    }
    return best;
  }
  // The link with that very node, be it a leaf.
  [[nodiscard]] Link* direct(const NodeId& node) const {
    Link* const link = links_.find(node);
    return link != nullptr && !link->suspect() && usable(*link) ? link : nullptr;
  }

 private:
  [[nodiscard]] bool usable(const Link& link) const {
    return link.node != message_.source && link.id != came_from_ &&
           std::find(tried_.begin(), tried_.end(), link.id) == tried_.end();
  }

  LinkTable& links_;
  const wire::RoutedMessage& message_;
  LinkId came_from_;
  std::span<const LinkId> tried_;
};

}  // namespace

Distance way_left(wire::Direction direction, const NodeId& node, const NodeId& destination) {
  switch (direction) {
    case wire::Direction::kSuccessor:
      return clockwise(destination, node);
    case wire::Direction::kPredecessor:
      return clockwise(node, destination);
    case wire::Direction::kNearest:
      break;
  }
  return ring_distance(node, destination);
}

NextHop next_hop(const NodeId& self, LinkTable& links, const wire::RoutedMessage& message,
                 LinkId came_from, std::span<const LinkId> tried) {
  if (message.destination == self) return {Verdict::kDeliver, nullptr};
  const Search search(links, message, came_from, tried);
  const bool at_via = message.via && *message.via == self;
  const NodeId& target = message.via && !at_via ? *message.via : message.destination;
  const bool exact = message.route.exact || message.via.has_value();

  if (exact) {
    if (Link* const link = search.direct(target)) return {Verdict::kForward, link};
    if (at_via) return {};
  }
  const wire::Direction direction = message.route.direction;
  if (Link* const link = search.closest(direction, target, way_left(direction, self, target)))
    return {Verdict::kForward, link};
  if (!exact) return {Verdict::kDeliver, nullptr};
  if (message.route.annealing && !message.detour_taken) {
    if (Link* const link = search.closest(direction, target, Distance::max()))
      return {Verdict::kForwardDetour, link};
  }
  return {};
}

}  // namespace ringway::overlay
