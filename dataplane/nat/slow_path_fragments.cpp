// The slow path's part for datagrams in fragments: each fragment goes the way of a whole packet
// with the ports of its datagram's first one. Those that came before the first follow it through
// poll_output().
#include "dataplane/nat/rewrite.hpp"
#include "dataplane/nat/slow_path.hpp"

namespace ringway::nat {

void SlowPath::outbound_fragment(Work work) {
  const auto verdict =
      fragments_out_.accept(work.packet.subscriber, work.bytes(), work.flow, work.now);
  if (verdict == Fragments::Verdict::kDrop) return work.drop(Drop::kFragmentLimit);
  if (verdict == Fragments::Verdict::kHeld) {
    work.packet.verdict = Verdict::kHeld;
    return;
  }
  outbound_query(work);
  release_outbound(work.now);
}

// A fragment to one of our addresses may be the host's own: its first says by its port whose it is.
void SlowPath::inbound_fragment(Work work, std::uint16_t external_address) {
  const auto verdict = fragments_in_.accept(PeerId::none(), work.bytes(), work.flow, work.now);
  if (verdict == Fragments::Verdict::kDrop) return work.drop(Drop::kFragmentLimit);
  if (verdict == Fragments::Verdict::kHeld) {
    work.packet.verdict = Verdict::kHeld;
    return;
  }
  inbound_query(work, external_address);
  release_inbound(work.now);
}

// The host's, as is what came before it and could not tell: a later fragment of IPv6 says neither
// what the first one's last header is nor, if that is ICMPv6, its type. Without ports it finds no
// mapping.
void SlowPath::begin_unsupported(Work work, std::uint16_t external_address) {
  work.flow.kind = Kind::kFirstFragment;
  inbound_fragment(work, external_address);
}

void SlowPath::release_outbound(Instant now) {
  for (Fragments::Released released; fragments_out_.pop_released(released);) {
    Packet packet{released.packet.data(), static_cast<std::uint32_t>(released.packet.size()),
                  released.owner};
    outbound_query({packet, released.flow, now});
    emit_released(packet, Way::kOut);
  }
}

void SlowPath::release_inbound(Instant now) {
  for (Fragments::Released released; fragments_in_.pop_released(released);) {
    Packet packet{released.packet.data(), static_cast<std::uint32_t>(released.packet.size()),
                  PeerId::none(), Verdict::kNotOurs};
    const Work work{packet, released.flow, now};
    inbound_query(work, shard_.externals.find(work.flow.family, work.address(Side::kDestination)));
    emit_released(packet, Way::kIn);
  }
}

void SlowPath::emit_released(const Packet& packet, Way way) {
  if (packet.verdict == Verdict::kHeld) return;  // cut into pieces that are queued already
  if (packet.verdict == Verdict::kDrop || outputs_.room() == 0) {
    ++released_lost_;
    return;
  }
  std::memcpy(outputs_.buffer().data(), packet.data, packet.length);
  if (packet.verdict == Verdict::kNotOurs) {
    outputs_.push_to_host(packet.length);
  } else if (packet.verdict == Verdict::kOtherShard) {
    outputs_.push_to_shard(packet.shard, way == Way::kOut, packet.length);
  } else if (packet.verdict == Verdict::kForward && way == Way::kOut) {
    outputs_.push_to_internet(packet.length, packet.subscriber);
  } else {
    outputs_.push_to_subscriber(packet.subscriber, packet.length);
  }
}

// On the way out, of what is a fragment or may become one.
void SlowPath::renew_identification(const Work& work) {
  if (work.flow.is_fragment()) {
    rewrite_identification(work.packet.data, work.flow, work.flow.identification);
  } else if (work.flow.is_v4() && !work.flow.dont_fragment) {
    rewrite_identification(work.packet.data, work.flow,
                           shard_.identifications.next(work.packet.data, work.flow));
  }
}

void SlowPath::count_fragments(Counters& counters) const {
  for (const Fragments* const fragments : {&fragments_out_, &fragments_in_}) {
    counters.fragments_held += fragments->counts().held;
    counters.fragments_expired += fragments->counts().expired;
    counters.fragments_lost += fragments->counts().discarded;
  }
  counters.fragments_lost += released_lost_;
}

}  // namespace ringway::nat
