// The control side of the tunnel: it feeds the handshaker with what the workers report, and them
// with what comes of it. It also keeps the allowed IPs, validates new paths of Ringway
// peers, compares suites in each session's hello, and decides which worker has which peer. A
// sans-IO state machine over the rings of the ControlLinks, so that the node and a simulation run
// the same code. Control thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "controlplane/tunnel_control/worker_channel.hpp"
#include "dataplane/control_api.hpp"
#include "dataplane/tunnel/control_frame.hpp"
#include "dataplane/tunnel/handshaker.hpp"
#include "dataplane/tunnel/receiver_index.hpp"

namespace ringway::control {

// What the tunnel needs to know of a peer.
struct TunnelPeer {
  tunnel::PeerSettings settings;
  std::optional<net::Endpoint> endpoint;
  std::vector<net::Prefix> allowed_ips;
  Duration persistent_keepalive;  // Duration{}: off
  RateLimits limits;
};

// Timestamps that must outlive the process (SECURITY: sessions and handshakes, 5).
class TimestampStore {
 public:
  virtual ~TimestampStore() = default;
  // Called before the message that carries it leaves. Newer than everything stored before.
  virtual void store_sent(const tunnel::Tai64n& timestamp) = 0;
  virtual void store_received(const tunnel::PublicKey& peer, const tunnel::Tai64n& timestamp) = 0;
  [[nodiscard]] virtual tunnel::Tai64n last_sent() const = 0;
  [[nodiscard]] virtual tunnel::Tai64n last_received(const tunnel::PublicKey& peer) const = 0;
};

// Who keeps the kernel's neighbour table as a gateway's packets need it.
class NeighbourKeeper {
 public:
  virtual ~NeighbourKeeper() = default;
  // Packets wait for it.
  virtual void want(const forwarding::Neighbour& neighbour, Instant now) = 0;
  // Packets went to it of late.
  virtual void use(const forwarding::Neighbour& neighbour, Instant now) = 0;
};

struct TunnelServiceCounters {
  std::uint64_t handshakes_completed = 0;
  std::uint64_t path_challenges_sent = 0;
  std::uint64_t paths_validated = 0;
  std::uint64_t control_frames_refused = 0;
  std::uint64_t suite_disagreements = 0;
};

struct TunnelPeerState {
  WallTime latest_handshake;  // WallTime{} where there was none
  net::Endpoint endpoint;     // the last known; port 0 where there is none
};

class TunnelService {
 public:
  // session_slot_bits: as the workers'. links: one a worker, in their order. Everything that is
  // referred to must outlive the service.
  TunnelService(const tunnel::PrivateKey& key, unsigned session_slot_bits,
                std::span<ControlLink* const> links, TimestampStore& timestamps, Rng& rng);

  [[nodiscard]] const tunnel::PublicKey& public_key() const { return handshaker_.public_key(); }

  // The peer's identity for as long as it is configured. Fails where the key is our own, taken, or
  // not a valid point. Allowed IPs take effect with apply_allowed_ips(), so that many peers can be
  // added for the price of one snapshot. `owner`: the worker that gets it; otherwise one is chosen
  // when the peer is to be reached, or when its first handshake arrives.
  [[nodiscard]] Result<PeerId> add_peer(const TunnelPeer& peer, Instant now,
                                        std::optional<WorkerId> owner = {});
  // Keeps sessions alive where neither suite nor preshared key changed.
  void change_peer(PeerId id, const TunnelPeer& peer);
  void remove_peer(PeerId id);
  // Where the peer was last, as far as nobody has heard of it since.
  void assume_endpoint(PeerId id, const net::Endpoint& endpoint);
  void apply_allowed_ips();

  // Routes and neighbours of a gateway's worker, and who hears what it says of them.
  void set_forwarding_table(std::shared_ptr<const forwarding::ForwardingTable> table);
  void set_surroundings(const Surroundings& surroundings);
  void set_neighbour_keeper(NeighbourKeeper* keeper) { neighbours_ = keeper; }

  // `give_back` gets IP packets that workers took and that are the kernel's; empty: they are lost.
  void set_give_back(std::function<void(ConstBytes)> give_back) {
    give_back_ = std::move(give_back);
  }

  // The workers' NATs, if they have any. `heard` is told of the port blocks that were given out and
  // came back; call it once, before the workers' first turns or later.
  void hear_of_blocks(std::function<void(WorkerId, const BlockEventBatch&)> heard);
  // One piece of the live mappings, from `cursor` on (0 at first); the page names the next cursor.
  void request_mappings(std::uint32_t cursor, std::function<void(const MappingPage&)> done);

