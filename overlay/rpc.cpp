#include "overlay/rpc.hpp"

#include <algorithm>
#include <utility>

#include "overlay/spare_room.hpp"

namespace ringway::overlay {

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
  request.candidates = core_.candidates;
  request.body = query.body;

  Outgoing outgoing{query.destination, query.route, {}, wire::PayloadType::kRequest, {}, {}};
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
  answer.query = found->query;
  answer.request_id = found->request_id;
  answer.answered = true;
  answer.responder = message.source;
  answer.hops = reply->hops;
  answer.tries = found->tries;
  answer.took = core_.now() - found->first_sent;
  answer.candidates = reply->candidates;
  answer.contacts = reply->contacts;
  answer.body.assign(reply->body.begin(), reply->body.end());
  if (found->tries == 1) rtt_.add(answer.took);
  if (found != pending_.end() - 1) *found = std::move(pending_.back());
  pending_.pop_back();
  return answer;
}

void Rpc::reply(const wire::RoutedMessage& message, const wire::Request& request,
                const Contacts& contacts) {
  wire::Reply reply;
  reply.candidates = core_.candidates;
  reply.contacts = contacts;
  send_reply(message, request, reply);
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
                     wire::Reply& reply) {
  reply.method = request.method;
  reply.request_id = request.request_id;
  reply.hops = message.hops;
  wire::ByteWriter payload;
  wire::emit(payload, reply, wire::kRoutedOverhead + core_.signer.credential().size());
  Outgoing outgoing;
  outgoing.destination = message.source;
  outgoing.route = {wire::Direction::kNearest, true, true};
  // Through ourselves: that node hangs on us.
  if (request.reply_via && *request.reply_via != core_.self()) outgoing.via = request.reply_via;
  outgoing.type = wire::PayloadType::kReply;
  outgoing.payload = payload.view();
  router_.originate(outgoing);
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
        if (i + 1 < pending_.size()) pending_[i] = std::move(pending_.back());
        pending_.pop_back();
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
