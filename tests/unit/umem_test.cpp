#include "dataplane/io/umem.hpp"

#include <gtest/gtest.h>

namespace ringway::io {
namespace {

TEST(UmemTest, PoolsShareTheAreaOutAmongThem) {
  const auto umem = Umem::create({.frames = 64, .huge_pages = false});
  ASSERT_TRUE(umem);
  const auto first = (*umem)->make_pool(48);
  const auto second = (*umem)->make_pool(16);
  ASSERT_TRUE(first && second);
  EXPECT_EQ((*first)->capacity(), 48U);
  EXPECT_EQ((*second)->capacity(), 16U);
  EXPECT_FALSE((*umem)->make_pool(1));
  Slot a;
  Slot b;
  ASSERT_TRUE((*first)->allocate(a) && (*second)->allocate(b));
  EXPECT_TRUE((*first)->owns(a.data));
  EXPECT_TRUE((*second)->owns(b.data));
  EXPECT_EQ((*umem)->frame_of((*umem)->address_of(b.data)), 48U);
  EXPECT_FALSE((*first)->owns(b.data));
  EXPECT_TRUE((*umem)->contains(b.data));
  BufferPool::release(a);
  BufferPool::release(b);
  EXPECT_EQ((*first)->held() + (*second)->held(), 0U);
}

TEST(UmemTest, EveryFrameIsItsOwn) {
  const auto umem = Umem::create({.frames = 32, .huge_pages = false});
  ASSERT_TRUE(umem);
  const auto pool = (*umem)->make_pool(32);
  ASSERT_TRUE(pool);
  std::vector<bool> seen(32);
  Slot slot;
  while ((*pool)->allocate(slot)) {
    EXPECT_EQ(slot.headroom, kXdpHeadroom);
    EXPECT_EQ(slot.headroom + slot.tailroom, 2048U);
    const std::uint32_t frame = (*umem)->frame_of((*umem)->address_of(slot.data));
    ASSERT_LT(frame, 32U);
    EXPECT_FALSE(seen[frame]);
    seen[frame] = true;
    slot.data[slot.tailroom - 1] = 1;
  }
  EXPECT_EQ((*pool)->held(), 32U);
}

TEST(UmemTest, ASlotStandsWhereTheDeviceWrote) {
  const auto umem = Umem::create({.frames = 4, .huge_pages = false});
  const auto pool = (*umem)->make_pool(4);
  ASSERT_TRUE(pool);
  Slot slot;
  ASSERT_TRUE((*pool)->allocate(slot));
  const Slot received = (*pool)->slot_at(slot.data + 10, 1500);
  EXPECT_EQ(received.buffer, slot.buffer);
  EXPECT_EQ(received.home, slot.home);
  EXPECT_EQ(received.headroom, kXdpHeadroom + 10);
  EXPECT_EQ(received.length, 1500U);
  EXPECT_EQ(received.tailroom, 2048U - kXdpHeadroom - 10 - 1500);
  BufferPool::release(received);
  EXPECT_EQ((*pool)->held(), 0U);
}

TEST(UmemTest, RefusesFramesThatTheKernelWouldNotTake) {
  for (const std::uint32_t bytes : {0U, 1024U, 2049U, 3000U, 8192U})
    EXPECT_FALSE(Umem::create({.frames = 8, .frame_bytes = bytes})) << bytes;
  EXPECT_FALSE(Umem::create({.frames = 0}));
  const auto odd = Umem::create({.frames = 3, .huge_pages = false});
  ASSERT_TRUE(odd);
  EXPECT_EQ((*odd)->memory().size() % 4096, 0U);
}

}  // namespace
}  // namespace ringway::io
