// The simulated network's links between nodes: who is at which end, how long a message takes, and
// how far the set-up of a link has come. A link costs what it does between real nodes: a handshake
// of one round trip, then certificates inside of it.
//
//   opener                    other end
//     │ 1. initiation  ─────────►│
//     │◄───────── 2. response    │
//     │ 3. certificate ─────────►│ its link is up
//     │◄──────── 4. certificate  │
//     │ its link is up           │
//
// Behind NATs the opener repeats the initiation, to each port that it was told of, until it has the
// response; the NATs decide what comes through. Through a relay each message goes over two legs.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "overlay/link.hpp"

namespace ringway::overlay::sim {

using NodeIndex = std::uint32_t;

// Where a node listens; a NAT gives it another port outside.
inline constexpr std::uint16_t kPort = 51820;

// 2001:db8::/32 is for documentation; the node's index stands behind it, so each has a /64.
[[nodiscard]] inline net::Endpoint endpoint_of(NodeIndex node, std::uint16_t port = kPort) {
  std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
  store_be(bytes.data() + 4, node);
  return {net::IpAddress::v6(bytes.data()), port};
}

enum class End : std::uint8_t { kAbsent, kPending, kUp, kClosed };

struct Connection {
  NodeIndex node[2] = {};  // 0 opened it
  End end[2] = {End::kAbsent, End::kAbsent};
  AttemptId attempt;  // of node[0]
  std::uint32_t generation = 0;
  Duration one_way;                        // when it was opened, if through relays
  bool relayed = false;                    // the nodes' relay tables say through whom
  bool answered = false;                   // the opener had a response
  std::uint16_t port[2] = {kPort, kPort};  // of the other end, to which each end sends
};

// A side of a connection, as a node's LinkId.
struct Side {
  std::uint32_t connection = 0;
  std::uint32_t side = 0;

  [[nodiscard]] static Side of(LinkId link) { return {link.value >> 1, link.value & 1}; }
  [[nodiscard]] LinkId link() const { return LinkId{(connection << 1) | side}; }
  [[nodiscard]] Side other() const { return {connection, 1 - side}; }
};

class Connections {
 public:
  [[nodiscard]] std::uint32_t open(NodeIndex from, NodeIndex to, AttemptId attempt,
                                   Duration one_way) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(connections_.size()));
      connections_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Connection& connection = connections_[index];
    connection.node[0] = from;
    connection.node[1] = to;
    connection.end[0] = End::kPending;
    connection.end[1] = End::kAbsent;
    connection.attempt = attempt;
    connection.one_way = one_way;
    connection.relayed = connection.answered = false;
    connection.port[0] = connection.port[1] = kPort;
    return index;
  }
  [[nodiscard]] Connection& operator[](std::uint32_t index) { return connections_[index]; }
  [[nodiscard]] const Connection& operator[](std::uint32_t index) const {
    return connections_[index];
  }

  // The end is closed for good; with both closed the connection's place may be used again, and
  // what was under way is recognised by its generation.
  void close(Side side) {
    Connection& connection = connections_[side.connection];
    connection.end[side.side] = End::kClosed;
    const End other = connection.end[1 - side.side];
    if (other != End::kClosed && other != End::kAbsent) return;
    connection.end[0] = connection.end[1] = End::kClosed;
    ++connection.generation;
    free_.push_back(side.connection);
  }

 private:
  std::vector<Connection> connections_;
  std::vector<std::uint32_t> free_;
};

}  // namespace ringway::overlay::sim
