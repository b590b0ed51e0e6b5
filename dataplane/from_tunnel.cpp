#include "dataplane/from_tunnel.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/net/inner_packet.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/hand_over.hpp"
#include "dataplane/handshake_gate.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/session_slots.hpp"
#include "dataplane/to_internet.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {
namespace {

using tunnel::DataLayout;

constexpr Duration kSourceReportInterval = Duration::milliseconds(500);

// A vector of segments on their way from one stage to the next: what is known of each, side by
// side. A stage that drops some moves the others up.
struct OpenVector {
  Scratch<tunnel::AeadJob, kVectorSegments> jobs;
  Scratch<Slot*, kVectorSegments> slots;  // where each segment stands
  Scratch<ReceiverIndex, kVectorSegments> receivers;
  Scratch<tunnel::Session*, kVectorSegments> sessions;
  Scratch<Peer*, kVectorSegments> peers;
  std::size_t count = 0;
  // Of a burst without trains: its slots. A packet takes its datagram's, with the reference to the
  // buffer, and both move to the front. Else (null) each gets a slot and a reference of its own,
  // which costs it 15 cycles more (ringway-bench pipeline --path edge-in --size 64).
  Slot* burst = nullptr;
  std::size_t taken = 0;

  [[nodiscard]] bool has_room() const { return count < kVectorSegments; }
  // From `find` on.
  void move(std::size_t from, std::size_t to) {
    if (from == to) return;
    jobs[to] = jobs[from];
    slots[to] = slots[from];
    sessions[to] = sessions[from];
    peers[to] = peers[from];
  }
};

tunnel::Path path_back(const Slot& slot) {
  return {slot.remote, slot.local, slot.interface};
}

tunnel::DatagramSource source_of(const Slot& slot) {
  return {slot.remote, slot.local, slot.interface};
}

// 2 classify, one segment. Where its session and peer are found is fetched.
void classify(WorkerState& worker, OpenVector& vector, Slot& slot, Bytes message, Instant now) {
  tunnel::MessageHeader header;
  if (!tunnel::parse_message_header(message, header)) {
    worker.drop(DropReason::kOuterMalformed);
    return;
  }
  if (header.type != tunnel::MessageType::kData) {
    offer_handshake(worker, message, header, source_of(slot), now);
    return;
  }
  if (message.size() < DataLayout::kMinSize) {
    worker.drop(DropReason::kOuterMalformed);
    return;
  }
  const std::size_t i = vector.count++;
  vector.jobs[i] = {nullptr,
                    message.data() + DataLayout::kCiphertext,
                    static_cast<std::uint32_t>(message.size() - DataLayout::kOverhead),
                    false,
                    header.suite,
                    load_le<std::uint64_t>(message.data() + DataLayout::kCounter)};
  vector.slots[i] = &slot;
  vector.receivers[i] = {load_le<std::uint32_t>(message.data() + DataLayout::kReceiver)};
  __builtin_prefetch(&worker.session_entry(vector.receivers[i]));
}

// Whether a message of `suite` to `receiver` may be opened with what stands in its place.
bool is_usable(WorkerState& worker, const tunnel::Session* session, ReceiverIndex receiver,
               tunnel::Suite suite, Instant now) {
  if (session == nullptr || session->local_index() != receiver) {
    worker.drop(DropReason::kUnknownReceiver);
    return false;
  }
  if (session->suite() != suite) {
    worker.drop(DropReason::kSuiteMismatch);
    return false;
  }
  if (session->expired(now)) {
    worker.drop(DropReason::kSessionExpired);
    return false;
  }
  return true;
}

// Nothing more of what the peer sends can be held back, and nothing may pass. Charged and held is
// only what has authenticated and is the peer's to send, in admit().
bool is_past_limit(WorkerState& worker, const Peer& peer, Instant now) {
  if (peer.up.passes(now) || !worker.shaper.is_full(peer.up)) return false;
  worker.drop(DropReason::kRateLimited);
  return true;
}

// 3 find: the sessions of all are sent for first; with many peers they are in no near cache
// (docs/BENCHMARKS.md, a gateway's ways). Not what the packet before has sent for. The peers come
// while the messages are opened.
void find(WorkerState& worker, OpenVector& vector, Instant now) {
  const tunnel::Session* previous = nullptr;
  for (std::size_t i = 0; i < vector.count; ++i) {
    const WorkerState::SessionEntry& entry = worker.session_entry(vector.receivers[i]);
    vector.sessions[i] = entry.session;
    vector.peers[i] = entry.peer;
    if (entry.session == previous) continue;
    previous = entry.session;
    if (previous == nullptr) continue;
    entry.session->prefetch();
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < vector.count; ++i) {
    const tunnel::Session* session = vector.sessions[i];
    tunnel::AeadJob& job = vector.jobs[i];
    if (!is_usable(worker, session, vector.receivers[i], job.suite, now)) continue;
    // Spares us opening it.
    if (session->limited() && is_past_limit(worker, *vector.peers[i], now)) continue;
    job.key = &session->receive_key();
    job.afterwards = vector.peers[i];
    vector.move(i, kept++);
  }
  vector.count = kept;
}

// 4 open.
void open(WorkerState& worker, OpenVector& vector) {
  worker.crypto.open({vector.jobs.data(), vector.count});
  std::size_t kept = 0;
  for (std::size_t i = 0; i < vector.count; ++i) {
    if (vector.jobs[i].ok) {
      vector.move(i, kept++);
    } else {
      worker.drop(DropReason::kAuthFailed);
    }
  }
  vector.count = kept;
}

bool is_from_best_path(const Peer& peer, const Slot& slot) {
  return !peer.paths.empty() && peer.paths.best().same_remote(slot.remote);
}

// A stock peer's endpoint follows its packets. A Ringway peer's does not: control probes first, but
// for the first packet of a session that the peer has asked for from there.
void note_other_source(WorkerState& worker, Peer& peer, const Slot& slot, Instant now) {
  if (!peer.ringway || peer.paths.empty()) {
    peer.paths.prefer(path_back(slot));
  }
  if (now - peer.source_reported < kSourceReportInterval) return;
  if (worker.push_event(event::SourceSeen{peer.id, source_of(slot)})) peer.source_reported = now;
}

// What a packet may tell of its peer: that it uses a new session, or stands elsewhere. Rare, and
// apart: within the stage it costs every packet 4 cycles, for questions and copies that few need.
[[gnu::noinline]] void note_news(WorkerState& worker, Peer& peer, const tunnel::Session& session,
                                 const Slot& slot, Instant now) {
  const bool confirms = peer.next.get() == &session;
  if (confirms) confirm_next_session(worker, peer, path_back(slot));
  if (!is_from_best_path(peer, slot)) note_other_source(worker, peer, slot, now);
  if (confirms && peer.staged_count > 0) send_staged_or_keepalive(worker, peer, now);
  if (peer.confirmation_owed && !confirms) report_confirmation(worker, peer);
}

// Each costs control some work and perhaps an answer: a peer gets 20 a second, 10 at once.
bool may_send_control_frame(Peer& peer, Instant now) {
  constexpr Duration kCost = Duration::milliseconds(50);
  constexpr Duration kTolerance = kCost * 9;
  if (peer.control_frames_paid - now > kTolerance) return false;
  peer.control_frames_paid = std::max(peer.control_frames_paid, now) + kCost;
  return true;
}

[[gnu::noinline]] void receive_control_frame(WorkerState& worker, Peer& peer, const Slot& slot,
                                             ConstBytes frame, Instant now) {
  if (!peer.ringway || frame.size() > kMaxControlFrameBytes || !may_send_control_frame(peer, now)) {
    worker.drop(DropReason::kControlRefused);
    return;
  }
  event::ControlFrameReceived received{peer.id, source_of(slot), {}};
  std::memcpy(received.frame.data.data(), frame.data(), frame.size());
  received.frame.length = static_cast<std::uint16_t>(frame.size());
  if (!worker.push_event(std::move(received))) worker.drop(DropReason::kEventRingFull);
}

// 5 accept, one segment that authenticated. False when it is a replay.
bool accept(WorkerState& worker, Peer& peer, tunnel::Session& session, const Slot& slot,
            const tunnel::AeadJob& job, Instant now) {
  if (!session.accept_counter(job.counter)) {
    worker.drop(DropReason::kReplayed);
    return false;
  }
  const bool is_plain =
      peer.next.get() != &session && !peer.confirmation_owed && is_from_best_path(peer, slot);
  if (!is_plain) note_news(worker, peer, session, slot, now);
  peer.rx_bytes += job.text_bytes + DataLayout::kOverhead;
  ++peer.rx_packets;
  if (session.rekey_due_on_receive(now)) request_session(worker, peer, now, false);
  return true;
}

// How many messages ahead accept() has their lines fetched once more: opening has pushed what
// find() sent for out of the first-level cache, and with many peers out of the second. 10,000
// peers, 1,420 bytes (`ringway-bench pipeline --path to-internet --stages`): 30 cycles to accept,
// 40 without.
constexpr std::size_t kAcceptAhead = 8;

void accept(WorkerState& worker, OpenVector& vector, Instant now) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < vector.count; ++i) {
    const std::size_t ahead = i + kAcceptAhead;
    if (ahead < vector.count && vector.peers[ahead] != vector.peers[ahead - 1]) {
      vector.sessions[ahead]->prefetch();
      vector.peers[ahead]->prefetch_to_receive();
    }
    if (accept(worker, *vector.peers[i], *vector.sessions[i], *vector.slots[i], vector.jobs[i],
               now)) {
      vector.move(i, kept++);
    }
  }
  vector.count = kept;
  worker.counters.outer_packets.add(kept);
}

