#include "overlay/linker.hpp"

#include <algorithm>
#include <utility>

namespace ringway::overlay {

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
  if (attempt.open_at <= core_.now()) open(attempt);
  core_.wake_at(attempt.opened ? attempt.deadline : attempt.open_at);
  attempts_.push_back(std::move(attempt));
  return Begun::kBegun;
}

void Linker::open(Attempt& attempt) {
  attempt.opened = true;
  core_.output.open({attempt.id, attempt.node_known, attempt.to});
}

Linker::Begun Linker::link_to(const Contact& contact, std::uint8_t wants) {
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
  Attempt attempt;
  attempt.node_known = true;
  attempt.to = contact;
  attempt.wants = wants;
  attempt.open_at = core_.now();
  return begin(std::move(attempt));
}

Linker::Begun Linker::link_to_address(const Candidates& candidates, std::uint8_t wants) {
  Attempt attempt;
  attempt.to.candidates = candidates;
  attempt.wants = wants;
  attempt.open_at = core_.now();
  return begin(std::move(attempt));
}

void Linker::link_through_ring(const NodeId& node, std::uint8_t wants, int tries) {
  Query query;
  query.purpose = Purpose::kConnect;
  query.method = wire::Method::kConnect;
  query.destination = node;
  query.route = {wire::Direction::kNearest, true, true};
  query.wants = wants;
  query.tries = tries;
  rpc_.ask(query);
}

void Linker::on_connect_answer(const Answer& answer) {
  if (!answer.answered) return;
  const Contact contact{answer.responder, answer.candidates};
  if (core_.links.find(contact.node) != nullptr || under_way(contact.node)) {
    link_to(contact, answer.query.wants);
    return;
  }
  Attempt attempt;
  attempt.node_known = true;
  attempt.asked = true;
  attempt.to = contact;
  attempt.wants = answer.query.wants;
  attempt.open_at = core_.now() + core_.parameters.yield;
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
  const Attempt attempt = *found;
  attempts_.erase(found);
  give_up(attempt);
}

void Linker::give_up(const Attempt& attempt) {
  failed_.push_back({attempt.node_known, attempt.to.node, attempt.wants});
  if (!attempt.node_known) return;
  back_off(attempt.to.node);
  // A node that nobody can call may yet be able to call: the ring carries the request.
  // Not so for one that is only looked for, or measured.
  constexpr std::uint8_t kServesRing = wire::kWantsNear | wire::kWantsOnDemand;
  if (!attempt.asked && rpc_.in_ring() && (attempt.wants & kServesRing) != 0)
    link_through_ring(attempt.to.node, attempt.wants, 1);
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
    if (!attempt.opened && attempt.open_at <= core_.now()) open(attempt);
    if (attempt.deadline <= core_.now()) {
      expired.push_back(std::move(attempt));
      attempts_.erase(attempts_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    core_.wake_at(attempt.opened ? attempt.deadline : attempt.open_at);
    ++i;
  }
  for (const Attempt& attempt : expired)
    give_up(attempt);
}

bool Linker::poll_failed(Failed& failed) {
  if (failed_.empty()) return false;
  failed = failed_.back();
  failed_.pop_back();
  return true;
}

}  // namespace ringway::overlay
