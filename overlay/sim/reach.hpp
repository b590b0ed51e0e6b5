// Who can hear whom in the simulated network, apart from who is alive: parts that are separated,
// pairs that cannot reach each other, directions that are lost, and the NATs in between.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "overlay/sim/connections.hpp"
#include "overlay/sim/nat.hpp"

namespace ringway::overlay::sim {

class Reach {
 public:
  // linkable_ppm: of a million pairs of nodes, which ones being fixed by the seed.
  Reach(std::uint64_t seed, std::uint32_t linkable_ppm)
      : seed_(seed), linkable_ppm_(linkable_ppm) {}

  void set_part(NodeIndex node, std::uint8_t part);
  // What `from` sends does not arrive at `to` any more, or does again.
  void set_deaf(NodeIndex to, NodeIndex from, bool deaf);
  void set_nat(NodeIndex node, const NatBehaviour& behaviour);

  // Whether packets of `from` get to the network of `to`.
  [[nodiscard]] bool hears(NodeIndex to, NodeIndex from) const;
  [[nodiscard]] bool linkable(NodeIndex a, NodeIndex b) const;
  // Null for a public node.
  [[nodiscard]] Nat* nat(NodeIndex node) const {
    return node < nats_.size() ? nats_[node].get() : nullptr;
  }
  [[nodiscard]] bool knows_own_address(NodeIndex node) const {
    return nat(node) == nullptr || nat(node)->behaviour().mapping == Mapping::kNone;
  }
  // A packet goes out to a port of `to`: the port that it comes from.
  [[nodiscard]] std::uint16_t outbound(Instant now, NodeIndex from, NodeIndex to,
                                       std::uint16_t port) const;
  [[nodiscard]] bool inbound(Instant now, NodeIndex to, std::uint16_t port, NodeIndex from,
                             std::uint16_t from_port) const;

 private:
  [[nodiscard]] std::uint8_t part_of(NodeIndex node) const {
    return node < parts_.size() ? parts_[node] : 0;
  }

  std::uint64_t seed_;
  std::uint32_t linkable_ppm_;
  std::vector<std::uint8_t> parts_;
  std::vector<std::pair<NodeIndex, NodeIndex>> deaf_;  // who hears, who is not heard
  std::vector<std::unique_ptr<Nat>> nats_;
};

}  // namespace ringway::overlay::sim
