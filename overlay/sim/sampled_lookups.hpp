// Pairs of nodes, drawn; one of each asks for the other's place, and the other is to answer.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

class SampledLookups {
 public:
  // Both must outlive what they were made for: the simulation tells of answers until its end.
  SampledLookups(Simulation& simulation, std::uint64_t seed) : simulation_(simulation), rng_(seed) {
    simulation.add_observer([this](NodeIndex node, const Event& event) {
      if (const auto* const done = std::get_if<output::LookupDone>(&event)) end(node, *done);
    });
  }

  void forget_results() { ended_ = found_ = found_at_first_ = 0; }
  // One more pair among these.
  void ask(const std::vector<NodeIndex>& nodes, int tries) {
    const NodeIndex node = nodes[rng_.below(nodes.size())];
    const NodeId& other = simulation_.id(nodes[rng_.below(nodes.size())]);
    asked_.push_back({node, other, 0});
    const std::size_t at = asked_.size() - 1;  // the answer may come within the call
    const auto request_id = simulation_.act(node, [&](Overlay& overlay, const Clock& clock) {
      return asked_[at].request_id = overlay.lookup(clock, other, tries);
    });
    if (request_id != 0) return;
    asked_.pop_back();
    ++ended_;
  }

  [[nodiscard]] std::size_t under_way() const { return asked_.size(); }
  [[nodiscard]] std::uint64_t ended() const { return ended_; }
  [[nodiscard]] std::uint64_t found() const { return found_; }
  [[nodiscard]] std::uint64_t found_at_first() const { return found_at_first_; }
  // Of those found, by the hops that the request took.
  [[nodiscard]] const std::array<std::uint64_t, 256>& hops() const { return hops_; }

 private:
  struct Asked {
    NodeIndex node;
    NodeId other;
    std::uint64_t request_id;
  };
  void end(NodeIndex node, const output::LookupDone& done) {
    const auto found = std::find_if(asked_.begin(), asked_.end(), [&](const Asked& asked) {
      return asked.node == node && asked.request_id == done.request_id;
    });
    if (found == asked_.end()) return;
    ++ended_;
    if (done.answered && done.responder == found->other) {
      ++found_;
      if (done.tries == 1) ++found_at_first_;
      ++hops_[done.hops];
    }
    asked_.erase(found);
  }

  Simulation& simulation_;
  SeededRng rng_;
  std::vector<Asked> asked_;
  std::uint64_t ended_ = 0;
  std::uint64_t found_ = 0;
  std::uint64_t found_at_first_ = 0;
  std::array<std::uint64_t, 256> hops_{};
};

}  // namespace ringway::overlay::sim
