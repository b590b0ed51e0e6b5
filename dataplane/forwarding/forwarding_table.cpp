#include "dataplane/forwarding/forwarding_table.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"

namespace ringway::forwarding {
namespace {

using net::Uint128;

template <typename Word>
using Trie = net::PrefixTrie<Word, NextHopId>;

template <typename Word, typename Load>
Trie<Word> build(std::span<const ForwardingRoute> routes, net::Family family, Load load) {
  std::vector<typename Trie<Word>::Entry> entries;
  for (const auto& [prefix, next_hop] : routes) {
    if (prefix.address.family != family) continue;
    entries.push_back({load(prefix.address.bytes.data()), prefix.length, next_hop});
  }
  return Trie<Word>(std::move(entries));
}

// Packets of a batch that are looked up together, and the places of their answers.
constexpr std::size_t kChunk = 64;

template <typename Word>
struct Chunk {
  std::array<Word, kChunk> addresses;
  std::array<std::uint32_t, kChunk> places;
  std::size_t count = 0;

  void add(Word address, std::size_t place) {
    addresses[count] = address;
    places[count++] = static_cast<std::uint32_t>(place);
  }
  [[gnu::always_inline]] void lookup(const Trie<Word>& trie, NextHopId* next_hops) const {
    std::array<NextHopId, kChunk> answers;
    trie.lookup_batch({addresses.data(), count}, answers.data());
    for (std::size_t i = 0; i < count; ++i)
      next_hops[places[i]] = answers[i];
  }
};

// Counting bits is the inner step of a lookup, and one instruction on every x86 since 2008; a
// portable build has to ask.
const bool kHasPopcnt = __builtin_cpu_supports("popcnt") != 0;

template <typename Word>
[[gnu::target("popcnt")]] NextHopId lookup_with_popcnt(const Trie<Word>& trie, Word address) {
  return trie.lookup(address);
}
template <typename Word>
NextHopId lookup_one(const Trie<Word>& trie, Word address) {
  return kHasPopcnt ? lookup_with_popcnt(trie, address) : trie.lookup(address);
}

template <typename Word>
[[gnu::target("popcnt")]] void lookup_with_popcnt(const Trie<Word>& trie, const Chunk<Word>& chunk,
                                                  NextHopId* next_hops) {
  chunk.lookup(trie, next_hops);
}
template <typename Word>
void lookup_chunk(const Trie<Word>& trie, const Chunk<Word>& chunk, NextHopId* next_hops) {
  if (chunk.count == 0) return;
  if (kHasPopcnt) return lookup_with_popcnt(trie, chunk, next_hops);
  chunk.lookup(trie, next_hops);
}

}  // namespace

NextHopId ForwardingContent::add_next_hop(const NextHop& hop, const HopNeighbour& neighbour) {
  next_hops_.push_back(hop);
  neighbours_.push_back(neighbour);
  return {static_cast<std::uint32_t>(next_hops_.size() - 1)};
}

void ForwardingContent::add_route(const net::Prefix& prefix, NextHopId next_hop) {
  CHECK(next_hop.value < next_hops_.size());
  routes_.push_back({prefix, next_hop});
}

ForwardingTable::ForwardingTable(ForwardingContent content)
    : v4_(build<std::uint32_t>(content.routes_, net::Family::kIpv4, net::trie_word_v4)),
      v6_(build<Uint128>(content.routes_, net::Family::kIpv6, net::trie_word_v6)),
      next_hops_(std::move(content.next_hops_)),
      neighbours_(std::move(content.neighbours_)) {}

NextHopId ForwardingTable::lookup_v4(const std::uint8_t* destination) const {
  return lookup_one(v4_, net::trie_word_v4(destination));
}

NextHopId ForwardingTable::lookup_v6(const std::uint8_t* destination) const {
  return lookup_one(v6_, net::trie_word_v6(destination));
}

NextHopId ForwardingTable::lookup(const net::IpAddress& destination) const {
  return destination.is_v4() ? lookup_v4(destination.bytes.data())
                             : lookup_v6(destination.bytes.data());
}

void ForwardingTable::lookup_packets(std::span<const std::uint8_t* const> packets,
                                     NextHopId* next_hops) const {
  for (std::size_t done = 0; done < packets.size(); done += kChunk) {
    const std::size_t end = std::min(done + kChunk, packets.size());
    Chunk<std::uint32_t> v4;
    Chunk<Uint128> v6;
    for (std::size_t i = done; i < end; ++i) {
      const std::uint8_t* packet = packets[i];
      if (packet[0] >> 4 == 4) {
        v4.add(net::trie_word_v4(packet + net::Ip4View::kDestinationAt), i);
      } else {
        v6.add(net::trie_word_v6(packet + net::Ip6View::kDestinationAt), i);
      }
    }
    lookup_chunk(v4_, v4, next_hops);
    lookup_chunk(v6_, v6, next_hops);
    for (std::size_t i = done; i < end; ++i)
      __builtin_prefetch(&next_hops_[next_hops[i].value]);
  }
}

Neighbour ForwardingTable::neighbour(NextHopId id, const net::IpAddress& destination) const {
  const HopNeighbour& known = neighbours_[id.value];
  return {known.interface, known.address.value_or(destination)};
}

std::size_t ForwardingTable::memory_bytes() const {
  return v4_.memory_bytes() + v6_.memory_bytes() + next_hops_.capacity() * sizeof(NextHop) +
         neighbours_.capacity() * sizeof(HopNeighbour);
}

}  // namespace ringway::forwarding
