// The fast port of a gateway or relay: one receive and transmit queue of a device by AF_XDP. Slots
// are whole Ethernet frames. Which frames come is decided by the steering program (bpf/), into
// whose map of sockets the control plane puts socket_fd(). Worker thread; opened and closed by
// control.
//
// Every frame of the UMEM is in exactly one place:
//
//   pool (free) ─► fill ring ─► device ─► rx ring ─► a slot of the worker ─► released: pool
//        └────► alloc_burst: a slot ─► tx ring ─► device ─► completion ring ─► reclaim(): its pool
//
// A slot of any pool of the same UMEM goes out without a copy, one from elsewhere is copied into a
// frame of ours. A frame goes home by the thread that reclaims it, so the pools of all slots that a
// worker sends are the worker's own, or stand for another's (borrowed_pool.hpp).
//
// In a turn of the worker: rx_burst, the pipeline, tx_burst of everything that leaves, reclaim.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/io/umem.hpp"
#include "dataplane/io/xsk_socket.hpp"

namespace ringway::io {

// Frames that are not the worker's at the moment, by place.
struct XskFrames {
  std::uint32_t fill = 0;
  std::uint32_t rx = 0;
  std::uint32_t tx = 0;
  std::uint32_t completion = 0;
  std::uint32_t device = 0;  // taken from fill or tx, not yet in rx or completion
  [[nodiscard]] std::uint32_t total() const { return fill + rx + tx + completion + device; }
};

class XskPort final : public Port {
 public:
  // `pool` is one of `umem`'s; several ports of one worker may share it. Both outlive the port. It
  // should hold twice the ring's entries for each port, and what the worker keeps for itself.
  [[nodiscard]] static Result<std::unique_ptr<XskPort>> open(const Umem& umem, BufferPool& pool,
                                                             const XskOptions& options);
  // Takes every frame back to its pool; those of the slots that it sent are still there. Slots that
  // were handed out stay valid.
  ~XskPort() override;

  // Received frames, kPartial where a local sender left its checksum to the device; then gives the
  // device new frames.
  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override;
  // Frames with an Ethernet header that fit the device's MTU; a kPartial checksum is completed.
  // While the device is down they wait in the ring, and when it is full they are dropped.
  std::size_t tx_burst(std::span<Slot> slots) override;
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override;
  // Takes frames that were sent back to their pools, and tries again what the device had no room
  // for. No system call where nothing waits.
  void reclaim() override;

  // mtu: of an IP packet; the frame may have an Ethernet header and two VLAN tags beside.
  [[nodiscard]] const PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] int wake_fd() const override { return socket_->fd(); }
  // Frames that the device had no room for.
  [[nodiscard]] bool wants_polling() const override { return ring_level(socket_->tx) != 0; }
  [[nodiscard]] TxQueue tx_queue() const override;
  [[nodiscard]] std::string describe() const override;

  [[nodiscard]] int socket_fd() const { return socket_->fd(); }
  [[nodiscard]] bool zero_copy() const { return socket_->zero_copy(); }
  // False: a received checksum may be partial. rx_burst marks those, so whoever changes a packet
  // must complete it or keep it marked, and may update only unmarked ones incrementally.
  [[nodiscard]] bool received_checksums_are_complete() const { return checksums_complete_; }
  // Frames that left by tx without being copied, and those that were.
  [[nodiscard]] std::uint64_t tx_in_place() const { return tx_in_place_.value(); }
  [[nodiscard]] std::uint64_t tx_copied() const { return tx_copied_.value(); }
  // What the kernel dropped at this queue's rings. A system call; any thread.
  [[nodiscard]] xdp_statistics statistics() const { return socket_->statistics(); }
  // Where frames are: pool().held() == frames().total() + the worker's slots, as long as no slots
  // share a frame and one port uses the pool.
  [[nodiscard]] XskFrames frames() const;
  [[nodiscard]] BufferPool& pool() { return pool_; }

 private:
  XskPort(const Umem& umem, BufferPool& pool, std::unique_ptr<XskSocket> socket);

  void refill();
  [[nodiscard]] bool fit_to_send(Slot& slot);
  [[nodiscard]] bool bring_into_umem(Slot& slot);
  [[nodiscard]] bool put_into_ring(const Slot& slot);
  void send();
  void send_and_complete();
  void complete();
  void release_sent(std::uint32_t frame);

  const Umem& umem_;
  BufferPool& pool_;
  std::unique_ptr<XskSocket> socket_;
  PortCapabilities capabilities_;
  std::string name_;
  bool checksums_complete_ = true;
  std::uint32_t max_frame_bytes_ = 0;
  std::uint32_t unsubmitted_ = 0;  // descriptors written behind the tx ring's producer
  // What the kernel has, by frame of the UMEM: given to receive into; given to send.
  struct Sending {
    BufferPool* home = nullptr;  // of the slots
    std::uint16_t slots = 0;
  };
  std::vector<std::uint8_t> receiving_;
  std::vector<Sending> sending_;
  std::uint32_t receiving_count_ = 0;
  std::uint32_t sending_count_ = 0;
  Counter tx_in_place_;
  Counter tx_copied_;
};

}  // namespace ringway::io
