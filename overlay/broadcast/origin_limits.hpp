// How often each origin may speak to the whole ring. A virtual-scheduling bucket each (GCRA, ITU-T
// I.371 annex A): one instant, from which on the origin would have all of its burst again.
#pragma once

#include <vector>

#include "overlay/broadcast/broadcast_parameters.hpp"
#include "overlay/core.hpp"

namespace ringway::overlay {

class OriginLimits {
 public:
  explicit OriginLimits(const BroadcastParameters& parameters) : parameters_(parameters) {}

  // Whether one more may come now. Changes nothing: it may be forged.
  [[nodiscard]] bool allows(const NodeId& origin, Instant now) const;
  // It was authentic.
  void count(const NodeId& origin, Instant now);
  [[nodiscard]] std::size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    NodeId origin;
    Instant full_again;
  };

  const BroadcastParameters& parameters_;
  std::vector<Bucket> buckets_;
};

}  // namespace ringway::overlay
