// What must hold of the DHT in a simulated world; part of the table in checkers.cpp.
#pragma once

#include <memory>

#include "overlay/sim/checkers.hpp"

namespace ringway::overlay::sim {

// Safety: a reader is shown what an owner wrote, and never an earlier version than before.
[[nodiscard]] std::unique_ptr<Checker> make_true_values(const CheckedRun& run);
// Safety: while the ring is whole, an address has one holder.
[[nodiscard]] std::unique_ptr<Checker> make_one_holder(const CheckedRun& run);
// Liveness: what a living node wrote can be read, and what it took back cannot.
[[nodiscard]] std::unique_ptr<Checker> make_readable_values(const CheckedRun& run);
// Liveness: of those who were given an address one is left, and all are shown that one.
[[nodiscard]] std::unique_ptr<Checker> make_unique_leases(const CheckedRun& run);

}  // namespace ringway::overlay::sim
