#include "overlay/relay/relayed_links.hpp"

#include <algorithm>
#include <utility>

#include "overlay/liveness.hpp"
#include "overlay/relay/relay_choice.hpp"
#include "overlay/spare_room.hpp"

namespace ringway::overlay {
namespace {

constexpr std::size_t kSparePeers = 1;  // one is 640 bytes
constexpr Duration kNoWay = Duration::seconds(3600);

// What a relay needs at each end: a direct link that answers.
bool carries(const Link* link) {
  return link != nullptr && !link->relayed && !link->suspect();
}

}  // namespace

RelayedLinks::Peer* RelayedLinks::find(const NodeId& node) {
  const auto found = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const Peer& peer) { return peer.node == node; });
  return found == peers_.end() ? nullptr : &*found;
}

RelayedLinks::Peer* RelayedLinks::find_or_add(const NodeId& node) {
  if (Peer* const peer = find(node)) return peer;
  if (node == core_.self() || peers_.size() >= core_.parameters.relay.max_peers) {
    core_.drops.add(Drop::kRelayRefused);
    return nullptr;
  }
  Peer peer;
  peer.node = node;
  peer.deadline = core_.now() + core_.parameters.relay.seek_timeout;
  core_.wake_at(peer.deadline);
  if (peers_.empty()) {
    housekeeping_due_ = core_.now() + core_.parameters.relay.trial_time;
    core_.wake_at(housekeeping_due_);
  }
  if (peers_.size() == peers_.capacity()) peers_.reserve(peers_.size() + kSparePeers);
  if (peers_.size() == peers_.capacity()) peers_.reserve(peers_.size() + kSparePeers);
  peers_.push_back(std::move(peer));
  return &peers_.back();
}

std::size_t RelayedLinks::find_relay(const Peer& peer, const NodeId& node) {
  const auto found = std::find_if(peer.relays.begin(), peer.relays.end(),
                                  [&](const Relay& relay) { return relay.node == node; });
  return static_cast<std::size_t>(found - peer.relays.begin());
}

std::vector<RelayedLinks::Relay> RelayedLinks::relays_of(const NodeId& node) const {
  for (const Peer& peer : peers_)
    if (peer.node == node) return peer.relays;
  return {};
}

std::uint32_t RelayedLinks::new_label() const {
  for (;;) {
    const std::uint32_t label = core_.rng.next_u32();
    const bool taken =
        label == 0 || std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
          return std::any_of(peer.relays.begin(), peer.relays.end(),
                             [&](const Relay& relay) { return relay.receive_label == label; });
        });
    if (!taken) return label;
  }
}

// --- Who could relay -----------------------------------------------------------------------------

void RelayedLinks::seek(const NodeId& node, std::uint8_t wants) {
  if (!core_.parameters.relay.enabled || core_.links.find(node) != nullptr) return;
  const bool known = find(node) != nullptr;
  Peer* const peer = find_or_add(node);
  if (peer == nullptr) return;
  peer->wants |= wants;
  peer->deadline = core_.now() + core_.parameters.relay.seek_timeout;
  const bool granted =
      std::any_of(peer->relays.begin(), peer->relays.end(),
                  [](const Relay& relay) { return relay.state == Relay::State::kGranted; });
  if (granted) {
    open_or_use(*peer);
  } else if (!known) {
    ask_for_list(node);
  }
}

void RelayedLinks::ask_for_list(const NodeId& node) {
  wire::ByteWriter body;
  wire::emit_neighbours(body, list_for(node));
  Query query;
  query.purpose = Purpose::kRelay;
  query.method = wire::kNeighboursMethod;
  query.destination = node;
  query.route = {wire::Direction::kNearest, true, true};
  query.via = linker_.neighbour_of(node);
  query.tries = 2;
  query.body.assign(body.view().begin(), body.view().end());
  rpc_.ask(query);
}

// Relays that serve the two already; half of the rest are those next to the other node, whom it is
// likely to know, half the nearest in time, who are the best relays if it gets to know them.
wire::NeighbourList RelayedLinks::list_for(const NodeId& node) const {
  std::vector<const Link*> direct;
  for (const Link& link : core_.links)
    if (carries(&link) && link.node != node) direct.push_back(&link);
  const auto serves = [&](const Link* link) {
    const auto found = std::find_if(peers_.begin(), peers_.end(),
                                    [&](const Peer& peer) { return peer.node == node; });
    return found != peers_.end() && find_relay(*found, link->node) < found->relays.size();
  };
  const auto rest = std::partition(direct.begin(), direct.end(), serves);
  std::sort(rest, direct.end(), [&](const Link* a, const Link* b) {
    return ring_distance(a->node, node) < ring_distance(b->node, node);
  });
  const auto half = std::min<std::ptrdiff_t>(direct.end() - rest, wire::kMaxNeighbours / 2);
  std::sort(rest + half, direct.end(), [](const Link* a, const Link* b) {
    const bool known = a->rtt.known();
    if (known != b->rtt.known()) return known;
    return a->rtt.mean() != b->rtt.mean() ? a->rtt.mean() < b->rtt.mean() : a->node < b->node;
  });
  wire::NeighbourList list;
  for (const Link* const link : direct)
    list.neighbours.add(describe(*link, core_.now()));
  return list;
}

