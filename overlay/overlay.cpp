#include "overlay/overlay.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "overlay/sealing.hpp"

namespace ringway::overlay {

Overlay::Overlay(const Parameters& parameters, const Identity& identity, Signer& signer,
                 Sealer& sealer, Verifier& verifier, Rng& rng)
    : core_(parameters, identity, signer, sealer, verifier, rng),
      router_(core_),
      rpc_(core_, router_),
      linker_(core_, rpc_),
      near_(core_, rpc_, linker_),
      shortcuts_(core_, rpc_, linker_),
      joining_(core_, rpc_, linker_),
      liveness_(core_),
      relayed_(core_, rpc_, linker_),
      relay_service_(core_),
      observed_(core_),
      broadcast_(core_, router_),
      crawl_(core_, rpc_, near_),
      coordinates_(core_),
      dht_(core_, router_, rpc_) {}

// --- The node comes and goes -------------------------------------------------------------------

void Overlay::start(Clock clock) {
  enter(clock);
  liveness_.start();
  near_.start();
  joining_.start();
}

void Overlay::leave(Clock clock) {
  enter(clock);
  for (const Link& link : core_.links)
    say_goodbye(link, wire::GoodbyeReason::kLeaving);
  while (core_.links.size() > 0)
    core_.links.remove(core_.links.at(core_.links.size() - 1).id);
  core_.deadline = Instant::never();
}

void Overlay::tick(Clock clock) {
  enter(clock);
  core_.deadline = Instant::never();
  Liveness::DeadLinks dead;
  liveness_.tick(dead);
  for (const LinkId id : dead) {
    say_goodbye(*core_.links.find(id), wire::GoodbyeReason::kSilent);
    drop_link(id, true);
  }
  if (liveness_.turn_began()) {
    expire_links();
    if (rpc_.in_ring()) shortcuts_.adjust(near_.network_log2());
    dht_.begin_turn();
  }
  router_.tick();
  while (router_.has_arrived())
    if (const auto message = router_.take_arrived()) handle_delivered(*message);
  broadcast_.tick();
  rpc_.tick();
  linker_.tick();
  near_.tick();
  joining_.tick(rpc_.in_ring());
  relayed_.tick();
  relay_service_.tick();
  dht_.tick();
  settle();
}

void Overlay::settle() {
  while (rpc_.has_answers())
    handle_answer(rpc_.take_answer());
  Linker::Failed failed;
  bool neighbour_failed = false;
  while (linker_.poll_failed(failed))
    neighbour_failed |= (failed.wants & wire::kWantsNear) != 0;
  if (neighbour_failed) near_.reconsider();
  while (linker_.poll_stuck(failed))
    relayed_.seek(failed.node, failed.wants);
  shortcuts_.tick();
}

// --- Links -------------------------------------------------------------------------------------

bool Overlay::has_room(const NodeId& node, std::uint8_t wants) const {
  // What this end asked for is bounded already. Some room is for neighbours alone.
  if (wants != 0) return true;
  const Parameters& p = core_.parameters;
  const std::size_t all = p.max_links + p.max_leaves;
  const auto between_neighbours = [&](const NearNeighbours::Side& side) {
    return side.empty() ||
           ring_distance(core_.self(), node) <= ring_distance(core_.self(), side[side.size() - 1]);
  };
  if (between_neighbours(near_.right()) || between_neighbours(near_.left()))
    return core_.links.size() < all;
  return core_.links.count_leaves() < p.max_leaves && core_.links.count_in_ring() < p.max_links &&
         core_.links.size() + p.kept_for_neighbours < all;
}

void Overlay::link_up(Clock clock, const LinkUp& up) {
  enter(clock);
  const std::uint8_t wants = linker_.on_link_up(up.attempt, up.node);
  Link* const older = core_.links.find(up.node);
  const bool opened_here = up.attempt != AttemptId{};
  if (up.node == core_.self()) {
    core_.output.close(up.link);  // our own address, by whatever way we were told it
  } else if (older != nullptr && !newer_link_wins(core_.self(), *older, opened_here, up.relayed)) {
    Link refused;
    refused.id = up.link;
    say_goodbye(refused, wire::GoodbyeReason::kDuplicate);
    core_.set_wants(*older, older->ours | wants);
  } else if (older != nullptr) {
    replace_link(*older, up, wants);
  } else if (!has_room(up.node, wants)) {
    Link refused;
    refused.id = up.link;
    core_.drops.add(Drop::kRefusedLink);
    say_goodbye(refused, wire::GoodbyeReason::kBusy);
  } else {
    Link link;
    link.id = up.link;
    link.node = up.node;
    link.opened_here = opened_here;
    link.relayed = up.relayed;
    link.ours = wants;
    link.up_since = link.last_received = link.last_used = link.unwanted_since = core_.now();
    if (up.rtt > Duration{}) link.rtt.add(up.rtt);
    if (!up.relayed) link.candidates.add(up.observed);
    Link& added = core_.links.add(std::move(link));
    core_.send(added, hello(added, up));
    near_.update();
    joining_.on_link_up(added);
    relayed_.on_link_up(added);
    if (added.wants(wire::kWantsNear)) near_.send_status(added);
  }
  settle();
}

void Overlay::replace_link(Link& older, const LinkUp& up, std::uint8_t wants) {
  say_goodbye(older, wire::GoodbyeReason::kDuplicate);
  const Link gone = older;
  core_.links.rename(older, up.link);
  older.opened_here = up.attempt != AttemptId{};
  if (older.relayed != up.relayed) older.rtt = {};
  older.relayed = up.relayed;
  older.ours |= wants;
  older.probes = 0;
  older.last_received = core_.now();
  if (up.rtt > Duration{}) older.rtt.add(up.rtt);
  core_.send(older, hello(older, up));
  router_.on_link_gone(gone.id);
  broadcast_.on_link_gone(gone.id);
  relay_service_.on_link_gone(gone);
  relayed_.on_link_up(older);
}

wire::Hello Overlay::hello(const Link& link, const LinkUp& up) const {
  wire::Hello hello{core_.heartbeat(link), core_.candidates, {}};
  if (!up.relayed && up.observed.valid()) hello.observed.add(up.observed);
  return hello;
}

void Overlay::link_down(Clock clock, LinkId id) {
  enter(clock);
  if (core_.links.find(id) != nullptr) drop_link(id, true);
  settle();
}

void Overlay::open_failed(Clock clock, AttemptId attempt) {
  enter(clock);
  linker_.on_open_failed(attempt);
  settle();
}

void Overlay::send_queue(Clock clock, LinkId id, std::size_t packets) {
  enter(clock);
  Link* const link = core_.links.find(id);
  if (link == nullptr) return;
  const double weight = core_.parameters.queue_mean_weight;
  link->queue_mean = weight * link->queue_mean + (1 - weight) * static_cast<double>(packets);
  if (link->queue_mean > core_.parameters.overload_packets) {
    say_goodbye(*link, wire::GoodbyeReason::kOverload);
    drop_link(id, false);
  }
  settle();
}

void Overlay::say_goodbye(const Link& link, wire::GoodbyeReason reason) {
  core_.send(link, wire::Goodbye{reason});
  core_.output.close(link.id);
}

// lost: without a goodbye; its node may be dead, and others with it, or out of our sight.
void Overlay::drop_link(LinkId id, bool lost) {
  const Link link = *core_.links.find(id);
  core_.links.remove(id);
  router_.on_link_gone(id);
  relay_service_.on_link_gone(link);
  relayed_.on_link_gone(link);
  broadcast_.on_link_gone(id);
  if (lost && link.in_ring()) joining_.remember({link.node, link.candidates});
  if (lost) dht_.on_link_lost();
  if (lost) liveness_.on_lost(link);
  near_.update();
  if (link.near()) {
    for (const Contact& contact : link.near_list)
      if (contact.node != link.node) near_.consider(contact);
    near_.reconsider();
  }
}

void Overlay::expire_links() {
  BoundedList<LinkId, 8> unwanted;
  for (Link& link : core_.links) {
    if ((link.ours & wire::kWantsOnDemand) != 0 &&
        core_.now() > link.last_used + core_.parameters.on_demand_idle) {
      core_.set_wants(link, link.ours & static_cast<std::uint8_t>(~wire::kWantsOnDemand));
    }
    if (!link.wanted() && core_.now() > link.unwanted_since + core_.parameters.unwanted_grace)
      unwanted.add(link.id);
  }
  for (const LinkId id : unwanted) {
    say_goodbye(*core_.links.find(id), wire::GoodbyeReason::kUnwanted);
    drop_link(id, false);
  }
}

// --- What the other ends of links say ----------------------------------------------------------

void Overlay::receive(Clock clock, LinkId id, ConstBytes message) {
  enter(clock);
  Link* const link = core_.links.find(id);
  if (link == nullptr) {
    core_.drops.add(Drop::kUnknownLink);
    return;
  }
  const auto type = wire::link_message_type(message);
  if (type == wire::LinkMessageType::kRouted) {
    link->heard_at(core_.now());
    handle_routed(*link, message);
  } else if (wire::is_relay_message(message)) {
    handle_relay_message(*link, message);
  } else if (type == wire::LinkMessageType::kBroadcast) {
    link->heard_at(core_.now());
    broadcast_.on_message(*link, message);
  } else if (type && dht::is_dht(*type)) {
    link->heard_at(core_.now());
    dht_.on_link_message(*link, *type, message.subspan(wire::kLinkHeaderBytes));
  } else if (const auto parsed = wire::parse_link_message(message)) {
    link->heard_at(core_.now());
    std::visit([&](const auto& content) { handle(*link, content); }, *parsed);
  } else {
    core_.drops.add(Drop::kMalformed);
  }
  settle();
}

void Overlay::handle(Link& link, const wire::Hello& hello) {
  // What it says of itself comes first; where we see it from stays known.
  const Candidates observed = link.candidates;
  link.candidates = hello.candidates;
  for (const net::Endpoint& endpoint : observed)
    if (!link.candidates.contains(endpoint)) link.candidates.add(endpoint);
  if (!hello.observed.empty() && !link.relayed) observed_.add(link.node, hello.observed[0]);
  handle(link, hello.state);
}

void Overlay::handle(Link& link, const wire::Heartbeat& heartbeat) {
  link.network_size = heartbeat.network_size;
  // Over a relay the round trip says nothing about the distance.
  if (!link.relayed) coordinates_.on_heard(link, heartbeat.coordinate);
  if (link.theirs != heartbeat.wants) {
    const std::uint8_t before = std::exchange(link.theirs, heartbeat.wants);
    if (!link.wanted()) link.unwanted_since = core_.now();
    if (((before ^ heartbeat.wants) & wire::kWantsNear) != 0) {
      near_.update();
      if ((heartbeat.wants & wire::kWantsNear) != 0) near_.send_status(link);
    }
  }
  const bool news = !link.list_known || link.list_version != heartbeat.list_version;
  // Its list is on the way when the link is new; what is still missing a heartbeat later is lost.
  if (news && link.wants(wire::kWantsNear) && link.up_since + Duration::seconds(1) < core_.now())
    core_.send(link, wire::StatusRequest{});
}

void Overlay::handle(Link& link, const wire::Ping& ping) {
  core_.send(link, wire::Pong{ping.nonce});
}

void Overlay::handle(Link& link, const wire::Pong& pong) {
  if (pong.nonce != link.ping_nonce || link.last_probe > core_.now()) return;
  link.rtt.add(core_.now() - link.last_probe);
  link.count_loss(false);
}

void Overlay::handle(Link& link, const wire::StatusRequest&) {
  if (!link.wants(wire::kWantsNear)) {  // where others may be reached is for neighbours
    core_.drops.add(Drop::kUnexpected);
    return;
  }
  near_.send_status(link);
}

void Overlay::handle(Link& link, const wire::Status& status) {
  near_.on_status(link, status);
}

void Overlay::handle(Link& link, const wire::Goodbye& goodbye) {
  // The link that is kept instead is on its way here; the driver closes this one.
  if (goodbye.reason == wire::GoodbyeReason::kDuplicate) return;
  const LinkId id = link.id;
  core_.output.close(id);
  drop_link(id, goodbye.reason == wire::GoodbyeReason::kSilent);
}

void Overlay::handle(Link& link, const wire::HopAck& ack) {
  router_.on_hop_ack(link, ack.sequence);
  broadcast_.on_hop_ack(link, ack.sequence);
}

void Overlay::handle_relay_message(Link& link, ConstBytes bytes) {
  const auto parsed = wire::parse_relay_message(bytes);
  if (!parsed) {
    core_.drops.add(Drop::kMalformed);
    return;
  }
  link.heard_at(core_.now());
  if (const auto* const request = std::get_if<wire::RelayRequest>(&*parsed)) {
    relay_service_.handle(link, *request);
  } else if (const auto* const accept = std::get_if<wire::RelayAccept>(&*parsed)) {
    relay_service_.handle(link, *accept);
  } else if (const auto* const release = std::get_if<wire::RelayRelease>(&*parsed)) {
    if (!relay_service_.handle(link, *release)) relayed_.handle(link, *release);
  } else if (const auto* const list = std::get_if<wire::NeighbourList>(&*parsed)) {
    relayed_.handle(link, *list);
  } else if (const auto* const offer = std::get_if<wire::RelayOffer>(&*parsed)) {
    relayed_.handle(link, *offer);
  } else if (const auto* const grant = std::get_if<wire::RelayGrant>(&*parsed)) {
    relayed_.handle(link, *grant);
  } else {
    relayed_.handle(link, std::get<wire::RelaySilence>(*parsed));
  }
}

// --- What comes through the ring ---------------------------------------------------------------

void Overlay::handle_routed(Link& link, ConstBytes bytes) {
  const auto message = router_.on_routed(link, bytes);
  if (message) handle_delivered(*message);
}

void Overlay::handle_delivered(const wire::RoutedMessage& message) {
  switch (message.payload_type) {
    case wire::PayloadType::kRequest:
      handle_request(message);
      break;
    case wire::PayloadType::kReply:
      if (const auto answer = rpc_.on_reply(message)) handle_answer(*answer);
      break;
    case wire::PayloadType::kBroadcastSample:
      broadcast_.on_sample(message);
      break;
    case wire::PayloadType::kDhtNotice:
      dht_.on_notice(message);
      break;
    default:
      core_.drops.add(Drop::kUnknownService);
  }
}

void Overlay::handle_request(const wire::RoutedMessage& message) {
  const auto request = wire::parse_request(message.payload);
  if (!request) {
    core_.drops.add(Drop::kMalformed);
    return;
  }
  if (wire::is_service(request->method)) {
    handle_service_request(message, *request);
    return;
  }
  wire::Whereabouts here;
  if (request->method == wire::Method::kConnect) {
    if (!request->sealed.empty() && !call_source(message, *request)) return;
    const bool asks_for_neighbours = (request->wants & wire::kWantsNear) != 0;
    if (asks_for_neighbours && near_.lacks(message.source)) here.wants = wire::kWantsNear;
    here.contacts = near_.contacts_around(message.source);
  } else if (request->method == wire::Method::kFind) {
    here.contacts = near_.contacts_around(message.destination);
  }
  rpc_.reply(message, *request, here);
}

// The source of a connect request says where it may be reached. False where that is not to be read.
bool Overlay::call_source(const wire::RoutedMessage& message, const wire::Request& request) {
  const auto candidates = open_candidates(core_, message, request.sealed);
  if (!candidates) return false;
  const Contact source{message.source, *candidates};
  if ((request.wants & wire::kWantsNear) != 0) near_.consider(source);
  if (message.destination != core_.self()) return true;
  const Link* const link = core_.links.find(message.source);
  link != nullptr && link->relayed
      ? linker_.link_directly(source)
      : static_cast<void>(linker_.link_to(source, wire::kWantsNothing));
  return true;
}

// Each service takes the requests with its methods here.
void Overlay::handle_service_request(const wire::RoutedMessage& message,
                                     const wire::Request& request) {
  if (request.method == wire::kNeighboursMethod) {
    relayed_.on_request(message, request);
  } else if (dht::is_dht(request.method)) {
    dht_.on_request(message, request);
  } else if (request.method == wire::Method::kCrawl) {
    crawl_.reply(message, request);
  } else {
    core_.drops.add(Drop::kUnknownService);
  }
}

void Overlay::handle_answer(const Answer& answer) {
  switch (answer.query.purpose) {
    case Purpose::kNear:
    case Purpose::kReunion:
      near_.on_answer(answer);
      break;
    case Purpose::kShortcut:
      shortcuts_.on_answer(answer);
      break;
    case Purpose::kConnect:
      linker_.on_connect_answer(answer);
      break;
    case Purpose::kWellKnown:
      joining_.on_answer(answer);
      break;
    case Purpose::kRelay:
      relayed_.on_answer(answer);
      break;
    case Purpose::kCrawl:
      crawl_.on_answer(answer);
      break;
    case Purpose::kDht:
      dht_.on_answer(answer);
      break;
    case Purpose::kLookup:
      core_.output.tell(output::LookupDone{answer.request_id, answer.answered, answer.responder,
                                           answer.hops, answer.tries, answer.took});
      break;
  }
}

std::uint64_t Overlay::lookup(Clock clock, const NodeId& place, int tries) {
  enter(clock);
  Query query;
  query.purpose = Purpose::kLookup;
  query.destination = place;
  query.tries = tries;
  const std::uint64_t request_id = rpc_.ask(query);
  settle();
  return request_id;
}

std::uint64_t Overlay::broadcast(Clock clock, ConstBytes payload) {
  enter(clock);
  return rpc_.in_ring() ? broadcast_.publish(payload, near_.network_log2()) : 0;
}

bool Overlay::start_crawl(Clock clock) {
  enter(clock);
  const bool started = crawl_.start();
  settle();
  return started;
}

void Overlay::connect(Clock clock, const NodeId& node) {
  enter(clock);
  if (Link* const link = core_.links.find(node)) {
    core_.set_wants(*link, link->ours | wire::kWantsOnDemand);
  } else {
    linker_.link_through_ring(node, wire::kWantsOnDemand, core_.parameters.request_tries);
  }
}

}  // namespace ringway::overlay
