// A gateway's worker without its tunnel: forwards and translates between two interfaces by AF_XDP
// with the same ports, Ethernet link, NAT, batches and sleeps as a node does. What it moves is the
// most that a gateway on the same machine could.
//
//   inside ───┐               ┌─ from a subscriber ──► NAT, outbound ─┐
//             ├─ EthernetLink ┤                                       ├─ EthernetLink, by its route
//   outside ──┘               └─ from elsewhere ─────► NAT, inbound ──┘
//
// One thread does all of it, the mirror of the kernel's routes and neighbours included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "controlplane/xdp_interfaces.hpp"
#include "dataplane/drop_reasons.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"
#include "dataplane/io/memory_port.hpp"
#include "dataplane/nat/nat.hpp"
#include "dataplane/packet.hpp"
#include "dataplane/tunnel/allowed_ips.hpp"

namespace ringway::bench {

struct ForwarderOptions {
  std::string inside;   // interface of the subscribers
  std::string outside;  // interface towards the Internet, whose addresses stand for theirs
  std::vector<net::Prefix> subscribers;  // each prefix is one, with limits of its own
  bool busy = false;                     // never sleeps
};

class Forwarder {
 public:
  static constexpr std::size_t kInside = 0;  // numbers of the interfaces
  static constexpr std::size_t kOutside = 1;

  struct Counters {
    std::uint64_t turns = 0;
    std::uint64_t idle_turns = 0;
    std::uint64_t sleeps = 0;
    std::uint64_t outbound_packets = 0;  // sent towards the Internet
    std::uint64_t inbound_packets = 0;   // sent towards subscribers
  };

  // Takes the interfaces over, except that all packets go to the kernel until run(). notice: a line
  // for the log.
  [[nodiscard]] static Result<std::unique_ptr<Forwarder>> open(
      const ForwarderOptions& options, std::function<void(std::string_view)> notice);
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  // Forwards until `stop_fd` is readable or `end` has come; then the kernel has all packets again.
  [[nodiscard]] Result<void> run(int stop_fd, Instant end);

  [[nodiscard]] const control::XdpInterfaces& interfaces() const { return *interfaces_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  // By reason, the Ethernet link's included.
  [[nodiscard]] std::uint64_t dropped(DropReason reason) const {
    return drops_.value(reason) + link_->drops().value(reason);
  }
  [[nodiscard]] std::uint64_t mappings() const { return nat_->counters().mappings; }

 private:
  class Batch;

  Forwarder(const ForwarderOptions& options, std::unique_ptr<control::XdpInterfaces> interfaces);
  [[nodiscard]] Result<void> configure_steering(std::uint16_t first_port, std::uint16_t last_port);
  [[nodiscard]] nat::Config nat_config() const;
  std::size_t run_once(Instant now);
  void sort(Slot& slot, Batch& outbound, Batch& inbound);
  void finish(Batch& batch, std::uint64_t& sent);
  void send_nat_outputs();
  void tend_links(Instant now);
  [[nodiscard]] Instant next_deadline() const;
  void sleep(Instant end);

  ForwarderOptions options_;
  std::unique_ptr<control::XdpInterfaces> interfaces_;
  io::MemoryPort no_socket_;  // stands for the socket of the tunnel that there is none of
  std::unique_ptr<forwarding::EthernetLink> link_;
  SystemRng rng_;
  std::unique_ptr<nat::Nat> nat_;
  tunnel::AllowedIps subscribers_;
  int epoll_fd_;
  Instant tended_ = Instant::distant_past();
  Instant reported_ = Instant::distant_past();
  DropCounters drops_;
  Counters counters_;
};

}  // namespace ringway::bench
