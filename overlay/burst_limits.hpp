// How often each of many may do something: a burst, and then once an interval. A virtual-scheduling
// bucket each (GCRA, ITU-T I.371 annex A): one instant, from which on it has all of its burst
// again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/time.hpp"

namespace ringway::overlay {

struct BurstLimit {
  int burst = 1;
  Duration interval;
  std::size_t max_keys = 1;  // that did it of late; no other may while they are so many
};

template <typename Key>
class BurstLimits {
 public:
  explicit BurstLimits(const BurstLimit& limit) : limit_(limit) {}

  // Whether one more may come now. Changes nothing: it may be forged.
  [[nodiscard]] bool allows(const Key& key, Instant now) const {
    std::size_t busy = 0;
    for (const Bucket& bucket : buckets_) {
      if (bucket.full_again <= now) continue;
      if (bucket.key == key) return bucket.full_again <= now + limit_.interval * (limit_.burst - 1);
      ++busy;
    }
    return busy < limit_.max_keys;
  }
  // It came.
  void count(const Key& key, Instant now) {
    forget(now);
    auto found = std::find_if(buckets_.begin(), buckets_.end(),
                              [&](const Bucket& bucket) { return bucket.key == key; });
    if (found == buckets_.end()) found = buckets_.insert(found, {key, now});
    found->full_again = found->full_again + limit_.interval;
  }
  // Those that have all of their burst again.
  void forget(Instant now) {
    std::erase_if(buckets_, [&](const Bucket& bucket) { return bucket.full_again <= now; });
    if (buckets_.empty()) std::vector<Bucket>().swap(buckets_);  // a burst is over
  }
  [[nodiscard]] std::size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    Key key;
    Instant full_again;
  };

  BurstLimit limit_;
  std::vector<Bucket> buckets_;
};

}  // namespace ringway::overlay
