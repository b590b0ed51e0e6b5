// Keeps a gateway's state on disk while it runs, and finds it again at the next start. In rounds of
// a second or more: the mappings come piece by piece from the worker, go into a new file as they
// come, and the new file replaces the old one. A crash costs what is younger than a round, a stop
// nothing. Control thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "controlplane/nat_state/kept_state.hpp"
#include "controlplane/tunnel_control/state_file.hpp"
#include "controlplane/tunnel_control/tunnel_service.hpp"
#include "dataplane/nat/nat.hpp"

namespace ringway::control {

// Both clocks, and this boot.
[[nodiscard]] KeptMoment kept_moment_now();

// What the last run left in the state directory. Empty where there is nothing, or nothing usable;
// the log says why.
[[nodiscard]] std::optional<KeptState> load_kept_state(const std::string& directory);

// Who a kept peer is now.
struct KeptOwner {
  PeerId id;
  std::vector<net::Prefix> allowed_ips;
};

// The mappings that would still live after `away`, of peers that still have the inner address.
// `owners` has one for each of KeptState::peers, or none.
[[nodiscard]] std::vector<nat::MappingRecord> mappings_after(
    const KeptState& state, Duration away, const std::vector<std::optional<KeptOwner>>& owners);

class StateKeeper {
 public:
  struct KnownPeer {
    PeerId id;
    tunnel::PublicKey public_key{};
  };

  // own_nat: the worker has mappings to be kept. `peers` says who there is. Everything passed must
  // outlive the worker's last event.
  StateKeeper(const std::string& directory, bool own_nat, TunnelService& service,
              std::function<std::vector<KnownPeer>()> peers);

  void tick(Instant now);
  [[nodiscard]] Instant next_deadline() const { return next_round_; }
  // A peer was removed: its id may become another's. The round under way is given up.
  void peers_changed();
  // Before the end: a round of what there is now, whether or not one is due. It has been written
  // when none is under way any more.
  void begin_last(Instant now);
  [[nodiscard]] bool under_way() const { return file_.has_value(); }

 private:
  void begin(Instant now);
  void ask(std::uint32_t cursor);
  void take(const MappingPage& page);
  void finish(Instant now);
  // Gives the round up and says so, once until one succeeds again.
  void fail(const Error& error);
  [[nodiscard]] std::vector<KeptPeer> kept_peers();

  std::string path_;
  bool own_nat_;
  TunnelService& service_;
  std::function<std::vector<KnownPeer>()> peers_;
  Instant next_round_ = Instant::distant_past();

  // The round under way.
  std::optional<FileReplacement> file_;
  KeptStateWriter writer_;
  std::vector<KeptPeer> round_peers_;
  std::map<PeerId, std::uint32_t> places_;  // in round_peers_
  KeptMoment moment_;
  // What it has cost this thread. Not the wait for a worker, which may be long on a busy machine.
  Duration worked_;
  Instant step_began_;
  std::size_t mappings_ = 0;
  std::uint64_t round_ = 0;  // pages of another one come too late

  // What stands in the file.
  std::vector<KeptPeer> kept_;
  Instant kept_at_ = Instant::distant_past();
  bool kept_mappings_ = false;
  bool failing_ = false;
};

}  // namespace ringway::control
