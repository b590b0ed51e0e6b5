#include "base/slab.hpp"

#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(Slab, GivesEachObjectLinesOfItsOwn) {
  Slab slab(100);
  EXPECT_EQ(slab.stride_bytes(), 3 * 64U);  // an odd number of lines
  std::set<std::uintptr_t> places;
  constexpr int kObjects = 50'000;  // of several slabs
  for (int i = 0; i < kObjects; ++i) {
    void* const object = slab.allocate();
    std::memset(object, i, 100);
    places.insert(reinterpret_cast<std::uintptr_t>(object));
  }
  ASSERT_EQ(places.size(), static_cast<std::size_t>(kObjects));
  std::uintptr_t end = 0;
  for (const std::uintptr_t place : places) {
    EXPECT_EQ(place % 64, 0U);
    EXPECT_GE(place, end);
    end = place + slab.stride_bytes();
  }
}

TEST(Slab, GivesOutAgainWhatCameBack) {
  Slab slab(64);
  void* const first = slab.allocate();
  void* const second = slab.allocate();
  slab.release(first);
  EXPECT_EQ(slab.allocate(), first);
  slab.release(second);
  slab.release(nullptr);
  EXPECT_EQ(slab.allocate(), second);
}

struct alignas(64) Thing : InSlab<Thing> {
  explicit Thing(int number) : value(number) {}
  int value;
};

TEST(InSlab, KeepsObjectsAligned) {
  std::vector<std::unique_ptr<Thing>> things;
  for (int i = 0; i < 1000; ++i)
    things.push_back(std::make_unique<Thing>(i));
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(things[static_cast<std::size_t>(i)]->value, i);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(things[static_cast<std::size_t>(i)].get()) % 64, 0U);
  }
}

}  // namespace
}  // namespace ringway
