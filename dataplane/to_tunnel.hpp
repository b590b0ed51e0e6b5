// The way of an inner packet to its peer (docs/PACKET_FLOW.md, "to the tunnel"):
//
//   1 receive   a burst of packets and trains from the inner port
//   2 route     inner header checked, destination looked up in the allowed IPs: once a train
//   3 reserve   a session that may send, and a counter for each segment: once a train
//   4 frame     each segment is cut, checksummed and copied behind its message header, in one pass
//   5 seal      the whole vector, in place
//   6 transmit  trains of one peer leave as one
#pragma once

#include <cstddef>
#include <span>

#include "base/net/inner_packet.hpp"
#include "base/time.hpp"
#include "dataplane/outbound.hpp"
#include "dataplane/segmenter.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway {

// Takes one burst from the inner port; how many slots it brought.
std::size_t to_tunnel(WorkerState& worker, Instant now);

// Stages 2 to 6 for slots that are already here. Takes ownership.
void send_inner(WorkerState& worker, std::span<Slot> slots, Instant now);

// The same, slot by slot: vectors are sealed and sent as they fill, the last one by flush().
class TunnelBatch {
 public:
  TunnelBatch(WorkerState& worker, Instant now) : worker_(worker), now_(now), outbound_(worker) {}

  // To the peer whose allowed IPs hold the destination. Takes ownership, as add() does.
  void add_routed(const Slot& slot);
  // To this peer, whatever the destination: the NAT knows whose a packet is.
  void add(const Slot& slot, PeerId peer);
  void flush() { outbound_.flush(); }

 private:
  // False when the slot was dropped.
  [[nodiscard]] bool start(const Slot& slot, net::InnerPacket& packet);
  void send(const Slot& slot, Peer* peer, std::uint8_t ecn);

  WorkerState& worker_;
  Instant now_;
  Outbound outbound_;
  Segmenter segmenter_;
};

// What waited for a session of this peer goes out, or a keepalive where nothing did: the responder
// may not send before it has heard from us on the new session.
void send_staged_or_keepalive(WorkerState& worker, Peer& peer, Instant now);

// An empty message; nothing when there is no session to carry it.
void send_keepalive(WorkerState& worker, Peer& peer, Instant now);

// A control frame in the peer's current session, to `path`. False when there is no session.
bool send_control_frame(WorkerState& worker, Peer& peer, const tunnel::Path& path, ConstBytes frame,
                        Instant now);

}  // namespace ringway