void RelayedLinks::on_request(const wire::RoutedMessage& message, const wire::Request& request) {
  const auto list = wire::parse_neighbours(request.body);
  if (!list) {
    core_.drops.add(Drop::kMalformed);
    return;
  }
  wire::ByteWriter body;
  wire::emit_neighbours(body, list_for(message.source));
  rpc_.reply_for_service(message, request, body.view());
  // The source asks those that both know. Where there are none, both ends get to know the other's.
  if (core_.links.find(message.source) != nullptr || !core_.parameters.relay.enabled) return;
  const bool common = std::any_of(
      list->neighbours.begin(), list->neighbours.end(),
      [&](const wire::Neighbour& each) { return carries(core_.links.find(each.node)); });
  if (common) return;
  if (Peer* const peer = find_or_add(message.source)) {
    peer->list = *list;
    try_neighbours(*peer, kNoWay);
  }
}

void RelayedLinks::on_answer(const Answer& answer) {
  Peer* const peer = find(answer.query.destination);
  if (peer == nullptr || !answer.answered) return;
  const auto list = wire::parse_neighbours(answer.body);
  if (!list) {
    core_.drops.add(Drop::kMalformed);
    return;
  }
  peer->list = *list;
  recruit(*peer);
}

Duration RelayedLinks::cost_of(const Peer& peer, const NodeId& relay) const {
  const Link* const near = core_.links.find(relay);
  if (!carries(near)) return kNoWay;
  const std::size_t known = find_relay(peer, relay);
  const std::uint8_t load = known < peer.relays.size() ? peer.relays[known].load : 0;
  RelayLegs legs = legs_unknown(*near, load, core_.now());
  for (const wire::Neighbour& far : peer.list.neighbours)
    if (far.node == relay) legs = legs_over(*near, far, load, core_.now());
  return relay_cost(legs, core_.parameters.relay);
}

// Of the other's neighbours that are ours as well and were not asked yet.
const wire::Neighbour* RelayedLinks::best_to_ask(const Peer& peer) const {
  const wire::Neighbour* best = nullptr;
  for (const wire::Neighbour& each : peer.list.neighbours) {
    if (each.node == peer.node || !carries(core_.links.find(each.node))) continue;
    if (find_relay(peer, each.node) < peer.relays.size()) continue;
    if (best == nullptr || cost_of(peer, each.node) < cost_of(peer, best->node)) best = &each;
  }
  return best;
}

void RelayedLinks::recruit(Peer& peer) {
  const RelayParameters& p = core_.parameters.relay;
  const auto serving = [&] {
    return static_cast<std::size_t>(
        std::count_if(peer.relays.begin(), peer.relays.end(),
                      [](const Relay& r) { return r.state != Relay::State::kRefused; }));
  };
  while (serving() < p.active && peer.relays.size() < p.max_a_peer) {
    const wire::Neighbour* const best = best_to_ask(peer);
    if (best == nullptr) break;
    ask(peer, *core_.links.find(best->node));
  }
  if (serving() == 0) try_neighbours(peer, kNoWay);
}

void RelayedLinks::ask(Peer& peer, Link& relay) {
  Relay asked;
  asked.node = relay.node;
  asked.ours = true;
  asked.receive_label = new_label();
  asked.due = core_.now() + core_.parameters.relay.answer_timeout;
  core_.wake_at(asked.due);
  core_.send(relay, wire::RelayRequest{peer.node, asked.receive_label});
  core_.set_wants(relay, relay.ours | wire::kWantsRelay);
  peer.relays.push_back(asked);
}

