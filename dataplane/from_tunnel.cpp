#include "dataplane/from_tunnel.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/net/inner_packet.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/handshake_gate.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/session_slots.hpp"
#include "dataplane/to_internet.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {
namespace {

using tunnel::DataLayout;

constexpr Duration kSourceReportInterval = Duration::milliseconds(500);

// A vector of segments between classification and delivery.
struct OpenVector {
  std::array<tunnel::AeadJob, kVectorSegments> jobs;
  std::array<tunnel::Session*, kVectorSegments> sessions;
  std::array<const Slot*, kVectorSegments> slots;  // where each segment stands
  std::size_t count = 0;
};

tunnel::DatagramSource source_of(const Slot& slot) {
  return {slot.remote, slot.local, slot.interface};
}

// 3 find. Null when the segment was dropped.
tunnel::Session* find_session(WorkerState& worker, ConstBytes message, tunnel::Suite suite,
                              Instant now) {
  if (message.size() < DataLayout::kMinSize) {
    worker.drop(DropReason::kOuterMalformed);
    return nullptr;
  }
  const ReceiverIndex index{load_le<std::uint32_t>(message.data() + DataLayout::kReceiver)};
  tunnel::Session* session = worker.find_session(index);
  if (session == nullptr) {
    worker.drop(DropReason::kUnknownReceiver);
    return nullptr;
  }
  if (session->suite() != suite) {
    worker.drop(DropReason::kSuiteMismatch);
    return nullptr;
  }
  if (session->expired(now)) {
    worker.drop(DropReason::kSessionExpired);
    return nullptr;
  }
  return session;
}

// 2 classify, one segment.
void classify(WorkerState& worker, OpenVector& vector, const Slot& slot, Bytes message,
              Instant now) {
  tunnel::MessageHeader header;
  if (!tunnel::parse_message_header(message, header)) {
    worker.drop(DropReason::kOuterMalformed);
    return;
  }
  if (header.type != tunnel::MessageType::kData) {
    admit_handshake(worker, message, header, source_of(slot), now);
    return;
  }
  tunnel::Session* session = find_session(worker, message, header.suite, now);
  if (session == nullptr) return;
  const std::size_t i = vector.count++;
  vector.jobs[i] = {&session->receive_key(), message.data() + DataLayout::kCiphertext,
                    static_cast<std::uint32_t>(message.size() - DataLayout::kOverhead), false,
                    load_le<std::uint64_t>(message.data() + DataLayout::kCounter)};
  vector.sessions[i] = session;
  vector.slots[i] = &slot;
}

// A stock peer's endpoint follows its packets. A Ringway peer's does not: control probes first.
void note_source(WorkerState& worker, Peer& peer, const Slot& slot, Instant now) {
  if (!peer.paths.empty() && peer.paths.best().same_remote(slot.remote)) return;
  if (!peer.ringway || peer.paths.empty()) {
    peer.paths.prefer({slot.remote, slot.local, slot.interface});
  }
  if (now - peer.source_reported < kSourceReportInterval) return;
  if (worker.push_event(event::SourceSeen{peer.id, source_of(slot)})) peer.source_reported = now;
}

// Each costs control some work and perhaps an answer: a peer gets 20 a second, 10 at once.
bool may_send_control_frame(Peer& peer, Instant now) {
  constexpr Duration kCost = Duration::milliseconds(50);
  constexpr Duration kTolerance = kCost * 9;
  if (peer.control_frames_paid - now > kTolerance) return false;
  peer.control_frames_paid = std::max(peer.control_frames_paid, now) + kCost;
  return true;
}

void receive_control_frame(WorkerState& worker, Peer& peer, const Slot& slot, ConstBytes frame,
                           Instant now) {
  if (!peer.ringway || frame.size() > kMaxControlFrameBytes || !may_send_control_frame(peer, now)) {
    worker.drop(DropReason::kControlRefused);
    return;
  }
  event::ControlFrameReceived received{peer.id, source_of(slot), {}};
  std::memcpy(received.frame.data.data(), frame.data(), frame.size());
  received.frame.length = static_cast<std::uint16_t>(frame.size());
  if (!worker.push_event(std::move(received))) worker.drop(DropReason::kEventRingFull);
}

// 6 admit: the inner packet to deliver, its padding cut off; false when there is none.
bool admit(WorkerState& worker, Peer& peer, const Slot& slot, Bytes text, Instant now,
           Slot& inner) {
  if (text.empty()) {
    peer.timers.on_packet_received(now);  // a keepalive
    return false;
  }
  if (text[0] >> 4 == tunnel::kControlFrameNibble) {
    peer.timers.on_packet_received(now);
    receive_control_frame(worker, peer, slot, text, now);
    return false;
  }
  peer.timers.on_data_received(now);
  net::InnerPacket packet;
  if (!net::parse_inner_packet(text, packet)) {
    worker.drop(DropReason::kInnerMalformed);
    return false;
  }
  const PeerId owner = packet.family == net::Family::kIpv4
                           ? worker.allowed_ips->lookup_v4(packet.source)
                           : worker.allowed_ips->lookup_v6(packet.source);
  if (owner != peer.id) {
    worker.drop(DropReason::kSourceNotAllowed);
    return false;
  }
  if (!net::decapsulate_ecn(text.first(packet.total_bytes), slot.traffic_class & 3)) {
    worker.drop(DropReason::kEcnNotCapable);
    return false;
  }
  inner = slot;
  inner.data = text.data();
  inner.length = static_cast<std::uint32_t>(packet.total_bytes);
  inner.headroom = static_cast<std::uint32_t>(text.data() - slot.data);
  inner.tailroom = 0;
  inner.train = TrainKind::kNone;
  inner.segment_bytes = 0;
  return true;
}

// 5 accept, for a segment that authenticated. Null when it is a replay.
Peer* accept(WorkerState& worker, tunnel::Session& session, const Slot& slot, std::uint64_t counter,
             std::size_t message_bytes, Instant now) {
  if (!session.accept_counter(counter)) {
    worker.drop(DropReason::kReplayed);
    return nullptr;
  }
  Peer* peer = worker.find_peer(session.peer());
  DCHECK(peer != nullptr);
  note_source(worker, *peer, slot, now);
  if (peer->next.get() == &session) {
    confirm_next_session(worker, *peer);
    if (peer->staged_count > 0) send_staged_or_keepalive(worker, *peer, now);
  } else if (peer->confirmation_owed) {
    report_confirmation(worker, *peer);
  }
  peer->rx_bytes += message_bytes;
  ++peer->rx_packets;
  worker.counters.outer_packets.increment();
  if (session.rekey_due_on_receive(now)) request_session(worker, *peer, now, false);
  return peer;
}

// 7 deliver.
void deliver(WorkerState& worker, std::span<Slot> slots, std::span<const PeerId> owners,
             Instant now) {
  if (slots.empty()) return;
  if (worker.internet != nullptr) {
    to_internet(worker, slots, owners, now);
    return;
  }
  const std::size_t refused = worker.inner.tx_burst(slots);
  if (refused > 0) worker.drop(DropReason::kTxFailed, refused);
}

// 4 to 7.
void open_and_deliver(WorkerState& worker, OpenVector& vector, Instant now) {
  worker.crypto.open({vector.jobs.data(), vector.count});
  Scratch<Slot, kVectorSegments> delivery;
  Scratch<PeerId, kVectorSegments> owners;
  std::size_t count = 0;
  for (std::size_t i = 0; i < vector.count; ++i) {
    const tunnel::AeadJob& job = vector.jobs[i];
    const Slot& slot = *vector.slots[i];
    if (!job.ok) {
      worker.drop(DropReason::kAuthFailed);
      continue;
    }
    Peer* peer = accept(worker, *vector.sessions[i], slot, job.counter,
                        job.text_bytes + DataLayout::kOverhead, now);
    if (peer == nullptr) continue;
    if (admit(worker, *peer, slot, {job.text, job.text_bytes}, now, delivery[count])) {
      BufferPool::retain(delivery[count]);
      owners[count++] = peer->id;
    }
    arm_timers(worker, *peer);
  }
  vector.count = 0;
  deliver(worker, {delivery.data(), count}, {owners.data(), count}, now);
}

}  // namespace

