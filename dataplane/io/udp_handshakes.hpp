// A socket of its own, in the port of UdpPort's data socket, for everything that is not data: a
// flood of handshakes then neither tears the data's trains and bursts apart nor fills its queue.
// A classic BPF program, run by the kernel for each datagram (or train), chooses the socket by the
// first byte. A choice that goes wrong does no harm: the worker treats what comes by either alike.
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
// Both sockets are bound to one address by SO_REUSEPORT. The data socket is bound without it, so
// that a taken port is an error as ever, for a second node too; it is set when the second socket
// joins. From then on the kernel lets in programs of the same user that ask for SO_REUSEPORT: who
// runs one as root means it.
// Worker thread. Sources: socket(7), Linux net/core/sock_reuseport.c, net/ipv4/udp.c.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/result.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/udp_receiver.hpp"
#include "dataplane/packet.hpp"

namespace ringway::io {

class UdpHandshakes {
 public:
  // The kernel's queue: some 25 ms of 100,000 handshakes a second. What does not fit is dropped
  // there, which costs least.
  static constexpr std::uint32_t kQueueBytes = 1U << 20;

  // data_fd: bound, and not by SO_REUSEPORT. own_fd: set up like it, not bound; it is taken over,
  // on failure too, and tells no traffic class. Datagrams that begin with data_type go to data_fd,
  // all others to own_fd.
  [[nodiscard]] static Result<std::unique_ptr<UdpHandshakes>> join(int data_fd, int own_fd,
                                                                   std::uint8_t data_type);
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
  UdpHandshakes(int fd, int epoll_fd);
  void watch(bool on);

  int fd_;
  int epoll_fd_;  // holds fd_ while it is watched
  bool watched_ = false;
  int empty_reads_ = 0;  // in a row, while resting
  BufferPool pool_;
  UdpReceiver receiver_;
};

}  // namespace ringway::io
