// The steering program (XDP): sends to AF_XDP exactly what is ours, and leaves the rest to the
// kernel. It runs on every packet of a device before the kernel's own stack, on the core of the
// receive queue; user space fills `addresses` and puts its sockets into `sockets`. It changes no
// packet and drops none: in doubt, and on a queue without a socket, the kernel has it.
//
//   Ethernet, VLAN tags ─► IPv4 or IPv6 ─► destination in `addresses`? ─► fragment? ─► transport
//
// Fragments: only the first has ports. Where it goes to the kernel, `kernel_fragments` remembers
// the packet, so that the rest follows it and the kernel can put it together; every other fragment
// to an external address goes to user space, which holds those whose first has not come yet.
#include "bpf/parse.bpf.h"

// Written before the program is loaded: what is to be forwarded, to addresses that are not in
// `addresses`, is ours as well. Zero, the verifier removes what depends on it.
const volatile __u32 rw_transit = 0;

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, RW_STEER_MAX_QUEUES);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, RW_STEER_MAX_ADDRESSES);
  __type(key, struct rw_steer_address);
  __type(value, struct rw_steer_service);
} addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, RW_STEER_MAX_FRAGMENTED);
  __type(key, struct rw_steer_fragment);
  __type(value, __u64);
} kernel_fragments SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, RW_STEER_REASON_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

struct rw_ports {
  __be16 source;
  __be16 destination;
};

struct rw_icmp {
  __u8 type;
  __u8 code;
  __be16 checksum;
  __be16 identifier;  // of a query or its answer
  __be16 sequence;
};

static __always_inline int rw_nat_has(const struct rw_steer_service* service, __be16 number) {
  const __u16 value = bpf_ntohs(number);
  return service->nat && value >= service->nat_first && value <= service->nat_last;
}

static __always_inline int rw_tunnel_has(const struct rw_steer_service* service, __be16 port) {
  const __u16 value = bpf_ntohs(port);
  if (value == 0) return 0;
#pragma unroll
  for (int i = 0; i < RW_STEER_TUNNEL_PORTS; ++i)
    if (service->tunnel_ports[i] == value) return 1;
  return 0;
}

// Whose is this TCP or UDP port of ours? RW_STEER_OTHER_SERVICE: the kernel's.
static __always_inline int rw_judge_port(const struct rw_steer_service* service, __u32 protocol,
                                         __be16 port) {
  if (protocol == IPPROTO_UDP && rw_tunnel_has(service, port)) return RW_STEER_TUNNEL;
  return rw_nat_has(service, port) ? RW_STEER_NAT_PORT : RW_STEER_OTHER_SERVICE;
}

