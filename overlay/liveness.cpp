#include "overlay/liveness.hpp"

namespace ringway::overlay {

namespace {

Duration probe_timeout(const Core& core, const Link& link) {
  return link.rtt.timeout(core.parameters.probe_timeout, core.parameters.longest_probe_timeout);
}

}  // namespace

void probe(Core& core, Link& link) {
  ++link.probes;
  link.last_probe = core.now();
  link.ping_nonce = core.rng.next_u32();
  core.send(link, wire::Ping{link.ping_nonce});
  core.wake_at(core.now() + probe_timeout(core, link));
}

void Liveness::start() {
  next_turn_ = core_.now() + core_.jitter(core_.parameters.turn);
  turn_ = static_cast<std::uint32_t>(
      core_.rng.below(static_cast<std::uint64_t>(core_.parameters.other_turns)));
  core_.wake_at(next_turn_);
}

Duration Liveness::heartbeat_period(const Link& link) const {
  const Parameters& p = core_.parameters;
  return p.turn * (link.wants(wire::kWantsNear) ? p.near_turns : p.other_turns);
}

void Liveness::begin_turn() {
  const Parameters& p = core_.parameters;
  ++turn_;
  next_turn_ = std::max(next_turn_ + p.turn, core_.now());
  for (Link& link : core_.links) {
    const auto turns =
        static_cast<std::uint32_t>(link.wants(wire::kWantsNear) ? p.near_turns : p.other_turns);
    if (turn_ % turns == 0) core_.send(link, core_.heartbeat(link));
  }
}

void Liveness::check(Link& link, DeadLinks& dead) {
  const Parameters& p = core_.parameters;
  if (!link.probed()) {
    if (core_.now() - link.last_received > heartbeat_period(link) + p.silence_grace)
      probe(core_, link);
    return;
  }
  const Instant answer_due = link.last_probe + probe_timeout(core_, link);
  if (core_.now() < answer_due) {
    core_.wake_at(answer_due);
  } else if (link.probes >= p.probes) {
    dead.add(link.id);
  } else {
    link.count_loss(true);
    probe(core_, link);
  }
}

void Liveness::tick(DeadLinks& dead) {
  turn_began_ = core_.now() >= next_turn_;
  if (turn_began_) begin_turn();
  core_.wake_at(next_turn_);
  for (Link& link : core_.links)
    check(link, dead);
}

void Liveness::on_lost(const Link& link) {
  const Parameters& p = core_.parameters;
  if (core_.now() > losses_since_ + p.alarm_interval) {
    losses_since_ = core_.now();
    losses_ = 0;
  }
  ++losses_;
  if (link.near() || losses_ >= p.alarm_losses) raise_alarm();
}

void Liveness::raise_alarm() {
  if (core_.now() < last_alarm_ + core_.parameters.alarm_interval) return;
  last_alarm_ = core_.now();
  for (Link& link : core_.links)
    if (!link.probed()) probe(core_, link);
}

}  // namespace ringway::overlay
