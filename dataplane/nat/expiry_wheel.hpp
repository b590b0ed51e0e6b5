// When mappings are to be looked at: a hashed wheel of lists through the mappings themselves
// (Varghese, Lauck 1987), one second a bucket. A packet only notes when its mapping was last used;
// the wheel finds out at the time that was expected then, and puts it back where it still lives.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "dataplane/nat/mapping_table.hpp"

namespace ringway::nat {

class ExpiryWheel {
 public:
  static constexpr Ticks kBucketTicks = 10;
  static constexpr std::uint32_t kBuckets = 8192;  // a horizon of 2 h 16 min

  explicit ExpiryWheel(MappingTable& table) : table_(table) {}

  // `due`: when to look, not before `now`. What is further away than the horizon comes up there.
  void insert(Slot slot, Ticks due, Ticks now) {
    if (armed_ == 0) next_ = now / kBucketTicks;
    std::uint32_t time = due / kBucketTicks + 1;
    if (time <= next_) time = next_ + 1;
    if (time >= next_ + kBuckets) time = next_ + kBuckets - 1;
    const std::uint32_t bucket = time % kBuckets;
    Mapping& mapping = table_[slot];
    mapping.next = heads_[bucket];
    mapping.previous = kHead | bucket;
    if (mapping.next != kNoSlot) table_[mapping.next].previous = slot;
    heads_[bucket] = slot;
    used_[bucket / 64] |= std::uint64_t{1} << bucket % 64;
    ++armed_;
  }

  void remove(Slot slot) {
    const Mapping& mapping = table_[slot];
    if (mapping.next != kNoSlot) table_[mapping.next].previous = mapping.previous;
    if ((mapping.previous & kHead) == 0) {
      table_[mapping.previous].next = mapping.next;
    } else {
      heads_[mapping.previous & ~kHead] = mapping.next;
      if (mapping.next == kNoSlot) mark_empty(mapping.previous & ~kHead);
    }
    --armed_;
  }

  // One mapping whose time has come, off the wheel; kNoSlot when there is none.
  [[nodiscard]] Slot take_due(Ticks now) {
    const std::uint32_t last = now / kBucketTicks;
    while (armed_ > 0 && next_ <= last) {
      if (const Slot slot = heads_[next_ % kBuckets]; slot != kNoSlot) {
        remove(slot);
        return slot;
      }
      // Not past now: what is inserted next may be due before all that is here.
      next_ = std::min(next_used(), last + 1);
    }
    return kNoSlot;
  }

  // The time at which take_due() may have something; only where armed.
  [[nodiscard]] bool armed() const { return armed_ > 0; }
  [[nodiscard]] Ticks next_due() const {
    return (heads_[next_ % kBuckets] != kNoSlot ? next_ : next_used()) * kBucketTicks;
  }

 private:
  static constexpr std::uint32_t kHead = 1U << 31;

  void mark_empty(std::uint32_t bucket) {
    used_[bucket / 64] &= ~(std::uint64_t{1} << bucket % 64);
  }
  // The first second after next_ whose bucket is not empty. Only where armed.
  [[nodiscard]] std::uint32_t next_used() const {
    std::uint32_t time = next_ + 1;
    for (std::uint32_t words = 0; words <= kBuckets / 64; ++words) {
      const std::uint32_t bit = time % 64;
      const std::uint64_t word = used_[time % kBuckets / 64] >> bit;
      if (word != 0) return time + static_cast<std::uint32_t>(__builtin_ctzll(word));
      time += 64 - bit;
    }
    return time;
  }

  MappingTable& table_;
  std::array<Slot, kBuckets> heads_{};
  std::array<std::uint64_t, kBuckets / 64> used_{};
  std::uint32_t next_ = 0;  // the second that is being worked on; what was before it is empty
  std::uint32_t armed_ = 0;
};

}  // namespace ringway::nat
