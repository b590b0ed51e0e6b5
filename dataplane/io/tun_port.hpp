// The inner side of an edge or portable gateway: a TUN device. With IFF_VNET_HDR the kernel hands
// over TCP and UDP super-packets of up to 64 KiB with their checksums still to be completed, and
// takes such packets back; that one change is worth a factor of five in TCP. Worker thread.
// Sources: Linux Documentation/networking/tuntap.rst, drivers/net/tun.c.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/io/tun_merge.hpp"

namespace ringway::io {

struct TunOptions {
  std::string name = "ringway%d";  // %d: the first free number
  // 1500, less an IPv6 and a UDP header, less the 32 bytes of a data message.
  std::uint16_t mtu = 1420;
  // Packets that wait for us in the kernel. Its default of 500 is 1 ms of small datagrams.
  std::uint32_t tx_queue_packets = 1000;
  std::uint32_t pool_buffers = 128;  // 64 KiB each, touched only when used
  bool offloads = true;              // false: no vnet_hdr, one packet at a time
  bool udp_offload = true;           // USO, where the kernel has it (6.2)
  // Keeps the super-packets of this host's own sockets at max_super_packet_segments(). Not for a
  // host that forwards: the kernel would cut a longer one into single packets.
  bool limit_super_packets = false;
};

// Segments of a super-packet that, sealed, still make one segmented send of UdpPort.
[[nodiscard]] std::uint32_t max_super_packet_segments(std::uint16_t mtu);

class TunPort final : public Port {
 public:
  // Makes the device, down and without addresses; it goes with the port. Fails without
  // /dev/net/tun, without CAP_NET_ADMIN, or when the name is in use.
  [[nodiscard]] static Result<std::unique_ptr<TunPort>> open(const TunOptions& options);
  // The same with as many queues, a port each: the kernel spreads flows over them, and a flow comes
  // back by the queue on which it was last written to.
  [[nodiscard]] static Result<std::vector<std::unique_ptr<TunPort>>> open_queues(
      const TunOptions& options, std::size_t count);
  ~TunPort() override;

  // Single packets and trains; either may have a kPartial checksum.
  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override;
  // Single packets, each as long as its IP header says, and kTcp/kUdp trains with a kPartial
  // checksum. Merges what belongs together (tun_merge.hpp), and for that changes headers in place.
  std::size_t tx_burst(std::span<Slot> slots) override;
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override;

  [[nodiscard]] const PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] int wake_fd() const override { return fd_; }
  [[nodiscard]] std::string describe() const override;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint32_t interface_index() const { return interface_index_; }
  // Packets from the kernel that contradicted their vnet_hdr, and were dropped.
  [[nodiscard]] std::uint64_t rx_malformed() const { return rx_malformed_.value(); }
  // Writes that carried more than one packet.
  [[nodiscard]] std::uint64_t tx_merged() const { return tx_merged_.value(); }

  // Buffers of received slots and of alloc_burst. The port keeps at most one at hand for the next
  // rx_burst: with every slot returned, pool().held() == prepared_buffers().
  [[nodiscard]] BufferPool& pool() { return pool_; }
  [[nodiscard]] std::uint32_t prepared_buffers() const { return spare_.home != nullptr ? 1 : 0; }

 private:
  TunPort(int fd, const TunOptions& options);

  [[nodiscard]] static Result<std::unique_ptr<TunPort>> make(const TunOptions& options,
                                                             int queue_flags);
  [[nodiscard]] Result<void> attach(const TunOptions& options, int queue_flags);
  void enable_offloads(const TunOptions& options);
  [[nodiscard]] Result<void> configure_device(const TunOptions& options);

  enum class Read { kPacket, kDropped, kNothing };
  [[nodiscard]] Read read_one(Slot& slot);
  void write_all(std::span<Slot> slots, std::size_t& dropped);
  [[nodiscard]] bool write_one(const TunWrite& write, std::span<Slot> slots);

  int fd_;
  std::string name_;
  std::uint32_t interface_index_ = 0;
  bool vnet_ = false;
  bool tcp_offload_ = false;
  bool udp_offload_ = false;
  PortCapabilities capabilities_;
  Counter rx_malformed_;
  Counter tx_merged_;
  BufferPool pool_;
  Slot spare_{};  // home == nullptr: none
  std::unique_ptr<TunMerger> merger_;
};

}  // namespace ringway::io
