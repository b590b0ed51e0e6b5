// What must hold in a simulated world. A checker has a safety half, which is asked again and again
// whatever goes wrong, and a liveness half, which is asked when the faults are over until what it
// waits for has come about. One table in checkers.cpp lists them all; a part of the overlay that
// promises something adds its checker there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "overlay/sim/scenario.hpp"
#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

// What a checker may watch and do. One run has one.
struct CheckedRun {
  Simulation& simulation;
  const Scenario& scenario;
  DhtLedger& ledger;
};

class Checker {
 public:
  virtual ~Checker() = default;
  [[nodiscard]] virtual const char* name() const = 0;
  // Safety, once a second: what is wrong, or empty.
  [[nodiscard]] virtual std::string broken() { return {}; }
  // An incident is about to happen: what is promised of the future may change.
  virtual void on_incident(const Incident&) {}
  // Liveness, once a second from the end of the faults on: what is missing yet, or empty. What it
  // waits for has come about once it was empty.
  [[nodiscard]] virtual std::string missing() { return {}; }
  // Messages and signatures as they pass.
  [[nodiscard]] virtual Onlooker* onlooker() { return nullptr; }
};

[[nodiscard]] std::vector<std::unique_ptr<Checker>> make_checkers(const CheckedRun& run);

}  // namespace ringway::overlay::sim