  // Begins handshakes with these peers, some at a time: they are not to wait until they notice that
  // we have forgotten their sessions.
  void reach(const std::vector<PeerId>& peers);

  // Takes some of what the worker reported; more may be left in the rings. To be called when the
  // link's control doorbell rang.
  void handle_events(Instant now, WallTime wall);
  void tick(Instant now, WallTime wall);
  [[nodiscard]] Instant next_deadline() const;

  // Asks the workers for their figures; `done` runs when they are all here.
  void request_snapshot(std::function<void(const WorkerSnapshot&)> done);

  [[nodiscard]] const TunnelPeerState* peer_state(PeerId id) const;
  [[nodiscard]] const tunnel::Handshaker& handshaker() const { return handshaker_; }
  [[nodiscard]] const TunnelServiceCounters& counters() const { return counters_; }
  [[nodiscard]] std::size_t sessions_alive() const { return indices_.used(); }
  [[nodiscard]] std::size_t peers_of(WorkerId worker) const { return loads_[worker.value]; }

 private:
  struct PeerRecord {
    TunnelPeer peer;
    TunnelPeerState state;
    // The path being validated: at most one, and a new one at most every half second.
    tunnel::DatagramSource challenged;
    std::array<std::uint8_t, 8> challenge_nonce{};
    Instant challenge_sent = Instant::distant_past();
    bool challenge_open = false;
    // Who has it; until that is decided, what its worker will get.
    std::optional<WorkerId> owner;
    std::unique_ptr<Peer> unplaced;
  };
  // A request that every worker answers.
  struct SnapshotRequest {
    std::function<void(const WorkerSnapshot&)> done;
    WorkerSnapshot sum;
    std::uint32_t missing = 0;  // a bit for each worker that has not answered
  };
  // A request that one worker answers.
  struct MappingRequest {
    WorkerId worker;
    std::function<void(const MappingPage&)> done;
  };

  [[nodiscard]] WorkerChannel& channel(WorkerId worker) { return workers_[worker.value]; }
  void send(const PeerRecord& record, Command&& command);
  void flush_commands();
  [[nodiscard]] bool commands_wait() const;
  [[nodiscard]] WorkerId least_loaded() const;
  [[nodiscard]] WorkerId owner_of_newcomer(WorkerId arrived_at) const;
  void place_if_to_be_reached(PeerId id, PeerRecord& record);
  void place(PeerId id, PeerRecord& record, WorkerId owner);
  void set_keepalive(PeerId id, PeerRecord& record, Duration interval);
  void set_limits(PeerId id, PeerRecord& record, const RateLimits& limits);
  void take_handshaker_outputs(WallTime wall);
  void handle(tunnel::HandshakeOutput& output, WallTime wall);
  void handle_events_of(WorkerId worker, Instant now, WallTime wall);
  void handle(Event& event, WorkerId from, Instant now, WallTime wall);
  void answer_mapping_request(WorkerId from, const MappingPage& page);
  void name_next_cursor(MappingPage& page, WorkerId from) const;
  void add_to_snapshot(WorkerId from, const WorkerSnapshot& part);
  void handle_control_frame(PeerId id, const event::ControlFrameReceived& received, Instant now);
  void send_frame(PeerId id, const PeerRecord& record, const tunnel::Path& to,
                  const tunnel::ControlFrame& frame);
  void challenge_path(PeerId id, PeerRecord& record, const tunnel::DatagramSource& source,
                      Instant now);
  void adopt_endpoint(PeerId id, PeerRecord& record, const tunnel::DatagramSource& source);
  PeerRecord* find(PeerId id);

  std::vector<WorkerChannel> workers_;
  std::array<std::size_t, kMaxWorkers> loads_{};  // peers that each one has
  TimestampStore& timestamps_;
  Rng& rng_;
  tunnel::ReceiverIndexAllocator indices_;
  tunnel::Handshaker handshaker_;
  std::map<PeerId, PeerRecord> peers_;
  std::vector<PeerId> free_ids_;  // confirmed gone by the worker
  std::uint32_t next_id_ = 0;
  Instant latest_ = Instant::distant_past();       // `now` of the last call
  std::deque<SnapshotRequest> snapshot_requests_;  // answered in order
  std::deque<MappingRequest> mapping_requests_;    // likewise, each worker's
  std::function<void(WorkerId, const BlockEventBatch&)> heard_of_blocks_;
  std::function<void(ConstBytes)> give_back_;
  std::deque<PeerId> to_reach_;
  TunnelServiceCounters counters_;
  NeighbourKeeper* neighbours_ = nullptr;
};

}  // namespace ringway::control
