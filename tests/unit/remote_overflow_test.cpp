#include "dataplane/nat/remote_overflow.hpp"

#include <algorithm>
#include <deque>
#include <map>

#include <gtest/gtest.h>

namespace ringway::nat {
namespace {

using Added = RemoteOverflow::Added;

WideAddress numbered(std::uint32_t number) {
  return {number, 0, 0, number % 3};
}

TEST(RemoteOverflow, AgreesWithListsInOrderOfArrival) {
  SeededRng rng(1);
  RemoteOverflow overflow(50, 400, rng);
  std::map<Slot, std::deque<std::uint32_t>> model;
  std::size_t total = 0;
  for (int step = 0; step < 100'000; ++step) {
    const Slot slot = 1 + static_cast<Slot>(rng.below(20));
    const auto number = static_cast<std::uint32_t>(rng.below(100));
    auto& list = model[slot];
    const bool known = std::find(list.begin(), list.end(), number) != list.end();
    ASSERT_EQ(overflow.contains(slot, numbered(number)), known);
    if (rng.below(100) == 0) {
      ASSERT_EQ(overflow.clear(slot), list.size());
      total -= list.size();
      list.clear();
    } else if (known) {
      const auto other = 1000 + static_cast<std::uint32_t>(step);
      overflow.exchange(slot, numbered(number), numbered(other));
      *std::find(list.begin(), list.end(), number) = other;
      ASSERT_TRUE(overflow.contains(slot, numbered(other)));
      ASSERT_FALSE(overflow.contains(slot, numbered(number)));
    } else {
      const bool may_grow = rng.below(4) != 0;
      const Added added = overflow.add(slot, numbered(number), may_grow);
      if (may_grow && total < 400) {
        ASSERT_EQ(added, Added::kNew);
        ++total;
      } else if (list.empty()) {
        ASSERT_EQ(added, Added::kNoRoom);
        continue;
      } else {
        ASSERT_EQ(added, Added::kReplaced);
        list.pop_front();
      }
      list.push_back(number);
    }
  }
}

TEST(RemoteOverflow, AMappingHasItsShareOnly) {
  SeededRng rng(2);
  RemoteOverflow overflow(10, 10'000, rng);
  for (std::uint32_t i = 0; i < RemoteOverflow::kMaxPerMapping; ++i)
    ASSERT_EQ(overflow.add(1, numbered(i), true), Added::kNew);
  EXPECT_EQ(overflow.add(1, numbered(9999), true), Added::kReplaced);
  EXPECT_FALSE(overflow.contains(1, numbered(0)));
  EXPECT_TRUE(overflow.contains(1, numbered(1)));
  EXPECT_TRUE(overflow.contains(1, numbered(9999)));
}

}  // namespace
}  // namespace ringway::nat
