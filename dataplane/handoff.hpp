// How a packet comes from the worker on whose queue it arrived to the one that owns what it belongs
// to: whole vectors over single-producer rings, one for each pair of workers and kind. Buffers are
// not copied: the receiver borrows them (borrowed_pool.hpp).
//
//   worker 0 ──► lane 0→1: a ring a kind ──► worker 1
//            ◄── buffers that are done with ◄─────────
//
// A full ring: the giver counts and frees. Made by control before the workers start; afterwards
// each worker uses its own end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/doorbell.hpp"
#include "base/ids.hpp"
#include "base/spsc_ring.hpp"
#include "dataplane/borrowed_pool.hpp"
#include "dataplane/packet.hpp"

namespace ringway {

// What is handed over; each stage that receives takes its own kind.
enum class HandoffKind : std::uint8_t {
  kSealed,    // a datagram or run of datagrams, as it came from the outer port
  kExternal,  // an IP packet to one of the NAT's external addresses
  kHairpin,   // likewise, from another worker's subscriber and translated on its side
  kInner,     // an IP packet to the inner address of a peer
  kFrame,     // a finished frame, to leave by a port that only the taker has (lent_port.hpp)
};
inline constexpr std::size_t kHandoffKinds = 5;

inline constexpr std::size_t kHandoffRingSlots = 1024;  // 16 full bursts

class HandoffMesh;

// One worker's end.
class Handoff {
 public:
  [[nodiscard]] WorkerId self() const { return self_; }
  [[nodiscard]] std::size_t workers() const { return lanes_to_.size(); }

  // Slots that were released instead of given.
  struct Refused {
    std::size_t no_room = 0;    // in the ring
    std::size_t no_buffer = 0;  // for the copy
    std::uint64_t bytes = 0;    // of all these
    bool operator==(const Refused&) const = default;
  };
  // Takes ownership of every slot. Their buffers belong to pools of this worker that were announced
  // to the mesh; what it has borrowed itself goes on as a copy.
  [[nodiscard]] Refused give(WorkerId to, HandoffKind kind, std::span<Slot> slots);
  // Fills `out` from the front with what others gave, everybody in turn; returns how many.
  [[nodiscard]] std::size_t take(HandoffKind kind, std::span<Slot> out);
  // Is there something to take?
  [[nodiscard]] bool waiting() const;
  // Buffers go home, ours and others'; once a turn.
  void reclaim();

  // Buffers of others that slots of this worker refer to.
  [[nodiscard]] std::uint64_t borrowed() const;

 private:
  friend class HandoffMesh;

  // From one worker to one other.
  struct Lane {
    std::array<SpscRing<Slot>, kHandoffKinds> rings{
        SpscRing<Slot>{kHandoffRingSlots}, SpscRing<Slot>{kHandoffRingSlots},
        SpscRing<Slot>{kHandoffRingSlots}, SpscRing<Slot>{kHandoffRingSlots},
        SpscRing<Slot>{kHandoffRingSlots}};
    std::vector<std::unique_ptr<BorrowedPool>> pools;  // the giver's, as the taker borrows them
    Doorbell* taker_doorbell = nullptr;

    [[nodiscard]] SpscRing<Slot>& ring(HandoffKind kind) {
      return rings[static_cast<std::size_t>(kind)];
    }
  };

  static void adopt(Lane& lane, Slot& slot);
  [[nodiscard]] bool is_own(const Slot& slot) const;
  [[nodiscard]] bool copy_to_own(Slot& slot);

  WorkerId self_;
  std::vector<BufferPool*> pools_;
  std::vector<Lane*> lanes_to_;    // by worker; null for itself
  std::vector<Lane*> lanes_from_;  // likewise
  std::array<std::size_t, kHandoffKinds> next_giver_{};
};

class HandoffMesh {
 public:
  explicit HandoffMesh(std::size_t workers);
  // After the workers have stopped and every slot that they had taken is released. What was given
  // and not taken goes home.
  ~HandoffMesh();
  HandoffMesh(const HandoffMesh&) = delete;
  HandoffMesh& operator=(const HandoffMesh&) = delete;

  // A pool of `owner`'s whose slots it may hand over. It outlives the mesh.
  void announce_pool(WorkerId owner, BufferPool& pool);
  // Rung for `worker` when somebody has given it something.
  void set_doorbell(WorkerId worker, Doorbell& doorbell);

  [[nodiscard]] std::size_t workers() const { return ends_.size(); }
  [[nodiscard]] Handoff& end(WorkerId worker) { return ends_[worker.value]; }

 private:
  std::vector<std::unique_ptr<Handoff::Lane>> lanes_;
  std::vector<Handoff> ends_;
};

}  // namespace ringway
