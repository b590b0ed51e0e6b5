// Remote addresses that a mapping's own line has no room for (mapping.hpp): a hash table of exact
// (mapping, address) pairs, and for each mapping a ring of its pairs, so that the oldest makes room
// for the newest. Also the home of our own external addresses as remotes of hairpinned mappings:
// the fast path must not take them for addresses on the Internet.
#pragma once

#include <array>
#include <cstdint>

#include "base/lazy_array.hpp"
#include "base/rng.hpp"
#include "dataplane/nat/mapping.hpp"

namespace ringway::nat {

// An address of either family as four words in memory order; of IPv4 the last three are zero.
using WideAddress = std::array<std::uint32_t, 4>;
[[nodiscard]] inline WideAddress wide_address(net::Family family, const std::uint8_t* address) {
  WideAddress wide{};
  std::memcpy(wide.data(), address, family == net::Family::kIpv4 ? 4 : 16);
  return wide;
}

class RemoteOverflow {
 public:
  static constexpr std::uint32_t kMaxPerMapping = 256;
  enum class Added : std::uint8_t { kNew, kReplaced, kNoRoom };

  RemoteOverflow(std::uint32_t max_mappings, std::uint32_t capacity, Rng& rng);

  [[nodiscard]] bool contains(Slot slot, const WideAddress& address) const {
    return find(slot, address) != 0;
  }
  // The pair is not there yet. Without `may_grow`, or when there is no room left, it takes the
  // place of the mapping's oldest; kNoRoom when it has none.
  [[nodiscard]] Added add(Slot slot, const WideAddress& address, bool may_grow);
  // Puts `to` in the place of `from`, which is there.
  void exchange(Slot slot, const WideAddress& from, const WideAddress& to);
  // All pairs of a mapping; returns how many there were.
  std::uint32_t clear(Slot slot);

 private:
  struct Entry {
    WideAddress address;
    Slot slot;
    std::uint32_t next_in_bucket;
    std::uint32_t next_of_mapping;  // a ring; of the newest, the oldest
    std::uint32_t unused;
  };
  struct Ring {
    std::uint32_t newest;
    std::uint32_t count;
  };

  [[nodiscard]] std::uint32_t find(Slot slot, const WideAddress& address) const;
  [[nodiscard]] std::size_t bucket_of(Slot slot, const WideAddress& address) const;
  void enter(std::uint32_t entry, Slot slot, const WideAddress& address);
  void leave(std::uint32_t entry);

  std::uint32_t capacity_;
  std::array<std::uint64_t, 3> key_{};
  std::uint32_t high_water_ = 0;  // entries run from 1
  std::uint32_t free_ = 0;
  LazyArray<Entry> entries_;
  LazyArray<std::uint32_t> buckets_;
  LazyArray<Ring> rings_;  // by slot
};

}  // namespace ringway::nat
