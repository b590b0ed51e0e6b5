#include "dataplane/to_tunnel.hpp"

#include <cstring>

#include "base/net/inner_packet.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/hand_over.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/session_slots.hpp"

namespace ringway {
namespace {

Duration handshake_jitter(Rng& rng) {
  return Duration::milliseconds(
      static_cast<std::int64_t>(rng.below(tunnel::kRekeyTimeoutJitterMs + 1)));
}

void note_data_sent(WorkerState& worker, Peer& peer, Instant now) {
  if (peer.timers.has_sent_data_at(now)) return;  // all but the first of a burst to the peer
  const Duration jitter =
      peer.timers.awaits_answer() ? Duration{} : handshake_jitter(worker.jitter_rng);
  peer.timers.on_data_sent(now, jitter);
  arm_timers(worker, peer);
}

// Without a session the packet waits, and control is asked for one.
[[gnu::noinline]] void stage(WorkerState& worker, Peer& peer, const Slot& slot, Instant now) {
  if (peer.paths.empty()) {
    worker.drop(DropReason::kNoEndpoint);
    BufferPool::release(slot);
    return;
  }
  if (!worker.staging.push(peer, slot)) worker.drop(DropReason::kStageFull);
  request_session(worker, peer, now, true);
}

// The inner packet's two ECN bits, of a header that was checked.
std::uint8_t ecn_of(const std::uint8_t* ip) {
  return ip[0] >> 4 == 4 ? ip[1] & 3 : (ip[1] >> 4) & 3;
}

void count_sent(WorkerState& worker, Peer& peer, std::uint32_t packet_bytes, Instant now) {
  if (peer.limited) peer.down.limiter.charge(packet_bytes, now);
  peer.tx_bytes += packet_bytes + tunnel::DataLayout::kOverhead;
  ++peer.tx_packets;
  worker.counters.inner_packets.increment();
}

// 4 frame: every segment of the slot into the outbound vector. Takes ownership.
[[gnu::noinline]] void frame_segments(WorkerState& worker, Outbound& outbound, Peer& peer,
                                      const tunnel::Session& session, const Segmenter& segmenter,
                                      const Slot& slot, std::uint64_t first_counter, Instant now) {
  const std::uint8_t ecn = ecn_of(slot.data);
  for (std::uint32_t i = 0; i < segmenter.count(); ++i) {
    const std::uint32_t length = segmenter.packet_bytes(i);
    std::uint8_t* text = outbound.frame(session, peer.paths.best(), first_counter + i, length, ecn);
    if (text == nullptr) continue;
    segmenter.emit(i, text);
    count_sent(worker, peer, length, now);
  }
  BufferPool::release(slot);
}

// 3 reserve: the session to send on and the first of `count` counters; null where there is none.
tunnel::Session* reserve(Peer& peer, std::uint32_t count, std::uint64_t& first_counter,
                         Instant now) {
  tunnel::Session* session = sendable_session(peer, now);
  if (session == nullptr || peer.paths.empty()) return nullptr;
  const auto reserved = session->reserve_counters(count, now);
  if (!reserved) return nullptr;
  first_counter = *reserved;
  return session;
}

// What is above the peer's limit waits, a train as its single packets; what finds no room is
// dropped, a train's end rather than the whole.
[[gnu::noinline]] void hold_back(WorkerState& worker, Segmenter& segmenter, Peer& peer,
                                 const Slot& slot, Instant now) {
  const std::uint32_t count = segment_count(slot);
  std::uint32_t held = 0;
  if (!worker.shaper.is_full(peer.down)) {
    if (!segmenter.start(slot)) {
      worker.drop(DropReason::kInnerMalformed);
      BufferPool::release(slot);
      return;
    }
    for (; held < count; ++held) {
      std::uint8_t* const to = worker.shaper.hold(peer.id, SubscriberWay::kDown, peer.down,
                                                  segmenter.packet_bytes(held), now);
      if (to == nullptr) break;
      segmenter.emit(held, to);
    }
  }
  if (held < count) worker.drop(DropReason::kRateLimited, count - held);
  BufferPool::release(slot);
}

// 3 and 4, for one slot, which is a packet or a train of them.
void send_slot(WorkerState& worker, Outbound& outbound, Segmenter& segmenter, Peer* peer,
               const Slot& slot, Instant now) {
  if (peer == nullptr) {
    worker.drop(DropReason::kNoRoute);
    BufferPool::release(slot);
    return;
  }
  if (peer->limited && !peer->down.passes(now)) {
    hold_back(worker, segmenter, *peer, slot, now);
    return;
  }
  send_allowed(worker, outbound, segmenter, *peer, slot, now);
}

// 2 route: whose the packets are that nobody is named for.
void route(WorkerState& worker, std::span<const Slot> slots, std::span<PeerId> peers) {
  Scratch<const std::uint8_t*, kVectorSegments> packets;
  Scratch<std::uint16_t, kVectorSegments> places;
  std::size_t count = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (peers[i] != PeerId::none()) continue;
    packets[count] = slots[i].data;
    places[count++] = static_cast<std::uint16_t>(i);
  }
  if (count == 0) return;
  Scratch<PeerId, kVectorSegments> found;
  worker.allowed_ips->lookup_packets({packets.data(), count}, net::PacketEnd::kDestination,
                                     found.data());
  for (std::size_t i = 0; i < count; ++i)
    peers[places[i]] = found[i];
}

// How many packets ahead a peer is fetched, and then its session, which only the peer knows: each
// well before its turn, and few at once. 10,000 peers, 64 B (`ringway-bench pipeline --path
// from-internet --stages`): 229 cycles to reserve and frame, 257 where all of a burst are fetched
// at once, 48 with one peer.
constexpr std::size_t kPeersAhead = 12;
constexpr std::size_t kSessionsAhead = 6;

// Not what the packet before has sent for. Inlined by force: a function that only prefetches has no
// effect in GCC's eyes, and a call of it is left out.
[[gnu::always_inline]] inline void fetch_peer(WorkerState& worker, std::span<const PeerId> ids,
                                              std::size_t i, Peer** peers) {
  if (i >= ids.size()) return;
  if (i > 0 && ids[i] == ids[i - 1]) {
    peers[i] = peers[i - 1];
    return;
  }
  peers[i] = worker.find_peer(ids[i]);
  if (peers[i] != nullptr) peers[i]->prefetch_to_send();
}
[[gnu::always_inline]] inline void fetch_session(std::span<Peer* const> peers, std::size_t i) {
  if (i >= peers.size() || peers[i] == nullptr) return;
  if ((i > 0 && peers[i] == peers[i - 1]) || peers[i]->current == nullptr) return;
  peers[i]->current->prefetch();
}

// A message that carries no packet. False when there is no session or no path.
bool send_bare(WorkerState& worker, Peer& peer, const tunnel::Path& path, ConstBytes text,
               Instant now) {
  tunnel::Session* session = sendable_session(peer, now);
  if (session == nullptr) return false;
  const auto counter = session->reserve_counters(1, now);
  if (!counter) return false;
  Outbound outbound(worker);
  std::uint8_t* to =
      outbound.frame(*session, path, *counter, static_cast<std::uint32_t>(text.size()), 0);
  if (to == nullptr) return false;
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  outbound.flush();
  peer.tx_bytes += text.size() + tunnel::DataLayout::kOverhead;
  ++peer.tx_packets;
  peer.timers.on_packet_sent(now);
  arm_timers(worker, peer);
  if (session->rekey_due_on_send(now)) request_session(worker, peer, now, false);
  return true;
}

}  // namespace

