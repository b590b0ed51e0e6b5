// Deadlines of peers on a worker, to a tenth of a second: a hashed wheel of intrusive lists
// (Varghese, Lauck 1987). Inserting, moving and removing cost a few stores and allocate nothing. A
// deadline past the horizon waits in the last bucket and is looked at again there.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "base/time.hpp"
#include "dataplane/peer.hpp"

namespace ringway {

class TimerWheel {
 public:
  static constexpr Duration kTick = Duration::milliseconds(100);
  static constexpr std::int64_t kBuckets = 1024;  // a horizon of 102 s

  // Makes sure that `peer` comes up at `deadline` or up to a tick later. An earlier arrangement
  // stands; Instant::never() changes nothing.
  void arm(Peer& peer, Instant deadline) {
    if (deadline >= peer.wheel_deadline) return;
    disarm(peer);
    peer.wheel_deadline = deadline;
    const std::int64_t tick =
        std::clamp(tick_after(deadline), current_tick_ + 1, current_tick_ + kBuckets - 1);
    Peer** head = &buckets_[static_cast<std::size_t>(tick % kBuckets)];
    peer.wheel_next = *head;
    peer.wheel_link = head;
    if (*head != nullptr) (*head)->wheel_link = &peer.wheel_next;
    *head = &peer;
    ++armed_;
    earliest_tick_ = std::min(earliest_tick_, tick);
  }

  void disarm(Peer& peer) {
    if (peer.wheel_link == nullptr) return;
    *peer.wheel_link = peer.wheel_next;
    if (peer.wheel_next != nullptr) peer.wheel_next->wheel_link = peer.wheel_link;
    peer.wheel_next = nullptr;
    peer.wheel_link = nullptr;
    peer.wheel_deadline = Instant::never();
    --armed_;
  }

  // Calls visit(Peer&) for each peer whose time has come, disarmed; it may be armed again.
  template <typename Visit>
  void advance(Instant now, Visit&& visit) {
    const std::int64_t now_tick = now.ns() / kTick.count_ns();
    if (now_tick < earliest_tick_ || armed_ == 0) {
      // Nothing can be due; keeping up lets the horizon move on.
      current_tick_ = std::max(current_tick_, now_tick);
      if (armed_ == 0) earliest_tick_ = INT64_MAX;
      return;
    }
    // After a long sleep every bucket is due once; none needs to be visited twice.
    std::int64_t tick = std::max({earliest_tick_, now_tick - kBuckets + 1, std::int64_t{0}});
    earliest_tick_ = INT64_MAX;
    current_tick_ = now_tick;
    for (; tick <= now_tick; ++tick) {
      // Taken off whole, so that what visit() puts back into this bucket is not walked again.
      Peer*& head = buckets_[static_cast<std::size_t>(tick % kBuckets)];
      Peer* list = head;
      head = nullptr;
      if (list != nullptr) list->wheel_link = &list;
      while (list != nullptr) {
        Peer& peer = *list;
        disarm(peer);
        visit(peer);
      }
    }
    if (armed_ > 0) find_earliest();
  }

  // When advance() next has something to do; never() when nothing is armed.
  [[nodiscard]] Instant next_deadline() const {
    if (armed_ == 0) return Instant::never();
    return Instant::from_ns(earliest_tick_ * kTick.count_ns());
  }

 private:
  static std::int64_t tick_after(Instant deadline) {
    return (deadline.ns() + kTick.count_ns() - 1) / kTick.count_ns();
  }
  void find_earliest() {
    for (std::int64_t tick = current_tick_ + 1; tick < current_tick_ + kBuckets; ++tick) {
      if (buckets_[static_cast<std::size_t>(tick % kBuckets)] != nullptr) {
        earliest_tick_ = tick;
        return;
      }
    }
    CHECK(false);  // armed_ > 0 means that some bucket is not empty
  }

  std::array<Peer*, kBuckets> buckets_{};
  std::int64_t current_tick_ = 0;
  std::int64_t earliest_tick_ = INT64_MAX;
  std::size_t armed_ = 0;
};

}  // namespace ringway
