// Ways into a ring: leaf links to nodes that are known beforehand, over which a node asks for its
// place, and calls to nodes that were lost, lest two rings that formed apart stay apart.
//
//              a well-known node answers      neighbours on both sides for leaf_kept
//   OUTSIDE ───────────────────────────► LEAF ─────────────────────────────────────► INSIDE
//      ▲     (near neighbours search over it)                                          │
//      └───────────────────────────────────────────────────────────────────────────────┘
//                                 no links left
#pragma once

#include <optional>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/linker.hpp"
#include "overlay/rpc.hpp"

namespace ringway::overlay {

class Joining {
 public:
  Joining(Core& core, Rpc& rpc, Linker& linker) : core_(core), rpc_(rpc), linker_(linker) {}

  // Addresses of nodes that are meant to be there always, with whoever is behind them.
  void add_well_known(const Candidates& candidates);
  // A node that somebody who may be believed has named: known like those, within max_known.
  void meet(const Contact& member);
  void start();
  // A link died without a goodbye: its node may live on where we cannot see it.
  void remember(const Contact& lost);
  void on_link_up(Link& link);
  void on_answer(const Answer& answer);
  void tick(bool in_ring);

  [[nodiscard]] std::size_t remembered() const { return lost_.size(); }

 private:
  struct WellKnown {
    Candidates candidates;
    bool chosen = false;  // by the user, not met
    std::optional<NodeId> node;
  };
  void seek_leaf();
  void release_leaves();
  void call_a_lost_one();
  void check_a_well_known();
  Linker::Begun call(const WellKnown& known);
  // Asks for this node's place, in whatever ring the link leads to.
  void ask_over(const Link& link);

  Core& core_;
  Rpc& rpc_;
  Linker& linker_;
  std::vector<WellKnown> well_known_;
  std::vector<Contact> lost_;
  Instant seek_due_ = Instant::never();
  Instant reunion_due_ = Instant::never();
  Instant check_due_ = Instant::never();
  Instant in_ring_since_ = Instant::never();
};

}  // namespace ringway::overlay