// Links with the other's neighbours that are nearest to it in time, if a relay there could be
// better than `below`.
void RelayedLinks::try_neighbours(Peer& peer, Duration below) {
  const RelayParameters& p = core_.parameters.relay;
  std::vector<wire::Neighbour> choices;
  for (const wire::Neighbour& each : peer.list.neighbours) {
    if (each.node == core_.self() || core_.links.find(each.node) != nullptr) continue;
    if (Duration::milliseconds(each.rtt_ms) < below || below == kNoWay) choices.push_back(each);
  }
  std::stable_sort(choices.begin(), choices.end(),
                   [](const auto& a, const auto& b) { return a.rtt_ms < b.rtt_ms; });
  for (std::size_t i = 0; i < choices.size() && i < p.trials_at_once && peer.trials < p.trials;
       ++i) {
    ++peer.trials;
    linker_.link_through_ring(choices[i].node, wire::kWantsRelay, 1);
  }
}

// --- Relays answer -------------------------------------------------------------------------------

void RelayedLinks::handle(const Link& link, const wire::RelayGrant& grant) {
  Peer* const peer = find(grant.node);
  const std::size_t at = peer == nullptr ? 0 : find_relay(*peer, link.node);
  if (peer == nullptr || link.relayed || at == peer->relays.size() ||
      peer->relays[at].state == Relay::State::kRefused) {
    core_.drops.add(Drop::kRelayUnasked);
    return;
  }
  Relay& relay = peer->relays[at];
  const bool news = relay.state != Relay::State::kGranted || relay.send_label != grant.label;
  relay.state = Relay::State::kGranted;
  relay.renewing = false;
  relay.load = grant.load;
  relay.send_label = grant.label;
  relay.due = core_.now() + core_.parameters.relay.renewal;
  core_.wake_at(relay.due);
  if (news) open_or_use(*peer);
}

void RelayedLinks::handle(Link& link, const wire::RelayOffer& offer) {
  const RelayParameters& p = core_.parameters.relay;
  const Link* const to_peer = core_.links.find(offer.node);
  const bool useless = to_peer != nullptr && !to_peer->relayed;
  Peer* const peer = useless || link.relayed || !p.enabled ? nullptr : find_or_add(offer.node);
  if (peer == nullptr) {
    core_.send(link, wire::RelayRelease{offer.node, wire::ReleaseReason::kUnwanted});
    return;
  }
  std::size_t at = find_relay(*peer, link.node);
  if (at == peer->relays.size()) {
    if (at >= p.max_a_peer) {
      core_.drops.add(Drop::kRelayRefused);
      core_.send(link, wire::RelayRelease{offer.node, wire::ReleaseReason::kBusy});
      return;
    }
    Relay relay;
    relay.node = link.node;
    relay.receive_label = new_label();
    peer->relays.push_back(relay);
  }
  Relay& relay = peer->relays[at];
  relay.state = Relay::State::kGranted;
  relay.load = offer.load;
  relay.send_label = offer.label;
  relay.due = core_.now() + p.renewal;
  core_.send(link, wire::RelayAccept{offer.node, relay.receive_label});
  core_.set_wants(link, link.ours | wire::kWantsRelay);
  set_relays(*peer);
}

void RelayedLinks::handle(const Link& link, const wire::RelayRelease& release) {
  Peer* const peer = find(release.node);
  if (peer == nullptr) return;
  const std::size_t at = find_relay(*peer, link.node);
  if (at == peer->relays.size()) return;
  const bool was_asked = peer->relays[at].state == Relay::State::kAsked;
  if (was_asked) {  // refused: not asked again for a while
    peer->relays[at].state = Relay::State::kRefused;
    peer->relays[at].due = core_.now() + core_.parameters.relay.refused_for;
    core_.wake_at(peer->relays[at].due);
  } else {
    drop_relay(*peer, link.node);
  }
  recruit(*peer);
}

void RelayedLinks::drop_relay(Peer& peer, const NodeId& node) {
  const std::size_t at = find_relay(peer, node);
  if (at == peer.relays.size()) return;
  const bool granted = peer.relays[at].state == Relay::State::kGranted;
  peer.relays.erase(peer.relays.begin() + static_cast<std::ptrdiff_t>(at));
  if (granted) set_relays(peer);
}

void RelayedLinks::set_relays(const Peer& peer) {
  output::SetRelays set;
  set.node = peer.node;
  for (const Relay& relay : peer.relays) {
    const Link* const link = core_.links.find(relay.node);
    if (link != nullptr && relay.state == Relay::State::kGranted)
      set.relays.add({link->id, relay.send_label, relay.receive_label});
  }
  core_.output.relay(set);
}

void RelayedLinks::open_or_use(Peer& peer) {
  const Link* const link = core_.links.find(peer.node);
  if (link != nullptr) {
    compare(peer);
    set_relays(peer);
    return;
  }
  set_relays(peer);
  linker_.link_over_relays(peer.node, peer.wants);
}

// --- The link is up ------------------------------------------------------------------------------

