#include "overlay/sim/scenario.hpp"

#include <algorithm>

namespace ringway::overlay::sim {
namespace {

void apply(const Incident& incident, Simulation& simulation, DhtLedger& ledger, NodeIndex node) {
  const bool alive = simulation.is_alive(node);
  switch (incident.what) {
    case IncidentKind::kCrash:
      if (alive) simulation.crash(node);
      break;
    case IncidentKind::kLeave:
      if (alive && !simulation.is_paused(node)) simulation.leave(node);
      break;
    case IncidentKind::kRestart:
      if (simulation.has_ended(node)) simulation.restart(node);
      break;
    case IncidentKind::kPause:
      if (alive) simulation.pause(node);
      break;
    case IncidentKind::kResume:
      if (alive) simulation.resume(node);
      break;
    case IncidentKind::kPart:
      simulation.set_part(node, incident.part);
      break;
    case IncidentKind::kClock:
      simulation.set_clock(node, incident.clock);
      break;
    case IncidentKind::kHostile:
      if (alive) simulation.make_hostile(node, incident.hostile);
      break;
    case IncidentKind::kUplink:
      simulation.set_uplink(node, incident.uplink);
      break;
    case IncidentKind::kPut:
      ledger.put(node, incident.number, incident.ttl);
      break;
    case IncidentKind::kRemove:
      ledger.remove(node, incident.number);
      break;
    case IncidentKind::kLease:
      ledger.lease(node, incident.number, incident.ttl);
      break;
    case IncidentKind::kRelease:
      ledger.release(node, incident.number);
      break;
    case IncidentKind::kJoin:  // the nodes were made to start then
    case IncidentKind::kHeal:
    case IncidentKind::kConditions:
      break;
  }
}

void heal(Simulation& simulation) {
  for (NodeIndex node = 0; node < simulation.nodes(); ++node)
    simulation.set_part(node, 0);
}

}  // namespace

std::vector<NodeIndex> Scenario::late_nodes() const {
  std::vector<NodeIndex> late;
  for (const Incident& incident : incidents)
    if (incident.what == IncidentKind::kJoin)
      late.insert(late.end(), incident.nodes.begin(), incident.nodes.end());
  return late;
}

bool Scenario::can_be_kept() const {
  std::vector<bool> behind_nat(nodes);
  for (const NatGroup& group : nats)
    for (const NodeIndex node : group.nodes)
      if (node < nodes) behind_nat[node] = true;
  const NodeIndex entrances = std::min(well_known, nodes);
  if (std::find(behind_nat.begin(), behind_nat.begin() + entrances, true) !=
      behind_nat.begin() + entrances)
    return false;
  const Reach reach(seed, linkable_ppm);
  const auto meet_at = [&](NodeIndex entrance, NodeIndex a, NodeIndex b) {
    return entrance != a && entrance != b && reach.linkable(a, entrance) &&
           reach.linkable(b, entrance);
  };
  for (NodeIndex a = 0; a < nodes; ++a) {
    for (NodeIndex b = 0; b < a; ++b) {
      bool linked = reach.linkable(a, b) && !(behind_nat[a] && behind_nat[b]);
      for (NodeIndex entrance = 0; !linked && entrance < entrances; ++entrance)
        linked = meet_at(entrance, a, b);
      if (!linked) return false;
    }
  }
  return true;
}

void apply(const Incident& incident, Simulation& simulation, DhtLedger& ledger) {
  if (incident.what == IncidentKind::kHeal) heal(simulation);
  if (incident.what == IncidentKind::kConditions) simulation.set_conditions(incident.conditions);
  for (const NodeIndex node : incident.nodes)
    if (node < simulation.nodes()) apply(incident, simulation, ledger, node);
}

void end_faults(const Scenario& scenario, Simulation& simulation) {
  simulation.set_conditions({});
  heal(simulation);
  for (NodeIndex node = 0; node < simulation.nodes(); ++node) {
    simulation.set_uplink(node, {});
    simulation.set_clock(node, {});
    if (!simulation.is_alive(node)) continue;
    if (simulation.is_paused(node)) simulation.resume(node);
    if (simulation.is_hostile(node)) simulation.crash(node);
  }
  for (NodeIndex node = 0; node < std::min(scenario.well_known, scenario.nodes); ++node)
    if (simulation.has_ended(node)) simulation.restart(node);
}

}  // namespace ringway::overlay::sim
