#include "dataplane/from_internet.hpp"

#include "dataplane/buffer_pool.hpp"
#include "dataplane/give_back.hpp"
#include "dataplane/hand_over.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/to_internet.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {

namespace {

// The packets of a burst, and the NAT's view of each.
struct Arrivals {
  Scratch<Slot, kBurstSlots> slots;
  Scratch<nat::Packet, kBurstSlots> packets;
  Scratch<PeerId, kBurstSlots> subscribers;
  std::size_t count = 0;

  void move(std::size_t from, std::size_t to) {
    if (from != to) slots[to] = slots[from];
  }
  void set_packet(std::size_t i, bool hairpin) {
    packets[i].data = slots[i].data;
    packets[i].length = slots[i].length;
    packets[i].hairpin = hairpin;
  }
};

// 1 receive: IP packets, or what the NAT will drop because it is none.
std::size_t receive(WorkerState& worker, Arrivals& vector) {
  vector.count = worker.internet->port.rx_burst({vector.slots.data(), vector.slots.size()});
  for (std::size_t i = 0; i < vector.count; ++i)
    vector.set_packet(i, false);
  return vector.count;
}

// What other workers received and this one's NAT goes on with.
std::size_t take(WorkerState& worker, HandoffKind kind, Arrivals& vector) {
  if (worker.handoff == nullptr) return 0;
  vector.count = worker.handoff->take(kind, {vector.slots.data(), vector.slots.size()});
  for (std::size_t i = 0; i < vector.count; ++i)
    vector.set_packet(i, kind == HandoffKind::kHairpin);
  return vector.count;
}

// 2 translate: what is for a subscriber stays in the vector.
void translate(WorkerState& worker, Arrivals& vector, Instant now) {
  worker.internet->nat.inbound({vector.packets.data(), vector.count}, now);
  Leaving leaving;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < vector.count; ++i) {
    const nat::Packet& packet = vector.packets[i];
    switch (packet.verdict) {
      case nat::Verdict::kForward:
        vector.subscribers[kept] = packet.subscriber;
        vector.move(i, kept++);
        continue;
      case nat::Verdict::kOtherShard:
        leaving.add(vector.slots[i], packet.shard);
        continue;
      case nat::Verdict::kDrop:
        worker.drop(drop_reason(packet.drop));
        break;
      case nat::Verdict::kNotOurs:
        give_back(worker, {packet.data, packet.length}, now);
        break;
      case nat::Verdict::kHeld:
      case nat::Verdict::kHairpin:
        break;
    }
    BufferPool::release(vector.slots[i]);
  }
  vector.count = kept;
  leaving.hand_over(worker, HandoffKind::kExternal);
}

// 2 and 3, for what one burst brought.
void pass_on(WorkerState& worker, Arrivals& vector, Instant now) {
  translate(worker, vector, now);
  end_stage(worker.stage_clock, Stage::kTranslate);
  send_to_peers(worker, {vector.slots.data(), vector.count},
                {vector.subscribers.data(), vector.count}, now);
  send_nat_outputs(worker, now);
}

}  // namespace

std::size_t from_internet(WorkerState& worker, Instant now) {
  if (worker.internet == nullptr) return 0;
  Arrivals vector;
  const std::size_t received = receive(worker, vector);
  end_stage(worker.stage_clock, Stage::kReceive);
  if (received > 0) pass_on(worker, vector, now);
  std::size_t moved = received;
  for (const HandoffKind kind : {HandoffKind::kExternal, HandoffKind::kHairpin}) {
    const std::size_t taken = take(worker, kind, vector);
    end_stage(worker.stage_clock, Stage::kReceive);
    if (taken > 0) pass_on(worker, vector, now);
    moved += taken;
  }
  return moved;
}

}  // namespace ringway
