// The steering program (XDP): sends to AF_XDP exactly what is ours, and leaves the rest to the
// kernel. It runs on every packet of a device before the kernel's own stack, on the core of the
// receive queue; user space fills `addresses` and puts its sockets into `sockets`. It changes no
// packet and drops none: in doubt, and on a queue without a socket, the kernel has it.
//
//   Ethernet, VLAN tags ─► IPv4 or IPv6 ─► destination in `addresses`? ─► fragment? ─► transport
//
// Fragments: only the first has ports, and it may come late. `owners` remembers who has what came
// of a packet so far, so that all of it goes one way: to the kernel where its first came first and
// is the kernel's, else to user space, which holds what comes before the first.
//
// What user space took and proves the kernel's comes back through rw_give_back, which notes in
// `owners` that the rest is the kernel's as well.
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
  __uint(max_entries, RW_STEER_MAX_OWNED);
  __type(key, struct rw_steer_owned);
  __type(value, struct rw_steer_owner);
} owners SEC(".maps");

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

enum rw_who { RW_NOBODY, RW_USER, RW_KERNEL };

static __always_inline enum rw_who rw_owner(const struct rw_steer_owned* key, __u32 seconds) {
  const struct rw_steer_owner* const owner = bpf_map_lookup_elem(&owners, key);
  if (!owner || bpf_ktime_get_ns() - owner->since >= seconds * 1000000000ULL) return RW_NOBODY;
  return owner->kernel ? RW_KERNEL : RW_USER;
}

static __always_inline void rw_set_owner(const struct rw_steer_owned* key, enum rw_who who) {
  const struct rw_steer_owner owner = {.since = bpf_ktime_get_ns(), .kernel = who == RW_KERNEL};
  bpf_map_update_elem(&owners, key, &owner, BPF_ANY);
}

static __always_inline void rw_fragment_key(struct rw_steer_owned* key, const struct rw_ip* ip) {
  key->source = ip->source;
  key->destination = ip->destination;
  key->identification = ip->identification;
  // In IPv6 addresses and identification tell packets apart (RFC 8200 section 4.5), and what the
  // first fragment carries may stand behind headers that the later ones do not have.
  key->protocol = ip->source.family == 6 ? 0 : ip->protocol;
}

// Of a query that left from `here` to `there`.
static __always_inline void rw_query_key(struct rw_steer_owned* key,
                                         const struct rw_steer_address* here,
                                         const struct rw_steer_address* there, __be16 identifier) {
  key->source = *there;
  key->destination = *here;
  key->identification = identifier;
  key->protocol = RW_STEER_QUERY_KEY;
}

// Identifiers are the NAT's by their number alone, and the host's own queries draw theirs from all.
static __always_inline int rw_query_is_nats(const struct rw_steer_service* service,
                                            const struct rw_steer_address* here,
                                            const struct rw_steer_address* there,
                                            __be16 identifier) {
  if (!rw_nat_has(service, identifier)) return 0;
  struct rw_steer_owned key;
  rw_query_key(&key, here, there, identifier);
  return rw_owner(&key, RW_STEER_QUERY_SECONDS) != RW_KERNEL;
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
  return rw_is_query(&quoted, query->type) &&
                 rw_query_is_nats(service, &quoted.source, &quoted.destination, query->identifier)
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
    return rw_query_is_nats(service, &ip->destination, &ip->source, message->identifier)
               ? RW_STEER_NAT_IDENTIFIER
               : RW_STEER_OTHER_SERVICE;
  if (rw_is_error(ip, message->type)) return rw_judge_quoted(context, service, ip);
  return RW_STEER_OTHER_SERVICE;
}

// Without NAT nothing of a fragmented packet is ours: the socket that the tunnel has in the kernel
// takes what came in fragments. A first fragment of the kernel's goes to user space too when it
// comes behind others, which are there: with it all are known for the kernel's, and given back.
static __always_inline int rw_judge_first(struct xdp_md* context,
                                          const struct rw_steer_service* service,
                                          struct rw_ip* ip) {
  if (!service->nat) return RW_STEER_OTHER_SERVICE;
  struct rw_steer_owned key;
  rw_fragment_key(&key, ip);
  int reason = rw_judge_transport(context, service, ip);
  if (reason == RW_STEER_TUNNEL) reason = RW_STEER_OTHER_SERVICE;
  if (reason > RW_STEER_LAST_OURS && rw_owner(&key, RW_STEER_FRAGMENT_SECONDS) == RW_USER)
    return RW_STEER_FRAGMENT;
  rw_set_owner(&key, reason <= RW_STEER_LAST_OURS ? RW_USER : RW_KERNEL);
  return reason;
}

