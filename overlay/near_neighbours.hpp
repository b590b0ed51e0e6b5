// The near neighbours: the nearest nodes of both sides, which make the ring a ring. A node counts
// as a neighbour only when it answered, that is, as the other end of a link; what others say of
// nodes is only a reason to call them. Each tells its neighbours who its neighbours are, and is
// told of nearer ones, until nobody knows any.
// Sources: Brunet's structured ring; Zave, "Reasoning about Identifier Spaces: How to Make Chord
// Correct" (IEEE TSE 2017), for what stabilisation must not assume.
#pragma once

#include <optional>

#include "overlay/core.hpp"
#include "overlay/linker.hpp"
#include "overlay/rpc.hpp"

namespace ringway::overlay {

class NearNeighbours {
 public:
  NearNeighbours(Core& core, Rpc& rpc, Linker& linker) : core_(core), rpc_(rpc), linker_(linker) {}

  static constexpr std::size_t kMaxASide = 4;
  using Side = BoundedList<NodeId, kMaxASide>;

  void start();
  // Links came, went, or are wanted otherwise: which of them are with near neighbours?
  void update();
  // Calls the node if it would be a near neighbour.
  void consider(const Contact& contact, const std::optional<SealingKey>& key = std::nullopt);
  // Whether the node would be a near neighbour, and is not linked with.
  [[nodiscard]] bool lacks(const NodeId& node) const {
    return node != core_.self() && core_.links.find(node) == nullptr && would_be_near(node);
  }
  void on_status(Link& link, const wire::Status& status);
  // Tells the other end of the link who this node's neighbours are.
  void send_status(const Link& link);
  // Of a find or connect request to the ring about our own place.
  void on_answer(const Answer& answer);
  // Looks again at what neighbours said: somebody did not answer, or is gone.
  void reconsider();
  void tick();

  // Links with nodes around `place`, this node excluded: two a side.
  [[nodiscard]] Contacts contacts_around(const NodeId& place) const;

  [[nodiscard]] const Side& right() const { return right_; }
  [[nodiscard]] const Side& left() const { return left_; }
  // log2 of the number of nodes, in units of 1/65536: this node's estimate and its neighbours'.
  [[nodiscard]] std::uint32_t network_log2() const;

 private:
  [[nodiscard]] Side nearest_linked(bool clockwise_side) const;
  [[nodiscard]] std::size_t mutual(const Side& side) const;
  [[nodiscard]] bool would_be_near(const NodeId& node) const;
  void call(const Contact& contact, const std::optional<SealingKey>& key);
  void apply_wants();
  void estimate_size();
  [[nodiscard]] wire::Status status() const;
  void search(wire::Direction direction, FirstHop first_hop);

  Core& core_;
  Rpc& rpc_;
  Linker& linker_;
  Side right_;  // nearest first
  Side left_;
  bool side_missing_ = true;
  Instant status_due_ = Instant::never();
  Instant search_due_ = Instant::never();
  Instant retry_due_ = Instant::never();  // of one that neighbours named and that did not answer
  Instant check_due_ = Instant::never();
  Duration search_interval_;
};

}  // namespace ringway::overlay