std::size_t to_tunnel(WorkerState& worker, Instant now) {
  Scratch<Slot, kBurstSlots> burst;
  const std::size_t received = worker.inner.rx_burst({burst.data(), burst.size()});  // 1 receive
  if (received > 0) send_inner(worker, {burst.data(), received}, now);
  if (worker.handoff == nullptr) return received;
  const std::size_t taken = worker.handoff->take(HandoffKind::kInner, {burst.data(), burst.size()});
  if (taken > 0) send_inner(worker, {burst.data(), taken}, now);
  return received + taken;
}

void send_inner(WorkerState& worker, std::span<Slot> slots, Instant now) {
  DCHECK(slots.size() <= kVectorSegments);
  Scratch<PeerId, kVectorSegments> peers;
  std::size_t count = 0;
  for (const Slot& slot : slots) {
    net::InnerPacket packet;
    if (!net::parse_inner_packet({slot.data, slot.length}, packet)) {
      worker.drop(DropReason::kInnerMalformed);
      BufferPool::release(slot);
      continue;
    }
    peers[count] = PeerId::none();
    if (&slots[count] != &slot) slots[count] = slot;
    ++count;
  }
  send_to_peers(worker, slots.first(count), {peers.data(), count}, now);
}

void send_to_peers(WorkerState& worker, std::span<Slot> slots, std::span<PeerId> ids, Instant now) {
  DCHECK(slots.size() <= kVectorSegments && slots.size() == ids.size());
  route(worker, slots, ids);
  const std::size_t own = keep_own_routed(worker, slots, ids);
  slots = slots.first(own);
  ids = ids.first(own);
  end_stage(worker.stage_clock, Stage::kRoute);
  Scratch<Peer*, kVectorSegments> peers;
  for (std::size_t i = 0; i < kPeersAhead; ++i)
    fetch_peer(worker, ids, i, peers.data());
  for (std::size_t i = 0; i < kSessionsAhead; ++i)
    fetch_session({peers.data(), slots.size()}, i);
  Outbound outbound(worker);
  Segmenter segmenter;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    fetch_peer(worker, ids, i + kPeersAhead, peers.data());
    fetch_session({peers.data(), slots.size()}, i + kSessionsAhead);
    send_slot(worker, outbound, segmenter, peers[i], slots[i], now);
  }
  outbound.flush();  // 5 and 6
}

