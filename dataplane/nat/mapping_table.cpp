#include "dataplane/nat/mapping_table.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace ringway::nat {

MappingTable::MappingTable(std::uint32_t max_mappings, Rng& rng)
    : max_mappings_(max_mappings),
      bucket_count_(std::max(max_mappings / kMeanEntries, kProbes) + 1),
      mappings_(std::size_t{max_mappings} + 1),
      buckets_(bucket_count_) {
  for (std::uint64_t& word : key_)
    word = rng.next_u64();
}

template <net::Family kFamily>
Slot MappingTable::find(const InnerKey& key) const {
  const std::uint64_t hash = this->hash<kFamily>(key);
  const std::uint8_t tag = tag_of(hash);
  std::uint32_t at = home_of(hash);
  const unsigned probes = buckets_[at].displaced == 0 ? 1 : kProbes;
  for (unsigned probe = 0; probe < probes; ++probe, at = after(at)) {
    const Bucket& bucket = buckets_[at];
    for (unsigned i = 0; i < kEntries; ++i) {
      if (bucket.tags[i] == tag && matches<kFamily>(mappings_[bucket.slots[i]], key)) {
        return bucket.slots[i];
      }
    }
  }
  return kNoSlot;
}

bool MappingTable::place(std::uint64_t hash, Slot slot) {
  Bucket& home = buckets_[home_of(hash)];
  std::uint32_t at = home_of(hash);
  for (unsigned probe = 0; probe < kProbes; ++probe, at = after(at)) {
    Bucket& bucket = buckets_[at];
    for (unsigned i = 0; i < kEntries; ++i) {
      if (bucket.tags[i] != 0) continue;
      bucket.tags[i] = tag_of(hash);
      bucket.slots[i] = slot;
      if (probe > 0) ++home.displaced;  // at most (kProbes - 1) * kEntries
      return true;
    }
  }
  return false;
}

template <net::Family kFamily>
Slot MappingTable::insert(const InnerKey& key) {
  if (count_ == max_mappings_) return kNoSlot;
  const Slot slot = free_ != kNoSlot ? free_ : high_water_ + 1;
  if (!place(hash<kFamily>(key), slot)) return kNoSlot;
  if (slot == free_) {
    free_ = mappings_[slot].next;
  } else {
    ++high_water_;
  }
  ++count_;
  Mapping& mapping = mappings_[slot];
  mapping = Mapping{};
  std::memcpy(mapping.addresses.data(), key.address, AddressWords<kFamily>::kWords * 4);
  mapping.subscriber = key.subscriber;
  mapping.inner_port = key.port;
  mapping.kind = key.kind;
  return slot;
}

std::uint64_t MappingTable::hash_of(const Mapping& mapping) const {
  const InnerKey key{mapping.inner_address(), mapping.subscriber, mapping.inner_port, mapping.kind};
  return mapping.family() == net::Family::kIpv4 ? hash<net::Family::kIpv4>(key)
                                                : hash<net::Family::kIpv6>(key);
}

bool MappingTable::remove_entry(Bucket& bucket, std::uint8_t tag, Slot slot) {
  for (unsigned i = 0; i < kEntries; ++i) {
    if (bucket.tags[i] != tag || bucket.slots[i] != slot) continue;
    bucket.tags[i] = 0;
    bucket.slots[i] = kNoSlot;
    return true;
  }
  return false;
}

void MappingTable::erase(Slot slot) {
  Mapping& mapping = mappings_[slot];
  const std::uint64_t hash = hash_of(mapping);
  const std::uint32_t home = home_of(hash);
  std::uint32_t at = home;
  unsigned probe = 0;
  while (!remove_entry(buckets_[at], tag_of(hash), slot)) {
    CHECK(++probe < kProbes);
    at = after(at);
  }
  if (probe > 0) --buckets_[home].displaced;
  mapping.kind = 0;
  mapping.next = free_;
  free_ = slot;
  --count_;
}

template Slot MappingTable::find<net::Family::kIpv4>(const InnerKey&) const;
template Slot MappingTable::find<net::Family::kIpv6>(const InnerKey&) const;
template Slot MappingTable::insert<net::Family::kIpv4>(const InnerKey&);
template Slot MappingTable::insert<net::Family::kIpv6>(const InnerKey&);

}  // namespace ringway::nat
