// The only door between the control plane and a worker: commands one way, events the other, each a
// bounded ring with one producer and one consumer. Objects change owner by crossing: the control
// thread makes and frees them, so the packet path neither allocates nor frees.
// Handshakes have a ring of their own, so that a flood of them cannot hold up anything else
// (SECURITY: sessions and handshakes).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "base/doorbell.hpp"
#include "base/ids.hpp"
#include "base/spsc_ring.hpp"
#include "base/time.hpp"
#include "dataplane/drop_reasons.hpp"
#include "dataplane/forwarding/forwarding_table.hpp"
#include "dataplane/nat/nat.hpp"
#include "dataplane/peer.hpp"
#include "dataplane/rate_limit.hpp"
#include "dataplane/surroundings.hpp"
#include "dataplane/tunnel/allowed_ips.hpp"
#include "dataplane/tunnel/handshaker.hpp"
#include "dataplane/tunnel/messages.hpp"
#include "dataplane/tunnel/path.hpp"
#include "dataplane/tunnel/session.hpp"

namespace ringway {

// A control frame fits the smallest path and one cache-friendly ring entry.
inline constexpr std::size_t kMaxControlFrameBytes = 240;
struct ControlFrameBytes {
  std::array<std::uint8_t, kMaxControlFrameBytes> data{};
  std::uint16_t length = 0;
  [[nodiscard]] ConstBytes view() const { return {data.data(), length}; }
};

// What the worker knows of its peers, at one moment.
struct PeerSnapshot {
  PeerId id;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;
  std::uint32_t staged_packets = 0;
  bool has_session = false;
  tunnel::Path path;  // the best one; remote.port 0 where there is none
};
struct WorkerSnapshot {
  // In: which peers are asked for, one entry each. Out: filled in; an unknown peer keeps zeros.
  std::vector<PeerSnapshot> peers;
  nat::Counters nat;  // zeros where the worker has none
};

// Port blocks that the NAT gave out or took back, on their way to the log. Control lends empty ones
// and gets them home filled, so that the worker allocates nothing; while none is at hand, the NAT
// holds the events, and counts those that it has no room for.
inline constexpr std::size_t kBlockEventBatches = 4;  // lent to a worker at most
struct BlockEventBatch {
  Instant at;  // of the turn in which they happened, or in which a batch was at hand again
  std::uint64_t lost = 0;  // by the NAT since it began
  std::size_t count = 0;
  std::array<nat::BlockEvent, 1024> events;
};

// Live mappings, piece by piece: the worker goes on with packets between two of them.
struct MappingPage {
  std::uint32_t cursor = 0;  // in: where to go on, 0 at first; out: the next one, 0 at the end
  Instant at;                // out
  std::size_t count = 0;     // out; 0 does not mean the end
  std::array<nat::MappingRecord, 512> records;
};

namespace command {
struct AddPeer {
  std::unique_ptr<Peer> peer;
};
struct RemovePeer {
  PeerId peer;
};
// Another worker has the peer: what comes here for it is to be handed over.
struct SetPeerOwner {
  PeerId peer;
  WorkerId owner;
};
struct SetKeepalive {
  PeerId peer;
  Duration interval;  // Duration{}: off
};
struct SetRateLimits {
  PeerId peer;
  RateLimits limits;
};
struct SetAllowedIps {
  std::shared_ptr<const tunnel::AllowedIps> allowed_ips;
};
// A gateway's routes and neighbours.
struct SetForwardingTable {
  std::shared_ptr<const forwarding::ForwardingTable> table;
};
// A gateway's addresses and where its subscribers live, as they are from now on.
struct SetSurroundings {
  std::unique_ptr<Surroundings> surroundings;
};
struct PreferPath {
  PeerId peer;
  tunnel::Path path;
};
struct InstallSession {
  std::unique_ptr<tunnel::Session> session;
  net::Endpoint answered = {};  // of a session that we answered: where our response went
};
// Ends all sessions of a peer and drops what waits for one.
struct EraseSessions {
  PeerId peer;
};
// The handshake did not complete: what waits for it has no future.
struct DropStaged {
  PeerId peer;
};
// A handshake message to the peer's best path.
struct SendHandshake {
  PeerId peer;
  tunnel::HandshakeBytes message;
};
// A handshake message to an address.
struct SendDatagram {
  tunnel::DatagramSource to;
  tunnel::HandshakeBytes message;
};
// A control frame in the peer's current session; to its best path, or to `to` where that is valid.
struct SendControlFrame {
  PeerId peer;
  tunnel::Path to;
  ControlFrameBytes frame;
};
struct Snapshot {
  std::unique_ptr<WorkerSnapshot> snapshot;
};
struct LendBlockEvents {
  std::unique_ptr<BlockEventBatch> batch;
};
struct ListMappings {
  std::unique_ptr<MappingPage> page;
};
struct Stop {};
}  // namespace command

using Command =
    std::variant<command::AddPeer, command::RemovePeer, command::SetPeerOwner,
                 command::SetKeepalive, command::SetRateLimits, command::SetAllowedIps,
                 command::SetForwardingTable, command::SetSurroundings, command::PreferPath,
                 command::InstallSession, command::EraseSessions, command::DropStaged,
                 command::SendHandshake, command::SendDatagram, command::SendControlFrame,
                 command::Snapshot, command::LendBlockEvents, command::ListMappings, command::Stop>;

namespace event {
// There is something to send and no session, or the session is due for renewal.
struct SessionWanted {
  PeerId peer;
  bool new_data;  // a packet waits: the attempt window starts afresh
};
// Stock peers: the endpoint has moved. Ringway peers: a packet came from elsewhere, nothing moved.
struct SourceSeen {
  PeerId peer;
  tunnel::DatagramSource from;
};
struct ControlFrameReceived {
  PeerId peer;
  tunnel::DatagramSource from;
  ControlFrameBytes frame;
};
// The peer's first packet on a session that we answered: both ends have the keys.
struct SessionConfirmed {
  PeerId peer;
  net::Endpoint answered;  // valid if it came from where our response went, which is the path now
};
// Packets wait for this neighbour: the kernel should resolve it.
struct NeighbourWanted {
  forwarding::Neighbour neighbour;
};
// Packets went to this neighbour since the last report: the kernel should keep it fresh.
struct NeighbourUsed {
  forwarding::Neighbour neighbour;
};
// Homecomings.
struct SessionRetired {
  std::unique_ptr<tunnel::Session> session;
};
struct PeerRemoved {
  std::unique_ptr<Peer> peer;
};
struct AllowedIpsRetired {
  std::shared_ptr<const tunnel::AllowedIps> allowed_ips;
};
struct ForwardingTableRetired {
  std::shared_ptr<const forwarding::ForwardingTable> table;
};
struct SurroundingsRetired {
  std::unique_ptr<Surroundings> surroundings;
};
struct SnapshotTaken {
  std::unique_ptr<WorkerSnapshot> snapshot;
};
struct BlocksChanged {
  std::unique_ptr<BlockEventBatch> batch;
};
struct MappingsListed {
  std::unique_ptr<MappingPage> page;
};
}  // namespace event

using Event = std::variant<event::SessionWanted, event::SourceSeen, event::ControlFrameReceived,
                           event::SessionConfirmed, event::SessionRetired, event::PeerRemoved,
                           event::AllowedIpsRetired, event::ForwardingTableRetired,
                           event::SurroundingsRetired, event::NeighbourWanted, event::NeighbourUsed,
                           event::SnapshotTaken, event::BlocksChanged, event::MappingsListed>;

// A handshake message that passed mac1 (and mac2 under load).
struct HandshakeReceived {
  tunnel::DatagramSource from;
  tunnel::HandshakeBytes message;
};

// An IP packet that came past the kernel and is the kernel's. What a frame of the UMEM holds.
struct PacketForKernel {
  std::array<std::uint8_t, 2048> data;
  std::uint16_t length = 0;
  [[nodiscard]] ConstBytes view() const { return {data.data(), length}; }
};

inline constexpr std::size_t kCommandRingEntries = 1024;
inline constexpr std::size_t kEventRingEntries = 1024;
inline constexpr std::size_t kHandshakeRingEntries = 4096;
inline constexpr std::size_t kForKernelRingEntries = 64;
// As the Linux implementation's MAX_QUEUED_INCOMING_HANDSHAKES / 8.
inline constexpr std::size_t kUnderLoadHandshakes = kHandshakeRingEntries / 8;
inline constexpr Duration kUnderLoadHysteresis = Duration::seconds(1);

// The rings between the control thread and one worker.
struct ControlLink {
  SpscRing<Command> commands{kCommandRingEntries};
  SpscRing<Event> events{kEventRingEntries};
  SpscRing<HandshakeReceived> handshakes{kHandshakeRingEntries};
  SpscRing<PacketForKernel> for_kernel{kForKernelRingEntries};
  Doorbell worker_doorbell;   // rung by control
  Doorbell control_doorbell;  // rung by the worker
};

}  // namespace ringway
