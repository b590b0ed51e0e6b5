#include "overlay/link_table.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "overlay/spare_room.hpp"

namespace ringway::overlay {
namespace {

constexpr std::size_t kSpareLinks = 2;

}  // namespace

Link* LinkTable::find(LinkId id) {
  const auto found = std::find(ids_.begin(), ids_.end(), id);
  return found == ids_.end() ? nullptr : &links_[static_cast<std::size_t>(found - ids_.begin())];
}

Link* LinkTable::find(const NodeId& node) {
  for (Link& link : links_)
    if (link.node == node) return &link;
  return nullptr;
}

const Link* LinkTable::find(const NodeId& node) const {
  return const_cast<LinkTable*>(this)->find(node);
}

Link& LinkTable::add(Link link) {
  CHECK(find(link.node) == nullptr);
  // In small steps: doubling would leave room for as many links again in each of many nodes.
  if (links_.size() == links_.capacity()) {
    links_.reserve(links_.size() + kSpareLinks);
    ids_.reserve(links_.size() + kSpareLinks);
  }
  ids_.push_back(link.id);
  links_.push_back(std::move(link));
  return links_.back();
}

void LinkTable::rename(Link& link, LinkId id) {
  ids_[static_cast<std::size_t>(&link - links_.data())] = id;
  link.id = id;
}

void LinkTable::remove(LinkId id) {
  const auto found = std::find(ids_.begin(), ids_.end(), id);
  CHECK(found != ids_.end());
  links_.erase(links_.begin() + (found - ids_.begin()));
  ids_.erase(found);
  give_back_beyond(links_, kSpareLinks);
}

std::size_t LinkTable::count_wanted_here(std::uint8_t kinds) const {
  return static_cast<std::size_t>(std::count_if(
      links_.begin(), links_.end(), [&](const Link& link) { return (link.ours & kinds) != 0; }));
}

std::size_t LinkTable::count_in_ring() const {
  return static_cast<std::size_t>(
      std::count_if(links_.begin(), links_.end(), [](const Link& link) { return link.in_ring(); }));
}

std::size_t LinkTable::count_leaves() const {
  return static_cast<std::size_t>(std::count_if(
      links_.begin(), links_.end(),
      [&](const Link& link) { return !link.in_ring() && (link.theirs & wire::kWantsLeaf) != 0; }));
}

std::vector<NodeId> LinkTable::nodes_around(const NodeId& self) const {
  std::vector<NodeId> nodes;
  const auto add = [&](const NodeId& node) {
    if (node != self && std::find(nodes.begin(), nodes.end(), node) == nodes.end())
      nodes.push_back(node);
  };
  for (const Link& link : links_) {
    if (!link.near()) continue;
    add(link.node);
    for (const Contact& contact : link.near_list)
      add(contact.node);
  }
  std::sort(nodes.begin(), nodes.end(), [&](const NodeId& a, const NodeId& b) {
    return clockwise(self, a) < clockwise(self, b);
  });
  return nodes;
}

bool newer_link_wins(const NodeId& self, const Link& older, bool newer_opened_here,
                     bool newer_relayed) {
  if (older.relayed != newer_relayed) return older.relayed;
  if (older.opened_here == newer_opened_here) return true;
  const bool we_are_larger = self > older.node;
  return newer_opened_here == we_are_larger;
}

}  // namespace ringway::overlay
