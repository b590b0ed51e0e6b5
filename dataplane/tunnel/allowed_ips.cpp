#include "dataplane/tunnel/allowed_ips.hpp"

#include <utility>
#include <vector>

namespace ringway::tunnel {
namespace {

using net::trie_word_v4;
using net::trie_word_v6;
using net::Uint128;

template <typename Word>
using Trie = net::PrefixTrie<Word, PeerId>;

template <typename Word, typename Load>
Trie<Word> build(std::span<const AllowedIp> entries, net::Family family, Load load) {
  std::vector<typename Trie<Word>::Entry> wanted;
  for (const AllowedIp& entry : entries) {
    const net::Prefix& prefix = entry.prefix;
    if (prefix.address.family != family) continue;
    wanted.push_back({load(prefix.address.bytes.data()), prefix.length, entry.peer});
  }
  return Trie<Word>(std::move(wanted));
}

// Counting bits is the inner step of a lookup, and one instruction on every x86 since 2008; a
// portable build has to ask.
const bool kHasPopcnt = __builtin_cpu_supports("popcnt") != 0;

template <typename Word>
[[gnu::target("popcnt")]] PeerId lookup_with_popcnt(const Trie<Word>& trie, Word address) {
  return trie.lookup(address);
}

template <typename Word>
PeerId lookup(const Trie<Word>& trie, Word address) {
  return kHasPopcnt ? lookup_with_popcnt(trie, address) : trie.lookup(address);
}

}  // namespace

AllowedIps::AllowedIps(std::span<const AllowedIp> entries)
    : v4_(build<std::uint32_t>(entries, net::Family::kIpv4, trie_word_v4)),
      v6_(build<Uint128>(entries, net::Family::kIpv6, trie_word_v6)) {}

PeerId AllowedIps::lookup_v4(const std::uint8_t* address) const {
  return lookup(v4_, trie_word_v4(address));
}

PeerId AllowedIps::lookup_v6(const std::uint8_t* address) const {
  return lookup(v6_, trie_word_v6(address));
}

std::size_t AllowedIps::memory_bytes() const {
  return v4_.memory_bytes() + v6_.memory_bytes();
}

}  // namespace ringway::tunnel
