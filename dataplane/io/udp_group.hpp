// The sockets of one UDP port, and which of them a datagram comes to: each worker has one for data,
// which finds its way by the worker's number that its content names, and one for everything else
// (udp_handshakes.hpp), which may come to anybody. A classic BPF program says so, run by the kernel
// for each datagram (or train). A choice that goes wrong does no harm: the workers hand over what
// is another's, and treat what comes by either of their sockets alike.
//
// The first socket is bound without SO_REUSEPORT, so that a taken port is an error as ever, for a
// second node too; it is set when the next one joins. From then on the kernel lets in programs of
// the same user that ask for SO_REUSEPORT: who runs one as root means it.
// Control thread. Sources: socket(7), Linux net/core/sock_reuseport.c, net/ipv4/udp.c.
#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace ringway::io {

// How datagrams are told apart.
struct UdpKinds {
  static constexpr unsigned kWorkerBits = 4;

  std::uint8_t data_type = 0;  // the first byte of those that are data
  // Where data names its worker: these kWorkerBits of the little-endian number at this place.
  std::uint32_t number_at = 0;
  unsigned worker_shift = 0;  // at most 24
  // Four bytes of what is not data that differ from one to the next.
  std::uint32_t any_at = 0;
};

// Binds a socket to the address of `first`, which is bound.
[[nodiscard]] Result<void> join_udp_group(int first, int fd);

// The group: the data sockets of `workers`, in their order, then as many for everything else; each
// has joined in this order.
[[nodiscard]] Result<void> choose_in_udp_group(int first, const UdpKinds& kinds,
                                               std::uint32_t workers);

}  // namespace ringway::io
