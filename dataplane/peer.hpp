// A peer as the worker sees it: its sessions, its paths, its timers, what waits for a handshake.
// Made on the control thread, then owned by one worker, and sent back when it is removed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/counters.hpp"
#include "base/ids.hpp"
#include "base/slab.hpp"
#include "base/time.hpp"
#include "dataplane/rate_limit.hpp"
#include "dataplane/shaper.hpp"
#include "dataplane/tunnel/data_timers.hpp"
#include "dataplane/tunnel/path.hpp"
#include "dataplane/tunnel/session.hpp"

namespace ringway {

// In the order in which packets need it: the first line either way, the second to know where the
// peer is (and what came from there), the third on the way out and for what is rare.
struct alignas(64) Peer : InSlab<Peer> {
  explicit Peer(PeerId peer_id, bool is_ringway) : ringway(is_ringway), id(peer_id) {}

  // Has the lines fetched that a packet from the peer, or to it, will need: from the peer the first
  // two.
  void prefetch_to_receive() const {
    __builtin_prefetch(&timers, 1);
    __builtin_prefetch(&rx_bytes, 1);
  }
  void prefetch_to_send() const {
    __builtin_prefetch(&timers, 1);
    __builtin_prefetch(&paths);
    __builtin_prefetch(&tx_bytes, 1);
  }

  void set_limits(const RateLimits& limits) {
    up.limiter.set_rate(limits.up_mbps);
    down.limiter.set_rate(limits.down_mbps);
    limited = up.limiter.limits() || down.limiter.limits();
    for (const auto* session : {&next, &current, &previous})
      if (*session != nullptr) (*session)->set_limited(limited);
  }

  [[no_unique_address]] tunnel::DataTimers timers;  // leaves room for the next four
  bool ringway;  // may carry control frames; its endpoint moves only by validated paths
  bool confirmation_owed = false;  // the ring was full when the session was confirmed
  bool limited = false;            // by `up` or `down`, which are not looked at otherwise
  PeerId id;
  Instant wheel_deadline = Instant::never();  // the worker's timer wheel
  // Key slots (WireGuard whitepaper, section 6.3). We send on `current`. `next` is a session we
  // answered: it becomes current with the first packet that arrives on it.
  std::unique_ptr<tunnel::Session> next;
  std::unique_ptr<tunnel::Session> current;

  // Inner bytes and packets would hide keepalives: these count whole tunnel messages, as wg(8)
  // does.
  std::uint64_t rx_bytes = 0;
  std::uint64_t rx_packets = 0;
  tunnel::PathSet paths;

  std::uint64_t tx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::unique_ptr<tunnel::Session> previous;

  // Where our response went that `next`, or `current`, came of. A first packet from there has
  // echoed it, as a probe would be echoed: the peer has moved there.
  net::Endpoint answered;

  // Packets that wait for a session: a list in the worker's Staging.
  std::uint32_t staged_head = UINT32_MAX;
  std::uint32_t staged_tail = UINT32_MAX;
  std::uint32_t staged_count = 0;

  // When control was last told, so that an edge is reported once and lost reports are repeated.
  Instant session_requested = Instant::distant_past();
  Instant source_reported = Instant::distant_past();

  // Control frames are paid for ahead of time: this far they are (GCRA, ITU-T I.371).
  Instant control_frames_paid = Instant::distant_past();

  // The worker's timer wheel.
  Peer* wheel_next = nullptr;
  Peer** wheel_link = nullptr;  // what points here; null when not in the wheel

  ShapedWay up;  // inner bytes, from the peer and to it
  ShapedWay down;
};

}  // namespace ringway
