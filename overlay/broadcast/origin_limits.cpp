#include "overlay/broadcast/origin_limits.hpp"

#include <algorithm>

namespace ringway::overlay {

bool OriginLimits::allows(const NodeId& origin, Instant now) const {
  std::size_t busy = 0;
  for (const Bucket& bucket : buckets_) {
    if (bucket.full_again <= now) continue;
    if (bucket.origin == origin)
      return bucket.full_again <= now + parameters_.interval * (parameters_.burst - 1);
    ++busy;
  }
  return busy < parameters_.max_origins;
}

void OriginLimits::count(const NodeId& origin, Instant now) {
  std::erase_if(buckets_, [&](const Bucket& bucket) { return bucket.full_again <= now; });
  auto found = std::find_if(buckets_.begin(), buckets_.end(),
                            [&](const Bucket& bucket) { return bucket.origin == origin; });
  if (found == buckets_.end()) found = buckets_.insert(found, {origin, now});
  found->full_again = found->full_again + parameters_.interval;
}

}  // namespace ringway::overlay