void RelayedLinks::on_link_up(Link& link) {
  const RelayParameters& p = core_.parameters.relay;
  Peer* const own = find(link.node);
  if (own != nullptr && !link.relayed) {
    erase(static_cast<std::size_t>(own - peers_.data()));
  } else if (own != nullptr) {
    own->deadline = Instant::never();
    own->exchange_interval = p.first_exchange;
    own->exchange_due = core_.now() + core_.jitter(p.first_exchange);
    own->direct_interval = p.first_direct_retry;
    // One end asks, both open.
    if (core_.self() > link.node) own->direct_due = core_.now() + p.first_direct_retry;
    core_.wake_at(std::min(own->exchange_due, own->direct_due));
  }
  if (link.relayed) return;
  for (Peer& peer : peers_) {  // it may be one that relays to others
    if (find_relay(peer, link.node) < peer.relays.size()) set_relays(peer);
    const auto& list = peer.list.neighbours;
    const bool knows = std::any_of(list.begin(), list.end(), [&](const wire::Neighbour& each) {
      return each.node == link.node;
    });
    if (!knows) continue;
    if (core_.links.find(peer.node) == nullptr) {
      recruit(peer);
    } else {
      compare(peer);
    }
  }
}

void RelayedLinks::on_link_gone(const Link& link) {
  // Of two links that both ends opened one goes: the other may still be on its way here, through
  // the same relays.
  if (Peer* const own = find(link.node); own != nullptr && link.relayed) {
    own->exchange_due = own->direct_due = Instant::never();
    own->deadline = core_.now() + core_.parameters.relay.kept_without_link;
    core_.wake_at(own->deadline);
  }
  for (Peer& peer : peers_) {
    if (find_relay(peer, link.node) == peer.relays.size()) continue;
    drop_relay(peer, link.node);
    recruit(peer);
  }
}

void RelayedLinks::erase(std::size_t index) {
  Peer peer = std::move(peers_[index]);
  peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(index));
  give_back_beyond(peers_, kSparePeers);
  for (const Relay& relay : peer.relays) {
    const Link* const link = core_.links.find(relay.node);
    if (link != nullptr && relay.state != Relay::State::kRefused)
      core_.send(*link, wire::RelayRelease{peer.node, wire::ReleaseReason::kUnwanted});
  }
  peer.relays.clear();
  set_relays(peer);
}

void RelayedLinks::handle(const Link& link, const wire::NeighbourList& list) {
  Peer* const peer = find(link.node);
  if (peer == nullptr || !link.relayed) {
    core_.drops.add(Drop::kRelayUnasked);
    return;
  }
  peer->list = list;
  recruit(*peer);
  compare(*peer);
  if (!peer->relays.empty()) try_neighbours(*peer, cost_of(*peer, peer->relays[0].node));
}

// Whether another relay is clearly better than that in use, for long enough.
void RelayedLinks::compare(Peer& peer) {
  const RelayParameters& p = core_.parameters.relay;
  if (peer.relays.empty()) return;
  const Duration current =
      peer.relays[0].state == Relay::State::kGranted ? cost_of(peer, peer.relays[0].node) : kNoWay;
  std::size_t best = 0;
  for (std::size_t i = 1; i < peer.relays.size(); ++i) {
    if (peer.relays[i].state != Relay::State::kGranted) continue;
    if (cost_of(peer, peer.relays[i].node) < cost_of(peer, peer.relays[best].node)) best = i;
  }
  const wire::Neighbour* const other = best_to_ask(peer);
  const Duration best_cost = cost_of(peer, peer.relays[best].node);
  const bool other_better =
      other != nullptr && clearly_better(cost_of(peer, other->node), best_cost, p);
  if (!other_better && !clearly_better(best_cost, current, p)) {
    peer.better_rounds = 0;
    return;
  }
  if (++peer.better_rounds < p.better_rounds) return;
  if (other_better) {  // used when it was granted
    if (peer.relays.size() < p.max_a_peer) ask(peer, *core_.links.find(other->node));
    return;
  }
  std::swap(peer.relays[0], peer.relays[best]);
  peer.better_rounds = 0;
  set_relays(peer);
}

bool RelayedLinks::leave_relay(Peer& peer) {
  if (peer.relays.size() < 2 || core_.now() < peer.left_relay + core_.parameters.relay.leave_again)
    return false;
  const auto next =
      std::find_if(peer.relays.begin() + 1, peer.relays.end(),
                   [](const Relay& relay) { return relay.state == Relay::State::kGranted; });
  if (next == peer.relays.end()) return false;
  peer.left_relay = core_.now();
  if (Link* const relay = core_.links.find(peer.relays[0].node);
      relay != nullptr && !relay->probed())
    probe(core_, *relay);
  std::rotate(peer.relays.begin(), next, peer.relays.end());
  set_relays(peer);
  return true;
}

