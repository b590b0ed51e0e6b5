// The outer side of a node on the kernel: one UDP socket that carries IPv4 and IPv6. Trains
// stay trains: what the kernel's receive offload (UDP_GRO) coalesced comes up as one kDatagrams
// slot, and equal datagrams to one destination go down as one segmented send (UDP_SEGMENT). Where
// a route refuses segmented sends the port sends the datagrams one by one, by itself, and tries
// again later. Handshakes may have a socket of their own in the same port. Worker thread. Sources:
// udp(7), ip(7), ipv6(7), Linux net/ipv4/udp_offload.c.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/io/udp_group.hpp"
#include "dataplane/io/udp_handshakes.hpp"
#include "dataplane/io/udp_receiver.hpp"

namespace ringway::io {

struct UdpOptions {
  std::uint16_t port = 0;             // 0: the kernel chooses, see UdpPort::local_port()
  std::optional<std::uint32_t> mark;  // SO_MARK, for policy routing; needs CAP_NET_ADMIN
  // Of the socket, each way; past net.core.[rw]mem_max only with CAP_NET_ADMIN. 4 MiB: some 30 ms
  // at 1 Gbit/s.
  std::uint32_t socket_buffer_bytes = 4U << 20;
  std::uint32_t pool_buffers = 128;  // 64 KiB each, touched only when used
  bool receive_offload = true;       // UDP_GRO
  bool segmentation_offload = true;  // UDP_SEGMENT
  // All that is not data then comes by a socket of its own (udp_handshakes.hpp). Not set: one
  // socket.
  std::optional<UdpKinds> kinds;
  bool ipv6 = true;  // false: an IPv4-only socket even where the host has IPv6
};

class UdpPort final : public Port {
 public:
  // The most that one segmented send takes: UDP_MAX_SEGMENTS of every kernel that has them, and the
  // largest UDP payload over IPv4.
  static constexpr std::uint32_t kMaxSegments = 64;
  static constexpr std::uint32_t kMaxTrainBytes = 65507;

  // Fails where the port is taken, or the mark is not permitted.
  [[nodiscard]] static Result<std::unique_ptr<UdpPort>> open(const UdpOptions& options);
  // One for each worker, all in the same UDP port; options.kinds says what comes to whom.
  [[nodiscard]] static Result<std::vector<std::unique_ptr<UdpPort>>> open_group(
      const UdpOptions& options, std::size_t workers);
  ~UdpPort() override;

  // Slots carry remote, local, interface and traffic_class. An IPv4 sender appears as IPv4.
  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override;
  // Takes kNone and kDatagrams slots with `remote` set. Where `local` is set it becomes the source
  // address, as long as the host still has it; the route is the kernel's choice all the same
  // (`interface` only gives a link-local destination its scope).
  std::size_t tx_burst(std::span<Slot> slots) override;
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override;

  [[nodiscard]] const PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] int wake_fd() const override { return fd_; }
  [[nodiscard]] int side_wake_fd() const override {
    return handshakes_ == nullptr ? -1 : handshakes_->wake_fd();
  }
  [[nodiscard]] bool wants_polling() const override {
    return handshakes_ != nullptr && handshakes_->resting();
  }
  [[nodiscard]] std::string describe() const override;

  [[nodiscard]] std::uint16_t local_port() const { return local_port_; }
  [[nodiscard]] bool dual_stack() const { return dual_stack_; }
  // Segmented sends that the kernel refused and that went out one by one.
  [[nodiscard]] std::uint64_t segmentation_refusals() const {
    return segmentation_refusals_.value();
  }

  // Buffers of received slots and of alloc_burst. The port keeps some of them at hand for the next
  // rx_burst: with every slot returned, pool().held() == prepared_buffers().
  [[nodiscard]] BufferPool& pool() { return pool_; }
  [[nodiscard]] std::uint32_t prepared_buffers() const { return receiver_->prepared_buffers(); }
  // Null where all comes by one socket.
  [[nodiscard]] const UdpHandshakes* handshakes() const { return handshakes_.get(); }

 private:
  struct Sender;
  UdpPort(int fd, const UdpOptions& options);

  [[nodiscard]] static Result<std::unique_ptr<UdpPort>> open_member(const UdpOptions& options,
                                                                    const UdpPort* first);
  void set_offloads(const UdpOptions& options);
  [[nodiscard]] Result<void> bind_to(std::uint16_t port);
  [[nodiscard]] Result<void> read_local_port();
  [[nodiscard]] Result<void> part_handshakes(const UdpOptions& options, const UdpPort& first);
  [[nodiscard]] UdpReceiver::Totals receive_both(std::span<Slot> out);

  int fd_;
  bool dual_stack_;
  bool receive_offload_ = false;
  bool segmentation_offload_ = false;
  std::uint16_t local_port_ = 0;
  PortCapabilities capabilities_;
  Counter segmentation_refusals_;
  BufferPool pool_;
  std::unique_ptr<UdpReceiver> receiver_;
  std::unique_ptr<Sender> sender_;
  std::unique_ptr<UdpHandshakes> handshakes_;
  std::uint32_t calls_ = 0;  // of rx_burst
};

}  // namespace ringway::io
