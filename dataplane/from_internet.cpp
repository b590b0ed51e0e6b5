#include "dataplane/from_internet.hpp"

#include "base/net/inner_packet.hpp"
#include "dataplane/buffer_pool.hpp"
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
};

// 1 receive: whole IP packets, without the padding that a device may leave behind them.
std::size_t receive(WorkerState& worker, Arrivals& vector) {
  const std::size_t received =
      worker.internet->port.rx_burst({vector.slots.data(), vector.slots.size()});
  vector.count = 0;
  for (std::size_t i = 0; i < received; ++i) {
    Slot& slot = vector.slots[i];
    net::InnerPacket packet;
    if (slot.truncated || !net::parse_inner_packet({slot.data, slot.length}, packet)) {
      worker.drop(DropReason::kNatMalformed);
      BufferPool::release(slot);
      continue;
    }
    slot.tailroom += slot.length - packet.total_bytes;
    slot.length = packet.total_bytes;
    vector.packets[vector.count].data = slot.data;
    vector.packets[vector.count].length = slot.length;
    vector.move(i, vector.count++);
  }
  return received;
}

// 2 translate: what is for a subscriber stays in the vector.
void translate(WorkerState& worker, Arrivals& vector, Instant now) {
  worker.internet->nat.inbound({vector.packets.data(), vector.count}, now);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < vector.count; ++i) {
    const nat::Packet& packet = vector.packets[i];
    switch (packet.verdict) {
      case nat::Verdict::kForward:
        vector.subscribers[kept] = packet.subscriber;
        vector.move(i, kept++);
        continue;
      case nat::Verdict::kDrop:
        worker.drop(drop_reason(packet.drop));
        break;
      case nat::Verdict::kNotOurs:
        worker.drop(DropReason::kNatNoMapping);
        break;
      case nat::Verdict::kHeld:
      case nat::Verdict::kHairpin:
        break;
    }
    BufferPool::release(vector.slots[i]);
  }
  vector.count = kept;
}

}  // namespace

std::size_t from_internet(WorkerState& worker, Instant now) {
  if (worker.internet == nullptr) return 0;
  Arrivals vector;
  const std::size_t received = receive(worker, vector);
  end_stage(worker.stage_clock, Stage::kReceive);
  if (received == 0) return 0;
  translate(worker, vector, now);
  end_stage(worker.stage_clock, Stage::kTranslate);
  send_to_peers(worker, {vector.slots.data(), vector.count},
                {vector.subscribers.data(), vector.count}, now);  // 3 send
  send_nat_outputs(worker, now);
  return received;
}

}  // namespace ringway