// Nothing is heard over the link: perhaps a relay is gone, this end's or the other's. Both take
// another at once.
void RelayedLinks::leave_silent_relay(Peer& peer, const Link& link) {
  if (link.probed() && leave_relay(peer)) core_.send(link, wire::RelaySilence{});
}

void RelayedLinks::handle(const Link& link, const wire::RelaySilence&) {
  Peer* const peer = find(link.node);
  if (peer == nullptr || !link.relayed) {
    core_.drops.add(Drop::kRelayUnasked);
    return;
  }
  leave_relay(*peer);
}

void RelayedLinks::renew(Peer& peer) {
  const RelayParameters& p = core_.parameters.relay;
  BoundedList<NodeId, 8> gone;
  bool answer_missing = false;
  std::size_t in_use = 0;
  for (Relay& relay : peer.relays) {
    const bool granted = relay.state == Relay::State::kGranted;
    // Those beyond what is kept active end with their lease, unless the other end renews them.
    const bool keeps = granted && ++in_use <= p.active;
    if (relay.due > core_.now()) continue;
    Link* const link = core_.links.find(relay.node);
    if (relay.state == Relay::State::kAsked) {  // no answer is a refusal
      relay.state = Relay::State::kRefused;
      relay.due = core_.now() + p.refused_for;
      answer_missing = true;
    } else if (!granted || relay.renewing || link == nullptr) {
      gone.add(relay.node);
    } else if (keeps) {
      relay.renewing = true;
      relay.due = core_.now() + p.answer_timeout;
      core_.send(*link, wire::RelayRequest{peer.node, relay.receive_label});
    } else {
      relay.due = core_.now() + p.renewal;
    }
  }
  for (const NodeId& node : gone)
    drop_relay(peer, node);
  if (!gone.empty() || answer_missing) recruit(peer);
  for (const Relay& relay : peer.relays)
    core_.wake_at(relay.due);
}

void RelayedLinks::care_for(Peer& peer, Link& link) {
  const RelayParameters& p = core_.parameters.relay;
  leave_silent_relay(peer, link);
  if (core_.now() >= peer.exchange_due) {
    for (const Relay& relay : peer.relays) {  // what is said of them is to be fresh
      Link* const leg = core_.links.find(relay.node);
      if (leg != nullptr && !leg->probed()) probe(core_, *leg);
    }
    core_.send(link, list_for(peer.node));
    if (peer.relays.empty()) ask_for_list(peer.node);
    peer.exchange_due = core_.now() + peer.exchange_interval;
    peer.exchange_interval = std::min(peer.exchange_interval * 2, p.longest_exchange);
  }
  if (core_.now() >= peer.direct_due) {
    linker_.link_through_ring(peer.node, wire::kWantsNothing, 1);
    peer.direct_due = core_.now() + peer.direct_interval + core_.jitter(peer.direct_interval);
    peer.direct_interval = std::min(peer.direct_interval * 2, p.longest_direct_retry);
  }
  core_.wake_at(std::min(peer.exchange_due, peer.direct_due));
}

// Links that were to become relays and did not, or are none any more.
void RelayedLinks::release_unused() {
  const RelayParameters& p = core_.parameters.relay;
  for (Link& link : core_.links) {
    if ((link.ours & wire::kWantsRelay) == 0 || core_.now() < link.up_since + p.trial_time)
      continue;
    const bool used = std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
      return find_relay(peer, link.node) < peer.relays.size();
    });
    if (!used) core_.set_wants(link, link.ours & static_cast<std::uint8_t>(~wire::kWantsRelay));
  }
}

void RelayedLinks::tick() {
  for (std::size_t i = peers_.size(); i > 0; --i) {
    Peer& peer = peers_[i - 1];
    if (core_.now() >= peer.deadline) {
      erase(i - 1);
      continue;
    }
    core_.wake_at(peer.deadline);
    renew(peer);
    Link* const link = core_.links.find(peer.node);
    if (link != nullptr && link->relayed) care_for(peer, *link);
  }
  if (core_.now() >= housekeeping_due_) {
    release_unused();
    const bool more = !peers_.empty() || core_.links.count_wanted_here(wire::kWantsRelay) > 0;
    housekeeping_due_ = more ? core_.now() + core_.parameters.relay.trial_time : Instant::never();
  }
  core_.wake_at(housekeeping_due_);
}

}  // namespace ringway::overlay
