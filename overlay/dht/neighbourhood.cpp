#include "overlay/dht/neighbourhood.hpp"

#include <algorithm>
#include <vector>

namespace ringway::overlay::dht {

Nodes nearest_to(const Key& key, std::span<const NodeId> nodes) {
  std::vector<NodeId> sorted(nodes.begin(), nodes.end());
  std::sort(sorted.begin(), sorted.end(), [&](const NodeId& a, const NodeId& b) {
    return clockwise(key, a) < clockwise(key, b);
  });
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  Nodes nearest;
  const std::size_t after = std::min(kReplicasASide, sorted.size());
  for (std::size_t i = 0; i < after; ++i)
    nearest.add(sorted[i]);
  const std::size_t before = std::min(kReplicasASide, sorted.size() - after);
  for (std::size_t i = 0; i < before; ++i)
    nearest.add(sorted[sorted.size() - 1 - i]);
  return nearest;
}

bool Neighbourhood::update() {
  const std::vector<NodeId> found = core_.links.nodes_around(core_.self());
  BoundedList<NodeId, kKnown> known;
  for (std::size_t i = 0; i < found.size(); ++i)
    if (i < kReplicasASide || i + kReplicasASide >= found.size()) known.add(found[i]);
  if (known == known_) return false;
  known_ = known;

  const Range range = current();
  const Range still = any_settled_ ? common(settled_, range) : Range{};
  if (!any_settled_ || !(still == range)) {
    settles_at_ = core_.now() + parameters_.settle_time;
    core_.wake_at(settles_at_);
  }
  settled_ = still;
  return true;
}

void Neighbourhood::tick() {
  if (core_.now() < settles_at_) {
    core_.wake_at(settles_at_);
    return;
  }
  settles_at_ = Instant::never();
  settled_ = current();
  any_settled_ = !known_.empty();
}

bool Neighbourhood::is_replica(const NodeId& node, const Key& key) const {
  return rank(node, key) < kReplicasASide;
}

bool Neighbourhood::is_holder(const NodeId& node, const Key& key) const {
  if (rank(node, key) >= kReplicasASide + kSparesASide) return false;
  const Range range = current();
  if (node != core_.self() || contains(range, key)) return true;
  // As far beyond the fourth node as that one is away: four times the mean distance to the fifth.
  const NodeId& self = core_.self();
  return clockwise(key, range.from) <= clockwise(range.from, self) ||
         clockwise(range.to, key) <= clockwise(self, range.to);
}

std::size_t Neighbourhood::rank(const NodeId& node, const Key& key) const {
  if (node == key) return 0;
  return std::min(known_between(node, key), known_between(key, node));
}

std::size_t Neighbourhood::known_between(const NodeId& from, const NodeId& to) const {
  if (leads_through_unknown(from, to)) return SIZE_MAX;
  std::size_t count = between(from, core_.self(), to) ? 1 : 0;
  for (const NodeId& other : known_)
    if (between(from, other, to)) ++count;
  return count;
}

// Who stands on the far side of the ring, behind the fourth node of either side, is not known.
bool Neighbourhood::leads_through_unknown(const NodeId& from, const NodeId& to) const {
  const Range range = current();
  if (range.all) return false;
  const Distance unknown = clockwise(range.to, range.from);
  const bool begins_there = between(range.to, from, range.from);
  const bool ends_there = between(range.to, to, range.from);
  if (begins_there && ends_there) return false;
  if (begins_there) return clockwise(from, range.from) > unknown.half();
  if (ends_there) return clockwise(range.to, to) > unknown.half();
  const Distance to_its_end = clockwise(from, range.from);
  return clockwise(from, range.to) < to_its_end && to_its_end <= clockwise(from, to);
}

Nodes Neighbourhood::replicas(const Key& key) const {
  std::vector<NodeId> nodes(known_.begin(), known_.end());
  nodes.push_back(core_.self());
  return nearest_to(key, nodes);
}

bool Neighbourhood::settled(const Key& key) const {
  return any_settled_ && contains(settled_, key);
}

Neighbourhood::Range Neighbourhood::current() const {
  if (known_.size() < kKnown) return {true, {}, {}};
  return {false, known_[kReplicasASide], known_[kReplicasASide - 1]};
}

bool Neighbourhood::contains(const Range& range, const Key& key) const {
  return range.all || key == core_.self() || between(range.from, key, range.to);
}

Neighbourhood::Range Neighbourhood::common(const Range& a, const Range& b) const {
  if (a.all) return b;
  if (b.all) return a;
  const NodeId& self = core_.self();
  return {false, clockwise(a.from, self) < clockwise(b.from, self) ? a.from : b.from,
          clockwise(self, a.to) < clockwise(self, b.to) ? a.to : b.to};
}

}  // namespace ringway::overlay::dht
