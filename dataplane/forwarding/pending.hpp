// Packets whose neighbour is not resolved yet: at most 8 a neighbour (as many as a host should keep
// at least: RFC 4861 section 7.2.2 asks for one, Linux's default is about a hundred full frames)
// and 256 in all, for at most a second. Where there is no room the oldest goes: the newest is what
// its sender still waits for. Owned by one worker; given packets, tables and time.
//
//   hold() ──► waits ──► retry(), at each new table: its next hop is known ──► the caller's again
//                  └───► a newer packet needs the room, or expire() ──► released
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/net/address.hpp"
#include "base/time.hpp"
#include "dataplane/forwarding/forwarding_table.hpp"
#include "dataplane/forwarding/next_hop.hpp"
#include "dataplane/packet.hpp"

namespace ringway::forwarding {

class PendingPackets {
 public:
  static constexpr std::uint32_t kCapacity = 256;
  static constexpr std::uint32_t kMaxPerNeighbour = 8;
  static constexpr Duration kMaxAge = Duration::seconds(1);
  // The kernel's own solicitations are a second apart (RFC 4861: RETRANS_TIMER).
  static constexpr Duration kAskInterval = Duration::seconds(1);

  struct Held {
    bool ask = false;      // the kernel should resolve the neighbour: it was not asked lately
    bool kept_all = true;  // false: an older packet had to go
  };

  PendingPackets();
  ~PendingPackets() { drop_all(); }
  PendingPackets(const PendingPackets&) = delete;
  PendingPackets& operator=(const PendingPackets&) = delete;

  // Takes the slot of a packet to `destination`.
  Held hold(const Neighbour& neighbour, const net::IpAddress& destination, const Slot& slot,
            Instant now);

  // Looks every packet up in a new table, the oldest first. forward(const Slot&, NextHopId) owns
  // those that need wait no longer, whatever became of them; ask(const Neighbour&) is told who else
  // must be resolved now, because the route has changed. Neither may call back. Returns how many
  // had to go, because too many wait for one neighbour now.
  template <typename Forward, typename Ask>
  std::uint32_t retry(const ForwardingTable& table, Instant now, Forward&& forward, Ask&& ask);

  // Releases what has waited too long; how many. Due at next_deadline().
  std::uint32_t expire(Instant now);
  [[nodiscard]] Instant next_deadline() const;
  // Releases everything; how many.
  std::uint32_t drop_all();

  [[nodiscard]] std::uint32_t held() const { return held_; }

 private:
  using Index = std::uint16_t;
  static constexpr Index kEnd = UINT16_MAX;
  static constexpr std::size_t kBuckets = 256;

  struct Packet {
    Slot slot;
    net::IpAddress destination;
    Instant since;
    Index older = kEnd;  // the list of all, by age
    Index newer = kEnd;
    Index queue = kEnd;
    Index next = kEnd;  // in its queue, or of the free ones
  };
  // The packets for one neighbour. There are never more queues than packets.
  struct Queue {
    Neighbour neighbour;
    Instant asked_at = Instant::distant_past();
    std::uint32_t count = 0;
    Index head = kEnd;
    Index next = kEnd;  // in its bucket, or of the free ones
  };

  [[nodiscard]] static std::size_t bucket_of(const Neighbour& neighbour);
  [[nodiscard]] Index find_queue(const Neighbour& neighbour) const;
  [[nodiscard]] Index make_queue(const Neighbour& neighbour);
  void free_queue(Index queue);
  [[nodiscard]] bool may_ask(Index queue, Instant now);
  void append(Index packet, Index queue);
  void leave_queue(Index packet);
  // Out of all lists; its slot is the caller's.
  Slot take(Index packet);
  void drop(Index packet);
  Held move_to(const Neighbour& neighbour, Index packet, Instant now);

  std::array<Packet, kCapacity> packets_;
  std::array<Queue, kCapacity> queues_;
  std::array<Index, kBuckets> buckets_;
  Index oldest_ = kEnd;
  Index newest_ = kEnd;
  Index free_packet_ = 0;
  Index free_queue_ = 0;
  std::uint32_t held_ = 0;
};

template <typename Forward, typename Ask>
std::uint32_t PendingPackets::retry(const ForwardingTable& table, Instant now, Forward&& forward,
                                    Ask&& ask) {
  std::uint32_t dropped = 0;
  for (Index packet = oldest_; packet != kEnd;) {
    const net::IpAddress& destination = packets_[packet].destination;
    const NextHopId id = table.lookup(destination);
    if (table.next_hop(id).state != NextHopState::kUnresolved) {
      const Index newer = packets_[packet].newer;
      forward(take(packet), id);
      packet = newer;
      continue;
    }
    const Neighbour neighbour = table.neighbour(id, destination);
    if (neighbour != queues_[packets_[packet].queue].neighbour) {
      const Held held = move_to(neighbour, packet, now);
      if (held.ask) ask(neighbour);
      dropped += held.kept_all ? 0U : 1U;
    }
    packet = packets_[packet].newer;  // read only now: the one that was dropped may be it
  }
  return dropped;
}

}  // namespace ringway::forwarding
