#include "dataplane/nat/slow_path.hpp"

#include <algorithm>

#include "dataplane/nat/fragmenter.hpp"
#include "dataplane/nat/mss.hpp"
#include "dataplane/nat/rewrite.hpp"

namespace ringway::nat {

namespace {

[[nodiscard]] bool is_query_request(const Flow& flow) {
  return flow.is_v4() ? flow.icmp_type == net::kIcmpEchoRequest ||
                            flow.icmp_type == net::kIcmpTimestampRequest
                      : flow.icmp_type == net::kIcmpv6EchoRequest;
}

[[nodiscard]] MappingKind kind_of(const Flow& flow) {
  return mapping_kind(transport_of(flow.protocol), flow.family);
}

[[nodiscard]] std::size_t longest_output(const Config& config) {
  return std::max<std::size_t>({kMaxIcmp6ErrorBytes, config.internet_mtu, config.tunnel_mtu});
}

[[nodiscard]] FragmentLimits fragment_limits(const Config& config) {
  FragmentLimits limits;
  limits.held_bytes = static_cast<std::uint32_t>(longest_output(config));
  return limits;
}

}  // namespace

SlowPath::SlowPath(Shard& shard, Rng& rng)
    : shard_(shard),
      outputs_(longest_output(shard.config)),
      syns_(rng),
      limiter_(rng),
      fragments_out_(fragment_limits(shard.config), rng, &shard.identifications),
      fragments_in_(fragment_limits(shard.config), rng, nullptr) {}

// ---- Outbound ----

void SlowPath::outbound(Packet& packet, Instant now) {
  const Work work{packet, parse_flow({packet.data, packet.length}), now};
  switch (work.flow.kind) {
    case Kind::kPlain:
      return outbound_query(work);
    case Kind::kIcmpError:
      return outbound_error(work);
    case Kind::kFirstFragment:
    case Kind::kLaterFragment:
      return outbound_fragment(work);
    case Kind::kMalformed:
      return work.drop(Drop::kMalformed);
    default:
      return work.drop(Drop::kUnsupported);
  }
}

void SlowPath::outbound_query(const Work& work) {
  // No query from outside reaches a subscriber, so there is nothing to reply to.
  if (work.flow.is_icmp() && !is_query_request(work.flow)) return work.drop(Drop::kUnsupported);
  const std::uint8_t* const destination = work.address(Side::kDestination);
  const std::uint16_t ours = shard_.externals.find(work.flow.family, destination);
  const bool to_us = ours != ExternalAddresses::kNone;
  if (!to_us && shard_.policy.destination_denied(work.flow.family, destination)) {
    return work.drop(Drop::kDestinationDenied);
  }
  const std::optional<WorkerId> elsewhere = to_us ? hairpin_shard(work.flow) : std::nullopt;
  const bool to_own = to_us && !elsewhere;
  const Slot target = to_own ? hairpin_target(work, ours) : kNoSlot;
  if (to_own && target == kNoSlot) return;
  if (!may_pass(work, Way::kOut)) return;
  const Slot slot = mapping_for(work);
  if (slot == kNoSlot) return;
  const bool known = shard_.knows_remote(slot, destination);
  // To refuse a stranger is not to ask him (RFC 7857 section 7.1).
  const bool refusal = !known && work.is_tcp() && (work.flow.tcp_flags & net::kTcpRst) != 0;
  if (!refusal) {
    follow_tcp(work, slot, Way::kOut, known);
    if (!known) shard_.remember_remote(slot, destination, to_us);
    if (known && !to_us) shard_.promote_remote(slot, destination);
  }
  if (elsewhere) return hairpin_to_shard(work, slot, *elsewhere);
  if (to_us) return hairpin(work, slot, target);
  translate(work, slot, Way::kOut);
}

// A query's identifier is its sender's, so it names no one else.
std::optional<WorkerId> SlowPath::hairpin_shard(const Flow& flow) const {
  if (!shard_.config.hairpin || flow.is_icmp()) return std::nullopt;
  return shard_.other_owner(flow.destination_port);
}

Slot SlowPath::mapping_for(const Work& work) {
  const InnerKey key{work.address(Side::kSource), work.packet.subscriber.value,
                     work.flow.source_port, kind_of(work.flow)};
  if (const Slot slot = shard_.find(key, work.flow.family); slot != kNoSlot) return slot;
  // The end of a connection that is not known here opens nothing.
  if (work.is_tcp() && (work.flow.tcp_flags & net::kTcpRst) != 0) {
    work.drop(Drop::kNoMapping);
    return kNoSlot;
  }
  const Opened opened = shard_.open(key, work.flow.family, work.ticks());
  if (opened.slot == kNoSlot) refuse_mapping(work, opened.drop);
  return opened.slot;
}

// RFC 6888 REQ-11 and RFC 5508 REQ-8 want different codes, so the operator chooses.
void SlowPath::refuse_mapping(const Work& work, Drop why) {
  work.drop(why);
  if (shard_.config.exhaustion_answer == ExhaustionAnswer::kHostUnreachable) {
    report_to_subscriber(work, Report::kHostUnreachable);
  } else if (shard_.config.exhaustion_answer == ExhaustionAnswer::kProhibited) {
    report_to_subscriber(work, Report::kProhibited);
  }
}

Slot SlowPath::hairpin_target(const Work& work, std::uint16_t external_address) {
  const Transport transport = transport_of(work.flow.protocol);
  // The gateway itself is not to be reached this way.
  if (!shard_.config.hairpin || transport == Transport::kIcmp) {
    work.drop(Drop::kDestinationDenied);
    return kNoSlot;
  }
  const std::uint16_t port = work.flow.destination_port;
  const Slot slot = shard_.ports.mapping_at(external_address, transport, port);
  if (slot == kNoSlot) {
    work.drop(shard_.ports.in_range(port) ? Drop::kNoMapping : Drop::kDestinationDenied);
  }
  return slot;
}

// As if the packet had gone out and come back in: the receiver sees the sender's external endpoint,
// and his filter is asked about that.
void SlowPath::hairpin(const Work& work, Slot from, Slot to) {
  const Mapping& sender = shard_.table[from];
  const Mapping& receiver = shard_.table[to];
  const std::uint8_t* const external = shard_.externals.bytes(sender.external_address);
  const bool known = shard_.knows_remote(to, external);
  if (!known && !open_to_all(to)) return work.drop(Drop::kFiltered);
  rewrite(work.packet.data, work.flow, Side::kSource, external, sender.external_port);
  renew_identification(work);
  Work arrived = work;
  arrived.flow.source_port = sender.external_port;
  follow_tcp(arrived, to, Way::kIn, known);
  rewrite(work.packet.data, work.flow, Side::kDestination, receiver.inner_address(),
          receiver.inner_port);
  step_ttl(work);
  clamp_mss({work.packet.data, work.packet.length}, work.flow, shard_.config.tunnel_mtu);
  work.packet.subscriber = PeerId{receiver.subscriber};
  work.packet.verdict = Verdict::kHairpin;
}

// The other shard asks the receiver's filter, and delivers.
void SlowPath::hairpin_to_shard(const Work& work, Slot from, WorkerId shard) {
  const Mapping& sender = shard_.table[from];
  rewrite(work.packet.data, work.flow, Side::kSource,
          shard_.externals.bytes(sender.external_address), sender.external_port);
  renew_identification(work);
  step_ttl(work);
  work.pass_to_shard(shard);
}

// A subscriber reports about a packet that came to it through its mapping.
void SlowPath::outbound_error(const Work& work) {
  Quote quote;
  Drop why = Drop::kMalformed;
  if (!parse_icmp_error(work.bytes(), work.flow, quote, why)) return work.drop(why);
  const std::uint8_t* const quoted = work.packet.data + quote.at;
  const std::size_t bytes = address_bytes(work.flow.family);
  const std::uint8_t* const sender = quoted + address_at(work.flow.family, Side::kSource);
  if (std::memcmp(sender, work.address(Side::kDestination), bytes) != 0) {
    return work.drop(Drop::kMalformed);
  }
  const InnerKey key{quoted + address_at(work.flow.family, Side::kDestination),
                     work.packet.subscriber.value, quote.flow.destination_port,
                     kind_of(quote.flow)};
  const Slot slot = shard_.find(key, work.flow.family);
  if (slot == kNoSlot) return work.drop(Drop::kNoMapping);
  if (!shard_.knows_remote(slot, sender)) return work.drop(Drop::kFiltered);
  if (!may_pass(work, Way::kOut)) return;
  const std::uint16_t ours = shard_.externals.find(work.flow.family, sender);
  const Slot target = ours == ExternalAddresses::kNone
                          ? kNoSlot
                          : shard_.ports.mapping_at(ours, transport_of(quote.flow.protocol),
                                                    quote.flow.source_port);
  if (ours != ExternalAddresses::kNone && target == kNoSlot) return work.drop(Drop::kNoMapping);
  const Mapping& mapping = shard_.table[slot];
  rewrite_icmp_error(work.packet.data, work.flow, quote, Side::kDestination,
                     shard_.externals.bytes(mapping.external_address), mapping.external_port);
  step_ttl(work);
  work.packet.verdict = Verdict::kForward;
  if (target == kNoSlot) return;
  const Mapping& receiver = shard_.table[target];
  rewrite_icmp_error(work.packet.data, work.flow, quote, Side::kSource, receiver.inner_address(),
                     receiver.inner_port);
  work.packet.subscriber = PeerId{receiver.subscriber};
  work.packet.verdict = Verdict::kHairpin;
}

// ---- Inbound ----

void SlowPath::inbound(Packet& packet, Instant now) {
  const Work work{packet, parse_flow({packet.data, packet.length}), now};
  if (work.flow.kind == Kind::kMalformed) return work.drop(Drop::kMalformed);
  const std::uint16_t ours =
      shard_.externals.find(work.flow.family, work.address(Side::kDestination));
  packet.verdict = Verdict::kNotOurs;
  if (ours == ExternalAddresses::kNone) return;
  switch (work.flow.kind) {
    case Kind::kPlain:
      return inbound_query(work, ours);
    case Kind::kIcmpError:
      return inbound_error(work, ours);
    case Kind::kFirstFragment:
    case Kind::kLaterFragment:
      return inbound_fragment(work, ours);
    default:
      if (work.flow.begins_unsupported()) begin_unsupported(work, ours);
  }
}

void SlowPath::inbound_query(const Work& work, std::uint16_t external_address) {
  const Transport transport = transport_of(work.flow.protocol);
  if (transport == Transport::kIcmp && is_query_request(work.flow)) return;  // pings the gateway
  const std::uint16_t port = work.flow.destination_port;
  const Slot slot = shard_.ports.mapping_at(external_address, transport, port);
  if (slot == kNoSlot && !shard_.ports.in_range(port)) return inbound_elsewhere(work, port);
  if (is_impossible_outside(work)) return work.drop(Drop::kSourceDenied);
  if (slot == kNoSlot) return refuse_stranger(work, external_address, Drop::kNoMapping);
  const std::uint8_t* const source = work.address(Side::kSource);
  const bool known = shard_.knows_remote(slot, source);
  const bool goes_on = !known && goes_on_after_restart(work, slot);
  if (!known && !goes_on && !open_to_all(slot)) {
    return refuse_stranger(work, external_address, Drop::kFiltered);
  }
  // Where the subscriber may not go to, nobody is let in from. Known ones have passed that.
  if (!known && !work.packet.hairpin &&
      shard_.policy.destination_denied(work.flow.family, source)) {
    return work.drop(Drop::kSourceDenied);
  }
  if (!may_pass(work, Way::kIn)) return;
  // Nobody may end or prolong what he only seems to belong to.
  if (!goes_on) follow_tcp(work, slot, Way::kIn, known);
  translate(work, slot, Way::kIn);
}

void SlowPath::inbound_elsewhere(const Work& work, std::uint16_t port) const {
  if (const auto shard = shard_.other_owner(port)) work.pass_to_shard(*shard);
}

bool SlowPath::open_to_all(Slot slot) const {
  return shard_.config.filtering == Filtering::kEndpointIndependent ||
         shard_.table[slot].is(Mapping::kStatic);
}

bool SlowPath::goes_on_after_restart(const Work& work, Slot slot) const {
  return work.is_tcp() && (work.flow.tcp_flags & net::kTcpSyn) == 0 &&
         shard_.table[slot].is(Mapping::kRestored) && work.ticks() < shard_.restored_until;
}

// Our external addresses and the tunnel's own are no one's on the Internet.
bool SlowPath::is_impossible_outside(const Work& work) const {
  if (work.packet.hairpin) return false;
  const std::uint8_t* const source = work.address(Side::kSource);
  return shard_.externals.find(work.flow.family, source) != ExternalAddresses::kNone ||
         shard_.policy.is_inner(work.flow.family, source);
}

void SlowPath::refuse_stranger(const Work& work, std::uint16_t external_address, Drop why) {
  const std::uint8_t flags = work.flow.tcp_flags;
  // A subscriber of another shard is answered as one of this: by silence.
  if (work.packet.hairpin) return work.drop(why);
  // The host's own queries draw their identifiers from all.
  if (work.flow.is_icmp()) return work.leave_to_host();
  if (!work.is_tcp() || (flags & (net::kTcpSyn | net::kTcpAck | net::kTcpRst)) != net::kTcpSyn) {
    return work.drop(why);
  }
  const OuterConnection connection{work.address(Side::kSource), work.flow.source_port,
                                   external_address, work.flow.destination_port};
  syns_.hold(work.bytes(), work.flow, connection, work.now);
  work.drop(Drop::kUnsolicitedSyn);
}

// A router or host reports about a packet that left through a mapping. It changes no state (RFC
// 4787 REQ-12, RFC 5508 REQ-6 and 7).
void SlowPath::inbound_error(const Work& work, std::uint16_t external_address) {
  Quote quote;
  Drop why = Drop::kMalformed;
  if (!parse_icmp_error(work.bytes(), work.flow, quote, why)) return work.drop(why);
  const std::uint8_t* const quoted = work.packet.data + quote.at;
  const std::size_t bytes = address_bytes(work.flow.family);
  const std::uint8_t* const sender = quoted + address_at(work.flow.family, Side::kSource);
  if (std::memcmp(sender, work.address(Side::kDestination), bytes) != 0) {
    return work.drop(Drop::kNoMapping);
  }
  const std::uint16_t port = quote.flow.source_port;
  const Slot slot =
      shard_.ports.mapping_at(external_address, transport_of(quote.flow.protocol), port);
  if (slot == kNoSlot && !shard_.ports.in_range(port)) return inbound_elsewhere(work, port);
  if (is_impossible_outside(work)) return work.drop(Drop::kSourceDenied);
  const bool about_query = quote.flow.is_icmp();  // perhaps the host's own
  if (slot == kNoSlot) {
    return about_query ? work.leave_to_host() : work.drop(Drop::kNoMapping);
  }
  // Who reports about a packet must know where it went.
  if (!shard_.knows_remote(slot, quoted + address_at(work.flow.family, Side::kDestination))) {
    return about_query ? work.leave_to_host() : work.drop(Drop::kFiltered);
  }
  if (!may_pass(work, Way::kIn)) return;
  const Mapping& mapping = shard_.table[slot];
  rewrite_icmp_error(work.packet.data, work.flow, quote, Side::kSource, mapping.inner_address(),
                     mapping.inner_port);
  step_ttl(work);
  work.packet.subscriber = PeerId{mapping.subscriber};
  work.packet.verdict = Verdict::kForward;
}

// ---- Both ----

// Also the note of last use. What comes in refreshes TCP alone, and only from remote addresses that
// the subscriber has sent to (RFC 4787 REQ-6, RFC 7857 section 7).
void SlowPath::follow_tcp(const Work& work, Slot slot, Way way, bool known_remote) {
  Mapping& mapping = shard_.table[slot];
  if (!work.is_tcp()) {
    if (way == Way::kOut) mapping.last_used = work.ticks();
    return;
  }
  const std::uint8_t flags = work.flow.tcp_flags;
  const TcpState before = mapping.tcp;
  const bool syn = (flags & net::kTcpSyn) != 0;
  const std::uint16_t remote_port =
      way == Way::kOut ? work.flow.destination_port : work.flow.source_port;
  const bool is_over =
      before == TcpState::kIdle || before == TcpState::kClosing || before == TcpState::kReset;
  if (mapping.remote_port == 0 || (is_over && syn)) {
    mapping.remote_port = remote_port;
  } else if (mapping.remote_port != remote_port || !known_remote) {
    mapping.flags |= Mapping::kSeveralPeers;
  }
  const bool one_of_several =
      mapping.is(Mapping::kSeveralPeers) && (flags & (net::kTcpRst | net::kTcpFin)) != 0;
  const bool solicited = way == Way::kOut || known_remote;
  if (!one_of_several && (solicited || before == TcpState::kIdle)) {
    mapping.tcp = next_tcp_state(before, flags, way);
  }
  // Four minutes from the end of a connection on, not from its last echo.
  const bool is_echo = mapping.tcp == before && before != TcpState::kIdle &&
                       (is_over || (flags & net::kTcpRst) != 0);
  if (solicited && !is_echo) mapping.last_used = work.ticks();
  if (has_long_timer(before) && !has_long_timer(mapping.tcp)) shard_.rearm(slot, work.ticks());
  if (way == Way::kOut && syn) {
    syns_.forget(work.flow.family, {work.address(Side::kDestination), work.flow.destination_port,
                                    mapping.external_address, mapping.external_port});
  }
}

bool SlowPath::may_pass(const Work& work, Way way) {
  const bool out = way == Way::kOut;
  if (ttl(work.packet.data, work.flow.family) <= shard_.ttl_step) {
    work.drop(Drop::kTtlExpired);
    if (out) {
      report_to_subscriber(work, Report::kTtlExpired);
    } else {
      const std::uint16_t ours =
          shard_.externals.find(work.flow.family, work.address(Side::kDestination));
      report_to_internet(work.bytes(), work.flow, Report::kTtlExpired, ours, 0, work.now);
    }
    return false;
  }
  const std::uint16_t mtu = out ? shard_.config.internet_mtu : shard_.config.tunnel_mtu;
  if (work.packet.length <= mtu || !work.flow.dont_fragment) return true;
  work.drop(Drop::kTooBig);
  if (out) {
    report_to_subscriber(work, Report::kTooBig, mtu);
  } else {
    const std::uint16_t ours =
        shard_.externals.find(work.flow.family, work.address(Side::kDestination));
    report_to_internet(work.bytes(), work.flow, Report::kTooBig, ours, mtu, work.now);
  }
  return false;
}

void SlowPath::step_ttl(const Work& work) const {
  if (shard_.ttl_step != 0) decrement_ttl(work.packet.data, work.flow.family);
}

void SlowPath::translate(const Work& work, Slot slot, Way way) {
  const Mapping& mapping = shard_.table[slot];
  std::uint16_t mtu = 0;
  if (way == Way::kOut) {
    rewrite(work.packet.data, work.flow, Side::kSource,
            shard_.externals.bytes(mapping.external_address), mapping.external_port);
    renew_identification(work);
    mtu = shard_.config.internet_mtu;
  } else {
    rewrite(work.packet.data, work.flow, Side::kDestination, mapping.inner_address(),
            mapping.inner_port);
    work.packet.subscriber = PeerId{mapping.subscriber};
    mtu = shard_.config.tunnel_mtu;
  }
  step_ttl(work);
  // Either side's segments cross both links.
  clamp_mss({work.packet.data, work.packet.length}, work.flow,
            std::min(shard_.config.internet_mtu, shard_.config.tunnel_mtu));
  work.packet.verdict = Verdict::kForward;
  if (work.packet.length > mtu) send_in_pieces(work, way, mtu);
}

void SlowPath::send_in_pieces(const Work& work, Way way, std::uint16_t mtu) {
  Fragmenter fragmenter;
  if (!fragmenter.start(work.bytes(), mtu)) return work.drop(Drop::kTooBig);
  if (fragmenter.count() > outputs_.room()) return work.drop(Drop::kFragmentLimit);
  for (std::uint32_t i = 0; i < fragmenter.count(); ++i) {
    const std::uint32_t bytes = fragmenter.emit(i, outputs_.buffer().data());
    if (way == Way::kOut) {
      outputs_.push_to_internet(bytes, work.packet.subscriber);
    } else {
      outputs_.push_to_subscriber(work.packet.subscriber, bytes);
    }
  }
  work.packet.verdict = Verdict::kHeld;
}

void SlowPath::report_to_subscriber(const Work& work, Report report, std::uint16_t mtu) {
  const auto& ours = shard_.config.gateway_addresses;
  const auto from = std::find_if(ours.begin(), ours.end(), [&](const net::IpAddress& address) {
    return address.family == work.flow.family;
  });
  if (from == ours.end() || outputs_.room() == 0) return;
  if (!may_report(work.bytes(), work.flow)) return;
  net::IpAddress receiver{.family = work.flow.family};
  std::memcpy(receiver.bytes.data(), work.address(Side::kSource), address_bytes(receiver.family));
  if (!limiter_.allow(receiver, work.now)) return;
  const std::size_t bytes =
      emit_icmp_error(work.bytes(), work.flow, report, *from, mtu, outputs_.buffer());
  outputs_.push_to_subscriber(work.packet.subscriber, bytes);
  ++errors_sent_;
}

void SlowPath::report_to_internet(ConstBytes packet, const Flow& flow, Report report,
                                  std::uint16_t external_address, std::uint16_t mtu, Instant now) {
  if (outputs_.room() == 0 || !may_report(packet, flow)) return;
  net::IpAddress receiver{.family = flow.family};
  std::memcpy(receiver.bytes.data(), packet.data() + address_at(flow.family, Side::kSource),
              address_bytes(flow.family));
  if (!limiter_.allow(receiver, now)) return;
  const std::size_t bytes = emit_icmp_error(
      packet, flow, report, shard_.externals[external_address], mtu, outputs_.buffer());
  outputs_.push_to_internet(bytes);
  ++errors_sent_;
}

void SlowPath::tick(Instant now) {
  while (const HeldSyn* const syn = syns_.take_due(now)) {
    report_to_internet(syn->quote(), syn->flow, Report::kPortUnreachable, syn->external_address, 0,
                       now);
  }
  fragments_out_.tick(now);
  fragments_in_.tick(now);
}

Instant SlowPath::next_deadline() const {
  return std::min(
      {syns_.next_deadline(), fragments_out_.next_deadline(), fragments_in_.next_deadline()});
}

}  // namespace ringway::nat
