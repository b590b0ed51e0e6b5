// A gateway that moves packets past the kernel, put together: its interfaces, an Ethernet link
// above them for each worker, and what the NATs need to know. Control thread, but for the links,
// which are the workers' once they run.
//
//   XdpInterfaces ─┬─ a worker's ports ───────────────┐
//                  └─ mirror ─► forwarding tables ────┼─► EthernetLink ──► worker: outer port,
//                     (by the tunnel service)         │                    Internet port
//   the worker's UDP socket in the kernel ────────────┘
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/result.hpp"
#include "controlplane/config.hpp"
#include "controlplane/host/host_plan.hpp"
#include "controlplane/nat_state/port_shares.hpp"
#include "controlplane/node_status.hpp"
#include "controlplane/retried_step.hpp"
#include "controlplane/tunnel_control/tunnel_service.hpp"
#include "controlplane/xdp_interfaces.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/io/udp_port.hpp"
#include "dataplane/nat/nat.hpp"

namespace ringway::control {

class XdpGateway final : public NeighbourKeeper {
 public:
  // Takes the interfaces over, except that packets go on to the kernel until steer(). sockets: of
  // the tunnel's port in the kernel, one a worker. mesh: of the workers, null for a single one.
  // nat_ports: those of the NAT, which nobody else may have.
  [[nodiscard]] static Result<std::unique_ptr<XdpGateway>> open(
      const Config& config, std::span<io::UdpPort* const> sockets, HandoffMesh* mesh,
      PortRange nat_ports, boost::asio::io_context& io);
  ~XdpGateway() override;

  [[nodiscard]] forwarding::EthernetLink& link(WorkerId worker) { return *links_[worker.value]; }
  [[nodiscard]] nat::Config nat_config(WorkerId worker) const;
  [[nodiscard]] const PortShares& nat_shares() const { return shares_; }

  // The configuration's peers have changed: subscribers live elsewhere now.
  void pass_on_surroundings();

  // From now on what is ours goes to the worker, and `service` is told of routes.
  [[nodiscard]] Result<void> steer(TunnelService& service);
  // What was ours goes to the kernel again.
  void stop();
  // Links and ports: after the workers, before what lends them buffers.
  void close_ports();

  [[nodiscard]] const XdpInterfaces& interfaces() const { return *interfaces_; }
  // What it says about ports and drops.
  void fill(NodeStatus& status) const;

  void want(const forwarding::Neighbour& neighbour, Instant now) override;
  void use(const forwarding::Neighbour& neighbour, Instant now) override;

 private:
  XdpGateway(const Config& config, PortRange nat_ports, std::size_t workers,
             boost::asio::io_context& io);
  void make_links(std::span<io::UdpPort* const> sockets);
  [[nodiscard]] Result<void> configure_steering();
  [[nodiscard]] const std::string& internet_interface() const;
  [[nodiscard]] std::vector<net::IpAddress> tunnel_addresses() const;
  // Of each interface.
  [[nodiscard]] std::vector<std::vector<net::IpAddress>> present_addresses() const;
  // Keeps those that are still there, takes others where there are any.
  void choose_external_addresses();
  // What was heard of addresses reaches the steering program and the worker.
  void follow_addresses(Instant now);
  void give_back(ConstBytes packet);
  [[nodiscard]] std::size_t internet_number() const;  // interfaces().size() where there is none
  [[nodiscard]] std::vector<net::Prefix> inner_networks() const;
  boost::asio::awaitable<void> serve_mirror();
  boost::asio::awaitable<void> serve_deadlines();
  void pass_on_table();

  const Config& config_;
  PortRange nat_ports_;
  PortShares shares_;  // of the workers, in these
  std::uint16_t tunnel_port_ = 0;
  // The NAT's: one of IPv4, one of IPv6; unspecified as long as there never was one.
  std::vector<net::IpAddress> external_;
  std::vector<std::vector<net::IpAddress>> followed_;  // addresses of each interface, as passed on
  RetriedStep follow_;                                 // in the steering program
  std::unique_ptr<XdpInterfaces> interfaces_;
  std::vector<std::unique_ptr<forwarding::EthernetLink>> links_;
  TunnelService* service_ = nullptr;
  bool cannot_give_back_ = false;  // the last one failed, and that was said
  Instant programs_watched_ = Instant::distant_past();
  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor mirror_readable_;
  boost::asio::steady_timer deadline_timer_;
  bool stopping_ = false;
};

}  // namespace ringway::control
