#include "dataplane/forwarding/forwarding_table.hpp"

#include <utility>

#include "base/check.hpp"

namespace ringway::forwarding {

NextHopId ForwardingContent::add_next_hop(const NextHop& hop, const HopNeighbour& neighbour) {
  next_hops_.push_back(hop);
  neighbours_.push_back(neighbour);
  return {static_cast<std::uint32_t>(next_hops_.size() - 1)};
}

void ForwardingContent::add_route(const net::Prefix& prefix, NextHopId next_hop) {
  CHECK(next_hop.value < next_hops_.size());
  routes_.push_back({prefix, next_hop});
}

ForwardingTable::ForwardingTable(ForwardingContent content)
    : routes_(std::span<const ForwardingRoute>(content.routes_), &ForwardingRoute::next_hop),
      next_hops_(std::move(content.next_hops_)),
      neighbours_(std::move(content.neighbours_)) {}

NextHopId ForwardingTable::lookup_v4(const std::uint8_t* destination) const {
  return routes_.lookup_v4(destination);
}

NextHopId ForwardingTable::lookup_v6(const std::uint8_t* destination) const {
  return routes_.lookup_v6(destination);
}

NextHopId ForwardingTable::lookup(const net::IpAddress& destination) const {
  return destination.is_v4() ? lookup_v4(destination.bytes.data())
                             : lookup_v6(destination.bytes.data());
}

void ForwardingTable::lookup_packets(std::span<const std::uint8_t* const> packets,
                                     NextHopId* next_hops) const {
  routes_.lookup_packets(packets, net::PacketEnd::kDestination, next_hops);
  for (std::size_t i = 0; i < packets.size(); ++i)
    __builtin_prefetch(&next_hops_[next_hops[i].value]);
}

Neighbour ForwardingTable::neighbour(NextHopId id, const net::IpAddress& destination) const {
  const HopNeighbour& known = neighbours_[id.value];
  return {known.interface, known.address.value_or(destination)};
}

std::size_t ForwardingTable::memory_bytes() const {
  return routes_.memory_bytes() + next_hops_.capacity() * sizeof(NextHop) +
         neighbours_.capacity() * sizeof(HopNeighbour);
}

}  // namespace ringway::forwarding
