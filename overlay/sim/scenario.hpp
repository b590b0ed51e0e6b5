// What happens in a simulated world, and when: a seed, so many nodes, a network, and incidents.
// Two runs of the same scenario are the same, bit by bit. A scenario that is cut (fewer incidents,
// fewer nodes) is one again: what does not apply, such as the crash of a node that is dead, is left
// out.
//
//   begin          incidents, safety is checked           faults end        liveness is checked
//   ├────────────────────────────────────────────────────────┼──────────────────────────────────►
//   nodes join                                     duration  │ conditions right, parts heal, clocks
//                                                            │ right, hostile nodes gone,
//                                                            well-known │ nodes that are down start
//                                                            again
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/sim/dht_ledger.hpp"
#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

enum class IncidentKind : std::uint8_t {
  kJoin,        // nodes that are not there from the beginning
  kCrash,       // without a goodbye
  kLeave,       // with one
  kRestart,     // nodes that crashed or left, with the same identity
  kPause,       // suspended
  kResume,      //
  kPart,        // put into another part of the network
  kHeal,        // all parts are one again
  kClock,       // is set wrong, and runs fast or slow
  kHostile,     //
  kConditions,  // of the whole network
  kUplink,      // of the nodes
  kPut,         // each of the nodes writes a value of its own into the DHT, or a new version of it
  kRemove,      // and takes it back
  kLease,       // each of the nodes asks for the same address, which one of them may have
  kRelease      // and gives it back
};
inline constexpr std::array<std::string_view, 16> kIncidentNames = {
    "join",  "crash",   "leave",      "restart", "pause", "resume", "part",  "heal",
    "clock", "hostile", "conditions", "uplink",  "put",   "remove", "lease", "release"};

[[nodiscard]] constexpr bool uses_dht(IncidentKind kind) {
  return kind >= IncidentKind::kPut;
}

struct Incident {
  Duration at;
  IncidentKind what = IncidentKind::kCrash;
  std::vector<NodeIndex> nodes;
  // Of the kinds that need it:
  std::uint8_t part = 1;
  ClockError clock;
  HostileKind hostile = HostileKind::kDropper;
  Conditions conditions;
  Uplink uplink;
  std::uint32_t number = 0;  // of the value, of those of a node; of the address
  Duration ttl = dht::kLongestTtl;

  [[nodiscard]] bool operator==(const Incident&) const = default;
};

// Nodes that are behind a NAT of this kind, each behind one of its own.
struct NatGroup {
  std::vector<NodeIndex> nodes;
  NatBehaviour behaviour;
  [[nodiscard]] bool operator==(const NatGroup&) const = default;
};

// What must hold when the faults are over.
struct Promise {
  Duration ring_right_within = Duration::seconds(330);
  std::uint32_t lookups_ok_percent = 99;  // of sampled pairs, at the first try, in the settled ring
  [[nodiscard]] bool operator==(const Promise&) const = default;
};

struct Scenario {
  std::string about;  // a line for the reader
  std::uint64_t seed = 1;
  std::uint32_t nodes = 16;  // those that join later among them
  std::uint32_t well_known = 4;
  std::string latency = "fixed:50";
  Duration joining = Duration::seconds(5);     // within which the nodes of the beginning start
  Duration duration = Duration::seconds(120);  // after which the faults are over
  Duration lookup_interval = Duration::seconds(10);
  Duration read_interval = Duration::seconds(2);  // some node reads some value or lease this often
  std::uint32_t linkable_ppm = 1'000'000;         // of pairs; the others need a relay
  Conditions conditions;                          // in the beginning
  std::vector<NatGroup> nats;
  std::vector<Incident> incidents;
  Promise promise;

  [[nodiscard]] bool operator==(const Scenario&) const = default;
  // Nodes that join by an incident.
  [[nodiscard]] std::vector<NodeIndex> late_nodes() const;
  // Whether its network lets the ring do what must hold in the end, whoever lives then: each two
  // nodes can link, or can both link with the same well-known one (those live in the end, in any
  // case), and these can be called. Else some node might find no entrance to the ring, or
  // neighbours no relay, through no fault of theirs.
  [[nodiscard]] bool can_be_kept() const;
};

// Does what the incident says, where it applies.
void apply(const Incident& incident, Simulation& simulation, DhtLedger& ledger);
// Ends all faults.
void end_faults(const Scenario& scenario, Simulation& simulation);

}  // namespace ringway::overlay::sim
