#include "dataplane/handoff.hpp"

#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/io/memory_port.hpp"
#include "dataplane/lent_port.hpp"

namespace ringway {
namespace {

constexpr WorkerId kFirst{0};
constexpr Handoff::Refused kNoneRefused{};
constexpr WorkerId kSecond{1};
constexpr std::uint32_t kBuffers = 256;

Slot allocate(BufferPool& pool, std::uint8_t content) {
  Slot slot;
  EXPECT_TRUE(pool.allocate(slot));
  slot.data[0] = content;
  slot.length = 1;
  return slot;
}

struct TwoWorkers {
  explicit TwoWorkers(std::uint32_t buffers = kBuffers) : pool(buffers, 256) {
    mesh.announce_pool(kFirst, pool);
    mesh.set_doorbell(kFirst, doorbells[0]);
    mesh.set_doorbell(kSecond, doorbells[1]);
  }

  BufferPool pool;  // the first's
  std::array<Doorbell, 2> doorbells;
  HandoffMesh mesh{2};
  Handoff& first = mesh.end(kFirst);
  Handoff& second = mesh.end(kSecond);
};

TEST(Handoff, CarriesVectorsInOrderByKind) {
  TwoWorkers two;
  std::array sealed = {allocate(two.pool, 1), allocate(two.pool, 2)};
  std::array inner = {allocate(two.pool, 3)};
  EXPECT_FALSE(two.second.waiting());
  EXPECT_EQ(two.first.give(kSecond, HandoffKind::kSealed, sealed), kNoneRefused);
  EXPECT_EQ(two.first.give(kSecond, HandoffKind::kInner, inner), kNoneRefused);
  EXPECT_TRUE(two.second.waiting());
  EXPECT_FALSE(two.first.waiting());

  std::array<Slot, 4> taken;
  EXPECT_EQ(two.second.take(HandoffKind::kExternal, taken), 0U);
  ASSERT_EQ(two.second.take(HandoffKind::kSealed, taken), 2U);
  EXPECT_EQ(taken[0].data[0], 1);
  EXPECT_EQ(taken[1].data[0], 2);
  ASSERT_EQ(two.second.take(HandoffKind::kInner, std::span(taken).subspan(2)), 1U);
  EXPECT_EQ(taken[2].data[0], 3);
  EXPECT_FALSE(two.second.waiting());
  EXPECT_EQ(two.second.borrowed(), 3U);
  for (const Slot& slot : std::span(taken).first(3))
    BufferPool::release(slot);
  EXPECT_EQ(two.second.borrowed(), 0U);
}

TEST(Handoff, ALentPortHandsFramesToWhoeverHasIt) {
  TwoWorkers two;
  io::MemoryPortConfig config;
  config.capabilities.mtu = 1400;
  const io::MemoryPort real(config);
  LentPort lent(real, 3, kSecond, two.first, two.pool);
  EXPECT_EQ(lent.capabilities().mtu, 1400);
  EXPECT_EQ(lent.wake_fd(), -1);
  std::array<Slot, 2> frames;
  ASSERT_EQ(lent.alloc_burst(frames), 2U);
  for (Slot& frame : frames)
    frame.length = 60;
  EXPECT_EQ(lent.rx_burst(frames), 0U);
  EXPECT_EQ(lent.tx_burst(frames), 0U);
  EXPECT_EQ(lent.counters().tx_packets.value(), 2U);
  std::array<Slot, 4> taken;
  ASSERT_EQ(two.second.take(HandoffKind::kFrame, taken), 2U);
  for (const Slot& frame : std::span(taken).first(2)) {
    EXPECT_EQ(frame.interface, 3U);
    EXPECT_EQ(frame.length, 60U);
    BufferPool::release(frame);
  }
}

TEST(Handoff, ALentPortCountsWhatWasTakenOfIt) {
  TwoWorkers two(2 * kHandoffRingSlots);
  const io::MemoryPort real(io::MemoryPortConfig{});
  LentPort lent(real, 0, kSecond, two.first, two.pool);
  std::vector<Slot> frames(kHandoffRingSlots + 3);
  ASSERT_EQ(lent.alloc_burst(frames), frames.size());
  for (Slot& frame : frames)
    frame.length = 60;
  EXPECT_EQ(lent.tx_burst(frames), 3U);
  EXPECT_EQ(lent.counters().tx_packets.value(), kHandoffRingSlots);
  EXPECT_EQ(lent.counters().tx_bytes.value(), 60 * kHandoffRingSlots);
  EXPECT_EQ(lent.counters().tx_dropped.value(), 3U);
}

TEST(Handoff, BuffersGoHomeToTheirOwnPool) {
  TwoWorkers two;
  std::array slots = {allocate(two.pool, 1), allocate(two.pool, 2)};
  (void)two.first.give(kSecond, HandoffKind::kSealed, slots);
  std::array<Slot, 2> taken;
  ASSERT_EQ(two.second.take(HandoffKind::kSealed, taken), 2U);
  BufferPool::release(taken[0]);
  two.second.reclaim();
  EXPECT_EQ(two.pool.held(), 2U) << "until the lender looks";
  two.first.reclaim();
  EXPECT_EQ(two.pool.held(), 1U);
  BufferPool::release(taken[1]);
  two.second.reclaim();
  two.first.reclaim();
  EXPECT_EQ(two.pool.held(), 0U);
  EXPECT_EQ(two.pool.allocated(), two.pool.freed());
}

TEST(Handoff, SlotsOfOneBufferCountOnBothSides) {
  TwoWorkers two;
  const Slot whole = allocate(two.pool, 1);
  std::array parts = {whole, whole};
  BufferPool::retain(whole);
  BufferPool::retain(whole);  // one reference stays with the first worker
  (void)two.first.give(kSecond, HandoffKind::kInner, std::span(parts).first(1));
  std::array<Slot, 1> taken;
  ASSERT_EQ(two.second.take(HandoffKind::kInner, taken), 1U);
  BufferPool::retain(taken[0]);
  BufferPool::release(taken[0]);
  EXPECT_EQ(two.second.borrowed(), 1U);
  BufferPool::release(taken[0]);
  EXPECT_EQ(two.second.borrowed(), 0U);

  // It comes again before it went home.
  (void)two.first.give(kSecond, HandoffKind::kInner, std::span(parts).last(1));
  ASSERT_EQ(two.second.take(HandoffKind::kInner, taken), 1U);
  two.second.reclaim();
  two.first.reclaim();
  EXPECT_EQ(two.pool.held(), 1U);
  BufferPool::release(taken[0]);
  BufferPool::release(whole);
  EXPECT_EQ(two.pool.held(), 1U) << "the second worker has not sent it home yet";
  two.second.reclaim();
  two.first.reclaim();
  EXPECT_EQ(two.pool.held(), 0U);
}

// A train's packets may come one by one, and be done with, while the lender is busy.
TEST(Handoff, ABufferMayGoHomeInMorePiecesThanTheLenderHasBuffers) {
  constexpr std::size_t kParts = 5;
  TwoWorkers two(1);
  const Slot whole = allocate(two.pool, 1);
  for (std::size_t i = 1; i < kParts; ++i)
    BufferPool::retain(whole);
  for (std::size_t i = 0; i < kParts; ++i) {
    std::array part = {whole};
    EXPECT_EQ(two.first.give(kSecond, HandoffKind::kInner, part), kNoneRefused);
    std::array<Slot, 1> taken;
    ASSERT_EQ(two.second.take(HandoffKind::kInner, taken), 1U);
    BufferPool::release(taken[0]);
    two.second.reclaim();
  }
  two.first.reclaim();
  EXPECT_EQ(two.pool.held(), 1U) << "what found no room waits";
  two.second.reclaim();
  two.first.reclaim();
  EXPECT_EQ(two.pool.held(), 0U);
}

TEST(Handoff, AFullRingRefusesAndFrees) {
  TwoWorkers two(2 * kHandoffRingSlots);
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < kHandoffRingSlots + 3; ++i)
    slots.push_back(allocate(two.pool, 0));
  const std::uint64_t bytes = std::uint64_t{3} * slots.front().length;
  EXPECT_EQ(two.first.give(kSecond, HandoffKind::kSealed, slots),
            (Handoff::Refused{.no_room = 3, .bytes = bytes}));
  EXPECT_EQ(two.pool.held(), kHandoffRingSlots);
}

TEST(Handoff, SaysWhereThereIsNoBufferForACopy) {
  BufferPool first_pool(4, 256);
  BufferPool second_pool(2, 256);
  Doorbell doorbell;
  HandoffMesh mesh(3);
  for (const WorkerId worker : {kFirst, kSecond, WorkerId{2}})
    mesh.set_doorbell(worker, doorbell);
  mesh.announce_pool(kFirst, first_pool);
  mesh.announce_pool(kSecond, second_pool);
  std::array lent = {allocate(first_pool, 0), allocate(first_pool, 1), allocate(first_pool, 2)};
  EXPECT_EQ(mesh.end(kFirst).give(kSecond, HandoffKind::kInner, lent), kNoneRefused);
  std::array<Slot, 3> borrowed;
  ASSERT_EQ(mesh.end(kSecond).take(HandoffKind::kInner, borrowed), 3U);
  EXPECT_EQ(mesh.end(kSecond).give(WorkerId{2}, HandoffKind::kInner, borrowed),
            (Handoff::Refused{.no_buffer = 1, .bytes = lent.front().length}));
}

TEST(Handoff, WhatNobodyTookGoesHomeWithTheMesh) {
  BufferPool pool(4, 256);
  Doorbell doorbell;
  {
    HandoffMesh mesh(3);
    mesh.announce_pool(kSecond, pool);
    mesh.set_doorbell(kFirst, doorbell);
    std::array slots = {allocate(pool, 1)};
    (void)mesh.end(kSecond).give(kFirst, HandoffKind::kExternal, slots);
  }
  EXPECT_EQ(pool.held(), 0U);
}

TEST(Handoff, TakesFromEveryGiverInTurn) {
  std::array<BufferPool, 2> pools = {BufferPool(128, 256), BufferPool(128, 256)};
  Doorbell doorbell;
  HandoffMesh mesh(3);
  mesh.set_doorbell(kFirst, doorbell);
  for (std::uint8_t giver = 1; giver <= 2; ++giver) {
    mesh.announce_pool(WorkerId{giver}, pools[giver - 1U]);
    for (int i = 0; i < 100; ++i) {
      std::array slots = {allocate(pools[giver - 1U], giver)};
      (void)mesh.end(WorkerId{giver}).give(kFirst, HandoffKind::kSealed, slots);
    }
  }
  std::array<int, 3> seen{};
  for (int turn = 0; turn < 2; ++turn) {
    std::array<Slot, 64> taken;
    const std::size_t count = mesh.end(kFirst).take(HandoffKind::kSealed, taken);
    for (const Slot& slot : std::span(taken).first(count)) {
      ++seen[slot.data[0]];
      BufferPool::release(slot);
    }
  }
  EXPECT_GT(seen[1], 0);
  EXPECT_GT(seen[2], 0);
}

// Two threads; every packet arrives once and in order, every buffer comes home, and none is seen by
// both at once (ThreadSanitizer).
TEST(Handoff, KeepsOrderAndBuffersBetweenThreads) {
  constexpr std::uint32_t kPackets = 100'000;
  TwoWorkers two;
  std::thread taker([&] {
    std::uint32_t expected = 0;
    std::array<Slot, 64> taken;
    while (expected < kPackets) {
      const std::size_t count = two.second.take(HandoffKind::kSealed, taken);
      for (const Slot& slot : std::span(taken).first(count)) {
        std::uint32_t number = 0;
        std::memcpy(&number, slot.data, sizeof number);
        ASSERT_EQ(number, expected++);
        BufferPool::retain(slot);
        BufferPool::release(slot);
        BufferPool::release(slot);
      }
      two.second.reclaim();
      if (count == 0) std::this_thread::yield();
    }
  });
  for (std::uint32_t number = 0; number < kPackets;) {
    std::array<Slot, 16> batch;
    std::size_t count = 0;
    while (count < batch.size() && number + count < kPackets && two.pool.allocate(batch[count])) {
      const auto tag = static_cast<std::uint32_t>(number + count);
      std::memcpy(batch[count].data, &tag, sizeof tag);
      batch[count++].length = sizeof tag;
    }
    ASSERT_EQ(two.first.give(kSecond, HandoffKind::kSealed, std::span(batch).first(count)),
              kNoneRefused);
    number += static_cast<std::uint32_t>(count);
    two.first.reclaim();
    if (count == 0) std::this_thread::yield();
  }
  taker.join();
  two.first.reclaim();
  EXPECT_EQ(two.pool.held(), 0U);
}

}  // namespace
}  // namespace ringway
