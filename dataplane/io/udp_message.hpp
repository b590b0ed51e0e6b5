// Between slots and what recvmmsg(2) and sendmmsg(2) speak: socket addresses and control messages.
// On a dual-stack socket IPv4 travels as v4-mapped addresses; a slot never shows that.
// Source: ip(7), ipv6(7), udp(7), RFC 3493, RFC 3542.
#pragma once

#include <cstddef>
#include <cstdint>

#include <netinet/in.h>
#include <sys/socket.h>

#include "dataplane/packet.hpp"

namespace ringway::io {

// The largest set of control messages of one datagram, either way: train length, traffic class (as
// IPv4 says it and as IPv6 says it), packet info.
inline constexpr std::size_t kUdpControlBytes =
    CMSG_SPACE(sizeof(int)) * 3 + CMSG_SPACE(sizeof(in6_pktinfo));

union UdpSocketAddress {
  sockaddr_storage storage;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// Control messages need cmsghdr's alignment.
struct alignas(cmsghdr) UdpControl {
  std::uint8_t bytes[kUdpControlBytes];
};

// Returns the length of the address; 0 when a socket of this kind cannot reach it.
[[nodiscard]] socklen_t emit_remote(const Slot& slot, bool dual_stack, UdpSocketAddress& address);
[[nodiscard]] net::Endpoint parse_remote(const UdpSocketAddress& address);

// What a send says beyond its destination. segment_bytes 0: one datagram.
struct UdpSendHints {
  std::uint16_t segment_bytes = 0;
  bool use_source = true;  // false: leave the source address to the kernel
};
// Writes the control messages that the slot and the hints ask for and returns their bytes.
[[nodiscard]] std::size_t emit_control(const Slot& slot, UdpSendHints hints, UdpControl& control);

// Takes traffic class, local address, interface and train length out of a received message.
void parse_control(msghdr& header, Slot& slot);

}  // namespace ringway::io