std::size_t from_tunnel(WorkerState& worker, Instant now) {
  Scratch<Slot, kBurstSlots> burst;
  const std::size_t received = worker.outer.rx_burst({burst.data(), burst.size()});  // 1 receive
  if (received == 0) return 0;
  OpenVector vector;
  for (std::size_t s = 0; s < received; ++s) {
    const Slot& slot = burst[s];
    if (slot.truncated) {
      worker.drop(DropReason::kTruncated);
      continue;
    }
    // A train that would be cut by the vector's end waits for the next vector: whole trains merge
    // better on the way out.
    const std::uint32_t segments = segment_count(slot);
    if (vector.count + segments > kVectorSegments) open_and_deliver(worker, vector, now);
    const std::uint32_t stride =
        slot.train == TrainKind::kDatagrams ? slot.segment_bytes : slot.length;
    for (std::uint32_t i = 0, offset = 0; i < segments; ++i, offset += stride) {
      if (vector.count == kVectorSegments) open_and_deliver(worker, vector, now);
      const std::uint32_t length = std::min(stride, slot.length - offset);
      classify(worker, vector, slot, {slot.data + offset, length}, now);
    }
  }
  open_and_deliver(worker, vector, now);
  flush_cookie_replies(worker);
  for (std::size_t s = 0; s < received; ++s)
    BufferPool::release(burst[s]);
  return received;
}

}  // namespace ringway
