#include "dataplane/io/fault_port.hpp"

#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "dataplane/io/slot_tools.hpp"

namespace ringway::io {
namespace {

constexpr std::size_t kBurstSlots = 64;
constexpr double kTwoTo53 = 9007199254740992.0;  // a double holds 53 random bits exactly

}  // namespace

FaultPort::FaultPort(Port& wrapped, const FaultConfig& config)
    : wrapped_(wrapped), max_held_(config.max_held), rng_(config.seed) {
  CHECK(max_held_ > 0);
  rx_.rates = config.rx;
  tx_.rates = config.tx;
  rx_.heap.reserve(max_held_);
  tx_.heap.reserve(max_held_);
}

FaultPort::~FaultPort() {
  for (const Lane* lane : {&rx_, &tx_}) {
    for (const Held& held : lane->heap)
      BufferPool::release(held.slot);
  }
}

void FaultPort::advance(Instant now) {
  now_ = std::max(now_, now);
  send_due();
}

Instant FaultPort::next_due() const {
  Instant earliest = Instant::never();
  for (const Lane* lane : {&rx_, &tx_}) {
    if (!lane->heap.empty()) earliest = std::min(earliest, lane->heap.front().due);
  }
  return earliest;
}

std::size_t FaultPort::rx_burst(std::span<Slot> out) {
  std::array<Slot, kBurstSlots> arrived;
  const std::size_t wanted = std::min(out.size(), arrived.size());
  const std::size_t got = wrapped_.rx_burst(std::span(arrived).first(wanted));
  for (const Slot& slot : std::span(arrived).first(got)) {
    split_datagrams(slot, [this](const Slot& part) { enter(rx_, part); });
  }
  const std::size_t received = take_due(rx_, out);
  if (received == 0) return 0;
  const BurstSize size = burst_size(out.first(received));
  counters_.rx_packets.add(size.datagrams);
  counters_.rx_bytes.add(size.bytes);
  counters_.rx_bursts.increment();
  return received;
}

std::size_t FaultPort::tx_burst(std::span<Slot> slots) {
  if (slots.empty()) return 0;
  const BurstSize size = burst_size(slots);
  counters_.tx_packets.add(size.datagrams);
  counters_.tx_bytes.add(size.bytes);
  counters_.tx_bursts.increment();
  for (const Slot& slot : slots) {
    split_datagrams(slot, [this](const Slot& part) { enter(tx_, part); });
  }
  return send_due();
}

std::string FaultPort::describe() const {
  return wrapped_.describe() + ", with faults";
}

// Decides a datagram's fate. Takes ownership.
void FaultPort::enter(Lane& lane, const Slot& slot) {
  ++lane.counters.seen;
  if (chance(lane.rates.loss)) {
    ++lane.counters.lost;
    BufferPool::release(slot);
    return;
  }
  Slot twin;
  bool duplicate = chance(lane.rates.duplication);
  if (duplicate && !copy(slot, twin)) {
    ++lane.counters.uncopied;
    duplicate = false;
  }
  corrupt(lane, slot);
  hold(lane, slot);
  if (!duplicate) return;
  ++lane.counters.duplicated;
  corrupt(lane, twin);
  hold(lane, twin);
}

void FaultPort::corrupt(Lane& lane, const Slot& slot) {
  if (!chance(lane.rates.corruption) || slot.length == 0) return;
  const std::uint64_t bit = rng_.below(std::uint64_t{slot.length} * 8);
  slot.data[bit / 8] = static_cast<std::uint8_t>(slot.data[bit / 8] ^ (1U << (bit % 8)));
  ++lane.counters.corrupted;
}

void FaultPort::hold(Lane& lane, const Slot& slot) {
  if (lane.heap.size() == max_held_) {
    ++lane.counters.overflowed;
    BufferPool::release(slot);
    return;
  }
  Instant due = now_ + lane.rates.delay;
  if (lane.rates.jitter > Duration{}) {
    const auto bound = static_cast<std::uint64_t>(lane.rates.jitter.count_ns()) + 1;
    due = due + Duration::nanoseconds(static_cast<std::int64_t>(rng_.below(bound)));
  }
  if (chance(lane.rates.reordering)) {
    ++lane.counters.reordered;
    due = due + lane.rates.reordering_delay;
  } else {
    // One queue: what is not picked for reordering does not overtake.
    due = lane.last_due = std::max(due, lane.last_due);
  }
  lane.heap.push_back({due, lane.next_order++, slot});
  std::push_heap(lane.heap.begin(), lane.heap.end(), later);
}

// A copy in a buffer of its own: who receives a packet may decrypt it in place.
bool FaultPort::copy(const Slot& from, Slot& to) {
  Slot fresh;
  if (wrapped_.alloc_burst({&fresh, 1}) == 0) return false;
  to = from;
  BufferPool::retain(to);  // `from` keeps its own
  if (move_to_buffer(to, fresh)) return true;
  BufferPool::release(to);
  BufferPool::release(fresh);
  return false;
}

std::size_t FaultPort::take_due(Lane& lane, std::span<Slot> out) {
  std::size_t taken = 0;
  while (taken < out.size() && !lane.heap.empty() && lane.heap.front().due <= now_) {
    std::pop_heap(lane.heap.begin(), lane.heap.end(), later);
    out[taken++] = lane.heap.back().slot;
    lane.heap.pop_back();
    ++lane.counters.delivered;
  }
  return taken;
}

std::size_t FaultPort::send_due() {
  std::array<Slot, kBurstSlots> due;
  std::size_t refused = 0;
  while (const std::size_t taken = take_due(tx_, due)) {
    refused += wrapped_.tx_burst(std::span(due).first(taken));
  }
  counters_.tx_dropped.add(refused);
  return refused;
}

bool FaultPort::chance(double probability) {
  return static_cast<double>(rng_.next_u64() >> 11) < probability * kTwoTo53;
}

}  // namespace ringway::io
