#include "overlay/linker.hpp"

#include <algorithm>
#include <utility>

#include "overlay/spare_room.hpp"

namespace ringway::overlay {

namespace {

// What a link is needed for, not only looked for or measured: the other end is asked to call as
// well, and a relay is sought.
constexpr std::uint8_t kServesRing = wire::kWantsNear | wire::kWantsOnDemand;

}  // namespace

Instant Linker::Attempt::next_step() const {
  return std::min({opened ? deadline : open_at, ask_at, stuck_at});
}

Linker::Attempt* Linker::find(const NodeId& node) {
  for (Attempt& attempt : attempts_)
    if (attempt.node_known && attempt.to.node == node) return &attempt;
  return nullptr;
}

bool Linker::under_way(const NodeId& node) const {
  return std::any_of(attempts_.begin(), attempts_.end(), [&](const Attempt& attempt) {
    return attempt.node_known && attempt.to.node == node;
  });
}

std::size_t Linker::attempts(std::uint8_t wants) const {
  return static_cast<std::size_t>(
      std::count_if(attempts_.begin(), attempts_.end(),
                    [&](const Attempt& attempt) { return (attempt.wants & wants) != 0; }));
}

std::size_t Linker::near_attempts_between(const NodeId& from, const NodeId& to) const {
  return static_cast<std::size_t>(
      std::count_if(attempts_.begin(), attempts_.end(), [&](const Attempt& attempt) {
        return attempt.node_known && (attempt.wants & wire::kWantsNear) != 0 &&
               core_.now() < attempt.open_at + core_.parameters.attempt_priority &&
               between(from, attempt.to.node, to);
      }));
}

Instant Linker::backs_off_until(const NodeId& node) const {
  for (const Failure& failure : failures_)
    if (failure.node == node) return failure.until;
  return Instant::distant_past();
}

Linker::Begun Linker::begin(Attempt attempt) {
  if (attempts_.size() >= core_.parameters.max_attempts) return Begun::kNoRoom;
  attempt.id = AttemptId{next_attempt_++};
  attempt.deadline = attempt.open_at + core_.parameters.attempt_timeout;
  if (attempt.open_at <= core_.now() && !open(attempt)) {
    if (attempt.node_known) back_off(attempt.to.node);
    return Begun::kBackingOff;
  }
  core_.wake_at(attempt.next_step());
  attempts_.push_back(std::move(attempt));
  return Begun::kBegun;
}

bool Linker::open(Attempt& attempt) {
  attempt.opened = true;
  if (!attempt.relayed && !attempt.chosen) {
    Candidates& candidates = attempt.to.candidates;
    candidates = gate_.pass(candidates, core_.networks, core_.now(), core_.drops);
    if (candidates.empty()) return false;
  }
  if (attempt.node_known && !attempt.asked)
    attempt.ask_at = core_.now() + core_.parameters.relay.punch_after;
  core_.output.open({attempt.id, attempt.node_known, attempt.relayed, attempt.to});
  return true;
}

void Linker::ask_other_end(Attempt& attempt) {
  attempt.ask_at = Instant::never();
  if ((attempt.wants & kServesRing) == 0) return;
  attempt.asked = true;
  link_through_ring(attempt.to.node, attempt.wants, 1, attempt.key);
}

std::optional<NodeId> Linker::neighbour_of(const NodeId& node) const {
  for (const Link& link : core_.links) {
    for (const Contact& contact : link.near_list)
      if (contact.node == node && !link.suspect()) return link.node;
  }
  return std::nullopt;
}

void Linker::link_over_relays(const NodeId& node, std::uint8_t wants) {
  if (Attempt* const attempt = find(node); attempt != nullptr && attempt->relayed) return;
  Attempt attempt;
  attempt.node_known = attempt.asked = attempt.relayed = true;
  attempt.to.node = node;
  attempt.wants = wants;
  attempt.open_at = core_.now();
  begin(std::move(attempt));
}

void Linker::link_directly(const Contact& contact) {
  if (under_way(contact.node) || contact.candidates.empty()) return;
  Attempt attempt;
  attempt.node_known = attempt.asked = true;
  attempt.to = contact;
  attempt.open_at = core_.now();
  begin(std::move(attempt));
}

// What is there already, or forbids another attempt; empty: one may begin.
std::optional<Linker::Begun> Linker::refusal_to(const Contact& contact, std::uint8_t wants) {
  if (Link* const link = core_.links.find(contact.node)) {
    core_.set_wants(*link, link->ours | wants);
    return Begun::kLinked;
  }
  if (Attempt* const attempt = find(contact.node)) {
    attempt->wants |= wants;
    return Begun::kUnderWay;
  }
  if (contact.node == core_.self() || contact.candidates.empty()) return Begun::kNoRoom;
  if (backs_off_until(contact.node) > core_.now()) return Begun::kBackingOff;
  return std::nullopt;
}

Linker::Begun Linker::link_to(const Contact& contact, std::uint8_t wants,
                              const std::optional<SealingKey>& key) {
  if (const auto refusal = refusal_to(contact, wants)) return *refusal;
  Attempt attempt;
  attempt.node_known = true;
  attempt.to = contact;
  attempt.key = key;
  attempt.wants = wants;
  attempt.open_at = core_.now();
  return begin(std::move(attempt));
}

Linker::Begun Linker::link_to_well_known(const std::optional<NodeId>& node,
                                         const Candidates& candidates, std::uint8_t wants) {
  Attempt attempt;
  attempt.node_known = node.has_value();
  attempt.chosen = true;
  attempt.to = {node.value_or(NodeId{}), candidates};
  if (node)
    if (const auto refusal = refusal_to(attempt.to, wants)) return *refusal;
  attempt.wants = wants;
  attempt.open_at = core_.now();
  return begin(std::move(attempt));
}

void Linker::link_through_ring(const NodeId& node, std::uint8_t wants, int tries,
                               const std::optional<SealingKey>& key) {
  Query query;
  query.purpose = Purpose::kConnect;
  query.method = wire::Method::kConnect;
  query.destination = node;
  query.route = {wire::Direction::kNearest, true, true};
  query.wants = wants;
  query.seal_to = key;
  query.tries = tries;
  query.via = neighbour_of(node);
  rpc_.ask(query);
}

void Linker::on_connect_answer(const Answer& answer) {
  if (!answer.answered) return;
  const Contact contact{answer.responder, answer.whereabouts.candidates};
  const Link* const link = core_.links.find(contact.node);
  if (link != nullptr && !link->relayed) {
    link_to(contact, answer.query.wants);
    return;
  }
  if (!answer.query.seal_to) {  // now it can be told where to call
    link_through_ring(contact.node, answer.query.wants, answer.query.tries, answer.key);
    return;
  }
  if (link != nullptr) {
    link_directly(contact);
    return;
  }
  const Duration relay_after = core_.parameters.relay.relay_after;
  if (Attempt* const attempt = find(contact.node)) {
    attempt->wants |= answer.query.wants;
    if (!attempt->relayed) attempt->stuck_at = core_.now() + relay_after;
    core_.wake_at(attempt->stuck_at);
    return;
  }
  Attempt attempt;
  attempt.node_known = true;
  attempt.asked = true;
  attempt.to = contact;
  attempt.wants = answer.query.wants;
  attempt.open_at = core_.now() + core_.parameters.yield;
  attempt.stuck_at = attempt.open_at + relay_after;
  begin(std::move(attempt));
}

std::uint8_t Linker::on_link_up(AttemptId id, const NodeId& node) {
  std::uint8_t wants = wire::kWantsNothing;
  std::erase_if(attempts_, [&](const Attempt& attempt) {
    const bool fulfilled =
        (id != AttemptId{} && attempt.id == id) || (attempt.node_known && attempt.to.node == node);
    if (fulfilled) wants |= attempt.wants;
    return fulfilled;
  });
  forget_failures(node);
  return wants;
}

void Linker::forget_failures(const NodeId& node) {
  std::erase_if(failures_, [&](const Failure& failure) { return failure.node == node; });
}

void Linker::on_open_failed(AttemptId id) {
  const auto found = std::find_if(attempts_.begin(), attempts_.end(),
                                  [&](const Attempt& attempt) { return attempt.id == id; });
  if (found == attempts_.end()) return;
  Attempt attempt = std::move(*found);
  attempts_.erase(found);
  give_up(std::move(attempt));
}

void Linker::report_stuck(Attempt& attempt) {
  attempt.stuck_at = Instant::never();
  if ((attempt.wants & kServesRing) != 0) stuck_.push_back({true, attempt.to.node, attempt.wants});
}

void Linker::give_up(Attempt attempt) {
  failed_.push_back({attempt.node_known, attempt.to.node, attempt.wants});
  if (!attempt.node_known || attempt.relayed) return;
  if (attempt.stuck_at != Instant::never()) report_stuck(attempt);  // the driver knew it sooner
  back_off(attempt.to.node);
  // A node that nobody can call may yet be able to call: the ring carries the request.
  if (!attempt.asked && rpc_.in_ring() && (attempt.wants & kServesRing) != 0)
    link_through_ring(attempt.to.node, attempt.wants, 1, attempt.key);
}

void Linker::back_off(const NodeId& node) {
  auto found = std::find_if(failures_.begin(), failures_.end(),
                            [&](const Failure& failure) { return failure.node == node; });
  if (found == failures_.end()) {
    if (failures_.size() >= core_.parameters.remembered_failures) {
      failures_.erase(
          std::min_element(failures_.begin(), failures_.end(),
                           [](const Failure& a, const Failure& b) { return a.until < b.until; }));
    }
    failures_.push_back({node, {}, 0});
    found = failures_.end() - 1;
  }
  Duration wait = core_.parameters.first_back_off * (std::int64_t{1} << std::min(found->times, 16));
  wait = std::min(wait, core_.parameters.longest_back_off);
  ++found->times;
  found->until = core_.now() + wait + core_.jitter(wait);
}

void Linker::tick() {
  std::vector<Attempt> expired;
  for (std::size_t i = 0; i < attempts_.size();) {
    Attempt& attempt = attempts_[i];
    // Where it may call none of its addresses, it may still wait for the other end's call.
    if (!attempt.opened && attempt.open_at <= core_.now() && !open(attempt) &&
        attempt.stuck_at == Instant::never())
      attempt.deadline = core_.now();
    if (attempt.ask_at <= core_.now()) ask_other_end(attempt);
    if (attempt.stuck_at <= core_.now()) report_stuck(attempt);
    if (attempt.deadline <= core_.now()) {
      expired.push_back(std::move(attempt));
      attempts_.erase(attempts_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    core_.wake_at(attempt.next_step());
    ++i;
  }
  for (Attempt& attempt : expired)
    give_up(std::move(attempt));
  give_back_if_empty(attempts_);
  gate_.forget(core_.now());
}

bool Linker::poll_failed(Failed& failed) {
  if (failed_.empty()) return false;
  failed = failed_.back();
  failed_.pop_back();
  return true;
}

bool Linker::poll_stuck(Failed& stuck) {
  if (stuck_.empty()) return false;
  stuck = stuck_.back();
  stuck_.pop_back();
  return true;
}

}  // namespace ringway::overlay
