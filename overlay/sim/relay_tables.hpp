// What the drivers of simulated nodes were told about relays: which paths a node has to another,
// and which labels it swaps as a relay.
#pragma once

#include <algorithm>
#include <vector>

#include "overlay/output_queue.hpp"
#include "overlay/spare_room.hpp"

namespace ringway::overlay::sim {

class RelayTables {
 public:
  void take(const Relaying& relaying) {
    if (const auto* const set = std::get_if<output::SetRelays>(&relaying)) {
      std::erase_if(sets_, [&](const auto& each) { return each.node == set->node; });
      give_back_beyond(sets_, kSpareSets);
      if (!set->relays.empty()) sets_.push_back(*set);
    } else if (const auto* const forward = std::get_if<output::Forward>(&relaying)) {
      stop({forward->from, forward->label});
      forwards_.push_back(*forward);
    } else {
      stop(std::get<output::StopForwarding>(relaying));
    }
  }

  // The paths to the node, the preferred first; null when there are none.
  [[nodiscard]] const output::RelayPaths* paths_to(const NodeId& node) const {
    for (const output::SetRelays& set : sets_)
      if (set.node == node) return &set.relays;
    return nullptr;
  }
  [[nodiscard]] const output::Forward* forward(std::uint32_t label) const {
    for (const output::Forward& each : forwards_)
      if (each.label == label) return &each;
    return nullptr;
  }
  [[nodiscard]] bool receives(const NodeId& from, std::uint32_t label) const {
    const output::RelayPaths* const paths = paths_to(from);
    return paths != nullptr && std::any_of(paths->begin(), paths->end(), [&](const auto& path) {
             return path.receive_label == label;
           });
  }
  [[nodiscard]] std::size_t forwards() const { return forwards_.size(); }

 private:
  void stop(const output::StopForwarding& stop) {
    std::erase_if(forwards_, [&](const output::Forward& each) {
      return each.from == stop.from && each.label == stop.label;
    });
  }

  static constexpr std::size_t kSpareSets = 1;
  std::vector<output::SetRelays> sets_;
  std::vector<output::Forward> forwards_;
};

}  // namespace ringway::overlay::sim
