#include "overlay/rpc.hpp"

#include <algorithm>
#include <utility>

#include "overlay/spare_room.hpp"

namespace ringway::overlay {
namespace {

constexpr std::size_t kSparePending = 2;  // a node searches for its place on both sides at once

}  // namespace

Link* Rpc::choose_first_hop(const Query& query) {
  if (query.first_hop == FirstHop::kLink) return core_.links.find(query.link);
  std::vector<Link*> choices;
  const auto collect = [&](auto fits) {
    if (!choices.empty()) return;
    for (Link& link : core_.links)
      if (!link.suspect() && fits(link)) choices.push_back(&link);
  };
  if (query.first_hop == FirstHop::kFar)
    collect([](const Link& link) { return link.routable() && !link.near(); });
  collect([](const Link& link) { return link.routable(); });
  collect([](const Link& link) { return (link.ours & wire::kWantsLeaf) != 0; });
  collect([](const Link&) { return true; });
  return choices.empty() ? nullptr : choices[core_.rng.below(choices.size())];
}

Router::Sent Rpc::transmit(Pending& pending) {
  const Query& query = pending.query;
  ++pending.tries;
  pending.deadline = core_.now() + rtt_.timeout(core_.parameters.shortest_request_timeout,
                                                core_.parameters.longest_request_timeout);
  wire::Request request;
  request.method = query.method;
  request.request_id = pending.request_id;
  request.wants = query.wants;
  request.body = query.body;

  Outgoing outgoing;
  outgoing.destination = query.destination;
  outgoing.route = query.route;
  outgoing.message_id = core_.rng.next_u64();
  SealedPart sealed;
  if (query.seal_to) {
    if (!seal_candidates(query, *outgoing.message_id, sealed)) return Router::Sent::kNoRoute;
    request.sealed = sealed.view();
  }
  // Asked again it goes another way, and its answer comes by one: what lost it may be a node on the
  // way that lets messages vanish.
  const bool again = pending.tries > 1;
  const Link* const via = query.via && !again ? core_.links.find(*query.via) : nullptr;
  if (via != nullptr) {
    outgoing.first_hop = via->id;
    outgoing.via = query.via;
    request.reply_via = query.via;
  } else if (!in_ring_ || query.first_hop != FirstHop::kBest || again) {
    const Link* const link = choose_first_hop(query);
    if (link == nullptr) return Router::Sent::kNoRoute;
    outgoing.first_hop = link->id;
    if (!in_ring_ || !link->in_ring() || again) request.reply_via = link->node;
  }
  wire::ByteWriter payload;
  wire::emit(payload, request);
  outgoing.payload = payload.view();
  return router_.originate(outgoing);
}

bool Rpc::seal_candidates(const Query& query, std::uint64_t message_id, SealedPart& sealed) {
  wire::ByteWriter plain;
  plain.candidates(core_.candidates);
  return SealedPart::seal(core_, *query.seal_to, {core_.self(), query.destination, message_id},
                          plain.view(), sealed);
}

std::uint64_t Rpc::ask(const Query& query) {
  if (pending_.size() >= core_.parameters.max_requests) {
    core_.drops.add(Drop::kRequestsFull);
    return 0;
  }
  Pending pending;
  pending.query = query;
  pending.request_id = core_.rng.next_u64();
  pending.first_sent = core_.now();
  switch (transmit(pending)) {
    case Router::Sent::kHere: {
      Answer answer;
      answer.query = query;
      answer.request_id = pending.request_id;
      answer.answered = !query.route.exact;
      answer.responder = core_.self();
      answer.tries = 1;
      answers_.push_back(std::move(answer));
      return pending.request_id;
    }
    case Router::Sent::kNoRoute:
      if (query.tries <= 1) return 0;
      break;  // tried again like one that was lost
    case Router::Sent::kOnItsWay:
      break;
  }
  core_.wake_at(pending.deadline);
  pending_.push_back(std::move(pending));
  return pending_.back().request_id;
}

std::optional<Answer> Rpc::on_reply(const wire::RoutedMessage& message) {
  const auto reply = wire::parse_reply(message.payload);
  if (!reply) {
    core_.drops.add(Drop::kMalformed);
    return std::nullopt;
  }
  const auto found = std::find_if(pending_.begin(), pending_.end(), [&](const Pending& pending) {
    return pending.request_id == reply->request_id && pending.query.method == reply->method;
  });
  if (found == pending_.end() ||
      (found->query.route.exact && message.source != found->query.destination)) {
    core_.drops.add(Drop::kUnexpected);
    return std::nullopt;
  }
  Answer answer;
  if (!reply->sealed.empty()) {
    const auto whereabouts = open_whereabouts(core_, message, reply->sealed);
    if (!whereabouts) return std::nullopt;
    answer.whereabouts = *whereabouts;
    answer.key = core_.verifier.sealing_key(message.credential);
  }
  answer.query = found->query;
  answer.request_id = found->request_id;
  answer.answered = true;
  answer.responder = message.source;
  answer.hops = reply->hops;
  answer.tries = found->tries;
  answer.took = core_.now() - found->first_sent;
  answer.body.assign(reply->body.begin(), reply->body.end());
  if (found->tries == 1) rtt_.add(answer.took);
  remove(static_cast<std::size_t>(found - pending_.begin()));
  return answer;
}

void Rpc::reply(const wire::RoutedMessage& message, const wire::Request& request,
                wire::Whereabouts& here) {
  wire::Reply reply;
  SealedPart sealed;
  const std::uint64_t message_id = core_.rng.next_u64();
  if (request.method != wire::Method::kLookup) {
    here.candidates = core_.candidates;
    wire::ByteWriter plain;
    wire::emit(
        plain, here,
        wire::kRoutedOverhead + core_.signer.credential().size() + wire::kSealedReplyOverhead);
    if (!SealedPart::seal(core_, core_.verifier.sealing_key(message.credential),
                          {core_.self(), message.source, message_id}, plain.view(), sealed))
      return;
    reply.sealed = sealed.view();
  }
  send_reply(message, request, reply, message_id);
}

void Rpc::reply_for_service(const wire::RoutedMessage& message, const wire::Request& request,
                            ConstBytes body) {
  wire::Reply reply;
  reply.body = body;
  send_reply(message, request, reply);
}

std::size_t Rpc::max_body_bytes() const {
  return wire::kMaxMessageBytes - wire::kRoutedOverhead - core_.signer.credential().size() -
         wire::kServiceOverhead;
}

void Rpc::send_reply(const wire::RoutedMessage& message, const wire::Request& request,
                     wire::Reply& reply, std::optional<std::uint64_t> message_id) {
  reply.method = request.method;
  reply.request_id = request.request_id;
  reply.hops = message.hops;
  wire::ByteWriter payload;
  wire::emit(payload, reply);
  Outgoing outgoing;
  outgoing.message_id = message_id;
  outgoing.destination = message.source;
  outgoing.route = {wire::Direction::kNearest, true, true};
  // Through ourselves: that node hangs on us.
  if (request.reply_via && *request.reply_via != core_.self()) outgoing.via = request.reply_via;
  outgoing.type = wire::PayloadType::kReply;
  outgoing.payload = payload.view();
  router_.originate(outgoing);
}

void Rpc::remove(std::size_t index) {
  if (index + 1 < pending_.size()) pending_[index] = std::move(pending_.back());
  pending_.pop_back();
  give_back_beyond(pending_, kSparePending);
}

void Rpc::fail(const Pending& pending) {
  Answer answer;
  answer.query = pending.query;
  answer.request_id = pending.request_id;
  answer.tries = pending.tries;
  answer.took = core_.now() - pending.first_sent;
  answers_.push_back(std::move(answer));
}

void Rpc::tick() {
  for (std::size_t i = 0; i < pending_.size();) {
    Pending& pending = pending_[i];
    if (pending.deadline <= core_.now()) {
      if (pending.tries >= pending.query.tries) {
        fail(pending);
        remove(i);
        continue;
      }
      static_cast<void>(transmit(pending));  // one that finds no route waits like one that is lost
    }
    core_.wake_at(pending.deadline);
    ++i;
  }
}

Answer Rpc::take_answer() {
  Answer answer = std::move(answers_.front());
  answers_.erase(answers_.begin());
  give_back_if_empty(answers_);
  return answer;
}

}  // namespace ringway::overlay
