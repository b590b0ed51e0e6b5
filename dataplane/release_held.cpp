#include "dataplane/release_held.hpp"

#include "dataplane/from_tunnel.hpp"
#include "dataplane/nat_output.hpp"
#include "dataplane/outbound.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/segmenter.hpp"
#include "dataplane/shaper.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {
namespace {

// Packets from peers, in buffers of the port by which they will leave.
struct Delivery {
  Scratch<Slot, kVectorSegments> slots;
  Scratch<PeerId, kVectorSegments> senders;
  std::size_t count = 0;

  void flush(WorkerState& worker, Instant now) {
    deliver(worker, {slots.data(), count}, {senders.data(), count}, now);
    count = 0;
  }
};

std::size_t release_up(WorkerState& worker, Delivery& delivery, Peer& peer, Instant now) {
  io::Port& port = worker.internet == nullptr ? worker.inner : worker.internet->port;
  std::size_t released = 0;
  std::uint64_t dropped = 0;
  for (Slot held; worker.shaper.pop(peer.up, held, dropped, now); ++released) {
    peer.up.limiter.charge(held.length, now);
    if (delivery.count == kVectorSegments) delivery.flush(worker, now);
    Slot& slot = delivery.slots[delivery.count];
    if (copy_to_slot(port, {held.data, held.length}, slot, worker.counters.drops)) {
      delivery.senders[delivery.count++] = peer.id;
    }
    BufferPool::release(held);
  }
  worker.drop(DropReason::kRateLimited, dropped);
  return released;
}

std::size_t release_down(WorkerState& worker, Outbound& outbound, Peer& peer, Instant now) {
  Segmenter segmenter;
  std::size_t released = 0;
  std::uint64_t dropped = 0;
  for (Slot held; worker.shaper.pop(peer.down, held, dropped, now); ++released)
    send_allowed(worker, outbound, segmenter, peer, held, now);
  worker.drop(DropReason::kRateLimited, dropped);
  return released;
}

}  // namespace

std::size_t release_held(WorkerState& worker, Instant now) {
  if (worker.shaper.next_deadline() > now) return 0;
  Outbound outbound(worker);
  Delivery delivery;
  std::size_t released = 0;
  for (Shaper::Due due; worker.shaper.take_due(due, now);) {
    Peer& peer = *worker.find_peer(due.peer);  // what waits goes with its peer
    const bool up = due.way == SubscriberWay::kUp;
    released +=
        up ? release_up(worker, delivery, peer, now) : release_down(worker, outbound, peer, now);
    worker.shaper.wait_again(due.peer, due.way, up ? peer.up : peer.down, now);
  }
  outbound.flush();
  delivery.flush(worker, now);
  return released;
}

}  // namespace ringway