// Inner packets on their way to delivery.
struct Admitted {
  Scratch<Slot, kVectorSegments> slots;  // unless they take those of their burst
  Scratch<PeerId, kVectorSegments> senders;
  std::size_t count = 0;
};

// 6 admit, what carries a packet: false for keepalives and control frames, which end here, and for
// what is no IP packet. Tells the timers either way.
bool take_packet(WorkerState& worker, Peer& peer, const Slot& slot, tunnel::AeadJob& job,
                 Instant now) {
  const Bytes text{job.text, job.text_bytes};
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
  job.text_bytes = packet.total_bytes;  // without the padding
  return true;
}

// From the datagram to the packet within it. In a train, what stands before it but for its own
// message's header is another's.
void narrow_to_packet(Slot& slot, const tunnel::AeadJob& job) {
  slot.data = job.text;
  slot.length = job.text_bytes;
  slot.headroom = static_cast<std::uint32_t>(DataLayout::kCiphertext) +
                  (slot.train == TrainKind::kNone ? slot.headroom : 0);
  slot.tailroom = 0;
  slot.train = TrainKind::kNone;
  slot.segment_bytes = 0;
}

// The slot in which a packet goes on.
Slot& slot_for_packet(OpenVector& vector, Slot& datagram, Admitted& admitted) {
  if (vector.burst != nullptr) {
    // What stood there was dropped, and goes where nobody looks any more but to release it.
    Slot& place = vector.burst[vector.taken++];
    if (&place != &datagram) std::swap(place, datagram);
    return place;
  }
  BufferPool::retain(datagram);
  return admitted.slots[admitted.count] = datagram;
}

