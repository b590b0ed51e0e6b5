// A peer as the worker sees it: its sessions, its paths, its timers, what waits for a handshake.
// Made on the control thread, then owned by one worker, and sent back when it is removed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/counters.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "dataplane/tunnel/data_timers.hpp"
#include "dataplane/tunnel/path.hpp"
#include "dataplane/tunnel/session.hpp"

namespace ringway {

struct Peer {
  explicit Peer(PeerId peer_id, bool is_ringway) : id(peer_id), ringway(is_ringway) {}

  PeerId id;
  bool ringway;  // may carry control frames; its endpoint moves only by validated paths

  // Key slots (WireGuard whitepaper, section 6.3). We send on `current`. `next` is a session we
  // answered: it becomes current with the first packet that arrives on it.
  std::unique_ptr<tunnel::Session> previous;
  std::unique_ptr<tunnel::Session> current;
  std::unique_ptr<tunnel::Session> next;

  tunnel::PathSet paths;
  tunnel::DataTimers timers;

  // Packets that wait for a session: a list in the worker's Staging.
  std::uint32_t staged_head = UINT32_MAX;
  std::uint32_t staged_tail = UINT32_MAX;
  std::uint32_t staged_count = 0;

  // When control was last told, so that an edge is reported once and lost reports are repeated.
  Instant session_requested = Instant::distant_past();
  Instant source_reported = Instant::distant_past();
  bool confirmation_owed = false;  // the ring was full when the session was confirmed

  // Control frames are paid for ahead of time: this far they are (GCRA, ITU-T I.371).
  Instant control_frames_paid = Instant::distant_past();

  // The worker's timer wheel.
  Peer* wheel_next = nullptr;
  Peer** wheel_link = nullptr;  // what points here; null when not in the wheel
  Instant wheel_deadline = Instant::never();

  // Inner bytes and packets would hide keepalives: these count whole tunnel messages, as wg(8)
  // does.
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;
};

}  // namespace ringway
