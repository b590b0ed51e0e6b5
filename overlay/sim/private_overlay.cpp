#include "overlay/sim/private_overlay.hpp"

#include <algorithm>

namespace ringway::overlay::sim {
namespace {

constexpr Duration kStep = Duration::milliseconds(10);

}  // namespace

PrivateOverlay::PrivateOverlay(Simulation& home, Simulation& members)
    : home_(home), members_(members) {
  members_.run_until(home_.now());
  home_.add_observer([this](NodeIndex node, const Event& event) {
    if (const auto* const done = std::get_if<output::DhtDone>(&event))
      done_.emplace_back(node, *done);
  });
}

void PrivateOverlay::add_member(NodeIndex home) {
  const NodeIndex index = members_.add_node(members_.now());
  home_.act(home, [&](Overlay& overlay, Clock) {
    list_.push_back(std::make_unique<Member>(home, index, overlay, members_.id(index)));
    return true;
  });
}

void PrivateOverlay::serve(Member& member) {
  const bool connected = members_.overlay(member.index).in_ring();
  home_.act(member.home, [&](Overlay& overlay, Clock clock) {
    if (!overlay.in_ring()) return false;
    member.place.enter(clock);
    if (!member.started) member.meeting.start(clock, members_.overlay(member.index).candidates());
    member.started = true;
    if (member.meeting.next_deadline() <= clock.now) member.meeting.tick(clock, connected);
    return true;
  });
}

void PrivateOverlay::pass_on_found() {
  for (; !done_.empty(); done_.pop_front()) {
    const auto& [home, done] = done_.front();
    const NodeIndex node = home;
    const auto member = std::find_if(list_.begin(), list_.end(),
                                     [&](const auto& each) { return each->home == node; });
    if (member == list_.end()) continue;
    const auto fetched = (*member)->place.on_done(done);
    if (!fetched) continue;
    for (const Contact& contact : (*member)->meeting.on_fetched(fetched->name, fetched->values)) {
      members_.act((*member)->index, [&](Overlay& overlay, Clock clock) {
        overlay.meet(clock, contact);
        return true;
      });
    }
  }
}

void PrivateOverlay::run_until(Instant time) {
  home_.run_until(time);
  members_.run_until(time);
  for (const auto& member : list_)
    serve(*member);
  pass_on_found();
}

std::optional<Duration> PrivateOverlay::time_until_right(Duration limit) {
  const Instant begin = home_.now();
  while (home_.now() - begin < limit) {
    run_until(home_.now() + kStep);
    if (members_.alive().size() == list_.size() && members_.ring_right())
      return home_.now() - begin;
  }
  return std::nullopt;
}

}  // namespace ringway::overlay::sim
