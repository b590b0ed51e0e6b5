#include "dataplane/io/fault_port.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/io/slot_tools.hpp"

namespace ringway::io {
namespace {

constexpr std::uint32_t kDatagramBytes = 64;

struct Arrival {
  std::uint32_t number = 0;
  std::int64_t at_ms = 0;
  bool intact = true;
  bool operator==(const Arrival&) const = default;
};

MemoryPortConfig roomy() {
  MemoryPortConfig config;
  config.queue_slots = 4096;
  config.buffer_count = 16'384;
  config.buffer_bytes = 512;
  config.capabilities.datagram_trains_tx = true;
  return config;
}

// A memory port behind faults, numbered datagrams going one way, and a clock in milliseconds.
class FaultLab {
 public:
  explicit FaultLab(const FaultConfig& config) : wire_(roomy()), port_(wire_, config) { at(0); }

  FaultPort& port() { return port_; }
  MemoryPort& wire() { return wire_; }

  void at(std::int64_t ms) {
    now_ms_ = ms;
    port_.advance(Instant::from_ns(ms * 1'000'000));
  }
  Slot numbered(std::uint32_t number) {
    Slot slot;
    EXPECT_EQ(port_.alloc_burst({&slot, 1}), 1U);
    std::fill_n(slot.data, kDatagramBytes, std::uint8_t{0x55});
    store_le(slot.data, number);
    slot.length = kDatagramBytes;
    slot.tailroom -= kDatagramBytes;
    return slot;
  }
  void send(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      Slot slot = numbered(first + i);
      EXPECT_EQ(port_.tx_burst({&slot, 1}), 0U);
    }
  }
  std::vector<Arrival> sent() {
    return take([this](std::span<Slot> out) { return wire_.take_sent(out); });
  }
  std::vector<Arrival> received() {
    return take([this](std::span<Slot> out) { return port_.rx_burst(out); });
  }
  void expect_balanced() {
    for (const FaultCounters* c : {&port_.rx_faults(), &port_.tx_faults()}) {
      EXPECT_LE(c->lost + c->overflowed + c->delivered, c->seen + c->duplicated);
    }
    const FaultCounters& rx = port_.rx_faults();
    const FaultCounters& tx = port_.tx_faults();
    EXPECT_EQ(rx.seen + rx.duplicated + tx.seen + tx.duplicated,
              rx.lost + rx.overflowed + rx.delivered + tx.lost + tx.overflowed + tx.delivered +
                  port_.held());
  }

 private:
  template <typename Burst>
  std::vector<Arrival> take(Burst burst) {
    std::vector<Arrival> arrivals;
    std::array<Slot, 32> out;
    while (const std::size_t got = burst(std::span<Slot>(out))) {
      for (const Slot& slot : std::span(out).first(got)) {
        const bool intact = std::all_of(slot.data + 4, slot.data + slot.length,
                                        [](std::uint8_t byte) { return byte == 0x55; });
        arrivals.push_back({load_le<std::uint32_t>(slot.data), now_ms_, intact});
      }
      release_all(std::span(out).first(got));
    }
    return arrivals;
  }

