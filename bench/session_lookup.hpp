// Sessions as the packet path finds them, without a packet: what arrives names one by its receiver
// index, what leaves goes to a peer. For ringway-bench lookup.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/rng.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway::bench {

// So many peers of one worker with a session each, and lookups of them in random order. Each way to
// look up returns the same sum over the sessions found.
class SessionLookup {
 public:
  static constexpr std::size_t kLookups = 1U << 16;

  explicit SessionLookup(std::uint32_t sessions);
  ~SessionLookup();
  SessionLookup(const SessionLookup&) = delete;
  SessionLookup& operator=(const SessionLookup&) = delete;

  // One after the other, from index or peer to the first line of the session.
  [[nodiscard]] std::uint64_t by_receiver();
  [[nodiscard]] std::uint64_t by_peer();
  // A burst at a time, where the next step of all is fetched before the first one takes it.
  [[nodiscard]] std::uint64_t by_receiver_in_bursts();
  [[nodiscard]] std::uint64_t by_peer_in_bursts();

 private:
  void add_session(PeerId id, ReceiverIndex index);
  [[nodiscard]] std::uint64_t found_by_receiver(const tunnel::Session* session,
                                                ReceiverIndex receiver) const;

  SeededRng rng_;
  io::MemoryPort inner_;
  io::MemoryPort outer_;
  ControlLink link_;
  std::unique_ptr<WorkerState> worker_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<PeerId> ids_;               // to be looked up, in this order
  std::vector<ReceiverIndex> receivers_;  // of the same sessions
};

}  // namespace ringway::bench