static __always_inline int rw_judge_later(const struct rw_steer_service* service,
                                          const struct rw_ip* ip) {
  if (!service->nat) return RW_STEER_OTHER_SERVICE;
  struct rw_steer_owned key;
  rw_fragment_key(&key, ip);
  const enum rw_who owner = rw_owner(&key, RW_STEER_FRAGMENT_SECONDS);
  if (owner == RW_KERNEL) return RW_STEER_KERNEL_FRAGMENT;
  if (owner == RW_NOBODY) rw_set_owner(&key, RW_USER);
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

// RW_STEER_REASON_COUNT where `ip` is read up to what it carries, else why it is not.
static __always_inline int rw_parse(struct xdp_md* context, struct rw_ip* ip) {
  const __be16 type = rw_parse_ethernet(context, ip);
  if (type == 0) return RW_STEER_MALFORMED;
  if (type == bpf_htons(ETH_P_IP)) {
    if (rw_parse_ip4(context, ip, 0) < 0) return RW_STEER_MALFORMED;
  } else if (type == bpf_htons(ETH_P_IPV6)) {
    if (rw_parse_ip6(context, ip, 0) < 0) return RW_STEER_MALFORMED;
  } else {
    return RW_STEER_NOT_IP;
  }
  return RW_STEER_REASON_COUNT;
}

static __always_inline int rw_judge(struct xdp_md* context) {
  struct rw_ip ip;
  const int unread = rw_parse(context, &ip);
  if (unread != RW_STEER_REASON_COUNT) return unread;
  const struct rw_steer_service* const service = bpf_map_lookup_elem(&addresses, &ip.destination);
  if (!service) return rw_judge_transit(context, &ip);
  if (ip.fragment == RW_LATER_FRAGMENT) return rw_judge_later(service, &ip);
  if (ip.fragment == RW_FIRST_FRAGMENT) return rw_judge_first(context, service, &ip);
  return rw_judge_transport(context, service, &ip);
}

static __always_inline void rw_count(__u32 reason) {
  __u64* const counter = bpf_map_lookup_elem(&counters, &reason);
  if (counter) ++*counter;
}

SEC("xdp")
int rw_steer(struct xdp_md* context) {
  __u32 reason = rw_judge(context);
  int action = XDP_PASS;
  if (reason <= RW_STEER_LAST_OURS) {
    action = bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
    if (action != XDP_REDIRECT) reason = RW_STEER_NO_SOCKET;
  }
  rw_count(reason);
  return action;
}

// Whether a query of the host's own was noted: that which is answered here, or which an error
// quotes.
static __always_inline int rw_note_query(struct xdp_md* context, struct rw_ip* ip) {
  const struct rw_icmp* const message = rw_take(context, ip, sizeof *message);
  if (!message) return 0;
  struct rw_steer_owned key;
  if (rw_is_answer(ip, message->type)) {
    rw_query_key(&key, &ip->destination, &ip->source, message->identifier);
  } else if (rw_is_error(ip, message->type)) {
    struct rw_ip quoted = *ip;
    const int parsed = ip->source.family == 6 ? rw_parse_ip6(context, &quoted, 1)
                                              : rw_parse_ip4(context, &quoted, 1);
    if (parsed < 0 || quoted.fragment == RW_LATER_FRAGMENT || !rw_is_icmp(&quoted)) return 0;
    const struct rw_icmp* const query = rw_take(context, &quoted, sizeof *query);
    if (!query) return 0;
    rw_query_key(&key, &quoted.source, &quoted.destination, query->identifier);
  } else {
    return 0;
  }
  rw_set_owner(&key, RW_KERNEL);
  return 1;
}

// Run by user space on a frame that it took and that is the kernel's (BPF_PROG_RUN with live
// frames): what passes here comes into the kernel's stack as if the device had received it, through
// the firewall's rules for it. Where XDP is generic the kernel then runs rw_steer on it once more,
// so nothing passes of which `owners` does not say that it is the kernel's.
SEC("xdp")
int rw_give_back(struct xdp_md* context) {
  struct rw_ip ip;
  int noted = 0;
  if (rw_parse(context, &ip) == RW_STEER_REASON_COUNT) {
    if (ip.fragment != RW_WHOLE) {
      struct rw_steer_owned key;
      rw_fragment_key(&key, &ip);
      rw_set_owner(&key, RW_KERNEL);
      noted = 1;
    }
    if (ip.fragment != RW_LATER_FRAGMENT && rw_is_icmp(&ip)) noted |= rw_note_query(context, &ip);
  }
  rw_count(noted ? RW_STEER_GIVEN_BACK : RW_STEER_NOT_GIVEN_BACK);
  return noted ? XDP_PASS : XDP_DROP;
}

// Helpers of the kernel ask for a licence that is compatible with its own.
char _license[] SEC("license") = "Dual BSD/GPL";
