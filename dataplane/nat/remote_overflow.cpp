#include "dataplane/nat/remote_overflow.hpp"

#include "base/check.hpp"
#include "dataplane/nat/keyed_hash.hpp"

namespace ringway::nat {

RemoteOverflow::RemoteOverflow(std::uint32_t max_mappings, std::uint32_t capacity, Rng& rng)
    : capacity_(capacity),
      entries_(std::size_t{capacity} + 1),
      buckets_(std::size_t{capacity} + 1),
      rings_(std::size_t{max_mappings} + 1) {
  for (std::uint64_t& word : key_)
    word = rng.next_u64();
}

std::size_t RemoteOverflow::bucket_of(Slot slot, const WideAddress& address) const {
  const std::uint64_t low = address[0] | std::uint64_t{address[1]} << 32;
  const std::uint64_t high = address[2] | std::uint64_t{address[3]} << 32;
  const std::uint64_t mixed = KeyedHash::fold(low ^ key_[0], high ^ key_[1]);
  const std::uint64_t hash = KeyedHash::fold(mixed ^ slot, key_[2] | 1);
  return static_cast<std::size_t>(((hash >> 32) * buckets_.size()) >> 32);
}

std::uint32_t RemoteOverflow::find(Slot slot, const WideAddress& address) const {
  for (std::uint32_t at = buckets_[bucket_of(slot, address)]; at != 0;
       at = entries_[at].next_in_bucket) {
    if (entries_[at].slot == slot && entries_[at].address == address) return at;
  }
  return 0;
}

void RemoteOverflow::exchange(Slot slot, const WideAddress& from, const WideAddress& to) {
  const std::uint32_t entry = find(slot, from);
  DCHECK(entry != 0);
  leave(entry);
  enter(entry, slot, to);
}

RemoteOverflow::Added RemoteOverflow::add(Slot slot, const WideAddress& address, bool may_grow) {
  Ring& ring = rings_[slot];
  const bool room = free_ != 0 || high_water_ < capacity_;
  if (!may_grow || !room || ring.count == kMaxPerMapping) {
    if (ring.count == 0) return Added::kNoRoom;
    const std::uint32_t oldest = entries_[ring.newest].next_of_mapping;
    leave(oldest);
    enter(oldest, slot, address);
    ring.newest = oldest;  // the ring turns by one
    return Added::kReplaced;
  }
  std::uint32_t entry = free_;
  if (entry != 0) {
    free_ = entries_[entry].next_of_mapping;
  } else {
    entry = ++high_water_;
  }
  enter(entry, slot, address);
  if (ring.count++ == 0) {
    entries_[entry].next_of_mapping = entry;
  } else {
    entries_[entry].next_of_mapping = entries_[ring.newest].next_of_mapping;
    entries_[ring.newest].next_of_mapping = entry;
  }
  ring.newest = entry;
  return Added::kNew;
}

std::uint32_t RemoteOverflow::clear(Slot slot) {
  Ring& ring = rings_[slot];
  const std::uint32_t count = ring.count;
  std::uint32_t entry = ring.newest;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t next = entries_[entry].next_of_mapping;
    leave(entry);
    entries_[entry].next_of_mapping = free_;
    free_ = entry;
    entry = next;
  }
  ring = {};
  return count;
}

void RemoteOverflow::enter(std::uint32_t entry, Slot slot, const WideAddress& address) {
  std::uint32_t& bucket = buckets_[bucket_of(slot, address)];
  entries_[entry].slot = slot;
  entries_[entry].address = address;
  entries_[entry].next_in_bucket = bucket;
  bucket = entry;
}

void RemoteOverflow::leave(std::uint32_t entry) {
  std::uint32_t* link = &buckets_[bucket_of(entries_[entry].slot, entries_[entry].address)];
  while (*link != entry)
    link = &entries_[*link].next_in_bucket;
  *link = entries_[entry].next_in_bucket;
}

}  // namespace ringway::nat
