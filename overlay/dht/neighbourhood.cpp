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
  const Range before = current();
  known_ = known;

  const Range range = current();
  if (any_settled_) settled_ = common(settled_, range);
  if (knows_all()) {
    grew_at_ = Instant::never();
  } else if (!any_settled_ || grew_at_ == Instant::never() || !(common(before, range) == range)) {
    grew_at_ = core_.now();
  }
  core_.wake_at(settles_at());
  return true;
}

void Neighbourhood::tick() {
  if (core_.now() < settles_at()) {
    core_.wake_at(settles_at());
    return;
  }
  grew_at_ = Instant::never();
  settled_ = current();
  any_settled_ = others_knew_ = !known_.empty();
}

Instant Neighbourhood::settles_at() const {
  if (grew_at_ == Instant::never()) return Instant::never();
  const bool orphaned = any_settled_ || others_knew_;
  return grew_at_ + (orphaned ? parameters_.orphaned_time : parameters_.settle_time);
}

// --- What neighbours know ------------------------------------------------------------------------

std::optional<KeyRange> Neighbourhood::word_for(const NodeId& node) const {
  if (!any_settled_) return std::nullopt;
  if (current().all) return settled_;
  // All that are known, from left to right; who stands behind them is not known.
  std::vector<NodeId> row(known_.begin() + kReplicasASide, known_.end());
  row.push_back(core_.self());
  row.insert(row.end(), known_.begin(), known_.begin() + kReplicasASide);
  const auto found = std::find(row.begin(), row.end(), node);
  if (found == row.end()) return std::nullopt;
  const auto at = static_cast<std::size_t>(found - row.begin());
  const std::size_t first = std::max(at, kReplicasASide) - kReplicasASide;
  const std::size_t last = std::min(at + kReplicasASide, row.size() - 1);
  return common(settled_, {false, row[first], row[last]});
}

void Neighbourhood::on_word(const KeyRange& word, bool kept) {
  if (knows_all()) return;
  others_knew_ = true;
  if (kept) learn(word);
  if (knows_all()) grew_at_ = Instant::never();
}

// What is known stays in one piece: a word about keys beyond a gap teaches nothing.
void Neighbourhood::learn(const Range& word) {
  const Range range = current();
  if (word.all) {
    if (!range.all) return;
    settled_ = range;
    any_settled_ = true;
    return;
  }
  if (!any_settled_) {
    any_settled_ = between(word.from, core_.self(), word.to);
    if (any_settled_) settled_ = common(word, range);
    return;
  }
  if (settled_.all) return;
  const Distance unknown = clockwise(settled_.to, settled_.from);
  const auto inside = [&](const NodeId& place) { return between(word.from, place, word.to); };
  Distance to_left;
  Distance to_right;
  if (inside(settled_.from) || settled_.from == word.to)
    to_left = clockwise(word.from, settled_.from);
  if (inside(settled_.to) || settled_.to == word.from) to_right = clockwise(settled_.to, word.to);
  if (to_left >= unknown || to_right >= unknown - to_left) {
    settled_ = range;
    return;
  }
  settled_ = common({false, to_left.is_zero() ? settled_.from : word.from,
                     to_right.is_zero() ? settled_.to : word.to},
                    range);
}

// --- Who stands where ----------------------------------------------------------------------------

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
  if (sees_whole_ring()) return {true, {}, {}};
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