// Whether the peer's limit lets the packet go on now, which is charged then; it is held back
// otherwise, or dropped.
bool passes_limit(WorkerState& worker, Peer& peer, ConstBytes packet, Instant now) {
  if (!peer.limited) return true;
  const auto packet_bytes = static_cast<std::uint32_t>(packet.size());
  if (peer.up.passes(now)) {
    peer.up.limiter.charge(packet_bytes, now);
    return true;
  }
  std::uint8_t* const to =
      worker.shaper.hold(peer.id, SubscriberWay::kUp, peer.up, packet_bytes, now);
  if (to == nullptr) {
    worker.drop(DropReason::kRateLimited);
  } else {
    std::memcpy(to, packet.data(), packet.size());
  }
  return false;
}

// 6 admit: the packets that are their senders' to send.
void admit(WorkerState& worker, OpenVector& vector, Admitted& admitted, Instant now) {
  std::size_t kept = 0;
  Scratch<const std::uint8_t*, kVectorSegments> packets;
  for (std::size_t i = 0; i < vector.count; ++i) {
    Peer& peer = *vector.peers[i];
    if (take_packet(worker, peer, *vector.slots[i], vector.jobs[i], now)) {
      packets[kept] = vector.jobs[i].text;
      vector.move(i, kept++);
    }
    // After the last one of each peer in a row, which tells what all have come to.
    if (i + 1 == vector.count || vector.peers[i + 1] != &peer) arm_timers(worker, peer);
  }
  Scratch<PeerId, kVectorSegments> owners;
  worker.allowed_ips->lookup_packets({packets.data(), kept}, net::PacketEnd::kSource,
                                     owners.data());
  admitted.count = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    Slot& slot = *vector.slots[i];
    const tunnel::AeadJob& job = vector.jobs[i];
    if (owners[i] != vector.peers[i]->id) {
      worker.drop(DropReason::kSourceNotAllowed);
      continue;
    }
    if (!net::decapsulate_ecn({job.text, job.text_bytes}, slot.traffic_class)) {
      worker.drop(DropReason::kEcnNotCapable);
      continue;
    }
    if (!passes_limit(worker, *vector.peers[i], {job.text, job.text_bytes}, now)) continue;
    Slot& packet = slot_for_packet(vector, slot, admitted);
    narrow_to_packet(packet, job);
    packet.subscriber = owners[i];
    admitted.senders[admitted.count++] = owners[i];
  }
}

