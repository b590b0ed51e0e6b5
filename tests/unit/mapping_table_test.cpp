#include "dataplane/nat/mapping_table.hpp"

#include <map>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace ringway::nat {
namespace {

using net::Family;

constexpr MappingKind kUdp4 = mapping_kind(Transport::kUdp, Family::kIpv4);
constexpr MappingKind kUdp6 = mapping_kind(Transport::kUdp, Family::kIpv6);

struct Inner {
  std::array<std::uint8_t, 16> address{};
  std::uint32_t subscriber = 0;
  std::uint16_t port = 0;
  MappingKind kind = kUdp4;

  [[nodiscard]] InnerKey key() const { return {address.data(), subscriber, port, kind}; }
  auto operator<=>(const Inner&) const = default;
};

Inner random_inner(Rng& rng) {
  Inner inner;
  inner.kind = rng.below(2) == 0 ? kUdp4 : kUdp6;
  inner.address[3] = static_cast<std::uint8_t>(rng.below(4));
  if (inner.kind == kUdp6) inner.address[15] = static_cast<std::uint8_t>(rng.below(4));
  inner.subscriber = static_cast<std::uint32_t>(rng.below(8));
  inner.port = static_cast<std::uint16_t>(rng.below(100));
  return inner;
}
Slot find(const MappingTable& table, const Inner& inner) {
  return inner.kind == kUdp4 ? table.find<Family::kIpv4>(inner.key())
                             : table.find<Family::kIpv6>(inner.key());
}
Slot insert(MappingTable& table, const Inner& inner) {
  return inner.kind == kUdp4 ? table.insert<Family::kIpv4>(inner.key())
                             : table.insert<Family::kIpv6>(inner.key());
}

TEST(MappingTable, AgreesWithAMapWhileEntriesComeAndGo) {
  SeededRng rng(1);
  MappingTable table(500, rng);
  std::map<Inner, Slot> model;
  std::uint64_t refused = 0;
  for (int step = 0; step < 200'000; ++step) {
    const Inner inner = random_inner(rng);
    const auto known = model.find(inner);
    ASSERT_EQ(find(table, inner), known == model.end() ? kNoSlot : known->second);
    if (known != model.end()) {
      if (rng.below(3) == 0) continue;
      table.erase(known->second);
      model.erase(known);
    } else if (rng.below(4) != 0) {
      const Slot slot = insert(table, inner);
      if (slot == kNoSlot) {
        ++refused;
      } else {
        model[inner] = slot;
      }
    }
    ASSERT_EQ(table.count(), model.size());
  }
  EXPECT_GT(model.size(), 400U);
  EXPECT_LE(table.last_slot(), 500U);
  EXPECT_GT(refused, 0U);
}

TEST(MappingTable, FillsToItsCapacity) {
  SeededRng rng(2);
  constexpr std::uint32_t kCapacity = 200'000;
  MappingTable table(kCapacity, rng);
  Inner inner;
  for (std::uint32_t i = 0; i < kCapacity; ++i) {
    inner.subscriber = i / 1000;
    inner.port = static_cast<std::uint16_t>(i % 1000);
    ASSERT_NE(insert(table, inner), kNoSlot) << i;
  }
  inner.subscriber = kCapacity;
  EXPECT_EQ(insert(table, inner), kNoSlot);
}

// Of these keys, each left no place before the table was nine tenths full when the hash was a
// single step.
TEST(MappingTable, NeighboursWithPortsInARowFindRoomUnderAnyKey) {
  constexpr std::uint32_t kSubscribers = 10'000;
  constexpr std::uint32_t kMappings = 900'000;
  for (const std::uint64_t seed : {58U, 168U, 249U}) {
    SeededRng rng(seed);
    MappingTable table(1'125'000, rng);
    Inner inner;
    for (std::uint32_t i = 0; i < kMappings; ++i) {
      inner.subscriber = i % kSubscribers;
      inner.kind = mapping_kind(Transport::kTcp, Family::kIpv4);
      store_be(inner.address.data(), 0xc612'0000 + inner.subscriber);
      inner.port = static_cast<std::uint16_t>(1024 + i / kSubscribers);
      ASSERT_NE(table.insert<Family::kIpv4>(inner.key()), kNoSlot) << seed << ' ' << i;
    }
  }
}

TEST(MappingTable, TheGuessIsAlmostAlwaysRight) {
  SeededRng rng(3);
  constexpr std::uint32_t kCapacity = 100'000;
  MappingTable table(kCapacity, rng);
  std::uint32_t right = 0;
  Inner inner;
  for (const bool fill : {true, false}) {
    for (std::uint32_t i = 0; i < kCapacity; ++i) {
      inner.subscriber = i;
      if (fill) {
        (void)insert(table, inner);
      } else {
        const Slot guess = table.guess(table.hash<Family::kIpv4>(inner.key()));
        if (guess == find(table, inner)) ++right;
      }
    }
  }
  EXPECT_GT(right, kCapacity * 96 / 100);
}

TEST(MappingTable, AMappingWithItsIndexesFitsNinetySixBytes) {
  // The index's buckets are half full when the table is; ports.hpp has 4 bytes, the overflow 8.
  EXPECT_LE(sizeof(Mapping) + 64.0 / 6 + 4 + 8, 96);
}

}  // namespace
}  // namespace ringway::nat
