#include "overlay/router.hpp"

#include <algorithm>
#include <utility>

#include "overlay/liveness.hpp"

namespace ringway::overlay {

Router::Sent Router::originate(const Outgoing& outgoing) {
  wire::RoutedMessage message;
  message.ttl = core_.parameters.ttl;
  message.route = outgoing.route;
  message.source = core_.self();
  message.destination = outgoing.destination;
  message.via = outgoing.via;
  message.message_id = outgoing.message_id ? *outgoing.message_id : core_.rng.next_u64();
  message.sent = core_.clock.wall;
  message.payload_type = outgoing.type;
  message.credential = core_.signer.credential();
  message.payload = outgoing.payload;

  NextHop next;
  if (outgoing.first_hop != LinkId::none()) {
    next = {Verdict::kForward, core_.links.find(outgoing.first_hop)};
    if (next.link == nullptr) return Sent::kNoRoute;
  } else {
    next = next_hop(core_.self(), core_.links, message, LinkId::none(), {});
  }
  if (next.verdict == Verdict::kDeliver) return Sent::kHere;
  if (next.link == nullptr) return Sent::kNoRoute;
  if (in_flight_.size() >= core_.parameters.max_in_flight) {
    core_.drops.add(Drop::kInFlightFull);
    return Sent::kNoRoute;
  }
  wire::ByteWriter writer;
  emit_signed(writer, message, core_.identity.group, core_.signer);
  forward(*next.link, writer.view(), message, next.verdict == Verdict::kForwardDetour, {});
  return Sent::kOnItsWay;
}

std::optional<wire::RoutedMessage> Router::on_routed(Link& link, ConstBytes bytes) {
  const auto message = wire::parse_routed(bytes);
  if (!message) {
    core_.drops.add(Drop::kMalformed);
    return std::nullopt;
  }
  const LinkId came_from = link.id;
  const NextHop next = next_hop(core_.self(), core_.links, *message, came_from, {});
  const bool passes_on = next.link != nullptr;
  if (passes_on && in_flight_.size() >= core_.parameters.max_in_flight) {
    core_.drops.add(Drop::kInFlightFull);  // not acknowledged: the sender knows other ways
    return std::nullopt;
  }
  core_.send(link, wire::HopAck{message->sequence});
  link.last_used = core_.now();
  if (next.verdict == Verdict::kDeliver) return deliver(*message);
  if (!passes_on) {
    core_.drops.add(Drop::kNoRoute);
  } else if (message->ttl == 0) {
    core_.drops.add(Drop::kTtlExpired);
  } else {
    InFlight state;
    state.came_from = came_from;
    forward(*next.link, bytes, *message, next.verdict == Verdict::kForwardDetour, std::move(state));
  }
  return std::nullopt;
}

void Router::forward(Link& link, ConstBytes bytes, const wire::RoutedMessage& message, bool detour,
                     InFlight&& state) {
  state.over = link.id;
  state.sequence = link.next_sequence++;
  state.sent = core_.now();
  state.deadline = core_.now() + link.rtt.timeout(core_.parameters.shortest_hop_timeout,
                                                  core_.parameters.longest_hop_timeout);
  state.tried.add(link.id);
  if (state.bytes.empty()) {
    state.bytes.assign(bytes.begin(), bytes.end());
    wire::store_hop_fields(
        state.bytes, {state.sequence, static_cast<std::uint8_t>(message.hops + 1),
                      static_cast<std::uint8_t>(message.ttl - 1), message.detour_taken || detour});
  } else {  // another next hop of the same hop
    wire::store_hop_fields(
        state.bytes, {state.sequence, message.hops, message.ttl, message.detour_taken || detour});
  }
  link.last_used = core_.now();
  core_.output.send(link.id, state.bytes);
  core_.wake_at(state.deadline);
  in_flight_.push_back(std::move(state));
}

void Router::on_hop_ack(Link& link, std::uint16_t sequence) {
  const auto found =
      std::find_if(in_flight_.begin(), in_flight_.end(), [&](const InFlight& flight) {
        return flight.over == link.id && flight.sequence == sequence;
      });
  if (found == in_flight_.end()) return;  // late: it went another way too
  link.rtt.add(core_.now() - found->sent);
  link.count_loss(false);
  *found = std::move(in_flight_.back());
  in_flight_.pop_back();
}

void Router::send_elsewhere(InFlight&& state) {
  const auto message = wire::parse_routed(state.bytes);
  if (!message || state.tried.size() >= static_cast<std::size_t>(core_.parameters.hop_tries)) {
    core_.drops.add(Drop::kHopsExhausted);
    return;
  }
  const NextHop next = next_hop(core_.self(), core_.links, *message, state.came_from,
                                {state.tried.begin(), state.tried.size()});
  if (next.verdict == Verdict::kDeliver && message->source != core_.self()) {
    retry_or_take(std::move(state), *message);
    return;
  }
  if (next.link == nullptr) {
    core_.drops.add(Drop::kHopsExhausted);
    return;
  }
  forward(*next.link, {}, *message, next.verdict == Verdict::kForwardDetour, std::move(state));
}

// Only the silent node is closer. It is asked again, lest one lost message makes us answer in its
// place; then it counts as dead.
void Router::retry_or_take(InFlight&& state, const wire::RoutedMessage& message) {
  Link* const same = core_.links.find(state.over);
  if (same == nullptr || state.repeats >= core_.parameters.hop_repeats) {
    arrived_.push_back(std::move(state.bytes));
    return;
  }
  ++state.repeats;
  state.tried.clear();
  forward(*same, {}, message, false, std::move(state));
}

std::optional<wire::RoutedMessage> Router::take_arrived() {
  if (arrived_.empty()) return std::nullopt;
  taken_ = std::move(arrived_.back());
  arrived_.pop_back();
  const auto message = wire::parse_routed(taken_);
  return message ? deliver(*message) : std::nullopt;
}

void Router::on_link_gone(LinkId link) {
  for (InFlight& flight : in_flight_)
    if (flight.over == link) flight.deadline = core_.now();
  core_.wake_at(core_.now());
}

void Router::tick() {
  std::vector<InFlight> overdue;
  for (std::size_t i = 0; i < in_flight_.size();) {
    if (in_flight_[i].deadline > core_.now()) {
      core_.wake_at(in_flight_[i++].deadline);
      continue;
    }
    overdue.push_back(std::move(in_flight_[i]));
    in_flight_[i] = std::move(in_flight_.back());
    in_flight_.pop_back();
  }
  for (InFlight& state : overdue) {
    if (Link* const link = core_.links.find(state.over)) {
      link->count_loss(true);
      if (!link->probed()) probe(core_, *link);
    }
    send_elsewhere(std::move(state));
  }
}

std::optional<wire::RoutedMessage> Router::deliver(const wire::RoutedMessage& message) {
  switch (replays_.check(message.source, message.message_id, message.sent, core_.clock)) {
    case ReplayCache::Verdict::kReplayed:
      core_.drops.add(Drop::kReplayed);
      return std::nullopt;
    case ReplayCache::Verdict::kOutdated:
      core_.drops.add(Drop::kOutdated);
      return std::nullopt;
    case ReplayCache::Verdict::kFresh:
      break;
  }
  if (!wire::verify(message, core_.identity.group, core_.verifier)) {
    core_.drops.add(Drop::kBadSignature);
    return std::nullopt;
  }
  replays_.remember(message.source, message.message_id, message.sent, core_.clock);
  return message;
}

}  // namespace ringway::overlay
