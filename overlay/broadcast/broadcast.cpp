#include "overlay/broadcast/broadcast.hpp"

#include <algorithm>
#include <utility>

#include "overlay/liveness.hpp"
#include "overlay/ring_logarithm.hpp"

namespace ringway::overlay {
namespace {

// What a receiver grants beyond the usual: an origin's estimate of the ring may be a little off.
constexpr std::uint32_t kSampleTolerance = 4;
constexpr unsigned kSizeFractionBits = 3;  // Core::network_size is in eighths

// The finalizer of splitmix64 (Steele, Lea, Flood 2014): each bit of the result depends on all.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

std::uint32_t sampling_for(std::uint32_t sample, std::uint32_t network_log2) {
  const std::uint32_t whole = network_log2 >> kLogFractionBits;
  if (whole >= 32) return sample;  // 2^32 nodes and more: as many answers at least
  const Distance size = two_to_the(network_log2);
  const std::uint64_t nodes = std::max<std::uint64_t>(size.low | (size.middle << 32), 1);
  if (nodes <= sample) return UINT32_MAX;
  return static_cast<std::uint32_t>((std::uint64_t{sample} << 32) / nodes);
}

bool is_sampled(std::uint64_t message_id, const NodeId& node, std::uint32_t sampling) {
  if (sampling == UINT32_MAX) return true;
  const Distance& place = node.from_zero();
  const std::uint64_t drawn = mix(mix(message_id ^ place.high) ^ place.middle);
  return static_cast<std::uint32_t>(drawn >> 32) < sampling;
}

Broadcast::Broadcast(Core& core, Router& router)
    : core_(core),
      router_(router),
      replays_(core.parameters.message_lifetime, core.parameters.broadcast.replay_entries),
      limits_(core.parameters.broadcast.an_origin) {}

// --- At the origin -------------------------------------------------------------------------------

std::uint64_t Broadcast::publish(ConstBytes payload, std::uint32_t network_log2) {
  const BroadcastParameters& p = core_.parameters.broadcast;
  if (payload.size() > wire::kMaxBroadcastPayload) return 0;
  if (!limits_.allows(core_.self(), core_.now()) || measured_.size() >= p.max_measured ||
      waves_.size() >= p.max_waves || core_.links.count_in_ring() == 0) {
    core_.drops.add(Drop::kBroadcastRate);
    return 0;
  }
  limits_.count(core_.self(), core_.now());
  wire::BroadcastMessage message;
  message.arc = {core_.self(), core_.self()};
  message.origin = core_.self();
  message.message_id = core_.rng.next_u64();
  message.sent = core_.clock.wall;
  message.sampling = sampling_for(p.sample, network_log2);
  message.credential = core_.signer.credential();
  message.payload = payload;
  wire::ByteWriter writer;
  wire::emit_signed(writer, message, core_.identity.group, core_.signer);
  message.from_origin = writer.view();
  replays_.remember(message.origin, message.message_id, message.sent, core_.clock);
  remember_arc(message);

  Measured measured;
  measured.message_id = message.message_id;
  measured.sampling = message.sampling;
  measured.ends = core_.now() + p.sampling_time;
  core_.wake_at(measured.ends);
  measured_.push_back(std::move(measured));
  spread(message, 0);
  return message.message_id;
}

void Broadcast::on_sample(const wire::RoutedMessage& message) {
  const auto sample = wire::parse_broadcast_sample(message.payload);
  if (!sample) {
    core_.drops.add(Drop::kMalformed);
    return;
  }
  const auto found = std::find_if(
      measured_.begin(), measured_.end(),
      [&](const Measured& measured) { return measured.message_id == sample->message_id; });
  const auto answered = [&] {
    return std::find(found->answered.begin(), found->answered.end(), message.source) !=
           found->answered.end();
  };
  if (found == measured_.end() || !is_sampled(found->message_id, message.source, found->sampling) ||
      answered()) {
    core_.drops.add(Drop::kUnexpected);
    return;
  }
  found->answered.push_back(message.source);
  found->hops_sum += sample->hops;
  found->hops_most = std::max(found->hops_most, sample->hops);
}

void Broadcast::end(const Measured& measured) {
  output::BroadcastMeasured result;
  result.message_id = measured.message_id;
  result.answers = static_cast<std::uint32_t>(measured.answered.size());
  result.reached = result.answers;
  if (measured.sampling != UINT32_MAX && measured.sampling > 0)
    result.reached =
        static_cast<std::uint32_t>((std::uint64_t{result.answers} << 32) / measured.sampling);
  result.hops_most = measured.hops_most;
  if (result.answers > 0)
    result.hops_mean = static_cast<float>(measured.hops_sum) / static_cast<float>(result.answers);
  core_.output.tell(result);
}

// --- On the way ----------------------------------------------------------------------------------

Broadcast::Admission Broadcast::admit(const wire::BroadcastMessage& message) {
  const BroadcastParameters& p = core_.parameters.broadcast;
  const auto refuse = [&](Drop reason, Admission admission) {
    core_.drops.add(reason);
    return admission;
  };
  if (message.hops >= p.max_hops) return refuse(Drop::kTtlExpired, Admission::kRefused);
  const auto verdict =
      replays_.check(message.origin, message.message_id, message.sent, core_.clock);
  if (verdict == ReplayCache::Verdict::kOutdated)
    return refuse(Drop::kOutdated, Admission::kRefused);
  const bool is_new = verdict == ReplayCache::Verdict::kFresh;
  if (!takes_arc(message)) return refuse(Drop::kReplayed, Admission::kRefused);
  if (is_new && !limits_.allows(message.origin, core_.now()))
    return refuse(Drop::kBroadcastRate, Admission::kRefused);
  // Not acknowledged: the sender knows other ways.
  if (flights_.size() + core_.links.size() > p.max_flights || waves_.size() >= p.max_waves)
    return refuse(Drop::kInFlightFull, Admission::kRefusedInSilence);
  if (!wire::verify(message, core_.identity.group, core_.verifier))
    return refuse(Drop::kBadSignature, Admission::kRefusedInSilence);
  return is_new ? Admission::kNew : Admission::kMore;
}

void Broadcast::on_message(Link& link, ConstBytes bytes) {
  const auto message = wire::parse_broadcast(bytes);
  if (!message) {
    core_.drops.add(Drop::kMalformed);
    return;
  }
  const Admission admission = admit(*message);
  if (admission == Admission::kRefusedInSilence) return;
  core_.send(link, wire::HopAck{message->sequence});
  if (admission == Admission::kRefused) return;
  link.last_used = core_.now();
  const auto hops = static_cast<std::uint8_t>(message->hops + 1);
  remember_arc(*message);
  if (admission == Admission::kNew) {
    limits_.count(message->origin, core_.now());
    replays_.remember(message->origin, message->message_id, message->sent, core_.clock);
    core_.output.tell(
        output::BroadcastReceived{message->origin,
                                  message->message_id,
                                  hops,
                                  {message->payload.begin(), message->payload.end()}});
    answer_if_sampled(*message, hops);
  }
  spread(*message, hops);
}

// A message comes again with the arc of a node that did not acknowledge. The same arc again is a
// repetition; and not without end, lest a replay with ever wider arcs make us flood others.
bool Broadcast::takes_arc(const wire::BroadcastMessage& message) {
  const BroadcastParameters& p = core_.parameters.broadcast;
  std::erase_if(taken_, [&](const Taken& taken) {
    return taken.when + core_.parameters.message_lifetime * 2 < core_.now();
  });
  if (taken_.size() >= p.remembered_arcs) return false;
  std::size_t count = 0;
  for (const Taken& taken : taken_) {
    if (taken.message_id != message.message_id || taken.origin != message.origin.from_zero().high)
      continue;
    if (taken.arc.covers(message.arc)) return false;
    ++count;
  }
  return count < p.max_arcs;
}

void Broadcast::remember_arc(const wire::BroadcastMessage& message) {
  taken_.push_back({message.message_id, message.origin.from_zero().high, core_.now(), message.arc});
}

void Broadcast::answer_if_sampled(const wire::BroadcastMessage& message, std::uint8_t hops) {
  const std::uint32_t own_log2 = std::uint32_t{core_.network_size}
                                 << (kLogFractionBits - kSizeFractionBits);
  const std::uint32_t most =
      sampling_for(core_.parameters.broadcast.sample * kSampleTolerance, own_log2);
  if (!is_sampled(message.message_id, core_.self(), std::min(message.sampling, most))) return;
  wire::ByteWriter payload;
  wire::emit(payload, wire::BroadcastSample{message.message_id, hops});
  Outgoing outgoing;
  outgoing.destination = message.origin;
  outgoing.route = {wire::Direction::kNearest, true, true};
  outgoing.type = wire::PayloadType::kBroadcastSample;
  outgoing.payload = payload.view();
  router_.originate(outgoing);
}

Broadcast::Wave* Broadcast::find_wave(std::uint64_t message_id, const NodeId& origin) {
  for (Wave& wave : waves_)
    if (wave.message_id == message_id && wave.origin == origin) return &wave;
  return nullptr;
}

void Broadcast::spread(const wire::BroadcastMessage& message, std::uint8_t hops) {
  const auto shares = divide(core_.self(), core_.links, message.arc, {});
  if (shares.empty()) return;
  Wave* wave = find_wave(message.message_id, message.origin);
  if (wave == nullptr) {
    waves_.push_back({message.message_id,
                      message.origin,
                      hops,
                      {message.from_origin.begin(), message.from_origin.end()}});
    wave = &waves_.back();
  }
  for (const Share& share : shares) {
    Flight flight;
    flight.message_id = message.message_id;
    flight.origin = message.origin;
    send(*wave, share, std::move(flight));
  }
}

void Broadcast::send(const Wave& wave, const Share& share, Flight flight) {
  if (flights_.size() >= core_.parameters.broadcast.max_flights) {
    core_.drops.add(Drop::kInFlightFull);
    return;
  }
  Link& link = *share.link;
  flight.over = link.id;
  flight.sequence = link.next_sequence++;
  flight.arc = share.arc;
  flight.sent = core_.now();
  flight.deadline = core_.now() + link.rtt.timeout(core_.parameters.shortest_hop_timeout,
                                                   core_.parameters.longest_hop_timeout);
  link.last_used = core_.now();
  wire::ByteWriter writer;
  wire::emit(writer, wire::BroadcastHop{flight.sequence, wave.hops, flight.arc}, wave.from_origin);
  core_.output.send(link.id, writer.view());
  core_.wake_at(flight.deadline);
  flights_.push_back(std::move(flight));
}

void Broadcast::on_hop_ack(Link& link, std::uint16_t sequence) {
  const auto found = std::find_if(flights_.begin(), flights_.end(), [&](const Flight& flight) {
    return flight.over == link.id && flight.sequence == sequence;
  });
  if (found == flights_.end()) return;  // of a routed message, or late
  link.rtt.add(core_.now() - found->sent);
  link.count_loss(false);
  *found = std::move(flights_.back());
  flights_.pop_back();
  forget_finished_waves();
}

void Broadcast::on_link_gone(LinkId link) {
  for (Flight& flight : flights_)
    if (flight.over == link) flight.deadline = core_.now();
  if (!flights_.empty()) core_.wake_at(core_.now());
}

void Broadcast::tick() {
  std::vector<Flight> overdue;
  for (std::size_t i = 0; i < flights_.size();) {
    if (flights_[i].deadline > core_.now()) {
      core_.wake_at(flights_[i++].deadline);
      continue;
    }
    overdue.push_back(std::move(flights_[i]));
    flights_[i] = std::move(flights_.back());
    flights_.pop_back();
  }
  for (Flight& flight : overdue) {
    if (Link* const link = core_.links.find(flight.over)) {
      link->count_loss(true);
      if (!link->probed()) probe(core_, *link);
    }
    send_elsewhere(std::move(flight));
  }
  if (!overdue.empty()) forget_finished_waves();
  std::erase_if(measured_, [&](const Measured& measured) {
    if (measured.ends > core_.now()) {
      core_.wake_at(measured.ends);
      return false;
    }
    end(measured);
    return true;
  });
}

// First by other links, such as that to the nearest node beside the arc: it may have a link that
// works. Where this node is the nearest, the silent one is asked again, lest one lost message cost
// its arc; then the arc is handed to who stands on its other side.
void Broadcast::send_elsewhere(Flight flight) {
  const Wave* const wave = find_wave(flight.message_id, flight.origin);
  if (wave == nullptr) return;
  flight.tried.add(flight.over);
  const auto shares = flight.tried.full() ? std::vector<Share>{}
                                          : divide(core_.self(), core_.links, flight.arc,
                                                   {flight.tried.begin(), flight.tried.size()});
  if (!shares.empty()) {
    for (const Share& share : shares)
      send(*wave, share, flight);
    return;
  }
  Link* const same = core_.links.find(flight.over);
  if (same != nullptr && flight.repeats < core_.parameters.hop_repeats) {
    ++flight.repeats;
    flight.tried.remove_at(flight.tried.size() - 1);
    const Arc arc = flight.arc;
    send(*wave, {same, arc}, std::move(flight));
    return;
  }
  Link* const across = flight.tried.full()
                           ? nullptr
                           : nearest_across(core_.self(), core_.links, flight.arc,
                                            {flight.tried.begin(), flight.tried.size()});
  if (across == nullptr) {
    core_.drops.add(Drop::kHopsExhausted);
    return;
  }
  const Arc arc = flight.arc;
  send(*wave, {across, arc}, std::move(flight));
}

void Broadcast::forget_finished_waves() {
  std::erase_if(waves_, [&](const Wave& wave) {
    return std::none_of(flights_.begin(), flights_.end(), [&](const Flight& flight) {
      return flight.message_id == wave.message_id && flight.origin == wave.origin;
    });
  });
}

}  // namespace ringway::overlay
