#include "dataplane/to_tunnel.hpp"

#include <array>
#include <cstring>
#include <optional>

#include "base/net/inner_packet.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/outbound.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/segmenter.hpp"
#include "dataplane/session_slots.hpp"

namespace ringway {
namespace {

Duration handshake_jitter(Rng& rng) {
  return Duration::milliseconds(
      static_cast<std::int64_t>(rng.below(tunnel::kRekeyTimeoutJitterMs + 1)));
}

void note_data_sent(WorkerState& worker, Peer& peer, Instant now) {
  const Duration jitter =
      peer.timers.awaits_answer() ? Duration{} : handshake_jitter(worker.jitter_rng);
  peer.timers.on_data_sent(now, jitter);
  arm_timers(worker, peer);
}

// 2 route. Null where the destination is in nobody's allowed IPs.
Peer* route(WorkerState& worker, const net::InnerPacket& packet) {
  const PeerId id = packet.family == net::Family::kIpv4
                        ? worker.allowed_ips->lookup_v4(packet.destination)
                        : worker.allowed_ips->lookup_v6(packet.destination);
  return worker.find_peer(id);
}

// Without a session the packet waits, and control is asked for one.
void stage(WorkerState& worker, Peer& peer, const Slot& slot, Instant now) {
  if (peer.paths.empty()) {
    worker.drop(DropReason::kNoEndpoint);
    BufferPool::release(slot);
    return;
  }
  if (!worker.staging.push(peer, slot)) worker.drop(DropReason::kStageFull);
  request_session(worker, peer, now, true);
}

// 4 frame: every segment of the slot into the outbound vector.
void frame_segments(WorkerState& worker, Outbound& outbound, Peer& peer,
                    const tunnel::Session& session, const Segmenter& segmenter, std::uint8_t ecn,
                    std::uint64_t first_counter) {
  for (std::uint32_t i = 0; i < segmenter.count(); ++i) {
    const std::uint32_t length = segmenter.packet_bytes(i);
    std::uint8_t* text = outbound.frame(session, peer.paths.best(), first_counter + i, length, ecn);
    if (text == nullptr) continue;
    segmenter.emit(i, text);
    peer.tx_bytes += length + tunnel::DataLayout::kOverhead;
    ++peer.tx_packets;
    worker.counters.inner_packets.increment();
  }
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
  return received;
}

void send_inner(WorkerState& worker, std::span<Slot> slots, Instant now) {
  TunnelBatch batch(worker, now);
  for (const Slot& slot : slots)
    batch.add_routed(slot);  // 2 to 4
  batch.flush();             // 5 and 6
}

void TunnelBatch::add_routed(const Slot& slot) {
  net::InnerPacket packet;
  if (start(slot, packet)) send(slot, route(worker_, packet), packet.ecn);
}

void TunnelBatch::add(const Slot& slot, PeerId peer) {
  net::InnerPacket packet;
  if (start(slot, packet)) send(slot, worker_.find_peer(peer), packet.ecn);
}

bool TunnelBatch::start(const Slot& slot, net::InnerPacket& packet) {
  if (net::parse_inner_packet({slot.data, slot.length}, packet) && segmenter_.start(slot)) {
    return true;
  }
  worker_.drop(DropReason::kInnerMalformed);
  BufferPool::release(slot);
  return false;
}

// 3 and 4, for a slot that the segmenter has taken.
void TunnelBatch::send(const Slot& slot, Peer* peer, std::uint8_t ecn) {
  if (peer == nullptr) {
    worker_.drop(DropReason::kNoRoute);
    BufferPool::release(slot);
    return;
  }
  tunnel::Session* session = sendable_session(*peer, now_);
  std::optional<std::uint64_t> first_counter;
  if (session != nullptr && !peer->paths.empty()) {
    first_counter = session->reserve_counters(segmenter_.count(), now_);
  }
  if (!first_counter) {
    stage(worker_, *peer, slot, now_);
    return;
  }
  frame_segments(worker_, outbound_, *peer, *session, segmenter_, ecn, *first_counter);
  BufferPool::release(slot);
  note_data_sent(worker_, *peer, now_);
  if (session->rekey_due_on_send(now_)) request_session(worker_, *peer, now_, false);
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
