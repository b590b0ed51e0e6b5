// Layer 2 of a gateway's worker: below it Ethernet ports, which carry frames; above it the two
// ports that the worker knows, one for the tunnel's datagrams and one for the Internet's packets.
// One interface may be both sides, or each its own; the forwarding table says by which a packet
// leaves.
//
//                  ┌─ datagrams() ◄── UDP to the tunnel's port ──┐
//      worker  ────┤                                             ├── frames of the Ethernet ports
//                  └─ packets() ◄──── every other IP packet ─────┘
//
// What the Ethernet ports cannot carry goes by the kernel's own UDP socket, which holds the
// tunnel's port besides: fragments of datagrams come in by it, and datagrams leave by it whose
// route is by another interface, or that are longer than their route's MTU. Worker thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/net/address.hpp"
#include "base/time.hpp"
#include "dataplane/drop_reasons.hpp"
#include "dataplane/forwarding/forwarding_table.hpp"
#include "dataplane/forwarding/next_hop_use.hpp"
#include "dataplane/forwarding/pending.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/stage_clock.hpp"

namespace ringway::forwarding {

struct LinkOptions {
  // Where the tunnel is reached; the first of a family is the source of what has none. Where there
  // is none, every packet is for the Internet side.
  std::vector<net::IpAddress> tunnel_addresses;
  std::uint16_t tunnel_port = 0;
  // Of the first outer IPv4 header. Drawn at random, so that nobody can tell from the following
  // ones how much was sent since the start.
  std::uint16_t first_identification = 0;
};

class EthernetLink {
 public:
  static constexpr std::size_t kMaxInterfaces = 4;
  static constexpr std::size_t kMaxPorts = 32;

  // ports: at first one an interface, in the order in which NextHop::port counts them; behind them
  // those of further queues, by which packets only come. kernel: the UDP socket. All outlive this.
  EthernetLink(std::span<io::Port* const> ports, io::Port& kernel, const LinkOptions& options);
  ~EthernetLink();
  EthernetLink(const EthernetLink&) = delete;
  EthernetLink& operator=(const EthernetLink&) = delete;

  // The worker asks for datagrams first: that call takes frames from the wire, and what it finds
  // for the other side waits there. Packets never come without it.
  [[nodiscard]] io::Port& datagrams();
  [[nodiscard]] io::Port& packets();

  // A new snapshot; what waited for a neighbour is looked up again. Returns the old one.
  [[nodiscard]] std::shared_ptr<const ForwardingTable> swap_table(
      std::shared_ptr<const ForwardingTable> table, Instant now);
  [[nodiscard]] const ForwardingTable& table() const;

  // Finished frames of a worker without a port of its own, each to the port that Slot::interface
  // numbers. Returns how many were refused.
  std::size_t send_frames(std::span<Slot> frames);

  // Once a turn: takes completed buffers back, sends nothing late, drops what has waited too long.
  void run(Instant now);
  [[nodiscard]] Instant next_deadline() const;

  // Neighbours that the kernel should resolve, at most `out.size()` of those not told yet.
  [[nodiscard]] std::size_t take_wanted(std::span<Neighbour> out);
  // Marks of next hops used since the last drain.
  [[nodiscard]] NextHopUse& use();

  // Null, as at first: nothing is timed.
  void set_stage_clock(StageClock* clock);

  [[nodiscard]] const DropCounters& drops() const;
  [[nodiscard]] const std::vector<net::IpAddress>& tunnel_addresses() const;
  // Exchanges them for others; at least one.
  void swap_tunnel_addresses(std::vector<net::IpAddress>& addresses);

 private:
  struct State;
  class Datagrams;
  class Packets;
  std::unique_ptr<State> state_;
  std::unique_ptr<Datagrams> datagrams_;
  std::unique_ptr<Packets> packets_;
};

}  // namespace ringway::forwarding
