// The running node: workers with their ports, tunnel service and host settings, put together from a
// configuration, and the control loop that drives them on one io_context. Control thread.
//
//   start: sockets, TUN, timestamps -> peers -> kept mappings -> worker threads -> host settings
//          (journaled) -> handshakes with peers that the last run left in a session
//   stop:  host settings taken back (for a restart all but the firewall tables)
//          -> workers stopped -> ports closed
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "controlplane/config.hpp"
#include "controlplane/gateway_io.hpp"
#include "controlplane/host/host_setup.hpp"
#include "controlplane/local_api.hpp"
#include "controlplane/nat_state/nat_records.hpp"
#include "controlplane/nat_state/state_keeper.hpp"
#include "controlplane/tunnel_control/timestamp_file.hpp"
#include "controlplane/tunnel_control/tunnel_service.hpp"
#include "controlplane/worker_crew.hpp"
#include "controlplane/xdp_gateway.hpp"
#include "dataplane/control_api.hpp"

namespace ringway::control {

class Node final : public NodeControl {
 public:
  // Everything up to and including the host's settings; on failure nothing is left behind.
  [[nodiscard]] static Result<std::unique_ptr<Node>> start(const Config& config,
                                                           boost::asio::io_context& io);
  // Takes everything back.
  ~Node() override;

  [[nodiscard]] NodeStatus status() override;
  [[nodiscard]] Result<MappingList> mappings(const MappingQuery& query) override;
  [[nodiscard]] const Config& config() const override { return config_; }
  [[nodiscard]] Result<ReloadReport> reload() override;
  [[nodiscard]] Result<void> set_peer(const PeerConfig& peer) override;
  [[nodiscard]] Result<void> remove_peer(const std::string& name) override;
  void request_stop(StopKind kind) override;

  // What the host settings want the user to know.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return host_->warnings(); }
  // As requested, or taking all back. The first error of taking the host's settings back, if any.
  // The node is stopped afterwards.
  [[nodiscard]] Result<void> stop();

 private:
  Node(const Config& config, boost::asio::io_context& io);

  [[nodiscard]] Result<void> open_ports();
  [[nodiscard]] Result<void> open_gateway();
  [[nodiscard]] Result<void> open_xdp_gateway();
  [[nodiscard]] Result<void> add_configured_peers();
  void make_workers();
  void keep_last_state();
  void close_ports();
  [[nodiscard]] Result<void> open_gateway_state();
  void restore_mappings();
  void reach_kept_peers();
  [[nodiscard]] const KeptPeer* kept_peer(const tunnel::PublicKey& key) const;
  [[nodiscard]] std::size_t place_of(const KeptPeer& peer) const;  // in KeptState::peers
  [[nodiscard]] HostPlan host_plan() const;
  [[nodiscard]] Result<void> apply_peer(const PeerConfig& config, const TunnelPeer& peer,
                                        std::optional<WorkerId> owner = {});
  void drop_unapplied_peers();
  void forget_peer(const std::string& name);
  // Routes of workers and host follow the peers' allowed IPs.
  [[nodiscard]] Result<void> apply_routes();

  // What one worker tells; `readable` when its doorbell rang.
  boost::asio::awaitable<void> serve_worker_events(ControlLink& link,
                                                   boost::asio::posix::stream_descriptor& readable);
  boost::asio::awaitable<void> serve_deadlines();
  void take_worker_events();
  // Until done() says so; false when the worker took too long.
  template <typename Done>
  [[nodiscard]] bool wait_for_worker(Done&& done);
  void take_snapshot(NodeStatus& status);
  void fill_full_tunnel(NodeStatus& status) const;
  void fill_gateway(NodeStatus& status) const;

  Config config_;
  boost::asio::io_context& io_;
  SystemRng rng_;
  std::unique_ptr<TimestampFile> timestamps_;
  std::unique_ptr<WorkerCrew> crew_;
  std::unique_ptr<XdpGateway> xdp_;  // null where the kernel forwards
  GatewayIoChoice io_choice_;
  PortRange nat_ports_;  // of the XDP gateway
  std::unique_ptr<TunnelService> service_;
  std::optional<KeptState> kept_;  // of the last run, while this one starts
  std::map<tunnel::PublicKey, const KeptPeer*> kept_peers_;  // in it, by key
  std::vector<std::optional<WorkerId>> kept_owners_;  // of its peers, where they had mappings
  std::unique_ptr<StateKeeper> keeper_;               // of gateways
  std::unique_ptr<NatRecords> nat_records_;           // null where the kernel translates
  std::unique_ptr<HostSetup> host_;
  std::map<std::string, PeerId> peer_ids_;
  std::deque<boost::asio::posix::stream_descriptor> doorbells_;  // one a worker
  boost::asio::steady_timer deadline_timer_;
  Instant started_;
  WallTime started_at_;
  bool stopping_ = false;
  StopKind stop_kind_ = StopKind::kTakeBack;
};

}  // namespace ringway::control
