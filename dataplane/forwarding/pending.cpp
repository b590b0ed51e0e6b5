#include "dataplane/forwarding/pending.hpp"

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "dataplane/buffer_pool.hpp"

namespace ringway::forwarding {

PendingPackets::PendingPackets() {
  buckets_.fill(kEnd);
  for (std::uint32_t i = 0; i < kCapacity; ++i) {
    const Index next = i + 1 < kCapacity ? static_cast<Index>(i + 1) : kEnd;
    packets_[i].next = next;
    queues_[i].next = next;
  }
}

// Spreads the hosts of a link; who makes them collide gains a walk of 256 steps at most.
std::size_t PendingPackets::bucket_of(const Neighbour& neighbour) {
  const std::uint8_t* bytes = neighbour.address.bytes.data();
  std::uint64_t hash = load_le<std::uint64_t>(bytes) ^ neighbour.interface;
  hash = hash * 0x9e3779b97f4a7c15U ^ load_le<std::uint64_t>(bytes + 8);  // 2^64 / golden ratio
  return static_cast<std::size_t>(hash * 0x9e3779b97f4a7c15U >> 56);
}

PendingPackets::Index PendingPackets::find_queue(const Neighbour& neighbour) const {
  Index queue = buckets_[bucket_of(neighbour)];
  while (queue != kEnd && queues_[queue].neighbour != neighbour)
    queue = queues_[queue].next;
  return queue;
}

PendingPackets::Index PendingPackets::make_queue(const Neighbour& neighbour) {
  const Index queue = free_queue_;
  CHECK(queue != kEnd);
  free_queue_ = queues_[queue].next;
  Index& bucket = buckets_[bucket_of(neighbour)];
  queues_[queue] = {.neighbour = neighbour, .next = bucket};
  bucket = queue;
  return queue;
}

void PendingPackets::free_queue(Index queue) {
  Index* link = &buckets_[bucket_of(queues_[queue].neighbour)];
  while (*link != queue)
    link = &queues_[*link].next;
  *link = queues_[queue].next;
  queues_[queue].next = free_queue_;
  free_queue_ = queue;
}

bool PendingPackets::may_ask(Index queue, Instant now) {
  if (now - queues_[queue].asked_at < kAskInterval) return false;
  queues_[queue].asked_at = now;
  return true;
}

void PendingPackets::append(Index packet, Index queue) {
  Index* link = &queues_[queue].head;
  while (*link != kEnd)
    link = &packets_[*link].next;
  *link = packet;
  packets_[packet].next = kEnd;
  packets_[packet].queue = queue;
  ++queues_[queue].count;
}

void PendingPackets::leave_queue(Index packet) {
  const Index queue = packets_[packet].queue;
  Index* link = &queues_[queue].head;
  while (*link != packet)
    link = &packets_[*link].next;
  *link = packets_[packet].next;
  if (--queues_[queue].count == 0) free_queue(queue);
}

Slot PendingPackets::take(Index packet) {
  leave_queue(packet);
  Packet& gone = packets_[packet];
  (gone.older == kEnd ? oldest_ : packets_[gone.older].newer) = gone.newer;
  (gone.newer == kEnd ? newest_ : packets_[gone.newer].older) = gone.older;
  gone.next = free_packet_;
  free_packet_ = packet;
  --held_;
  return gone.slot;
}

void PendingPackets::drop(Index packet) {
  BufferPool::release(take(packet));
}

PendingPackets::Held PendingPackets::hold(const Neighbour& neighbour,
                                          const net::IpAddress& destination, const Slot& slot,
                                          Instant now) {
  Held result;
  Index queue = find_queue(neighbour);
  if (queue != kEnd && queues_[queue].count >= kMaxPerNeighbour) {
    drop(queues_[queue].head);
    result.kept_all = false;
  } else if (held_ == kCapacity) {
    drop(oldest_);
    result.kept_all = false;
    queue = find_queue(neighbour);  // it may have held the oldest, and that alone
  }
  if (queue == kEnd) queue = make_queue(neighbour);
  const Index packet = free_packet_;
  free_packet_ = packets_[packet].next;
  packets_[packet] = {
      .slot = slot, .destination = destination, .since = now, .older = newest_, .newer = kEnd};
  (newest_ == kEnd ? oldest_ : packets_[newest_].newer) = packet;
  newest_ = packet;
  append(packet, queue);
  ++held_;
  result.ask = may_ask(queue, now);
  return result;
}

// Puts a packet that waits for somebody else now into another queue. Its place by age stays. A full
// queue gives up its first packet, which is not this one.
PendingPackets::Held PendingPackets::move_to(const Neighbour& neighbour, Index packet,
                                             Instant now) {
  leave_queue(packet);
  Index queue = find_queue(neighbour);
  if (queue == kEnd) queue = make_queue(neighbour);
  append(packet, queue);
  const Held result{.ask = may_ask(queue, now),
                    .kept_all = queues_[queue].count <= kMaxPerNeighbour};
  if (!result.kept_all) drop(queues_[queue].head);
  return result;
}

std::uint32_t PendingPackets::expire(Instant now) {
  std::uint32_t expired = 0;
  for (; oldest_ != kEnd && now - packets_[oldest_].since >= kMaxAge; ++expired)
    drop(oldest_);
  return expired;
}

Instant PendingPackets::next_deadline() const {
  return oldest_ == kEnd ? Instant::never() : packets_[oldest_].since + kMaxAge;
}

std::uint32_t PendingPackets::drop_all() {
  const std::uint32_t dropped = held_;
  while (oldest_ != kEnd)
    drop(oldest_);
  return dropped;
}

}  // namespace ringway::forwarding
