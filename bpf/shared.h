// What the steering program in the kernel and its loader share: the maps' keys and values, limits,
// and the list of reasons. Valid C and C++; compiled into both, so there is nothing to keep in
// step.
#pragma once

#include <linux/types.h>

#define RW_STEER_MAX_ADDRESSES 256
#define RW_STEER_MAX_QUEUES 256    // receive queues of the device
#define RW_STEER_TUNNEL_PORTS 8    // of one address
#define RW_STEER_MAX_TAGS 2        // IEEE 802.1Q inside 802.1ad
#define RW_STEER_MAX_EXTENSIONS 8  // IPv6 extension headers of one packet, as net::ip6_upper_layer
#define RW_STEER_MAX_HEADER_BYTES 2048  // of a frame, within which all headers must begin
#define RW_STEER_MAX_OWNED 4096  // packets in fragments, and ICMP queries, remembered at a time
// For how long: a packet in fragments as the kernel waits for its rest (net.ipv4.ipfrag_time); a
// query of the host's own only so that its next answers spare user space.
#define RW_STEER_FRAGMENT_SECONDS 30
#define RW_STEER_QUERY_SECONDS 1
#define RW_STEER_QUERY_KEY 256  // as `protocol` of a key: behind all protocols

// Key of the map `addresses`. An IPv4 address stands in the first four bytes, zeros behind it.
struct rw_steer_address {
  __u8 bytes[16];  // network order
  __u32 family;    // 4 or 6
};

// Value of the map `addresses`: what of the packets to this address is ours. One element is
// replaced as a whole while packets pass, so each packet is judged by the old or the new one.
struct rw_steer_service {
  __u16 tunnel_ports[RW_STEER_TUNNEL_PORTS];  // UDP, host order; 0: none
  __u16 nat_first;  // TCP and UDP ports and ICMP identifiers, host order, both inclusive
  __u16 nat_last;
  __u16 nat;  // 0: this address is not the NAT's
};

// Key of the map `owners`: a packet in fragments, or the answers to an ICMP query.
struct rw_steer_owned {
  struct rw_steer_address source;
  struct rw_steer_address destination;
  __u32 identification;  // of the fragments, or the query's identifier
  __u32 protocol;        // of the packet, or RW_STEER_QUERY_KEY
};

// Value of the map `owners`: who has what came of it so far.
struct rw_steer_owner {
  __u64 since;   // CLOCK_MONOTONIC, nanoseconds
  __u64 kernel;  // 0: user space
};

// Why a packet went where it went: index of the map `counters`. Up to RW_STEER_LAST_OURS it went to
// an AF_XDP socket, behind that to the kernel.
// clang-format off
#define RW_STEER_REASONS(X)                                                              \
  X(TUNNEL,         "tunnel",         "UDP to a port of the tunnel")                     \
  X(NAT_PORT,       "nat_port",       "TCP or UDP to an external port of the NAT")       \
  X(NAT_IDENTIFIER, "nat_identifier", "answer to an ICMP query with the NAT's identifier") \
  X(ICMP_ERROR,     "icmp_error",     "ICMP error about a packet of ours")               \
  X(FRAGMENT,       "fragment",       "fragment without ports to an external address")   \
  X(TRANSIT,        "transit",        "to somebody else, where all packets are forwarded")   \
  X(NO_SOCKET,      "no_socket",      "ours, but its queue has no AF_XDP socket")        \
  X(NOT_IP,         "not_ip",         "neither IPv4 nor IPv6")                           \
  X(MALFORMED,      "malformed",      "headers cut off, or contradicting each other")    \
  X(FOREIGN,        "foreign",        "to an address that is not ours")                  \
  X(OTHER_SERVICE,  "other_service",  "to our address, but neither tunnel nor NAT")      \
  X(KERNEL_FRAGMENT, "kernel_fragment", "later fragment of a packet that is the kernel's") \
  X(GIVEN_BACK,     "given_back",     "taken by user space, and the kernel's after all") \
  X(NOT_GIVEN_BACK, "not_given_back", "given back by user space, but nothing that may be")
// clang-format on

enum rw_steer_reason {
#define X(name, label, text) RW_STEER_##name,
  RW_STEER_REASONS(X)
#undef X
      RW_STEER_REASON_COUNT
};
#define RW_STEER_LAST_OURS RW_STEER_TRANSIT
