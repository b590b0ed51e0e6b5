// Packets of peers that are above their bandwidth limit for the moment: each way of a peer has a
// queue, which is emptied at the peer's rate. TCP needs that: where what is above the rate is only
// dropped, it falls silent for its retransmission timeout (200 ms on Linux) again and again, and
// gets half of its limit (docs/OPERATIONS.md). A queue that stands signals to its senders by CoDel
// (codel.hpp): by a mark where the transport knows ECN (RFC 3168), by a loss otherwise.
//
//   above the rate ──► hold ──► queue of the peer's way ──► due ──► pop ──► on its way
//                       └► full: dropped                            └► CoDel: marked or dropped
//
// Packets are kept as copies, in buffers of the shaper's own: what waits takes nothing from the
// ports. What waits is bounded, by time and packets for each queue and by the buffers for all. One
// worker.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "base/lazy_array.hpp"
#include "base/time.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/codel.hpp"
#include "dataplane/packet.hpp"
#include "dataplane/rate_limit.hpp"

namespace ringway {

enum class SubscriberWay : std::uint8_t { kUp, kDown };

// One way of a peer: its limit, and what waits because of it.
struct ShapedWay {
  RateLimiter limiter;
  CoDel codel;
  std::uint32_t head = 0;  // in the worker's Shaper
  std::uint32_t tail = 0;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;

  // Whether a packet may go on now. In order: behind what waits it may not.
  [[nodiscard]] bool passes(Instant now) const { return count == 0 && !limiter.exceeded(now); }
};

class Shaper {
 public:
  // A longer queue would only be delay: of the round trips that TCP is used to, few are longer.
  static constexpr Duration kLongestWait = Duration::milliseconds(50);
  // At low rates a queue holds so many however long they take, for TCP's smallest windows; at any
  // rate at most so many.
  static constexpr std::uint32_t kFewestPackets = 16;
  static constexpr std::uint32_t kMostPackets = 2048;
  // A queue is looked at so often: the finest that the worker sleeps.
  static constexpr Duration kTick = Duration::milliseconds(1);

  // buffers: packets of all queues together; packet_bytes: the largest.
  Shaper(std::uint32_t buffers, std::uint32_t packet_bytes);
  Shaper(const Shaper&) = delete;
  Shaper& operator=(const Shaper&) = delete;

  // Whether hold() would refuse. A queue may become as long as what is left for all others: the
  // fewer buffers are free, the shorter the longest queues (dynamic thresholds; Choudhury, Hahne
  // 1998).
  [[nodiscard]] bool is_full(const ShapedWay& queue) const {
    if (queue.count >= std::min(kMostPackets, pool_.available())) return true;
    return queue.count >= kFewestPackets && queue.limiter.time_of(queue.bytes) >= kLongestWait;
  }
  // Room for a packet at the end of the queue, to be written by the caller; null when it is full.
  [[nodiscard]] std::uint8_t* hold(PeerId peer, SubscriberWay way, ShapedWay& queue,
                                   std::uint32_t packet_bytes, Instant now);

  // A queue from which something may leave by now; false when there is none. Whoever takes it
  // empties it with pop() and then calls wait_again().
  struct Due {
    Instant at;
    PeerId peer;
    SubscriberWay way;
  };
  [[nodiscard]] bool take_due(Due& due, Instant now);
  // The next packet that the rate allows, marked where that is due, in a slot without room around
  // it; false when there is none. The caller charges the limiter. Adds what CoDel dropped to
  // `dropped`.
  [[nodiscard]] bool pop(ShapedWay& queue, Slot& slot, std::uint64_t& dropped, Instant now);
  void wait_again(PeerId peer, SubscriberWay way, const ShapedWay& queue, Instant now);

  // Releases everything that waits in both queues of a peer; how many.
  std::uint32_t drop_all(PeerId peer, ShapedWay& up, ShapedWay& down);

  [[nodiscard]] Instant next_deadline() const {
    return due_.empty() ? Instant::never() : due_.front().at;
  }
  [[nodiscard]] std::uint32_t held() const { return pool_.held(); }

 private:
  // By buffer.
  struct Entry {
    std::uint8_t* data;
    std::uint32_t bytes;
    std::uint32_t next;  // in its queue
    Instant since;
  };

  Slot take_head(ShapedWay& queue, Duration& waited, Instant now);

  std::uint32_t packet_bytes_;
  BufferPool pool_;
  LazyArray<Entry> entries_;
  std::vector<Due> due_;  // a heap, the earliest first: one for each queue that is not empty
};

}  // namespace ringway
