// Interfaces whose packets go past the kernel: for each of them an AF_XDP port and a steering
// program, over one UMEM, and for all the mirror of the kernel's routes and neighbours, which says
// by which of them a packet leaves. Each receive queue of an interface has a port, which is one
// worker's; workers for which there is no queue send by another's (dataplane/lent_port.hpp). What
// the node's gateway and `ringway-bench forward` are both built on. Control thread, but for the
// ports, which are their workers' once those run.
//
//   open() ──► all goes to the kernel still ──► steer() ──► what is ours comes to the ports
//                                                  └──► stop(): it goes to the kernel again
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "controlplane/bpf/steering.hpp"
#include "controlplane/host/route_mirror.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/io/umem.hpp"
#include "dataplane/io/xsk_port.hpp"
#include "dataplane/lent_port.hpp"

namespace ringway::control {

struct XdpInterfaceOptions {
  std::string name;
  SteeringMode steering = SteeringMode::kOwnAddresses;
};

// A receive queue of an interface, and who serves it.
struct XdpQueue {
  std::size_t interface = 0;
  std::uint32_t number = 0;
  WorkerId worker;
};

// What all interfaces have together.
struct XdpResources {
  // Of the workers that share the queues, null for one worker; it learns of pool() from the caller.
  HandoffMesh* mesh = nullptr;
  std::uint32_t frames = 0;  // of each worker, for packets; 0: as its queues need
};

// One count of the kernel's, by its name (XDP_STATISTICS, Linux
// Documentation/networking/af_xdp.rst).
struct RingLoss {
  std::string_view label;
  std::uint64_t count = 0;
};

class XdpInterfaces {
 public:
  // Interfaces are numbered as in `options`, NextHop::port too. on_notice: lines for the log.
  // Waits until the mirror has its first table.
  [[nodiscard]] static Result<std::unique_ptr<XdpInterfaces>> open(
      std::span<const XdpInterfaceOptions> options, std::function<void(std::string_view)> on_notice,
      const XdpResources& resources = {});
  ~XdpInterfaces();
  XdpInterfaces(const XdpInterfaces&) = delete;
  XdpInterfaces& operator=(const XdpInterfaces&) = delete;

  [[nodiscard]] std::size_t size() const { return interfaces_.size(); }
  [[nodiscard]] const std::string& name(std::size_t number) const {
    return interfaces_[number].name;
  }
  // The first queue of each interface, in their order, and then all others.
  [[nodiscard]] const std::vector<std::unique_ptr<io::XskPort>>& ports() const { return ports_; }
  [[nodiscard]] const XdpQueue& queue(std::size_t port) const { return queues_[port]; }
  // "eth0"; "eth0/2" where it has several queues.
  [[nodiscard]] std::string port_name(std::size_t port) const;
  // Those of a worker, as forwarding::EthernetLink takes them.
  [[nodiscard]] std::vector<io::Port*> ports_of(WorkerId worker) const;
  // Where the ports of a worker have their frames.
  [[nodiscard]] BufferPool& pool(WorkerId worker) const { return *pools_[worker.value]; }
  [[nodiscard]] RouteMirror& mirror() const { return *mirror_; }

  // All usable addresses, as the kernel has them.
  [[nodiscard]] std::vector<net::IpAddress> addresses(std::size_t number) const;
  // The first of each family: what the Internet sees where this interface leads there.
  [[nodiscard]] std::vector<net::IpAddress> external_addresses(std::size_t number) const;

  // What of the packets of an interface is ours; the rest is the kernel's. As often as it changes.
  [[nodiscard]] Result<void> configure(std::size_t number, std::span<const SteeredAddress> steered);
  // An IP packet that came to an interface and is the kernel's: see Steering::give_back().
  [[nodiscard]] Result<void> give_back(std::size_t number, ConstBytes packet);
  // From now on what is ours comes to the ports.
  [[nodiscard]] Result<void> steer();
  void stop();
  // Frames go home to their pools, or to the mesh that has lent them.
  void close_ports();
  // Those that are not at home: none, when workers, links and mesh are gone, unless a device has
  // not let go of them.
  [[nodiscard]] std::uint32_t frames_away() const;
  // Puts programs back that somebody has taken off. Nobody tells when that happens: to be called
  // every now and then.
  void watch_programs();

  // "native" or "generic", the lesser of all interfaces; "off" where one is without its program.
  [[nodiscard]] std::string mode() const;
  [[nodiscard]] std::string reason() const;  // why not better; empty when it is the best
  // What the kernel lost at the rings of a port, all reasons.
  [[nodiscard]] std::vector<RingLoss> ring_losses(std::size_t port) const;
  // Where packets went: of one interface, all reasons.
  [[nodiscard]] std::vector<SteeringCounter> steering_counters(std::size_t number) const;

 private:
  struct Interface {
    std::string name;
    std::uint32_t index = 0;
    std::uint32_t queues = 1;
    std::unique_ptr<Steering> steering;
    XdpMode mode = XdpMode::kNative;  // for which its socket was opened
    std::string lost;  // why its program is gone and not back yet; empty: it is in place
  };

  XdpInterfaces() = default;
  [[nodiscard]] Result<void> find(std::span<const XdpInterfaceOptions> options);
  [[nodiscard]] Result<void> open_mirror();
  [[nodiscard]] Result<void> attach_programs(std::span<const XdpInterfaceOptions> options);
  void deal_queues();
  [[nodiscard]] std::uint32_t ports_count(WorkerId worker) const;
  [[nodiscard]] Result<void> make_pools();
  [[nodiscard]] Result<void> open_ports();
  void lend_ports();
  void put_back(Interface& interface) const;

  std::function<void(std::string_view)> notice_;
  std::vector<Interface> interfaces_;
  std::size_t workers_ = 1;
  HandoffMesh* mesh_ = nullptr;
  std::uint32_t frames_ = 0;  // of each worker, as asked for
  std::unique_ptr<io::Umem> umem_;
  std::vector<BufferPool*> pools_;  // of the workers
  std::vector<XdpQueue> queues_;    // of the ports
  std::vector<std::unique_ptr<io::XskPort>> ports_;
  std::vector<std::vector<std::unique_ptr<LentPort>>> lent_;  // by worker and interface, or null
  std::unique_ptr<RouteMirror> mirror_;
};

}  // namespace ringway::control
