// What a gateway's worker knows of the host's routes and neighbours: destination address to next
// hop, by longest prefix. An immutable snapshot: the control thread makes one at each change,
// workers read it without locks and swap to the next at a quiet point. Pure data: no interface is
// asked.
//
// A route to a link (on-link) leads to as many neighbours as there are hosts. Those that are
// resolved stand in the table as host routes; the route itself is unresolved, and its neighbour is
// the packet's own destination.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/net/address.hpp"
#include "base/net/prefix_table.hpp"
#include "dataplane/forwarding/next_hop.hpp"

namespace ringway::forwarding {

struct ForwardingRoute {
  net::Prefix prefix;
  NextHopId next_hop;
};

// Who is behind a next hop: a gateway, or, without an address, the packet's own destination.
struct HopNeighbour {
  std::uint32_t interface = 0;
  std::optional<net::IpAddress> address;
  auto operator<=>(const HopNeighbour&) const = default;
};

// What a table is made from. Of routes with the same prefix the last one counts.
class ForwardingContent {
 public:
  NextHopId add_next_hop(const NextHop& hop, const HopNeighbour& neighbour = {});
  void add_route(const net::Prefix& prefix, NextHopId next_hop);

 private:
  friend class ForwardingTable;
  std::vector<NextHop> next_hops_{NextHop{}};
  std::vector<HopNeighbour> neighbours_{HopNeighbour{}};
  std::vector<ForwardingRoute> routes_;
};

class ForwardingTable {
 public:
  ForwardingTable() : ForwardingTable(ForwardingContent{}) {}
  // O(n log n) time for n routes.
  explicit ForwardingTable(ForwardingContent content);

  // The pointers are to 4 or 16 bytes in network order, unaligned.
  [[nodiscard]] NextHopId lookup_v4(const std::uint8_t* destination) const;
  [[nodiscard]] NextHopId lookup_v6(const std::uint8_t* destination) const;
  [[nodiscard]] NextHopId lookup(const net::IpAddress& destination) const;
  // For each packet, given by its IP header (whole, of a version that was checked), where its
  // destination leads. Families may be mixed. Next hops are prefetched.
  void lookup_packets(std::span<const std::uint8_t* const> packets, NextHopId* next_hops) const;

  [[nodiscard]] const NextHop& next_hop(NextHopId id) const { return next_hops_[id.value]; }
  // Who must be resolved for a packet to `destination` to leave by a resolved or unresolved hop.
  [[nodiscard]] Neighbour neighbour(NextHopId id, const net::IpAddress& destination) const;

  [[nodiscard]] std::size_t prefix_count() const { return routes_.prefix_count(); }
  [[nodiscard]] std::size_t next_hop_count() const { return next_hops_.size(); }
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  net::PrefixTable<NextHopId> routes_;
  std::vector<NextHop> next_hops_;
  std::vector<HopNeighbour> neighbours_;  // beside next_hops_, read rarely
};

}  // namespace ringway::forwarding
