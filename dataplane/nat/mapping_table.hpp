// The mappings of one shard and the index by inner endpoint. (The index by external port is
// ports.hpp's.) Mappings never move, so that other tables may name them by slot.
//
// The index is made of buckets of one cache line: twelve one-byte tags, compared at once, and
// twelve slots. At the chosen load (half full) an entry stands outside its bucket about once in a
// hundred, and the bucket counts those, so that a miss ends at the first line. The hash is keyed:
// subscribers cannot aim at one bucket.
//
// Memory a mapping: 64 bytes, 10.7 of index, 4 by external port, 8 of RemoteOverflow's list heads.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/lazy_array.hpp"
#include "base/rng.hpp"
#include "dataplane/nat/keyed_hash.hpp"
#include "dataplane/nat/mapping.hpp"

namespace ringway::nat {

// address: 4 or 16 bytes in network order.
struct InnerKey {
  const std::uint8_t* address = nullptr;
  std::uint32_t subscriber = 0;
  std::uint16_t port = 0;
  MappingKind kind = 0;
};

class MappingTable {
 public:
  MappingTable(std::uint32_t max_mappings, Rng& rng);

  [[nodiscard]] Mapping& operator[](Slot slot) { return mappings_[slot]; }
  [[nodiscard]] const Mapping& operator[](Slot slot) const { return mappings_[slot]; }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  // Slots run from 1 to this; free ones have kind 0.
  [[nodiscard]] Slot last_slot() const { return high_water_; }

  template <net::Family kFamily>
  [[nodiscard]] std::uint64_t hash(const InnerKey& key) const;

  // In three steps, for batches: fetch the bucket, guess from its tags, compare.
  void prefetch(std::uint64_t hash) const { __builtin_prefetch(&bucket_of(hash)); }
  // The first slot in the hash's own bucket that may be right, and its line on the way.
  [[nodiscard]] Slot guess(std::uint64_t hash) const;
  template <net::Family kFamily>
  [[nodiscard]] static bool matches(const Mapping& mapping, const InnerKey& key);

  template <net::Family kFamily>
  [[nodiscard]] Slot find(const InnerKey& key) const;
  // A mapping with the key's fields set and the others zero; the key is not there yet. kNoSlot when
  // the table is full.
  template <net::Family kFamily>
  [[nodiscard]] Slot insert(const InnerKey& key);
  void erase(Slot slot);

 private:
  static constexpr unsigned kEntries = 12;
  static constexpr unsigned kMeanEntries = 6;
  static constexpr unsigned kProbes = 8;  // buckets that an entry may stand in
  struct alignas(64) Bucket {
    std::array<std::uint8_t, kEntries> tags;  // 0: free
    std::uint8_t displaced;  // entries that belong here and stand in a later bucket
    std::array<std::uint8_t, 3> unused;
    std::array<Slot, kEntries> slots;
  };
  static_assert(sizeof(Bucket) == 64);

  [[nodiscard]] static std::uint8_t tag_of(std::uint64_t hash) {
    const auto tag = static_cast<std::uint8_t>(hash);
    return tag == 0 ? std::uint8_t{1} : tag;
  }
  // The high half of the hash, scaled to the number of buckets.
  [[nodiscard]] std::uint32_t home_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(((hash >> 32) * bucket_count_) >> 32);
  }
  [[nodiscard]] const Bucket& bucket_of(std::uint64_t hash) const {
    return buckets_[home_of(hash)];
  }
  [[nodiscard]] std::uint32_t after(std::uint32_t bucket) const {
    return bucket + 1 == bucket_count_ ? 0 : bucket + 1;
  }
  // Bit 8i+7 is set where tags 4i... of a word equal `tag`; the lowest one is exact.
  [[nodiscard]] static std::uint64_t equal_bytes(std::uint64_t word, std::uint8_t tag) {
    constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;
    const std::uint64_t difference = word ^ (kOnes * tag);
    return (difference - kOnes) & ~difference & (kOnes << 7);
  }
  [[nodiscard]] bool place(std::uint64_t hash, Slot slot);
  [[nodiscard]] bool remove_entry(Bucket& bucket, std::uint8_t tag, Slot slot);
  [[nodiscard]] std::uint64_t hash_of(const Mapping& mapping) const;

  std::uint32_t max_mappings_;
  std::uint32_t bucket_count_;
  std::array<std::uint64_t, 5> key_{};
  std::uint32_t count_ = 0;
  Slot high_water_ = 0;
  Slot free_ = kNoSlot;
  LazyArray<Mapping> mappings_;
  LazyArray<Bucket> buckets_;
};

template <net::Family kFamily>
inline std::uint64_t MappingTable::hash(const InnerKey& key) const {
  const std::uint64_t rest =
      key.subscriber | std::uint64_t{key.port} << 32 | std::uint64_t{key.kind} << 48;
  std::uint64_t address = 0;
  if constexpr (kFamily == net::Family::kIpv4) {
    address = load_le<std::uint32_t>(key.address);
  } else {
    address = KeyedHash::fold(load_le<std::uint64_t>(key.address) ^ key_[2],
                              load_le<std::uint64_t>(key.address + 8) ^ key_[3]);
  }
  // Once more: subscribers with addresses and ports in a row are so regular that after one step,
  // with one key in a hundred, they crowd into neighbouring buckets until no entry finds a place.
  return KeyedHash::fold(KeyedHash::fold(address ^ key_[0], rest ^ key_[1]), key_[4] | 1);
}

inline Slot MappingTable::guess(std::uint64_t hash) const {
  const Bucket& bucket = bucket_of(hash);
  const std::uint8_t tag = tag_of(hash);
  unsigned at = 0;
  if (const auto low = equal_bytes(load_le<std::uint64_t>(bucket.tags.data()), tag); low != 0) {
    at = static_cast<unsigned>(__builtin_ctzll(low)) / 8;
  } else {
    const auto high =
        equal_bytes(load_le<std::uint32_t>(bucket.tags.data() + 8), tag) & 0xffff'ffff;
    if (high == 0) return kNoSlot;
    at = 8 + static_cast<unsigned>(__builtin_ctzll(high)) / 8;
  }
  const Slot slot = bucket.slots[at];
  __builtin_prefetch(&mappings_[slot]);
  return slot;
}

template <net::Family kFamily>
inline bool MappingTable::matches(const Mapping& mapping, const InnerKey& key) {
  if (mapping.kind != key.kind || mapping.inner_port != key.port ||
      mapping.subscriber != key.subscriber) {
    return false;
  }
  if constexpr (kFamily == net::Family::kIpv4) {
    return mapping.addresses[0] == load_le<std::uint32_t>(key.address);
  } else {
    return std::memcmp(mapping.addresses.data(), key.address, 16) == 0;
  }
}

}  // namespace ringway::nat
