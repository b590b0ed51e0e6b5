#include "dataplane/io/memory_port.hpp"

#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <poll.h>

#include <gtest/gtest.h>

#include "dataplane/io/slot_tools.hpp"

namespace ringway::io {
namespace {

MemoryPortConfig small_config() {
  MemoryPortConfig config;
  config.queue_slots = 8;
  config.buffer_count = 32;
  return config;
}

void expect_all_home(const BufferPool& pool) {
  EXPECT_EQ(pool.held(), 0U);
  EXPECT_EQ(pool.allocated(), pool.freed());
}

Slot filled(MemoryPort& port, std::size_t length, std::uint8_t first) {
  Slot slot;
  EXPECT_EQ(port.alloc_burst({&slot, 1}), 1U);
  for (std::size_t i = 0; i < length; ++i)
    slot.data[i] = static_cast<std::uint8_t>(first + i);
  slot.length = static_cast<std::uint32_t>(length);
  slot.tailroom -= slot.length;
  return slot;
}

std::string bytes_of(const Slot& slot) {
  return {reinterpret_cast<const char*>(slot.data), slot.length};
}

bool readable(int fd) {
  pollfd wanted{fd, POLLIN, 0};
  return ::poll(&wanted, 1, 0) == 1;
}

TEST(MemoryPort, ReceivesWhatWasInjectedInOrder) {
  MemoryPort port(small_config());
  const net::Endpoint remote = *net::Endpoint::parse("192.0.2.1:51820");
  for (std::uint8_t i = 0; i < 5; ++i)
    ASSERT_TRUE(port.inject_copy(std::array<std::uint8_t, 2>{i, 7}, remote));
  std::array<Slot, 3> out;
  std::uint8_t expected = 0;
  while (const std::size_t got = port.rx_burst(out)) {
    for (const Slot& slot : std::span(out).first(got)) {
      EXPECT_EQ(slot.data[0], expected++);
      EXPECT_EQ(slot.length, 2U);
      EXPECT_EQ(slot.remote, remote);
    }
    release_all(std::span(out).first(got));
  }
  EXPECT_EQ(expected, 5);
  EXPECT_EQ(port.counters().rx_packets.value(), 5U);
  EXPECT_EQ(port.counters().rx_bytes.value(), 10U);
  EXPECT_EQ(port.counters().rx_bursts.value(), 2U);
  expect_all_home(port.pool());
}

TEST(MemoryPort, KeepsWhatWasSentUntilItIsTaken) {
  MemoryPort port(small_config());
  std::array<Slot, 10> slots;
  for (std::size_t i = 0; i < slots.size(); ++i)
    slots[i] = filled(port, i + 1, 0);
  EXPECT_EQ(port.tx_burst(slots), 2U) << "the queue holds eight";
  EXPECT_EQ(port.counters().tx_packets.value(), 8U);
  EXPECT_EQ(port.counters().tx_dropped.value(), 2U);
  EXPECT_EQ(port.counters().tx_bytes.value(), 36U);
  const TxQueue queue = port.tx_queue();
  EXPECT_EQ(std::tuple(queue.slots, queue.queued, queue.waiting), std::tuple(8U, 8U, 8U));
  std::array<Slot, 20> taken;
  ASSERT_EQ(port.take_sent(taken), 8U);
  for (std::size_t i = 0; i < 8; ++i)
    EXPECT_EQ(taken[i].length, i + 1);
  release_all(std::span(taken).first(8));
  expect_all_home(port.pool());
}

TEST(MemoryPort, RefusesWhenTheQueueOrThePoolIsFull) {
  MemoryPortConfig config = small_config();
  MemoryPort port(config);
  const std::array<std::uint8_t, 4> bytes{};
  for (int i = 0; i < 8; ++i)
    ASSERT_TRUE(port.inject_copy(bytes));
  EXPECT_FALSE(port.inject_copy(bytes));
  EXPECT_EQ(port.pool().held(), 8U) << "the refused copy went home";

  config.queue_slots = 64;
  config.buffer_count = 2;
  MemoryPort poor(config);
  EXPECT_FALSE(poor.inject_copy(std::vector<std::uint8_t>(config.buffer_bytes)));
  EXPECT_TRUE(poor.inject_copy(bytes));
  EXPECT_TRUE(poor.inject_copy(bytes));
  EXPECT_FALSE(poor.inject_copy(bytes));
  std::array<Slot, 4> out;
  EXPECT_EQ(poor.alloc_burst(out), 0U);
}

TEST(MemoryPort, LinkedPortsAreEachOthersWire) {
  MemoryPortConfig config = small_config();
  config.address = *net::Endpoint::parse("192.0.2.1:1000");
  MemoryPort a(config);
  config.address = *net::Endpoint::parse("192.0.2.2:2000");
  MemoryPort b(config);
  MemoryPort::link(a, b);

  Slot slot = filled(a, 3, 'a');
  EXPECT_EQ(a.tx_burst({&slot, 1}), 0U);
  Slot got;
  ASSERT_EQ(b.rx_burst({&got, 1}), 1U);
  EXPECT_EQ(bytes_of(got), "abc");
  EXPECT_EQ(got.remote.to_string(), "192.0.2.1:1000");
  EXPECT_EQ(got.local.to_string(), "192.0.2.2");
  EXPECT_EQ(b.tx_burst({&got, 1}), 0U) << "and back, in the buffer of the other";
  ASSERT_EQ(a.rx_burst({&got, 1}), 1U);
  EXPECT_EQ(got.remote.to_string(), "192.0.2.2:2000");
  EXPECT_EQ(a.rx_burst({&slot, 1}), 0U);
  BufferPool::release(got);
  expect_all_home(a.pool());
  expect_all_home(b.pool());
}

TEST(MemoryPort, LinkLosesWhatTheReceiverHasNoRoomFor) {
  MemoryPort a(small_config());
  MemoryPort b(small_config());
  MemoryPort::link(a, b);
  for (int i = 0; i < 10; ++i) {
    Slot slot = filled(a, 1, 0);
    EXPECT_EQ(a.tx_burst({&slot, 1}), 0U) << "a sender does not notice";
  }
  EXPECT_EQ(a.lost(), 2U);
  EXPECT_EQ(b.waiting(), 8U);
  EXPECT_EQ(a.pool().held(), 8U);
}

Slot run_of(MemoryPort& port, std::size_t length, std::uint16_t segment_bytes) {
  Slot slot = filled(port, length, 'a');
  slot.train = TrainKind::kDatagrams;
  slot.segment_bytes = segment_bytes;
  return slot;
}

TEST(MemoryPort, LinkCutsRunsForAReceiverWithoutThem) {
  MemoryPortConfig config = small_config();
  config.capabilities.datagram_trains_tx = true;
  MemoryPort a(config);
  MemoryPort b(config);
  MemoryPort::link(a, b);
  Slot run = run_of(a, 8, 3);
  a.tx_burst({&run, 1});
  EXPECT_EQ(a.counters().tx_packets.value(), 3U);

  std::array<Slot, 4> got;
  ASSERT_EQ(b.rx_burst(got), 3U);
  EXPECT_EQ(bytes_of(got[0]), "abc");
  EXPECT_EQ(bytes_of(got[1]), "def");
  EXPECT_EQ(bytes_of(got[2]), "gh");
  EXPECT_EQ(got[0].headroom, kDefaultHeadroom);
  EXPECT_EQ(got[1].headroom, 0U);
  EXPECT_EQ(got[1].tailroom, 0U);
  EXPECT_GT(got[2].tailroom, 0U);
  EXPECT_EQ(got[0].train, TrainKind::kNone);
  BufferPool::release(got[0]);
  BufferPool::release(got[2]);
  EXPECT_EQ(a.pool().held(), 1U) << "the middle one still uses it";
  BufferPool::release(got[1]);
  expect_all_home(a.pool());
}

TEST(MemoryPort, LinkPassesRunsToAReceiverThatDeclaresThem) {
  MemoryPortConfig config = small_config();
  config.capabilities.datagram_trains_tx = config.capabilities.datagram_trains_rx = true;
  MemoryPort a(config);
  MemoryPort b(config);
  MemoryPort::link(a, b);
  Slot run = run_of(a, 8, 3);
  a.tx_burst({&run, 1});
  Slot got;
  ASSERT_EQ(b.rx_burst({&got, 1}), 1U);
  EXPECT_EQ(got.train, TrainKind::kDatagrams);
  EXPECT_EQ(b.counters().rx_packets.value(), 3U);
  BufferPool::release(got);
  expect_all_home(a.pool());
}

TEST(MemoryPort, DestructionReleasesWhatWaits) {
  MemoryPort outlives(small_config());
  {
    MemoryPort port(small_config());
    ASSERT_TRUE(port.inject(filled(outlives, 1, 0)));
    Slot slot = filled(outlives, 1, 0);
    EXPECT_EQ(port.tx_burst({&slot, 1}), 0U);
    EXPECT_EQ(outlives.pool().held(), 2U);
  }
  expect_all_home(outlives.pool());
  {
    MemoryPort linked(small_config());
    MemoryPort::link(outlives, linked);
    Slot theirs = filled(linked, 1, 0);
    linked.tx_burst({&theirs, 1});
    Slot ours = filled(outlives, 1, 0);
    outlives.tx_burst({&ours, 1});
    EXPECT_EQ(outlives.waiting(), 1U);
  }
  EXPECT_EQ(outlives.waiting(), 0U) << "its buffer's pool is gone";
  expect_all_home(outlives.pool());
}

TEST(MemoryPort, HasNoDescriptorUnlessAskedFor) {
  EXPECT_EQ(MemoryPort(small_config()).wake_fd(), -1);
}

TEST(MemoryPort, DescriptorIsReadableExactlyWhileSomethingWaits) {
  MemoryPortConfig config = small_config();
  config.wake_fd = true;
  MemoryPort port(config);
  ASSERT_GE(port.wake_fd(), 0);
  EXPECT_FALSE(readable(port.wake_fd()));
  const std::array<std::uint8_t, 1> bytes{};
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(port.inject_copy(bytes));
  EXPECT_TRUE(readable(port.wake_fd()));
  std::array<Slot, 2> out;
  ASSERT_EQ(port.rx_burst(out), 2U);
  EXPECT_TRUE(readable(port.wake_fd())) << "one is left";
  release_all(out);
  ASSERT_EQ(port.rx_burst(out), 1U);
  EXPECT_FALSE(readable(port.wake_fd()));
  release_all(std::span(out).first(1));
}

TEST(MemoryPort, WakesASleeperOnAnotherThreadForEverySlot) {
  constexpr std::size_t kSlots = 2'000;
  MemoryPortConfig config;
  config.wake_fd = true;
  config.queue_slots = 4;
  MemoryPort port(config);
  BufferPool pool(kSlots, 256);
  std::vector<Slot> slots(kSlots);
  for (std::size_t i = 0; i < kSlots; ++i) {
    ASSERT_TRUE(pool.allocate(slots[i]));
    store_le(slots[i].data, static_cast<std::uint32_t>(i));
    slots[i].length = 4;
  }
  std::thread injector([&] {
    for (const Slot& slot : slots) {
      while (!port.inject(slot))
        std::this_thread::yield();
    }
  });
  std::uint32_t expected = 0;
  std::array<Slot, 3> out;
  while (expected < kSlots) {
    const std::size_t got = port.rx_burst(out);
    for (std::size_t i = 0; i < got; ++i)
      EXPECT_EQ(load_le<std::uint32_t>(out[i].data), expected++);
    if (got != 0) continue;
    pollfd wanted{port.wake_fd(), POLLIN, 0};
    if (::poll(&wanted, 1, 10'000) != 1) break;
  }
  injector.join();
  EXPECT_EQ(expected, kSlots) << "slept through a slot";
  release_all(slots);
  expect_all_home(pool);
}

}  // namespace
}  // namespace ringway::io
