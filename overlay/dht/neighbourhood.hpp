// Which keys this node answers for, and who else does: the four nodes of each side of a key. Known
// without asking: near neighbours, and those that they name. And of which keys it knows all that is
// there: those that it answered for all along, and those of which a neighbour that knew has handed
// over everything. That goes from neighbour to neighbour, so that no node says "nothing is there"
// of a key whose replicas all vanished at once:
//
//   answers for        ├──────────────────────────────┤
//   knows              ├──────────────┤
//   a neighbour's word         ├───────────────┤
//   knows then         ├───────────────────────┤       the rest by another's word, or by time
#pragma once

#include <optional>
#include <span>

#include "overlay/core.hpp"
#include "overlay/dht/messages.hpp"

namespace ringway::overlay::dht {

class Neighbourhood {
 public:
  Neighbourhood(Core& core, const DhtParameters& parameters)
      : core_(core), parameters_(parameters) {}

  // Looks at the links again. Whether other nodes are known now than before.
  bool update();
  void tick();

  [[nodiscard]] bool empty() const { return known_.empty(); }
  // There are not more nodes than those that are known here: each answers for every key.
  [[nodiscard]] bool sees_whole_ring() const { return known_.size() < kKnown; }
  // Of the nodes that are known here, `node` is one of the nearest to the key.
  [[nodiscard]] bool is_replica(const NodeId& node, const Key& key) const;
  // The same, with the spare holders behind them. Of this node itself that is a guess: who stands
  // behind the fourth node it does not know.
  [[nodiscard]] bool is_holder(const NodeId& node, const Key& key) const;
  // The nodes nearest to the key, this one among them if it is one. Right if it is.
  [[nodiscard]] Nodes replicas(const Key& key) const;
  // This node would know what is there.
  [[nodiscard]] bool settled(const Key& key) const;
  // Not so for some keys that it answers for.
  [[nodiscard]] bool needs_word() const { return !known_.empty() && !knows_all(); }
  // Of what this node can tell the other everything: it knows, and the other answers for it too.
  [[nodiscard]] std::optional<KeyRange> word_for(const NodeId& node) const;
  // A neighbour's word. `kept`: this node has everything that came with it.
  void on_word(const KeyRange& word, bool kept);

 private:
  // The keys for which this node answers lie between the fourth known node of each side; all, where
  // there are not that many.
  using Range = KeyRange;
  // How many known nodes stand between the node and the key, on the side where they are fewer.
  [[nodiscard]] std::size_t rank(const NodeId& node, const Key& key) const;
  [[nodiscard]] std::size_t known_between(const NodeId& from, const NodeId& to) const;
  [[nodiscard]] bool leads_through_unknown(const NodeId& from, const NodeId& to) const;
  [[nodiscard]] Range current() const;
  [[nodiscard]] bool knows_all() const { return any_settled_ && settled_ == current(); }
  [[nodiscard]] Instant settles_at() const;
  void learn(const Range& word);
  [[nodiscard]] bool contains(const Range& range, const Key& key) const;
  // Both contain this node.
  [[nodiscard]] Range common(const Range& a, const Range& b) const;

  Core& core_;
  const DhtParameters& parameters_;
  static constexpr std::size_t kKnown = 2 * kReplicasASide;
  BoundedList<NodeId, kKnown> known_;  // clockwise from this node; the last ones are to its left
  Range settled_;
  bool any_settled_ = false;
  bool others_knew_ = false;            // neighbours gave their word, for some keys at least
  Instant grew_at_ = Instant::never();  // the range that this node answers for; never: all is known
};

// Of `nodes`, the four of each side of the key, nearest first, those clockwise of it before.
[[nodiscard]] Nodes nearest_to(const Key& key, std::span<const NodeId> nodes);

}  // namespace ringway::overlay::dht
