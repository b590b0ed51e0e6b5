// Fairness between subscribers where an Ethernet port sends more slowly than they all want: who has
// the most waiting in its transmit queue is refused, and the others find room there. Stands before
// the port, in the way of frames that are finished (ethernet_link.cpp).
//
//   frame ──► admits ──► transmit queue of the port ──► device
//               └► its subscriber has more waiting than what the queue's room allows: dropped
//
// That threshold, a multiple of the free room, is the same for all and finds its level by itself
// (dynamic thresholds; Choudhury, Hahne 1998): n greedy subscribers get an equal part each and
// leave as much free, for whoever wants less. What a subscriber has waiting falls as the queue
// empties; there is no quota that would have to recover. As long as the queue is short nothing is
// even counted. Who is alone may fill it but for its end, where others find room to begin. One
// worker; given queue levels and time.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "base/lazy_array.hpp"
#include "base/time.hpp"
#include "dataplane/io/port.hpp"

namespace ringway::forwarding {

class EgressShares {
 public:
  // Parts of the queue: counting begins when it is this full, and ends when it is that short.
  static constexpr std::uint32_t kBeginPart = 4;
  static constexpr std::uint32_t kEndPart = 8;
  // Not for who is alone.
  static constexpr std::uint32_t kReservePart = 16;
  // So many bytes one may have waiting for each place that is free: a single greedy subscriber then
  // has a quarter of the queue with frames of 1,500 bytes, and three quarters with the smallest.
  static constexpr std::uint32_t kPlaceBytes = 512;
  // The wire is used up by bytes, the queue by frames: each counts so many bytes more than it has.
  static constexpr std::uint32_t kFrameCost = 128;
  // A polite subscriber may be seldom heard: ping sends once a second.
  static constexpr Duration kCompanyLasts = Duration::seconds(3);
  // Subscribers whose numbers are a multiple of it apart share a part.
  static constexpr std::uint32_t kSubscribers = 65'536;

  // `queue`: as the port has it; where it cannot tell, nobody is ever refused.
  explicit EgressShares(const io::TxQueue& queue);

  // Before each run of frames.
  void settle(const io::TxQueue& queue, Instant now) {
    if (queue.queued < (counting_ ? end_at_ : begin_at_)) {
      if (counting_) forget();
      return;
    }
    count_on(queue, now);
  }
  // Whether frames are to be asked for.
  [[nodiscard]] bool counting() const { return counting_; }
  // Whether a frame may go on to the port, which it then does. What is no subscriber's always may.
  [[nodiscard]] bool admits(PeerId subscriber, std::uint32_t frame_bytes);

 private:
  struct Frame {
    std::uint32_t subscriber;
    std::uint32_t cost;
  };

  void forget();
  void count_on(const io::TxQueue& queue, Instant now);
  void remove_oldest();

  std::uint32_t slots_;  // of the queue
  std::uint32_t begin_at_;
  std::uint32_t end_at_;
  std::uint32_t reserve_;
  bool counting_ = false;
  std::uint32_t room_ = 0;
  PeerId last_;  // admitted or refused
  Instant now_ = Instant::distant_past();
  Instant company_until_ = Instant::distant_past();
  // Frames that wait, the oldest first: those that came since counting began.
  std::vector<Frame> waiting_;  // a ring, of a power of two
  std::uint32_t head_ = 0;
  std::uint32_t count_ = 0;
  LazyArray<std::uint32_t> costs_;  // of what waits, by subscriber
};

}  // namespace ringway::forwarding
