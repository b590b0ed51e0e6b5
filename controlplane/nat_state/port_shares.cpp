#include "controlplane/nat_state/port_shares.hpp"

#include <algorithm>
#include <array>

#include "base/check.hpp"

namespace ringway::control {

PortShares::PortShares(std::uint16_t first_port, std::uint16_t last_port, std::size_t workers,
                       std::uint16_t block_ports) {
  const std::uint32_t blocks = (std::uint32_t{last_port} - first_port + 1) / block_ports;
  CHECK(workers > 0 && workers <= kMaxWorkers && blocks >= workers);
  std::uint32_t first = first_port;
  for (std::size_t i = 0; i < workers; ++i) {
    const auto blocks_before = static_cast<std::uint32_t>(blocks * (i + 1) / workers);
    const std::uint32_t end = first_port + blocks_before * block_ports;
    const bool is_last = i + 1 == workers;
    shards_.push_back({{static_cast<std::uint8_t>(i)},
                       static_cast<std::uint16_t>(first),
                       is_last ? last_port : static_cast<std::uint16_t>(end - 1)});
    first = end;
  }
}

std::optional<WorkerId> PortShares::owner_of(std::uint16_t port) const {
  for (const nat::OtherShard& shard : shards_) {
    if (port >= shard.first_port && port <= shard.last_port) return shard.worker;
  }
  return std::nullopt;
}

void PortShares::fill(nat::Config& config, WorkerId worker) const {
  config.other_shards.clear();
  for (const nat::OtherShard& shard : shards_) {
    if (shard.worker != worker) {
      config.other_shards.push_back(shard);
    } else {
      config.first_port = shard.first_port;
      config.last_port = shard.last_port;
    }
  }
}

std::vector<std::optional<WorkerId>> owners_by_mappings(const KeptState& state,
                                                        const PortShares& shares) {
  std::vector<std::array<std::uint32_t, kMaxWorkers>> counts(state.peers.size());
  std::vector<std::optional<WorkerId>> owners(state.peers.size());
  for (const KeptMapping& mapping : state.mappings) {
    const auto owner = shares.owner_of(mapping.external.port);
    if (!owner) continue;
    auto& count = counts[mapping.peer];
    ++count[owner->value];
    auto& most = owners[mapping.peer];
    if (!most || count[owner->value] > count[most->value]) most = owner;
  }
  return owners;
}

}  // namespace ringway::control
