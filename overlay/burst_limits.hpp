// How often something may be done: a burst, and then once an interval. A virtual-scheduling bucket
// (GCRA, ITU-T I.371 annex A): one instant, from which on all of the burst is there again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/time.hpp"

namespace ringway::overlay {

struct BurstLimit {
  int burst = 1;
  Duration interval;
  std::size_t max_keys = 1;  // of many, that did it of late; no other may while they are so many
};

struct BurstBucket {
  Instant full_again = Instant::distant_past();

  [[nodiscard]] bool full(Instant now) const { return full_again <= now; }
  [[nodiscard]] bool allows(const BurstLimit& limit, Instant now) const {
    return full_again <= now + limit.interval * (limit.burst - 1);
  }
  void count(const BurstLimit& limit, Instant now) {
    full_again = std::max(full_again, now) + limit.interval;
  }
};

// The same for each of many.
template <typename Key>
class BurstLimits {
 public:
  // limit: must outlive this.
  explicit BurstLimits(const BurstLimit& limit) : limit_(limit) {}

  // Whether one more may come now. Changes nothing: it may be forged.
  [[nodiscard]] bool allows(const Key& key, Instant now) const {
    std::size_t busy = 0;
    for (const Owned& owned : buckets_) {
      if (owned.bucket.full(now)) continue;
      if (owned.key == key) return owned.bucket.allows(limit_, now);
      ++busy;
    }
    return busy < limit_.max_keys;
  }
  // It came.
  void count(const Key& key, Instant now) {
    forget(now);
    auto found = std::find_if(buckets_.begin(), buckets_.end(),
                              [&](const Owned& owned) { return owned.key == key; });
    if (found == buckets_.end()) found = buckets_.insert(found, {key, {}});
    found->bucket.count(limit_, now);
  }
  // Those that have all of their burst again.
  void forget(Instant now) {
    std::erase_if(buckets_, [&](const Owned& owned) { return owned.bucket.full(now); });
    if (buckets_.empty()) std::vector<Owned>().swap(buckets_);  // that may be for long
  }
  [[nodiscard]] std::size_t size() const { return buckets_.size(); }

 private:
  struct Owned {
    Key key;
    BurstBucket bucket;
  };

  const BurstLimit& limit_;
  std::vector<Owned> buckets_;
};

}  // namespace ringway::overlay
