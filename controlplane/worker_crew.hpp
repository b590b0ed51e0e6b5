// The node's workers: for each one its queue of the TUN device, its sockets in the tunnel's UDP
// port, its rings to control and its thread; and the mesh of rings between them, where there are
// several. Control thread.
//
//   open() ─► (the gateway's links) ─► make_workers() ─► run()
//   stop() ─► (the gateway's links and ports are closed) ─► dissolve() ─► close_ports()
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "controlplane/config.hpp"
#include "controlplane/node_status.hpp"
#include "controlplane/xdp_gateway.hpp"
#include "dataplane/control_api.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/io/tun_port.hpp"
#include "dataplane/io/udp_port.hpp"
#include "dataplane/worker.hpp"

namespace ringway::control {

// 2^20 sessions and handshakes at once: three for each peer that a configuration may have.
inline constexpr unsigned kSessionSlotBits = 20;

class WorkerCrew {
 public:
  // Opens the kernel's ports.
  [[nodiscard]] static Result<std::unique_ptr<WorkerCrew>> open(const Config& config);
  // stop() and dissolve() have been called, as far as there was something to stop.
  ~WorkerCrew();
  WorkerCrew(const WorkerCrew&) = delete;
  WorkerCrew& operator=(const WorkerCrew&) = delete;

  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] const std::string& tun_name() const;
  [[nodiscard]] std::uint16_t local_port() const;
  // One a worker, in their order, as the next ones.
  [[nodiscard]] std::vector<ControlLink*> links() const;
  [[nodiscard]] std::vector<io::UdpPort*> sockets() const;
  // Null where there is one worker.
  [[nodiscard]] HandoffMesh* mesh() { return mesh_.get(); }

  // gateway: null where the kernel forwards.
  void make_workers(const tunnel::PublicKey& own_key, XdpGateway* gateway);
  // Before run(): mappings of peers of this worker. How many fitted.
  [[nodiscard]] std::size_t restore_mappings(WorkerId worker,
                                             std::span<const nat::MappingRecord> records);
  [[nodiscard]] Result<void> run(const WorkerConfig& config);

  // Until all workers have ended: `take_events` keeps their rings to control moving. They and what
  // they held are gone afterwards.
  void stop(const std::function<void()>& take_events);
  // Buffers that were on their way go home. After the ports that the workers shared are closed.
  void dissolve();
  // Closes the kernel's ports.
  void close_ports();

  // What it says about ports, workers and drops.
  void fill(NodeStatus& status, const WorkerConfig& config) const;

 private:
  struct Member {
    ControlLink link;
    SystemRng rng;  // worker thread
    std::unique_ptr<io::UdpPort> outer;
    std::unique_ptr<io::TunPort> inner;
    std::unique_ptr<Worker> worker;
    std::thread thread;
    std::atomic<bool> finished{false};
  };

  WorkerCrew() = default;
  [[nodiscard]] Result<void> open_ports(const Config& config);
  void meet();
  [[nodiscard]] std::string name_of(std::size_t number) const;

  std::vector<std::unique_ptr<Member>> members_;
  std::unique_ptr<HandoffMesh> mesh_;
};

}  // namespace ringway::control