// RFC 792 and RFC 4443 number alike things differently.
static __always_inline int rw_is_answer(const struct rw_ip* ip, __u8 type) {
  if (ip->source.family == 6) return type == 129;  // echo reply
  return type == 0 || type == 14;                  // echo reply, timestamp reply
}
static __always_inline int rw_is_query(const struct rw_ip* ip, __u8 type) {
  if (ip->source.family == 6) return type == 128;
  return type == 8 || type == 13;
}
static __always_inline int rw_is_error(const struct rw_ip* ip, __u8 type) {
  if (ip->source.family == 6) return type >= 1 && type <= 4;
  return type == 3 || type == 4 || type == 11 || type == 12;
}
static __always_inline int rw_is_icmp(const struct rw_ip* ip) {
  return ip->protocol == (ip->source.family == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static __always_inline int rw_same_address(const struct rw_steer_address* a,
                                           const struct rw_steer_address* b) {
  __u32 difference = a->family ^ b->family;
#pragma unroll
  for (int i = 0; i < 16; i += 4)
    difference |= *(const __u32*)(a->bytes + i) ^ *(const __u32*)(b->bytes + i);
  return difference == 0;
}

// An error is about a packet that left here: its source is the address the error came to, and its
// source port or identifier says whose it was.
static __always_inline int rw_judge_quoted(struct xdp_md* context,
                                           const struct rw_steer_service* service,
                                           const struct rw_ip* outer) {
  struct rw_ip quoted = *outer;
  const int parsed = outer->source.family == 6 ? rw_parse_ip6(context, &quoted, 1)
                                               : rw_parse_ip4(context, &quoted, 1);
  if (parsed < 0) return RW_STEER_MALFORMED;
  if (!rw_same_address(&quoted.source, &outer->destination)) return RW_STEER_OTHER_SERVICE;
  if (quoted.fragment == RW_LATER_FRAGMENT)
    return service->nat ? RW_STEER_ICMP_ERROR : RW_STEER_OTHER_SERVICE;
  if (quoted.protocol == IPPROTO_TCP || quoted.protocol == IPPROTO_UDP) {
    const struct rw_ports* const ports = rw_take(context, &quoted, sizeof *ports);
    if (!ports) return RW_STEER_MALFORMED;
    return rw_judge_port(service, quoted.protocol, ports->source) == RW_STEER_OTHER_SERVICE
               ? RW_STEER_OTHER_SERVICE
               : RW_STEER_ICMP_ERROR;
  }
  if (!rw_is_icmp(&quoted)) return RW_STEER_OTHER_SERVICE;
  const struct rw_icmp* const query = rw_take(context, &quoted, sizeof *query);
  if (!query) return RW_STEER_MALFORMED;
  return rw_is_query(&quoted, query->type) && rw_nat_has(service, query->identifier)
             ? RW_STEER_ICMP_ERROR
             : RW_STEER_OTHER_SERVICE;
}

// A whole packet to our address, or its first fragment.
static __always_inline int rw_judge_transport(struct xdp_md* context,
                                              const struct rw_steer_service* service,
                                              struct rw_ip* ip) {
  if (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP) {
    const struct rw_ports* const ports = rw_take(context, ip, sizeof *ports);
    if (!ports) return RW_STEER_MALFORMED;
    return rw_judge_port(service, ip->protocol, ports->destination);
  }
  if (!rw_is_icmp(ip)) return RW_STEER_OTHER_SERVICE;
  const struct rw_icmp* const message = rw_take(context, ip, sizeof *message);
  if (!message) return RW_STEER_MALFORMED;
  if (rw_is_answer(ip, message->type))
    return rw_nat_has(service, message->identifier) ? RW_STEER_NAT_IDENTIFIER
                                                    : RW_STEER_OTHER_SERVICE;
  if (rw_is_error(ip, message->type)) return rw_judge_quoted(context, service, ip);
  return RW_STEER_OTHER_SERVICE;
}

static __always_inline void rw_fragment_key(struct rw_steer_fragment* key, const struct rw_ip* ip) {
  key->source = ip->source;
  key->destination = ip->destination;
  key->identification = ip->identification;
  key->protocol = ip->protocol;
}

// Without NAT nothing of a fragmented packet is ours: the socket that the tunnel has in the kernel
// takes what came in fragments.
static __always_inline int rw_judge_first(struct xdp_md* context,
                                          const struct rw_steer_service* service,
                                          struct rw_ip* ip) {
  if (!service->nat) return RW_STEER_OTHER_SERVICE;
  int reason = rw_judge_transport(context, service, ip);
  if (reason == RW_STEER_TUNNEL) reason = RW_STEER_OTHER_SERVICE;
  struct rw_steer_fragment key;
  rw_fragment_key(&key, ip);
  if (reason <= RW_STEER_LAST_OURS) {
    bpf_map_delete_elem(&kernel_fragments, &key);
  } else {
    const __u64 now = bpf_ktime_get_ns();
    bpf_map_update_elem(&kernel_fragments, &key, &now, BPF_ANY);
  }
  return reason;
}

static __always_inline int rw_judge_later(const struct rw_steer_service* service,
                                          const struct rw_ip* ip) {
  if (!service->nat) return RW_STEER_OTHER_SERVICE;
  struct rw_steer_fragment key;
  rw_fragment_key(&key, ip);
  const __u64* const since = bpf_map_lookup_elem(&kernel_fragments, &key);
  if (since && bpf_ktime_get_ns() - *since < RW_STEER_FRAGMENT_SECONDS * 1000000000ULL)
    return RW_STEER_KERNEL_FRAGMENT;
  return RW_STEER_FRAGMENT;
}

// What no router forwards: multicast, broadcast, loopback and link-local destinations, neighbour
// discovery among them (RFC 1812 section 5.3, RFC 4291 section 2.5.6).
static __always_inline int rw_stays_here(const struct rw_steer_address* destination) {
  const __u8 first = destination->bytes[0];
  const __u8 second = destination->bytes[1];
  if (destination->family == 6) return first == 0xff || (first == 0xfe && (second & 0xc0) == 0x80);
  return first == 0 || first == 127 || first >= 224 || (first == 169 && second == 254);
}

// A packet to an address that is not ours.
static __always_inline int rw_judge_transit(struct xdp_md* context, const struct rw_ip* ip) {
  if (!rw_transit || rw_stays_here(&ip->destination)) return RW_STEER_FOREIGN;
  const __u8* const station = (void*)(long)context->data;
  if (station + ETH_ALEN > (const __u8*)(long)context->data_end) return RW_STEER_MALFORMED;
  const int group = station[0] & 1;
  return group ? RW_STEER_FOREIGN : RW_STEER_TRANSIT;
}

static __always_inline int rw_judge(struct xdp_md* context) {
  struct rw_ip ip;
  const __be16 type = rw_parse_ethernet(context, &ip);
  if (type == 0) return RW_STEER_MALFORMED;
  if (type == bpf_htons(ETH_P_IP)) {
    if (rw_parse_ip4(context, &ip, 0) < 0) return RW_STEER_MALFORMED;
  } else if (type == bpf_htons(ETH_P_IPV6)) {
    if (rw_parse_ip6(context, &ip, 0) < 0) return RW_STEER_MALFORMED;
  } else {
    return RW_STEER_NOT_IP;
  }
  const struct rw_steer_service* const service = bpf_map_lookup_elem(&addresses, &ip.destination);
  if (!service) return rw_judge_transit(context, &ip);
  if (ip.fragment == RW_LATER_FRAGMENT) return rw_judge_later(service, &ip);
  if (ip.fragment == RW_FIRST_FRAGMENT) return rw_judge_first(context, service, &ip);
  return rw_judge_transport(context, service, &ip);
}

SEC("xdp")
int rw_steer(struct xdp_md* context) {
  __u32 reason = rw_judge(context);
  int action = XDP_PASS;
  if (reason <= RW_STEER_LAST_OURS) {
    action = bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
    if (action != XDP_REDIRECT) reason = RW_STEER_NO_SOCKET;
  }
  __u64* const counter = bpf_map_lookup_elem(&counters, &reason);
  if (counter) ++*counter;
  return action;
}

// Helpers of the kernel ask for a licence that is compatible with its own.
char _license[] SEC("license") = "Dual BSD/GPL";
