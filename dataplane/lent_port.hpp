// An Ethernet port that another worker has, in the eyes of a worker that has none on that
// interface, because the device has too few queues. What is sent by it is handed over as finished
// frames; what arrives at the device finds its owner by the other ways between workers. The thread
// of the worker that uses it. Made and freed by control.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/ids.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/io/port.hpp"

namespace ringway {

class LentPort final : public io::Port {
 public:
  // number: of `port` among those of the worker that has it (forwarding::EthernetLink). end: of the
  // worker that uses it, as `pool` is. All outlive this.
  LentPort(const io::Port& port, std::uint32_t number, WorkerId owner, Handoff& end,
           BufferPool& pool);

  [[nodiscard]] std::size_t rx_burst(std::span<Slot> /*out*/) override { return 0; }
  std::size_t tx_burst(std::span<Slot> slots) override;
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override;
  [[nodiscard]] const io::PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] int wake_fd() const override { return -1; }
  [[nodiscard]] std::string describe() const override;

 private:
  io::PortCapabilities capabilities_;
  std::uint32_t number_;
  WorkerId owner_;
  Handoff& end_;
  BufferPool& pool_;
};

}  // namespace ringway
