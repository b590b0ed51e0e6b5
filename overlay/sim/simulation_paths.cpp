// The way of a message between the two ends of a simulated link: through NATs, each packet of a
// set-up by itself, and over relays, whose labels it takes.
#include <algorithm>

#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kInitiateAgain = Duration::milliseconds(500);  // hole punching
constexpr int kInitiations = 20;                                  // as long as the driver tries

}  // namespace

void Simulation::set_nat(NodeIndex node, const NatBehaviour& behaviour) {
  reach_.set_nat(node, behaviour);
  // Behind a NAT nobody knows where it can be reached until others say so.
  if (!reach_.knows_own_address(node)) nodes_[node].program->overlay.set_candidates({});
}

void Simulation::initiate(std::uint32_t index, const Candidates& candidates) {
  const Connection& connection = connections_[index];
  const bool nats = !connection.relayed && (reach_.nat(connection.node[0]) != nullptr ||
                                            reach_.nat(connection.node[1]) != nullptr);
  if (!nats) return send_set_up(index, 1, kPort);
  for (const net::Endpoint& candidate : candidates) {
    for (int i = 0; i < kInitiations; ++i) {
      queue_.push(now_ + kInitiateAgain * i, {.what = Happening::kInitiate,
                                              .subject = index,
                                              .generation = connection.generation,
                                              .header = candidate.port});
    }
  }
}

void Simulation::handle_initiate(const Occurrence& occurrence) {
  const Connection& connection = connections_[occurrence.subject];
  const Node& opener = nodes_[connection.node[0]];
  if (connection.generation != occurrence.generation || connection.end[0] != End::kPending ||
      connection.answered || !opener.alive || opener.paused)
    return;
  send_set_up(occurrence.subject, 1, static_cast<std::uint16_t>(occurrence.header));
}

std::optional<Simulation::FirstLeg> Simulation::first_leg(Side from, std::uint16_t port) {
  const Connection& connection = connections_[from.connection];
  const NodeIndex sender = connection.node[from.side];
  const NodeIndex receiver = connection.node[1 - from.side];
  FirstLeg leg;
  if (connection.relayed) {
    const output::RelayPath* const path = path_of(sender, nodes_[receiver].id);
    if (path == nullptr) return std::nullopt;
    leg.to_relay = true;
    leg.relay = relay_of(*path);
    leg.header = path->send_label;
    leg.one_way = latency_->between(sender, leg.relay);
  } else {
    const std::uint16_t from_port = reach_.outbound(now_, sender, receiver, port);
    leg.header = (std::uint32_t{from_port} << 16) | port;
    leg.one_way = connection.one_way;
  }
  return leg;
}

void Simulation::handle_at_relay(const Occurrence& occurrence) {
  const Side to = Side::of(LinkId{occurrence.subject});
  const Connection& connection = connections_[to.connection];
  const NodeIndex relay = occurrence.relay;
  const bool is_message = occurrence.what == Happening::kMessage;
  const output::Forward* const forward = nodes_[relay].relay_tables.forward(occurrence.header);
  std::optional<Instant> arrival;
  if (forward != nullptr && reaches(connection.node[to.other().side], relay)) {
    const Duration one_way = latency_->between(relay, connection.node[to.side]);
    if (!is_message) {
      arrival = set_up_arrival(relay, forward->to, one_way);
    } else if (network_ == nullptr) {
      if (!lost()) arrival = now_ + one_way;
    } else if (const auto arrivals = network_->carry(
                   relay, forward->to, buffers_[occurrence.buffer].size(), now_, one_way);
               arrivals.count > 0) {
      arrival = arrivals.at[0];
    }
  }
  if (arrival) {
    ++statistics_.relayed_messages;
    Occurrence second_leg = occurrence;
    second_leg.at_relay = false;
    second_leg.header = forward->to_label;
    queue_.push(*arrival, second_leg);
  } else if (is_message) {
    free_buffers_.push_back(occurrence.buffer);
  }
}

bool Simulation::arrives(const Occurrence& occurrence, Side at) const {
  const Connection& connection = connections_[at.connection];
  const NodeIndex to = connection.node[at.side];
  const NodeIndex from = connection.node[at.other().side];
  if (connection.relayed) {
    return reaches(occurrence.relay, to) &&
           nodes_[to].relay_tables.receives(nodes_[from].id, occurrence.header);
  }
  return reaches(from, to) &&
         reach_.inbound(now_, to, static_cast<std::uint16_t>(occurrence.header), from,
                        static_cast<std::uint16_t>(occurrence.header >> 16));
}

// --- Relays --------------------------------------------------------------------------------------

const output::RelayPath* Simulation::path_of(NodeIndex from, const NodeId& to) const {
  const output::RelayPaths* const paths = nodes_[from].relay_tables.paths_to(to);
  if (paths == nullptr) return nullptr;
  for (const output::RelayPath& path : *paths) {
    const Side leg = Side::of(path.relay);
    const Connection& connection = connections_[leg.connection];
    if (connection.end[leg.side] == End::kUp && connection.node[leg.side] == from) return &path;
  }
  return nullptr;
}

NodeIndex Simulation::relay_of(const output::RelayPath& path) const {
  const Side leg = Side::of(path.relay);
  return connections_[leg.connection].node[1 - leg.side];
}

std::optional<NodeIndex> Simulation::find(const NodeId& id) const {
  const auto found = std::lower_bound(
      ring_order_.begin(), ring_order_.end(), id,
      [&](NodeIndex node, const NodeId& place) { return nodes_[node].id < place; });
  if (found == ring_order_.end() || nodes_[*found].id != id) return std::nullopt;
  return *found;
}

std::optional<NodeIndex> Simulation::relay_between(NodeIndex from, NodeIndex to) const {
  const Link* const link = overlay(from).links().find(nodes_[to].id);
  if (link == nullptr || !link->relayed) return std::nullopt;
  const output::RelayPath* const path = path_of(from, nodes_[to].id);
  return path == nullptr ? std::nullopt : std::optional(relay_of(*path));
}

std::optional<Duration> Simulation::link_latency(NodeIndex from, NodeIndex to) const {
  const Link* const link = overlay(from).links().find(nodes_[to].id);
  if (link == nullptr) return std::nullopt;
  if (!link->relayed) return latency_->between(from, to);
  const auto relay = relay_between(from, to);
  if (!relay) return std::nullopt;
  return latency_->between(from, *relay) + latency_->between(*relay, to);
}

}  // namespace ringway::overlay::sim
