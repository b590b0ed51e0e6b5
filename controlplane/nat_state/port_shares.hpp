// How the external ports of a gateway's NAT are shared out among its workers: equal ranges, in the
// workers' order, cut where port blocks begin. So a port says whose it is, also after a restart
// with as many workers. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "controlplane/nat_state/kept_state.hpp"
#include "dataplane/nat/nat.hpp"

namespace ringway::control {

class PortShares {
 public:
  // Ports are inclusive; there are at least `block_ports` for each worker.
  PortShares(std::uint16_t first_port, std::uint16_t last_port, std::size_t workers,
             std::uint16_t block_ports);

  // Nothing for ports that are not the NAT's.
  [[nodiscard]] std::optional<WorkerId> owner_of(std::uint16_t port) const;
  // The worker's own ports, and whose the others are.
  void fill(nat::Config& config, WorkerId worker) const;

 private:
  std::vector<nat::OtherShard> shards_;  // of all workers
};

// For each of KeptState::peers the worker that has most of its mappings' ports: it can have only
// those back that are that worker's. Nothing for those without mappings.
[[nodiscard]] std::vector<std::optional<WorkerId>> owners_by_mappings(const KeptState& state,
                                                                      const PortShares& shares);

}  // namespace ringway::control
