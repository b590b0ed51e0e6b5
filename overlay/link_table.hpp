// The links of a node: a flat table, since a node has some tens and looks at all of them for each
// routed message. References stay valid until a link is added or removed.
#pragma once

#include <cstddef>
#include <vector>

#include "overlay/link.hpp"

namespace ringway::overlay {

class LinkTable {
 public:
  [[nodiscard]] Link* find(LinkId id);
  [[nodiscard]] Link* find(const NodeId& node);
  [[nodiscard]] const Link* find(const NodeId& node) const;

  // `link` has a node that is not in the table yet.
  Link& add(Link link);
  void remove(LinkId id);
  void rename(Link& link, LinkId id);  // another link with the same node takes its place

  [[nodiscard]] std::size_t size() const { return links_.size(); }
  // Links that this end wants for something of `kinds`.
  [[nodiscard]] std::size_t count_wanted_here(std::uint8_t kinds) const;
  [[nodiscard]] std::size_t count_in_ring() const;
  [[nodiscard]] std::size_t count_leaves() const;  // wanted as leaves by their other ends only

  // Near neighbours and those that they name, without `self`, clockwise from it: who stands there
  // is known without asking.
  [[nodiscard]] std::vector<NodeId> nodes_around(const NodeId& self) const;

  [[nodiscard]] auto begin() { return links_.begin(); }
  [[nodiscard]] auto end() { return links_.end(); }
  [[nodiscard]] auto begin() const { return links_.begin(); }
  [[nodiscard]] auto end() const { return links_.end(); }
  [[nodiscard]] Link& at(std::size_t index) { return links_[index]; }

 private:
  std::vector<LinkId> ids_;  // of links_, for the one look-up that every message makes
  std::vector<Link> links_;
};

// Of two links between the same two nodes, both ends must keep the same one: the direct one; of two
// alike that which the larger ID opened; of two that the same end opened the newer, since it opened
// that one for lack of the other.
[[nodiscard]] bool newer_link_wins(const NodeId& self, const Link& older, bool newer_opened_here,
                                   bool newer_relayed);

}  // namespace ringway::overlay
