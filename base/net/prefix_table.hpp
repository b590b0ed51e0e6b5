// Longest-prefix lookup for both families in one table, of one packet or of a batch. Immutable once
// built, read by any thread. The structure is prefix_trie.hpp's; this chooses the code that counts
// bits by one instruction, where the CPU has it, and sorts a batch by family.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/net/address.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/prefix_trie.hpp"

namespace ringway::net {

// Which address of a packet is looked up.
enum class PacketEnd : std::uint8_t { kSource, kDestination };

namespace detail {

// Counting bits is the inner step of a lookup, and one instruction on every x86 since 2008; a
// portable build has to ask.
inline const bool kHasPopcnt = __builtin_cpu_supports("popcnt") != 0;

template <typename Word, typename Value>
[[gnu::target("popcnt")]] Value lookup_with_popcnt(const PrefixTrie<Word, Value>& trie,
                                                   Word address) {
  return trie.lookup(address);
}
template <typename Word, typename Value>
[[nodiscard]] Value lookup(const PrefixTrie<Word, Value>& trie, Word address) {
  return kHasPopcnt ? lookup_with_popcnt(trie, address) : trie.lookup(address);
}

// Packets of a batch that are looked up together, and the places of their answers.
template <typename Word, typename Value>
struct LookupChunk {
  static constexpr std::size_t kSize = 64;

  std::array<Word, kSize> addresses;
  std::array<std::uint32_t, kSize> places;
  std::size_t count = 0;

  void add(Word address, std::size_t place) {
    addresses[count] = address;
    places[count++] = static_cast<std::uint32_t>(place);
  }
  // Packets of one flow come in bursts.
  [[nodiscard, gnu::always_inline]] bool all_alike() const {
    Word differences = 0;
    for (std::size_t i = 1; i < count; ++i)
      differences |= addresses[i] ^ addresses[0];
    return differences == 0;
  }
  [[gnu::always_inline]] void lookup(const PrefixTrie<Word, Value>& trie, Value* values) const {
    if (all_alike()) {
      const Value answer = trie.lookup(addresses[0]);
      for (std::size_t i = 0; i < count; ++i)
        values[places[i]] = answer;
      return;
    }
    // Of one family without gaps, as bursts mostly are: the answers belong where they come from.
    if (places[count - 1] - places[0] + 1 == count) {
      trie.lookup_batch({addresses.data(), count}, values + places[0]);
      return;
    }
    std::array<Value, kSize> answers;
    trie.lookup_batch({addresses.data(), count}, answers.data());
    for (std::size_t i = 0; i < count; ++i)
      values[places[i]] = answers[i];
  }
};

template <typename Word, typename Value>
[[gnu::target("popcnt")]] void lookup_with_popcnt(const PrefixTrie<Word, Value>& trie,
                                                  const LookupChunk<Word, Value>& chunk,
                                                  Value* values) {
  chunk.lookup(trie, values);
}
template <typename Word, typename Value>
void lookup(const PrefixTrie<Word, Value>& trie, const LookupChunk<Word, Value>& chunk,
            Value* values) {
  if (chunk.count == 0) return;
  if (kHasPopcnt) return lookup_with_popcnt(trie, chunk, values);
  chunk.lookup(trie, values);
}

}  // namespace detail

// Value: small and trivially copyable; Value{} is the answer where no prefix holds the address.
template <typename Value>
class PrefixTable {
 public:
  PrefixTable() = default;
  // entries: each with a `prefix`, and what it stands for in the member `value`. Of entries with
  // the same prefix the last one counts. O(n log n) time for n of them.
  template <typename Entry>
  PrefixTable(std::span<const Entry> entries, Value Entry::*value)
      : v4_(build<std::uint32_t>(entries, value, Family::kIpv4, trie_word_v4)),
        v6_(build<Uint128>(entries, value, Family::kIpv6, trie_word_v6)) {}

  // The pointers are to 4 or 16 bytes in network order, unaligned.
  [[nodiscard]] Value lookup_v4(const std::uint8_t* address) const {
    return detail::lookup(v4_, trie_word_v4(address));
  }
  [[nodiscard]] Value lookup_v6(const std::uint8_t* address) const {
    return detail::lookup(v6_, trie_word_v6(address));
  }
  // For each packet, given by its IP header (whole, of a version that was checked), what its
  // address at `end` leads to. Families may be mixed.
  void lookup_packets(std::span<const std::uint8_t* const> packets, PacketEnd end,
                      Value* values) const {
    const bool source = end == PacketEnd::kSource;
    const std::size_t at_v4 = source ? Ip4View::kSourceAt : Ip4View::kDestinationAt;
    const std::size_t at_v6 = source ? Ip6View::kSourceAt : Ip6View::kDestinationAt;
    constexpr std::size_t kChunk = detail::LookupChunk<std::uint32_t, Value>::kSize;
    for (std::size_t done = 0; done < packets.size(); done += kChunk) {
      detail::LookupChunk<std::uint32_t, Value> v4;
      detail::LookupChunk<Uint128, Value> v6;
      for (std::size_t i = done; i < std::min(done + kChunk, packets.size()); ++i) {
        const std::uint8_t* const packet = packets[i];
        if (packet[0] >> 4 == 4) {
          v4.add(trie_word_v4(packet + at_v4), i);
        } else {
          v6.add(trie_word_v6(packet + at_v6), i);
        }
      }
      detail::lookup(v4_, v4, values);
      detail::lookup(v6_, v6, values);
    }
  }

  // Distinct prefixes.
  [[nodiscard]] std::size_t prefix_count() const { return v4_.prefix_count() + v6_.prefix_count(); }
  [[nodiscard]] std::size_t memory_bytes() const { return v4_.memory_bytes() + v6_.memory_bytes(); }

 private:
  template <typename Word, typename Entry, typename Load>
  [[nodiscard]] static PrefixTrie<Word, Value> build(std::span<const Entry> entries,
                                                     Value Entry::*value, Family family,
                                                     Load load) {
    std::vector<typename PrefixTrie<Word, Value>::Entry> wanted;
    for (const Entry& entry : entries) {
      const Prefix& prefix = entry.prefix;
      if (prefix.address.family != family) continue;
      wanted.push_back({load(prefix.address.bytes.data()), prefix.length, entry.*value});
    }
    return PrefixTrie<Word, Value>(std::move(wanted));
  }

  PrefixTrie<std::uint32_t, Value> v4_;
  PrefixTrie<Uint128, Value> v6_;
};

}  // namespace ringway::net
