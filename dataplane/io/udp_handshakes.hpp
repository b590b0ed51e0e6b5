// A socket of its own, in the port of UdpPort's data socket, for everything that is not data: a
// flood of handshakes then neither tears the data's trains and bursts apart nor fills its queue.
// The kernel chooses the socket by the first byte (udp_group.hpp).
//
// A worker that has other things to do must not be woken by every datagram of a flood. As network
// drivers do (NAPI), the first one wakes it, and from then on it asks by itself:
//
//              something came
//   watched ────────────────────► resting: no descriptor tells, the worker asks every turn and
//      ▲                             │     every millisecond
//      └─────────────────────────────┘
//        found empty several times in a row
//
// Worker thread. Source: Linux Documentation/networking/napi.rst.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/udp_receiver.hpp"
#include "dataplane/packet.hpp"

namespace ringway::io {

class UdpHandshakes {
 public:
  // The kernel's queue: some 25 ms of 100,000 handshakes a second. What does not fit is dropped
  // there, which costs least.
  static constexpr std::uint32_t kQueueBytes = 1U << 20;

  // A socket that has joined the group. It is taken over, and tells no traffic class.
  explicit UdpHandshakes(int fd);
  ~UdpHandshakes();
  UdpHandshakes(const UdpHandshakes&) = delete;
  UdpHandshakes& operator=(const UdpHandshakes&) = delete;

  // At most as many as there are slots.
  [[nodiscard]] UdpReceiver::Totals receive(std::span<Slot> out);

  // Readable when something came while the queue was watched.
  [[nodiscard]] int wake_fd() const { return epoll_fd_; }
  [[nodiscard]] bool resting() const { return !watched_; }

  [[nodiscard]] const BufferPool& pool() const { return pool_; }
  [[nodiscard]] std::uint32_t prepared_buffers() const { return receiver_.prepared_buffers(); }

 private:
  void watch(bool on);

  int fd_;
  int epoll_fd_;  // holds fd_ while it is watched
  bool watched_ = false;
  int empty_reads_ = 0;  // in a row, while resting
  BufferPool pool_;
  UdpReceiver receiver_;
};

}  // namespace ringway::io
