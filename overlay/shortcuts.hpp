// Shortcuts: links across the ring whose lengths follow Symphony's harmonic law, so that greedy
// routing halves the way in about as many steps whatever is left of it. A node asks for half of
// log2 N and is asked for as many. Of the nodes around the place that was drawn, some are called,
// and the one with the shortest round trip stays.
// Sources: Symphony (Manku, Bawa, Raghavan, USITS 2003), sections 3.1 and 3.3; Brunet's proximity
// neighbour selection.
#pragma once

#include "overlay/core.hpp"
#include "overlay/linker.hpp"
#include "overlay/rpc.hpp"

namespace ringway::overlay {

// A place at a harmonically distributed distance from `self`, on either side, in a ring of
// 2^(network_log2 / 65536) nodes.
[[nodiscard]] NodeId draw_shortcut_place(const NodeId& self, std::uint32_t network_log2, Rng& rng);

// How many shortcuts a node of such a ring asks for: ceil(log2(N) / 2).
[[nodiscard]] std::size_t wanted_shortcuts(std::uint32_t network_log2,
                                           const Parameters& parameters);

class Shortcuts {
 public:
  Shortcuts(Core& core, Rpc& rpc, Linker& linker) : core_(core), rpc_(rpc), linker_(linker) {}

  // Once a turn: one more where there are too few, one less where there are many too many.
  void adjust(std::uint32_t network_log2);
  // Of the find request for the place.
  void on_answer(const Answer& answer);
  // The trials have come up or failed, or had their time: keeps the best.
  void tick();

 private:
  void begin_search(std::uint32_t network_log2);
  void drop_worst();

  Core& core_;
  Rpc& rpc_;
  Linker& linker_;
  bool searching_ = false;
  Instant search_ends_ = Instant::never();
};

}  // namespace ringway::overlay
