#include "overlay/joining.hpp"

#include <algorithm>

namespace ringway::overlay {

void Joining::add_well_known(const Candidates& candidates) {
  well_known_.push_back({candidates, true, std::nullopt});
}

void Joining::meet(const Contact& member) {
  if (member.node == core_.self()) return;
  const auto found =
      std::find_if(well_known_.begin(), well_known_.end(),
                   [&](const WellKnown& known) { return known.node == member.node; });
  if (found != well_known_.end()) {
    if (!found->chosen) found->candidates = member.candidates;
  } else if (well_known_.size() < core_.parameters.max_known) {
    well_known_.push_back({member.candidates, false, member.node});
    seek_due_ = std::min(seek_due_, core_.now());
    core_.wake_at(seek_due_);
  }
}

void Joining::start() {
  const Parameters& p = core_.parameters;
  seek_due_ = core_.now();
  reunion_due_ = core_.now() + core_.jitter(p.reunion_interval);
  check_due_ = core_.now() + core_.jitter(p.well_known_check);
  core_.wake_at(seek_due_);
}

void Joining::remember(const Contact& lost) {
  std::erase_if(lost_, [&](const Contact& contact) { return contact.node == lost.node; });
  if (lost_.size() >= core_.parameters.remembered_nodes) lost_.erase(lost_.begin());
  if (lost_.size() == lost_.capacity()) lost_.reserve(lost_.size() + 4);
  lost_.push_back(lost);
}

void Joining::on_link_up(Link& link) {
  for (WellKnown& known : well_known_) {
    for (const net::Endpoint& endpoint : known.candidates) {
      if (!link.candidates.contains(endpoint)) continue;
      known.node = link.node;
    }
  }
  const auto lost = std::find_if(lost_.begin(), lost_.end(),
                                 [&](const Contact& contact) { return contact.node == link.node; });
  const bool was_lost = lost != lost_.end();
  if (was_lost) {
    lost_.erase(lost);
    // What separated us is gone: the others may be back as well.
    for (const Contact& contact : lost_)
      linker_.forget_failures(contact.node);
    reunion_due_ = core_.now() + core_.jitter(core_.parameters.join_retry);
    core_.wake_at(reunion_due_);
  }
  // A leaf link of ours is there to ask over; one of a node that was lost may lead elsewhere.
  if ((link.ours & wire::kWantsLeaf) != 0 || was_lost) ask_over(link);
}

void Joining::ask_over(const Link& link) {
  for (const auto direction : {wire::Direction::kSuccessor, wire::Direction::kPredecessor}) {
    Query query;
    query.purpose = Purpose::kReunion;
    query.method = wire::Method::kConnect;
    query.destination = core_.self();
    query.route.direction = direction;
    query.first_hop = FirstHop::kLink;
    query.link = link.id;
    query.wants = wire::kWantsNear;
    rpc_.ask(query);
  }
}

void Joining::on_answer(const Answer& answer) {
  // A well-known node's place, as the ring sees it: it is there, or the ring ends at another.
  if (!answer.answered || answer.responder == answer.query.destination) return;
  for (const WellKnown& known : well_known_) {
    if (known.node == answer.query.destination) call(known);
  }
}

void Joining::tick(bool in_ring) {
  const Parameters& p = core_.parameters;
  if (!in_ring) {
    in_ring_since_ = Instant::never();
  } else if (in_ring_since_ == Instant::never()) {
    in_ring_since_ = core_.now();
  }
  if (!in_ring && core_.now() >= seek_due_) {
    seek_leaf();
    seek_due_ = core_.now() + p.join_retry + core_.jitter(p.join_retry);
  }
  if (in_ring && core_.now() >= in_ring_since_ + p.leaf_kept) release_leaves();
  if (core_.now() >= reunion_due_) {
    call_a_lost_one();
    reunion_due_ = core_.now() + p.reunion_interval;
  }
  if (core_.now() >= check_due_) {
    if (in_ring) check_a_well_known();
    check_due_ = core_.now() + p.well_known_check;
  }
  if (!in_ring) core_.wake_at(seek_due_);
  if (!lost_.empty()) core_.wake_at(reunion_due_);
  core_.wake_at(check_due_);
}

void Joining::seek_leaf() {
  const std::size_t have =
      core_.links.count_wanted_here(wire::kWantsLeaf) + linker_.attempts(wire::kWantsLeaf);
  if (have >= core_.parameters.leaves || well_known_.empty()) return;
  std::size_t missing = core_.parameters.leaves - have;
  // A few draws, so that the same one or ourselves does not come up each time.
  for (int draws = 0; missing > 0 && draws < 4; ++draws) {
    const WellKnown& known = well_known_[core_.rng.below(well_known_.size())];
    if (known.node && core_.links.find(*known.node) != nullptr) continue;
    if (known.candidates == core_.candidates) continue;
    if (call(known) == Linker::Begun::kBegun) --missing;
  }
}

Linker::Begun Joining::call(const WellKnown& known) {
  if (known.chosen)
    return linker_.link_to_well_known(known.node, known.candidates, wire::kWantsLeaf);
  return linker_.link_to({*known.node, known.candidates}, wire::kWantsLeaf);
}

void Joining::release_leaves() {
  for (Link& link : core_.links) {
    if (core_.now() < link.up_since + core_.parameters.leaf_kept) continue;
    core_.set_wants(link, link.ours & static_cast<std::uint8_t>(~wire::kWantsLeaf));
  }
}

void Joining::call_a_lost_one() {
  if (lost_.empty()) return;
  const std::size_t first = core_.rng.below(lost_.size());
  for (std::size_t i = 0; i < lost_.size(); ++i) {
    const Contact& contact = lost_[(first + i) % lost_.size()];
    if (linker_.link_to(contact, wire::kWantsLeaf) == Linker::Begun::kBegun) return;
  }
}

void Joining::check_a_well_known() {
  if (well_known_.empty()) return;
  const WellKnown& known = well_known_[core_.rng.below(well_known_.size())];
  if (known.node == core_.self() || known.candidates == core_.candidates) return;
  if (!known.node) {  // never reached so far: there may be a ring around it
    call(known);
    return;
  }
  if (core_.links.find(*known.node) != nullptr) return;
  Query query;
  query.purpose = Purpose::kWellKnown;
  query.destination = *known.node;
  rpc_.ask(query);
}

}  // namespace ringway::overlay