void send_allowed(WorkerState& worker, Outbound& outbound, Segmenter& segmenter, Peer& peer,
                  const Slot& slot, Instant now) {
  const bool in_place = outbound.takes_in_place(slot);
  if (!in_place && !segmenter.start(slot)) {
    worker.drop(DropReason::kInnerMalformed);
    BufferPool::release(slot);
    return;
  }
  std::uint64_t counter = 0;
  tunnel::Session* session = reserve(peer, in_place ? 1 : segmenter.count(), counter, now);
  if (session == nullptr) {
    stage(worker, peer, slot, now);
    return;
  }
  if (in_place) {
    outbound.frame_in_place(*session, peer.paths.best(), counter, slot, ecn_of(slot.data));
    count_sent(worker, peer, slot.length, now);
  } else {
    frame_segments(worker, outbound, peer, *session, segmenter, slot, counter, now);
  }
  note_data_sent(worker, peer, now);
  if (session->rekey_due_on_send(now)) request_session(worker, peer, now, false);
}

void send_staged_or_keepalive(WorkerState& worker, Peer& peer, Instant now) {
  if (peer.staged_count == 0) {
    send_keepalive(worker, peer, now);
    return;
  }
  Scratch<Slot, tunnel::kMaxStagedPacketsPerPeer> waiting;
  std::size_t count = 0;
  while (count < waiting.size() && worker.staging.pop(peer, waiting[count]))
    ++count;
  send_inner(worker, {waiting.data(), count}, now);
}

void send_keepalive(WorkerState& worker, Peer& peer, Instant now) {
  if (peer.paths.empty()) return;
  if (send_bare(worker, peer, peer.paths.best(), {}, now)) {
    worker.counters.keepalives_out.increment();
  }
}

bool send_control_frame(WorkerState& worker, Peer& peer, const tunnel::Path& path, ConstBytes frame,
                        Instant now) {
  return send_bare(worker, peer, path, frame, now);
}

}  // namespace ringway
