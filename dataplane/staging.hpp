// Inner packets that wait for their peer's handshake: at most kMaxStagedPacketsPerPeer a peer and a
// fixed number in all, as lists in one table. A full list gives up its oldest packet: the newest is
// what the application still waits for.
#pragma once

#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/packet.hpp"
#include "dataplane/peer.hpp"

namespace ringway {

class Staging {
 public:
  // capacity: packets of all peers together; below the ingress pool's size, or staging starves it.
  explicit Staging(std::uint32_t capacity) : entries_(capacity) {
    for (std::uint32_t i = 0; i < capacity; ++i)
      entries_[i].next = i + 1 < capacity ? i + 1 : kEnd;
    free_head_ = capacity > 0 ? 0 : kEnd;
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Takes the slot. False when an older packet (or, where the peer has none, this one) had to go.
  [[nodiscard]] bool push(Peer& peer, const Slot& slot) {
    bool kept_all = true;
    if (free_head_ == kEnd || peer.staged_count >= tunnel::kMaxStagedPacketsPerPeer) {
      kept_all = false;
      Slot oldest;
      if (!pop(peer, oldest)) {
        BufferPool::release(slot);
        return false;
      }
      BufferPool::release(oldest);
    }
    const std::uint32_t index = free_head_;
    free_head_ = entries_[index].next;
    entries_[index] = {slot, kEnd};
    (peer.staged_count == 0 ? peer.staged_head : entries_[peer.staged_tail].next) = index;
    peer.staged_tail = index;
    ++peer.staged_count;
    ++held_;
    return kept_all;
  }

  // The oldest packet of the peer; false when there is none.
  [[nodiscard]] bool pop(Peer& peer, Slot& slot) {
    if (peer.staged_count == 0) return false;
    const std::uint32_t index = peer.staged_head;
    slot = entries_[index].slot;
    peer.staged_head = entries_[index].next;
    --peer.staged_count;
    --held_;
    entries_[index].next = free_head_;
    free_head_ = index;
    return true;
  }

  // Releases everything that waits for the peer; how many.
  std::uint32_t drop_all(Peer& peer) {
    std::uint32_t dropped = 0;
    for (Slot slot; pop(peer, slot); ++dropped)
      BufferPool::release(slot);
    return dropped;
  }

  [[nodiscard]] std::uint32_t held() const { return held_; }

 private:
  static constexpr std::uint32_t kEnd = UINT32_MAX;
  struct Entry {
    Slot slot;
    std::uint32_t next = kEnd;
  };
  std::vector<Entry> entries_;
  std::uint32_t free_head_ = kEnd;
  std::uint32_t held_ = 0;
};

}  // namespace ringway