  MemoryPort wire_;
  FaultPort port_;
  std::int64_t now_ms_ = 0;
};

FaultConfig sending(const FaultRates& rates, std::uint64_t seed = 1) {
  FaultConfig config;
  config.tx = rates;
  config.seed = seed;
  return config;
}

TEST(FaultPort, WithoutFaultsChangesNothing) {
  FaultLab lab(FaultConfig{});
  lab.send(0, 100);
  const std::vector<Arrival> sent = lab.sent();
  ASSERT_EQ(sent.size(), 100U);
  for (std::uint32_t i = 0; i < 100; ++i)
    EXPECT_EQ(sent[i], (Arrival{i, 0, true}));
  for (std::uint32_t i = 0; i < 70; ++i) {
    const Slot slot = lab.numbered(i);
    ASSERT_TRUE(lab.wire().inject(slot));
  }
  const std::vector<Arrival> received = lab.received();
  ASSERT_EQ(received.size(), 70U);
  for (std::uint32_t i = 0; i < 70; ++i)
    EXPECT_EQ(received[i].number, i);
  EXPECT_EQ(lab.port().counters().rx_packets.value(), 70U);
  EXPECT_EQ(lab.port().counters().tx_packets.value(), 100U);
  lab.expect_balanced();
  EXPECT_EQ(lab.wire().pool().held(), 0U);
}

TEST(FaultPort, CertainLossLosesAll) {
  FaultLab lab(sending({.loss = 1}));
  lab.send(0, 50);
  EXPECT_TRUE(lab.sent().empty());
  EXPECT_EQ(lab.port().tx_faults().lost, 50U);
  EXPECT_EQ(lab.wire().pool().held(), 0U);
}

// Of n draws with probability p: n p, give or take five standard deviations.
void expect_plausible(std::uint64_t hits, double n, double p) {
  const double deviation = 5 * std::sqrt(n * p * (1 - p));
  EXPECT_GT(static_cast<double>(hits), n * p - deviation);
  EXPECT_LT(static_cast<double>(hits), n * p + deviation);
}

TEST(FaultPort, RatesAreKept) {
  constexpr std::uint32_t kCount = 20'000;
  FaultLab lab(
      sending({.loss = 0.1, .duplication = 0.05, .corruption = 0.02, .reordering = 0.03}, 1234));
  std::size_t arrived = 0;
  std::size_t damaged = 0;
  for (std::uint32_t first = 0; first < kCount; first += 100) {
    lab.send(first, 100);
    lab.at(first + 100);
    for (const Arrival& arrival : lab.sent()) {
      ++arrived;
      damaged += arrival.intact ? 0 : 1;
    }
  }
  const FaultCounters& faults = lab.port().tx_faults();
  EXPECT_EQ(faults.seen, kCount);
  expect_plausible(faults.lost, kCount, 0.1);
  const auto survived = static_cast<double>(kCount - faults.lost);
  expect_plausible(faults.duplicated, survived, 0.05);
  const double held = survived + static_cast<double>(faults.duplicated);
  expect_plausible(faults.corrupted, held, 0.02);
  expect_plausible(faults.reordered, held, 0.03);
  EXPECT_EQ(arrived, faults.seen - faults.lost + faults.duplicated);
  EXPECT_LE(damaged, faults.corrupted);
  EXPECT_GT(damaged, faults.corrupted / 2) << "a flip within the number goes unseen, rarely";
  EXPECT_EQ(faults.overflowed + faults.uncopied, 0U);
  lab.expect_balanced();
  EXPECT_EQ(lab.wire().pool().held(), 0U);
}

TEST(FaultPort, SameSeedSameFate) {
  const FaultRates rates = {.loss = 0.2,
                            .duplication = 0.2,
                            .corruption = 0.2,
                            .reordering = 0.2,
                            .delay = Duration::milliseconds(3),
                            .jitter = Duration::milliseconds(5)};
  const auto run = [&rates](std::uint64_t seed) {
    FaultLab lab(sending(rates, seed));
    std::vector<Arrival> arrivals;
    for (std::int64_t ms = 0; ms < 200; ++ms) {
      lab.at(ms);
      if (ms < 100) lab.send(static_cast<std::uint32_t>(ms) * 3, 3);
      const std::vector<Arrival> now = lab.sent();
      arrivals.insert(arrivals.end(), now.begin(), now.end());
    }
    lab.expect_balanced();
    return arrivals;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(FaultPort, DelayIsExactAndKeepsTheOrder) {
  FaultLab lab(sending({.delay = Duration::milliseconds(10)}));
  lab.send(0, 2);
  lab.at(4);
  lab.send(2, 1);
  EXPECT_EQ(lab.port().next_due(), Instant::from_ns(10'000'000));
  lab.at(9);
  EXPECT_TRUE(lab.sent().empty());
  lab.at(10);
  EXPECT_EQ(lab.sent(), (std::vector<Arrival>{{0, 10, true}, {1, 10, true}}));
  EXPECT_EQ(lab.port().held(), 1U);
  lab.at(14);
  EXPECT_EQ(lab.sent(), (std::vector<Arrival>{{2, 14, true}}));
  EXPECT_EQ(lab.port().next_due(), Instant::never());
}

TEST(FaultPort, TimeDoesNotGoBack) {
  FaultLab lab(sending({.delay = Duration::milliseconds(10)}));
  lab.at(100);
  lab.at(50);
  lab.send(0, 1);
  lab.at(105);
  EXPECT_TRUE(lab.sent().empty());
  lab.at(110);
  EXPECT_EQ(lab.sent().size(), 1U);
}

TEST(FaultPort, JitterStaysWithinItsBoundAndKeepsTheOrder) {
  FaultLab lab(
      sending({.delay = Duration::milliseconds(5), .jitter = Duration::milliseconds(20)}, 3));
  std::vector<Arrival> arrivals;
  for (std::int64_t ms = 0; ms <= 225; ++ms) {
    lab.at(ms);
    if (ms < 200) lab.send(static_cast<std::uint32_t>(ms), 1);
    for (const Arrival& arrival : lab.sent()) {
      const std::int64_t delay = ms - arrival.number;
      EXPECT_GE(delay, 5);
      EXPECT_LE(delay, 25);
      arrivals.push_back(arrival);
    }
  }
  ASSERT_EQ(arrivals.size(), 200U);
  EXPECT_TRUE(std::is_sorted(arrivals.begin(), arrivals.end(),
                             [](const auto& a, const auto& b) { return a.number < b.number; }));
  const std::int64_t first_delay = arrivals[0].at_ms;
  EXPECT_TRUE(std::any_of(arrivals.begin(), arrivals.end(), [first_delay](const Arrival& arrival) {
    return arrival.at_ms - arrival.number != first_delay;
  }));
}

TEST(FaultPort, ReorderingLetsLaterOnesOvertake) {
  FaultLab lab(sending({.reordering = 0.3}, 5));
  lab.send(0, 100);
  std::vector<Arrival> arrivals = lab.sent();
  const std::size_t at_once = arrivals.size();
  EXPECT_EQ(at_once, 100 - lab.port().tx_faults().reordered);
  lab.at(1);
  const std::vector<Arrival> late = lab.sent();
  EXPECT_EQ(late.size(), lab.port().tx_faults().reordered);
  ASSERT_FALSE(late.empty());
  arrivals.insert(arrivals.end(), late.begin(), late.end());
  std::set<std::uint32_t> numbers;
  for (const Arrival& arrival : arrivals)
    numbers.insert(arrival.number);
  EXPECT_EQ(numbers.size(), 100U);
}

TEST(FaultPort, DuplicatesHaveBuffersOfTheirOwn) {
  FaultLab lab(sending({.duplication = 1}));
  lab.send(7, 1);
  std::array<Slot, 4> out;
  ASSERT_EQ(lab.wire().take_sent(out), 2U);
  EXPECT_NE(out[0].buffer, out[1].buffer);
  EXPECT_TRUE(std::equal(out[0].data, out[0].data + out[0].length, out[1].data));
  EXPECT_EQ(out[0].length, out[1].length);
  release_all(std::span(out).first(2));
  EXPECT_EQ(lab.wire().pool().held(), 0U);
}

TEST(FaultPort, CorruptionFlipsExactlyOneBit) {
  FaultLab lab(sending({.corruption = 1}));
  for (int round = 0; round < 50; ++round) {
    Slot slot = lab.numbered(0);
    const std::vector<std::uint8_t> before(slot.data, slot.data + slot.length);
    lab.port().tx_burst({&slot, 1});
    ASSERT_EQ(lab.wire().take_sent({&slot, 1}), 1U);
    int flipped = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
      flipped += std::popcount(static_cast<unsigned>(before[i] ^ slot.data[i]));
    EXPECT_EQ(flipped, 1);
    BufferPool::release(slot);
  }
}

TEST(FaultPort, EachDatagramOfARunMeetsItsOwnFate) {
  FaultLab lab(sending({.loss = 0.5}, 11));
  for (int round = 0; round < 20; ++round) {
    Slot run = lab.numbered(0);
    run.train = TrainKind::kDatagrams;
    run.segment_bytes = 8;
    lab.port().tx_burst({&run, 1});
  }
  EXPECT_EQ(lab.port().tx_faults().seen, 160U);
  expect_plausible(lab.port().tx_faults().lost, 160, 0.5);
  EXPECT_EQ(lab.sent().size(), 160 - lab.port().tx_faults().lost);
  EXPECT_EQ(lab.wire().pool().held(), 0U);
}

TEST(FaultPort, HoldsABoundedNumberAndReleasesThemAtTheEnd) {
  MemoryPort wire(roomy());
  {
    FaultConfig config;
    config.rx.delay = config.tx.delay = Duration::seconds(1);
    config.max_held = 10;
    FaultPort port(wire, config);
    port.advance(Instant::from_ns(0));
    std::array<Slot, 25> slots;
    ASSERT_EQ(port.alloc_burst(slots), 25U);
    port.tx_burst(slots);
    EXPECT_EQ(port.held(), 10U);
    EXPECT_EQ(port.tx_faults().overflowed, 15U);
    for (int i = 0; i < 12; ++i)
      ASSERT_TRUE(wire.inject_copy(std::array<std::uint8_t, 3>{}));
    std::array<Slot, 32> out;
    EXPECT_EQ(port.rx_burst(out), 0U);
    EXPECT_EQ(port.rx_faults().overflowed, 2U);
    EXPECT_EQ(wire.pool().held(), 20U);
    EXPECT_EQ(wire.pool().allocated(), wire.pool().freed() + port.held());
  }
  EXPECT_EQ(wire.pool().held(), 0U);
}

TEST(FaultPort, DelayedReceptionArrivesInTime) {
  FaultConfig config;
  config.rx.delay = Duration::milliseconds(10);
  FaultLab lab(config);
  ASSERT_TRUE(lab.wire().inject(lab.numbered(5)));
  EXPECT_TRUE(lab.received().empty());
  lab.at(9);
  EXPECT_TRUE(lab.received().empty());
  lab.at(10);
  EXPECT_EQ(lab.received(), (std::vector<Arrival>{{5, 10, true}}));
}

TEST(FaultPort, ReportsWhatTheWrappedPortRefuses) {
  MemoryPortConfig config = roomy();
  config.queue_slots = 4;
  MemoryPort wire(config);
  FaultPort port(wire, FaultConfig{});
  std::array<Slot, 6> slots;
  ASSERT_EQ(port.alloc_burst(slots), 6U);
  EXPECT_EQ(port.tx_burst(slots), 2U);
  EXPECT_EQ(port.counters().tx_dropped.value(), 2U);
}

}  // namespace
}  // namespace ringway::io