// 3 to 7, for a vector; leaves it empty.
void open_and_deliver(WorkerState& worker, OpenVector& vector, Instant now) {
  end_stage(worker.stage_clock, Stage::kClassify);
  find(worker, vector, now);
  end_stage(worker.stage_clock, Stage::kFind);
  open(worker, vector);
  end_stage(worker.stage_clock, Stage::kOpen);
  accept(worker, vector, now);
  end_stage(worker.stage_clock, Stage::kAccept);
  Admitted admitted;
  admit(worker, vector, admitted, now);
  end_stage(worker.stage_clock, Stage::kAdmit);
  Slot* const first = vector.burst != nullptr ? vector.burst : admitted.slots.data();
  deliver(worker, {first, admitted.count}, {admitted.senders.data(), admitted.count}, now);
  vector.count = 0;
}

// 2, for what one slot holds: a datagram, or a train of them.
void classify_slot(WorkerState& worker, OpenVector& vector, Slot& slot, Instant now) {
  if (slot.truncated) {
    worker.drop(DropReason::kTruncated);
    return;
  }
  // A train that would be cut by the vector's end waits for the next vector: whole trains merge
  // better on the way out.
  const std::uint32_t segments = segment_count(slot);
  if (vector.count + segments > kVectorSegments) open_and_deliver(worker, vector, now);
  const std::uint32_t stride =
      slot.train == TrainKind::kDatagrams ? slot.segment_bytes : slot.length;
  for (std::uint32_t i = 0, offset = 0; i < segments; ++i, offset += stride) {
    if (!vector.has_room()) open_and_deliver(worker, vector, now);
    const std::uint32_t length = std::min(stride, slot.length - offset);
    classify(worker, vector, slot, {slot.data + offset, length}, now);
  }
}

// 2 to 7, for what one burst brought.
void open_burst(WorkerState& worker, std::span<Slot> burst, Instant now) {
  static_assert(kBurstSlots <= kVectorSegments);  // a burst without trains is one vector
  if (burst.empty()) return;
  OpenVector vector;
  const auto is_train = [](const Slot& slot) { return slot.train != TrainKind::kNone; };
  if (std::ranges::none_of(burst, is_train)) vector.burst = burst.data();
  for (Slot& slot : burst)
    classify_slot(worker, vector, slot, now);
  open_and_deliver(worker, vector, now);
  admit_offered(worker, now);
  flush_cookie_replies(worker);
  for (const Slot& slot : burst.subspan(vector.taken))
    BufferPool::release(slot);
}

}  // namespace

std::size_t from_tunnel(WorkerState& worker, Instant now) {
  Scratch<Slot, kBurstSlots> burst;
  const std::size_t received = worker.outer.rx_burst({burst.data(), burst.size()});  // 1 receive
  const std::size_t own = keep_own_sealed(worker, {burst.data(), received});
  end_stage(worker.stage_clock, Stage::kReceive);
  open_burst(worker, {burst.data(), own}, now);
  if (worker.handoff == nullptr) return received;
  const std::size_t taken =
      worker.handoff->take(HandoffKind::kSealed, {burst.data(), burst.size()});
  end_stage(worker.stage_clock, Stage::kReceive);
  open_burst(worker, {burst.data(), taken}, now);
  return received + taken;
}

void deliver(WorkerState& worker, std::span<Slot> slots, std::span<const PeerId> senders,
             Instant now) {
  if (slots.empty()) return;
  if (worker.internet != nullptr) {
    to_internet(worker, slots, senders, now);
    return;
  }
  const std::size_t refused = worker.inner.tx_burst(slots);
  if (refused > 0) worker.drop(DropReason::kTxFailed, refused);
  end_stage(worker.stage_clock, Stage::kDeliver);
}

}  // namespace ringway
