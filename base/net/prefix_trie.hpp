// The longest-prefix trie of one address family: immutable once built, read by any thread.
// A Poptrie (Asai, Ohara, SIGCOMM 2015): nodes of 64 slots whose children and leaves stand together
// and are found by counting bits. Beyond the paper, a node skips the bits that all prefixes below
// it share, so that a host route inside a /64 costs two or three steps and not twenty-two.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace ringway::net {

__extension__ typedef unsigned __int128 Uint128;

// Addresses as a trie takes them, from 4 or 16 bytes in network order, unaligned.
[[nodiscard]] inline std::uint32_t trie_word_v4(const std::uint8_t* address) {
  return load_be<std::uint32_t>(address);
}
[[nodiscard]] inline Uint128 trie_word_v6(const std::uint8_t* address) {
  return Uint128{load_be<std::uint64_t>(address)} << 64 | load_be<std::uint64_t>(address + 8);
}

// Word holds an address as an unsigned number, its first bit highest. Value is what a prefix stands
// for: small and trivially copyable; Value{} is the answer where no prefix holds the address.
template <typename Word, typename Value>
class PrefixTrie {
 public:
  static constexpr unsigned kWidth = sizeof(Word) * 8;

  struct Entry {
    Word address = 0;  // host bits zero
    unsigned length = 0;
    Value value{};
  };

  PrefixTrie() = default;
  // Of entries with the same prefix the last one counts.
  explicit PrefixTrie(std::vector<Entry> entries);

  // Inlined into its callers so that each is compiled for the instruction set it was chosen for.
  [[nodiscard, gnu::always_inline]] Value lookup(Word address) const {
    if (nodes_.empty()) return default_value_;
    const Value* answer = nullptr;
    for (const Node* node = nodes_.data(); node != nullptr;)
      node = step(*node, address, answer);
    return *answer;
  }

  // Many at once, a step of each in turn: while the memory for one is fetched, the others go on.
  [[gnu::always_inline]] void lookup_batch(std::span<const Word> addresses, Value* answers) const {
    for (std::size_t done = 0; done < addresses.size(); done += kLanes) {
      lookup_lanes(addresses.subspan(done, std::min(kLanes, addresses.size() - done)),
                   answers + done);
    }
  }

  [[nodiscard]] std::size_t prefix_count() const { return prefix_count_; }
  [[nodiscard]] std::size_t memory_bytes() const {
    return nodes_.capacity() * sizeof(Node) + leaves_.capacity() * sizeof(Value);
  }

 private:
  static constexpr unsigned kStride = 6;  // address bits that a node resolves
  static constexpr unsigned kSlots = 1U << kStride;

  struct Node {
    Word path = 0;                  // the address bits before `depth`
    std::uint64_t child_slots = 0;  // the slots that go on in a child
    std::uint64_t leaf_starts = 0;  // of the others, those whose leaf is not the previous one's
    std::uint32_t first_child = 0;
    std::uint32_t first_leaf = 0;
    Value inherited{};        // the answer for an address that leaves the path
    std::uint32_t depth = 0;  // how many address bits precede this node's slots; below kWidth

    [[nodiscard, gnu::always_inline]] bool on_path(Word address) const {
      // Two shifts, because one by the whole width (at depth 0) is undefined.
      return static_cast<Word>((address ^ path) >> (kWidth - 1 - depth)) >> 1 == 0;
    }
    [[nodiscard, gnu::always_inline]] unsigned slot_of(Word address) const {
      return static_cast<unsigned>(static_cast<Word>(address << depth) >> (kWidth - kStride));
    }
  };

  // Lookups that run side by side: about as many as a core has outstanding cache misses.
  static constexpr std::size_t kLanes = 16;

  // The child to go on in; or null, and where the answer stands.
  [[nodiscard, gnu::always_inline]] const Node* step(const Node& node, Word address,
                                                     const Value*& answer) const {
    if (!node.on_path(address)) {
      answer = &node.inherited;
      return nullptr;
    }
    const unsigned slot = node.slot_of(address);
    const std::uint64_t up_to_slot = ~std::uint64_t{0} >> (kSlots - 1 - slot);
    if ((node.child_slots >> slot & 1) == 0) {
      answer = &leaves_[node.first_leaf + rank(node.leaf_starts & up_to_slot)];
      return nullptr;
    }
    return &nodes_[node.first_child + rank(node.child_slots & up_to_slot)];
  }

  [[gnu::always_inline]] void lookup_lanes(std::span<const Word> addresses, Value* answers) const {
    if (nodes_.empty()) {
      std::fill_n(answers, addresses.size(), default_value_);
      return;
    }
    std::array<const Node*, kLanes> at;
    std::array<const Value*, kLanes> found;
    std::array<std::uint8_t, kLanes> running;  // the lanes that have no answer yet
    std::size_t live = addresses.size();
    for (std::size_t i = 0; i < live; ++i) {
      at[i] = nodes_.data();
      running[i] = static_cast<std::uint8_t>(i);
    }
    while (live > 0) {
      std::size_t kept = 0;
      for (std::size_t i = 0; i < live; ++i) {
        const std::uint8_t lane = running[i];
        const Node* next = step(*at[lane], addresses[lane], found[lane]);
        at[lane] = next;
        __builtin_prefetch(next != nullptr ? static_cast<const void*>(next) : found[lane]);
        running[kept] = lane;
        kept += next != nullptr ? 1 : 0;
      }
      live = kept;
    }
    for (std::size_t i = 0; i < addresses.size(); ++i)
      answers[i] = *found[i];
  }

