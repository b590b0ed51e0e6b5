#include "dataplane/staging.hpp"

#include <gtest/gtest.h>

#include "dataplane/buffer_pool.hpp"

namespace ringway {
namespace {

Slot numbered(BufferPool& pool, std::uint8_t number) {
  Slot slot;
  EXPECT_TRUE(pool.allocate(slot));
  slot.data[0] = number;
  slot.length = 1;
  return slot;
}

TEST(Staging, ReturnsPacketsInOrder) {
  BufferPool pool(8, 256);
  Staging staging(8);
  Peer peer(PeerId{1}, false);
  for (std::uint8_t i = 0; i < 3; ++i)
    EXPECT_TRUE(staging.push(peer, numbered(pool, i)));
  Slot slot;
  for (std::uint8_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(staging.pop(peer, slot));
    EXPECT_EQ(slot.data[0], i);
    BufferPool::release(slot);
  }
  EXPECT_FALSE(staging.pop(peer, slot));
  EXPECT_EQ(pool.held(), 0U);
}

TEST(Staging, GivesUpThePeersOldestPacketWhenThePeerHasItsShare) {
  BufferPool pool(200, 256);
  Staging staging(200);
  Peer peer(PeerId{1}, false);
  for (std::uint32_t i = 0; i < tunnel::kMaxStagedPacketsPerPeer; ++i) {
    EXPECT_TRUE(staging.push(peer, numbered(pool, static_cast<std::uint8_t>(i))));
  }
  EXPECT_FALSE(staging.push(peer, numbered(pool, 200)));
  Slot slot;
  ASSERT_TRUE(staging.pop(peer, slot));
  EXPECT_EQ(slot.data[0], 1);
  BufferPool::release(slot);
  EXPECT_EQ(staging.drop_all(peer), tunnel::kMaxStagedPacketsPerPeer - 1);
  EXPECT_EQ(pool.held(), 0U);
}

TEST(Staging, RefusesANewcomerWhenOthersHoldEverything) {
  BufferPool pool(8, 256);
  Staging staging(2);
  Peer greedy(PeerId{1}, false);
  Peer late(PeerId{2}, false);
  EXPECT_TRUE(staging.push(greedy, numbered(pool, 1)));
  EXPECT_TRUE(staging.push(greedy, numbered(pool, 2)));
  EXPECT_FALSE(staging.push(late, numbered(pool, 3)));
  EXPECT_EQ(late.staged_count, 0U);
  EXPECT_EQ(staging.held(), 2U);
  staging.drop_all(greedy);
  EXPECT_EQ(pool.held(), 0U);
}

}  // namespace
}  // namespace ringway
