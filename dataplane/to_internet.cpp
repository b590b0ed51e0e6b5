#include "dataplane/to_internet.hpp"

#include "base/net/inner_packet.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/give_back.hpp"
#include "dataplane/hand_over.hpp"
#include "dataplane/host_access.hpp"
#include "dataplane/nat_output.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {
namespace {

// A subscriber that speaks to another one by its port outside (a hairpin).
bool is_to_nat_port(const InternetSide& internet, const Slot& slot) {
  const auto port = destination_port({slot.data, slot.length});
  return port && *port >= internet.first_nat_port && *port <= internet.last_nat_port;
}

// Packets that go back into the tunnel, to whoever is named; where nobody is, the allowed IPs say.
struct TurnedBack {
  Scratch<Slot, kVectorSegments> slots;
  Scratch<PeerId, kVectorSegments> peers;
  std::size_t count = 0;

  void add(const Slot& slot, PeerId peer) {
    slots[count] = slot;
    peers[count++] = peer;
  }
  void send(WorkerState& worker, Instant now) {
    if (count > 0) send_to_peers(worker, {slots.data(), count}, {peers.data(), count}, now);
    count = 0;
  }
};

void to_host(WorkerState& worker, Slot slot) {
  if (!may_reach_host({slot.data, slot.length})) {
    worker.drop(DropReason::kHostDenied);
    BufferPool::release(slot);
    return;
  }
  if (worker.inner.tx_burst({&slot, 1}) > 0) worker.drop(DropReason::kTxFailed);
}

void transmit(WorkerState& worker, std::span<Slot> slots) {
  if (slots.empty()) return;
  const std::size_t refused = worker.internet->port.tx_burst(slots);
  if (refused > 0) worker.drop(DropReason::kTxFailed, refused);
}

// Packets for the Internet, and the NAT's view of each.
struct Translation {
  std::span<Slot> slots;  // the first `count` of them
  Scratch<nat::Packet, kVectorSegments> packets;
  std::size_t count = 0;
};

// What the NAT is given of a slot. By member: a copy of a whole one would wait for its halves.
void set_packet(nat::Packet& packet, const Slot& slot, PeerId subscriber) {
  packet.data = slot.data;
  packet.length = slot.length;
  packet.subscriber = subscriber;
  packet.hairpin = false;
}

// 8 part: what is not for the Internet leaves the vector.
void part(WorkerState& worker, Translation& vector, std::span<const PeerId> subscribers,
          TurnedBack& back) {
  const std::span<Slot> slots = vector.slots;
  Scratch<const std::uint8_t*, kVectorSegments> headers;
  for (std::size_t i = 0; i < slots.size(); ++i)
    headers[i] = slots[i].data;
  Scratch<Way, kVectorSegments> ways;
  worker.internet->ways.lookup_packets({headers.data(), slots.size()}, net::PacketEnd::kDestination,
                                       ways.data());
  vector.count = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const Slot& slot = slots[i];
    if (ways[i] == Way::kSubscriber) {
      back.add(slot, PeerId::none());
      continue;
    }
    if (ways[i] == Way::kHost && !is_to_nat_port(*worker.internet, slot)) {
      to_host(worker, slot);
      continue;
    }
    set_packet(vector.packets[vector.count], slot, subscribers[i]);
    if (vector.count != i) slots[vector.count] = slot;
    ++vector.count;
  }
}

// 9 translate: what is translated for the Internet stays in the vector.
void translate(WorkerState& worker, Translation& vector, TurnedBack& back, Instant now) {
  worker.internet->nat.outbound({vector.packets.data(), vector.count}, now);
  Leaving hairpins;  // to subscribers of other workers
  std::size_t forward = 0;
  for (std::size_t i = 0; i < vector.count; ++i) {
    const nat::Packet& packet = vector.packets[i];
    const Slot& slot = vector.slots[i];
    switch (packet.verdict) {
      case nat::Verdict::kForward:
        if (forward != i) vector.slots[forward] = slot;
        ++forward;
        continue;
      case nat::Verdict::kHairpin:
        back.add(slot, packet.subscriber);
        continue;
      case nat::Verdict::kOtherShard:
        hairpins.add(slot, packet.shard);
        continue;
      case nat::Verdict::kDrop:
        worker.drop(drop_reason(packet.drop));
        break;
      case nat::Verdict::kHeld:
      case nat::Verdict::kNotOurs:
        break;
    }
    BufferPool::release(slot);
  }
  vector.count = forward;
  hairpins.hand_over(worker, HandoffKind::kHairpin);
}

}  // namespace

void to_internet(WorkerState& worker, std::span<Slot> slots, std::span<const PeerId> subscribers,
                 Instant now) {
  DCHECK(slots.size() <= kVectorSegments && slots.size() == subscribers.size());
  TurnedBack back;
  Translation vector;
  vector.slots = slots;
  part(worker, vector, subscribers, back);
  end_stage(worker.stage_clock, Stage::kPart);
  translate(worker, vector, back, now);
  end_stage(worker.stage_clock, Stage::kTranslate);
  transmit(worker, slots.first(vector.count));  // 10 transmit
  end_stage(worker.stage_clock, Stage::kTransmit);
  back.send(worker, now);
  send_nat_outputs(worker, now);
}

void send_nat_outputs(WorkerState& worker, Instant now) {
  TurnedBack back;
  nat::Output output;
  while (worker.internet->nat.poll_output(output)) {
    if (output.to_host) {
      give_back(worker, output.packet, now);
      continue;
    }
    Slot slot;
    if (!copy_to_slot(worker.internet->port, output.packet, slot, worker.counters.drops)) continue;
    if (output.to_internet) {
      slot.subscriber = output.subscriber;
      transmit(worker, {&slot, 1});
      continue;
    }
    if (output.to_shard) {
      Leaving leaving;
      leaving.add(slot, output.shard);
      leaving.hand_over(worker, output.hairpin ? HandoffKind::kHairpin : HandoffKind::kExternal);
      continue;
    }
    if (back.count == kVectorSegments) back.send(worker, now);
    back.add(slot, output.subscriber);
  }
  back.send(worker, now);
}

}  // namespace ringway