  // The prefixes strictly inside one region of the address space, sorted, and the answer for the
  // addresses of the region that none of them holds.
  struct Region {
    std::span<const Entry> entries;  // not empty
    unsigned depth = 0;              // address bits that all of the region share
    Value inherited;
  };

  // The position, among the set bits counted from 0, of the last one.
  [[nodiscard, gnu::always_inline]] static std::uint32_t rank(std::uint64_t bits) {
    return static_cast<std::uint32_t>(__builtin_popcountll(bits)) - 1;
  }
  [[nodiscard]] static Word mask(unsigned length) {
    return length == 0 ? Word{0} : static_cast<Word>(~Word{0} << (kWidth - length));
  }
  static void sort_and_deduplicate(std::vector<Entry>& entries);
  [[nodiscard]] static unsigned choose_depth(const Region& region);
  void build_node(std::size_t index, const Region& region);
  void emit_leaves(Node& node, const std::array<Value, kSlots>& answers);

  std::vector<Node> nodes_;  // the root first; the children of a node stand together
  std::vector<Value> leaves_;
  Value default_value_{};  // where only a default route, or nothing, is
  std::size_t prefix_count_ = 0;
};

template <typename Word, typename Value>
PrefixTrie<Word, Value>::PrefixTrie(std::vector<Entry> entries) {
  sort_and_deduplicate(entries);
  prefix_count_ = entries.size();
  std::span<const Entry> rest = entries;
  if (!rest.empty() && rest.front().length == 0) {
    default_value_ = rest.front().value;
    rest = rest.subspan(1);
  }
  if (rest.empty()) return;
  nodes_.emplace_back();
  build_node(0, {.entries = rest, .depth = 0, .inherited = default_value_});
  nodes_.shrink_to_fit();
  leaves_.shrink_to_fit();
}

// By address, then length: a prefix comes before all that it contains.
template <typename Word, typename Value>
void PrefixTrie<Word, Value>::sort_and_deduplicate(std::vector<Entry>& entries) {
  for (Entry& entry : entries) {
    CHECK(entry.length <= kWidth);
    entry.address &= mask(entry.length);
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.address != b.address ? a.address < b.address : a.length < b.length;
  });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const bool repeated = kept > 0 && entries[kept - 1].address == entries[i].address &&
                          entries[kept - 1].length == entries[i].length;
    entries[repeated ? kept - 1 : kept++] = entries[i];
  }
  entries.resize(kept);
}

// As far down as the region's prefixes are one path, but not past the point where the shortest of
// them ends within this node's slots.
template <typename Word, typename Value>
unsigned PrefixTrie<Word, Value>::choose_depth(const Region& region) {
  unsigned shortest = kWidth;
  for (const Entry& entry : region.entries)
    shortest = std::min(shortest, entry.length);
  unsigned depth = std::max(region.depth, shortest > kStride ? shortest - kStride : 0U);
  // First and last in order are the furthest apart.
  const Word difference = region.entries.front().address ^ region.entries.back().address;
  while (depth > region.depth && (difference & mask(depth)) != 0)
    --depth;
  return depth;
}

template <typename Word, typename Value>
void PrefixTrie<Word, Value>::build_node(std::size_t index, const Region& region) {
  Node node;
  node.depth = choose_depth(region);
  node.path = region.entries.front().address & mask(node.depth);
  node.inherited = region.inherited;

  // A prefix that ends in this node answers for its slots; one that does not goes to the child of
  // its slot. What covers a slot stands before the prefixes inside it.
  const unsigned end = node.depth + kStride;
  std::array<Value, kSlots> answers;
  answers.fill(region.inherited);
  std::array<Region, kSlots> children;
  unsigned child_count = 0;
  for (std::size_t i = 0; i < region.entries.size();) {
    const Entry& entry = region.entries[i];
    const unsigned slot = node.slot_of(entry.address);
    if (entry.length <= end) {
      std::fill_n(answers.begin() + slot, std::size_t{1} << (end - entry.length), entry.value);
      ++i;
      continue;
    }
    std::size_t after = i + 1;
    while (after < region.entries.size() && node.slot_of(region.entries[after].address) == slot) {
      ++after;
    }
    node.child_slots |= std::uint64_t{1} << slot;
    children[child_count++] = {region.entries.subspan(i, after - i), end, answers[slot]};
    i = after;
  }

  emit_leaves(node, answers);
  node.first_child = static_cast<std::uint32_t>(nodes_.size());
  nodes_[index] = node;
  nodes_.resize(nodes_.size() + child_count);
  for (unsigned i = 0; i < child_count; ++i)
    build_node(node.first_child + i, children[i]);
}

// One leaf for each run of slots with the same answer; slots with a child do not break a run.
template <typename Word, typename Value>
void PrefixTrie<Word, Value>::emit_leaves(Node& node, const std::array<Value, kSlots>& answers) {
  node.first_leaf = static_cast<std::uint32_t>(leaves_.size());
  bool in_run = false;
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    if ((node.child_slots >> slot & 1) != 0) continue;
    if (in_run && leaves_.back() == answers[slot]) continue;
    node.leaf_starts |= std::uint64_t{1} << slot;
    leaves_.push_back(answers[slot]);
    in_run = true;
  }
}

}  // namespace ringway::net
