// What goes wrong in a simulated world: nodes restart, are suspended or turn hostile; the network
// loses, delays and repeats.
#include <algorithm>

#include "base/check.hpp"
#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

// --- Nodes ---------------------------------------------------------------------------------------

void Simulation::restart(NodeIndex index) {
  CHECK(has_ended(index));
  nodes_[index].program = make_program(index);
  start_node(index);
}

void Simulation::pause(NodeIndex index) {
  CHECK(is_alive(index));
  nodes_[index].paused = true;
  nodes_[index].timer_at = Instant::never();
}

void Simulation::resume(NodeIndex index) {
  CHECK(is_alive(index));
  nodes_[index].paused = false;
  set_timer(index);  // overdue: it goes off at once
}

void Simulation::set_onlooker(Onlooker* onlooker) {
  onlooker_ = onlooker;
  if (onlooker == nullptr) {
    verifier_.set_watcher(nullptr);
  } else {
    verifier_.set_watcher([this](const NodeId& signer, ConstBytes text) {
      onlooker_->on_accepted(acting_, signer, text);
    });
  }
}

// --- The network ---------------------------------------------------------------------------------

void Simulation::set_conditions(const Conditions& conditions) {
  if (network_ == nullptr) network_ = std::make_unique<Network>(network_rng_.next_u64());
  network_->set_conditions(conditions);
}

void Simulation::set_uplink(NodeIndex node, const Uplink& uplink) {
  if (network_ == nullptr) {
    Conditions conditions;
    conditions.loss_ppm = options_.loss_ppm;
    set_conditions(conditions);
  }
  network_->set_uplink(node, uplink);
}

void Simulation::send_by_network(NodeIndex from, LinkId link, ConstBytes bytes,
                                 const FirstLeg& leg) {
  const auto arrivals = network_->carry(from, link, bytes.size(), now_, leg.one_way);
  for (std::size_t i = 0; i < arrivals.count; ++i)
    post(arrivals.at[i], Side::of(link).other(), bytes, leg);
  // The driver tells of the link's queue whenever it adds to it.
  if (network_->limits(from))
    input(from).send_queue(clock(from), link, network_->waiting(from, link, now_));
}

// --- Hostile nodes -------------------------------------------------------------------------------

void Simulation::make_hostile(NodeIndex node, HostileKind kind) {
  CHECK(is_alive(node));
  if (node >= hostiles_.size()) hostiles_.resize(node + std::size_t{1});
  nodes_[node].was_hostile = true;
  const std::uint32_t generation = ++hostile_generations_;
  hostiles_[node] = std::make_unique<Hostile>(kind, world_rng_.next_u64(), generation);
  let_hostile_act(node, generation);
}

Hostile::View Simulation::hostile_view(NodeIndex node) {
  Program& program = *nodes_[node].program;
  return {program.overlay, program.signer, program.sealer, clock(node), nodes_.size()};
}

bool Simulation::hostile_takes(NodeIndex node, LinkId link, ConstBytes bytes) {
  if (hostile(node) == nullptr) return false;
  Hostile::Letters letters;
  const bool taken = hostile(node)->takes(hostile_view(node), link, bytes, letters);
  send_letters(node, letters);
  return taken;
}

void Simulation::let_hostile_act(NodeIndex node, std::uint32_t generation) {
  if (hostile(node) == nullptr || hostile(node)->generation() != generation) return;
  Hostile::Letters letters;
  if (!nodes_[node].paused) hostile(node)->act(hostile_view(node), letters);
  send_letters(node, letters);
  schedule(now_ + Hostile::kActs, [this, node, generation] { let_hostile_act(node, generation); });
}

void Simulation::send_altered(NodeIndex node, const output::Send& sent) {
  const std::vector<std::uint8_t> instead =
      hostile(node)->alters(hostile_view(node), sent.link, sent.bytes);
  send(node, sent.link, instead.empty() ? sent.bytes : ConstBytes(instead));
}

void Simulation::send_letters(NodeIndex node, const Hostile::Letters& letters) {
  for (const Hostile::Letter& letter : letters) {
    // A full queue may have made its overlay drop the link meanwhile.
    const auto& links = nodes_[node].program->overlay.links();
    const bool there = std::any_of(links.begin(), links.end(),
                                   [&](const Link& link) { return link.id == letter.link; });
    if (there) send(node, letter.link, letter.bytes);
  }
  drain(node);
}

}  // namespace ringway::overlay::sim
