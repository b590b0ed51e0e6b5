// Which next hops a worker has sent to since it last said so. The kernel sees none of this traffic:
// it keeps the neighbours' entries fresh only because control repeats these reports to it
// (controlplane/host/route_mirror.hpp). One worker's own; a mark is one store.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/forwarding/forwarding_table.hpp"
#include "dataplane/forwarding/next_hop.hpp"

namespace ringway::forwarding {

class NextHopUse {
 public:
  // Next hops numbered `capacity` and above are not watched.
  explicit NextHopUse(std::uint32_t capacity = 65536) : words_((capacity + 63) / 64) {}

  void mark(NextHopId id) {
    const std::size_t word = id.value / 64;
    if (word < words_.size()) words_[word] |= std::uint64_t{1} << id.value % 64;
  }

  // Calls visit(const Neighbour&) for each resolved neighbour that was marked, and forgets. `table`
  // is the one that the marks belong to: drain before swapping it.
  template <typename Visit>
  void drain(const ForwardingTable& table, Visit&& visit) {
    for (std::size_t word = 0; word < words_.size(); ++word) {
      for (std::uint64_t bits = words_[word]; bits != 0; bits &= bits - 1) {
        const auto id = static_cast<std::uint32_t>(word * 64) +
                        static_cast<std::uint32_t>(std::countr_zero(bits));
        if (id >= table.next_hop_count()) break;
        if (table.next_hop({id}).state != NextHopState::kResolved) continue;
        visit(table.neighbour({id}, {}));
      }
      words_[word] = 0;
    }
  }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace ringway::forwarding
