// The receiving half of UdpPort: fills slots from one socket with as few system calls as the kernel
// allows. Buffers and headers stay prepared from one call to the next: a receive refills only what
// the last one handed out. Worker thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/socket.h>
#include <sys/uio.h>

#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/udp_message.hpp"
#include "dataplane/packet.hpp"

namespace ringway::io {

class UdpReceiver {
 public:
  struct Totals {
    std::size_t slots = 0;
    std::uint64_t datagrams = 0;  // a train counts its segments
    std::uint64_t bytes = 0;
    Totals& operator+=(const Totals& other) {
      slots += other.slots;
      datagrams += other.datagrams;
      bytes += other.bytes;
      return *this;
    }
  };

  // Buffers come from `pool`, which outlives this.
  UdpReceiver(int fd, BufferPool& pool);
  ~UdpReceiver();
  UdpReceiver(const UdpReceiver&) = delete;
  UdpReceiver& operator=(const UdpReceiver&) = delete;

  // Fills slots from the front with what waits, half a megabyte of it at most, roughly.
  [[nodiscard]] Totals receive(std::span<Slot> out);
  // Buffers of the pool that are kept at hand.
  [[nodiscard]] std::uint32_t prepared_buffers() const;

 private:
  // Datagrams of one recvmmsg: many while they are small, few while they are trains.
  static constexpr std::size_t kMaxBatch = 32;
  static constexpr std::size_t kMinBatch = 8;

  [[nodiscard]] std::size_t prepare(std::size_t count);
  [[nodiscard]] bool refill(std::size_t index);
  void rearm(std::size_t index);
  [[nodiscard]] Totals take(std::span<Slot> out);
  void take_one(std::size_t index, Slot& out);
  void adapt(const Totals& batch);

  int fd_;
  BufferPool& pool_;
  std::size_t batch_ = kMinBatch;
  std::array<Slot, kMaxBatch> slots_{};  // home == nullptr: none
  std::array<mmsghdr, kMaxBatch> headers_{};
  std::array<iovec, kMaxBatch> pieces_{};
  std::array<UdpSocketAddress, kMaxBatch> addresses_{};
  std::array<UdpControl, kMaxBatch> controls_{};
};

}  // namespace ringway::io
