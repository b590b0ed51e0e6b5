// Reads packet headers in the kernel, strictly: every step is bounded by the frame and by the
// length that the IP header states, so that padding is never taken for a header. Sources: RFC 791,
// RFC 8200, RFC 4302, IEEE 802.1Q. Fields are read where they stand; nothing is copied but
// addresses.
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/shared.h"

enum rw_fragment {
  RW_WHOLE,
  RW_FIRST_FRAGMENT,
  RW_LATER_FRAGMENT,  // what follows is not the start of the transport header
};

// An IP packet, and how far it has been read. Places are bytes from the frame's start: pointers
// into the frame do not outlive a call for the verifier, numbers do.
struct rw_ip {
  struct rw_steer_address source;
  struct rw_steer_address destination;
  __u32 identification;  // of a fragment
  __u32 fragment;        // enum rw_fragment
  __u32 protocol;        // of what stands at `at`
  __u32 at;
  __u32 end;  // of the packet, or of the frame where a quoted packet is cut off
};

// The next `bytes`, or NULL where they are not all there: in the packet as its IP header states it,
// and in the frame.
static __always_inline void* rw_take(struct xdp_md* context, struct rw_ip* ip, __u32 bytes) {
  const __u32 at = ip->at;
  if (at > RW_STEER_MAX_HEADER_BYTES || at + bytes > ip->end) return NULL;
  void* const from = (void*)(long)context->data + at;
  if (from + bytes > (void*)(long)context->data_end) return NULL;
  ip->at = at + bytes;
  return from;
}

struct rw_vlan_tag {
  __be16 control;
  __be16 ether_type;
};

// Begins to read a frame. The EtherType behind at most RW_STEER_MAX_TAGS tags, in network order; 0
// where it is cut off.
static __always_inline __be16 rw_parse_ethernet(struct xdp_md* context, struct rw_ip* ip) {
  __builtin_memset(ip, 0, sizeof *ip);
  ip->end = context->data_end - context->data;
  const struct ethhdr* const header = rw_take(context, ip, sizeof *header);
  if (!header) return 0;
  __be16 type = header->h_proto;
#pragma unroll
  for (int tags = 0; tags < RW_STEER_MAX_TAGS; ++tags) {
    if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD)) break;
    const struct rw_vlan_tag* const tag = rw_take(context, ip, sizeof *tag);
    if (!tag) return 0;
    type = tag->ether_type;
  }
  return type;
}

static __always_inline void rw_set_ip4(struct rw_steer_address* to, __be32 address) {
  __builtin_memset(to, 0, sizeof *to);
  __builtin_memcpy(to->bytes, &address, sizeof address);
  to->family = 4;
}

static __always_inline void rw_set_ip6(struct rw_steer_address* to, const struct in6_addr* from) {
  __builtin_memcpy(to->bytes, from, sizeof to->bytes);
  to->family = 6;
}

// The packet ends at `stated`. One that an ICMP error quotes may be cut off before that.
static __always_inline int rw_set_end(struct rw_ip* ip, __u32 stated, int quoted) {
  if (stated > ip->end) return quoted ? 0 : -1;
  ip->end = stated;
  return 0;
}

// The two parsers leave the packet behind its IP headers, at what `protocol` names, and return 0;
// negative: malformed. They are functions of their own, not inlined, so that the verifier goes
// through them once and not once for each way that leads to them.
__noinline int rw_parse_ip4(struct xdp_md* context, struct rw_ip* ip, int quoted) {
  if (!ip) return -1;
  const __u32 start = ip->at;
  const struct iphdr* const header = rw_take(context, ip, sizeof *header);
  if (!header || header->version != 4) return -1;
  const __u32 header_bytes = header->ihl * 4;
  const __u32 total_bytes = bpf_ntohs(header->tot_len);
  if (header_bytes < sizeof *header || total_bytes < header_bytes) return -1;
  if (rw_set_end(ip, start + total_bytes, quoted) < 0) return -1;
  const __u16 fragment = bpf_ntohs(header->frag_off);
  rw_set_ip4(&ip->source, header->saddr);
  rw_set_ip4(&ip->destination, header->daddr);
  ip->identification = header->id;
  ip->protocol = header->protocol;
  ip->fragment = RW_WHOLE;
  if (fragment & 0x2000) ip->fragment = RW_FIRST_FRAGMENT;
  if (fragment & 0x1fff) ip->fragment = RW_LATER_FRAGMENT;
  ip->at = start + header_bytes;
  return ip->at <= ip->end ? 0 : -1;
}

// What all extension headers have in common, the fragment header's fields included.
struct rw_extension {
  __u8 next;
  __u8 length;  // in units that depend on the header
  __be16 word;  // fragment header: offset and flags; routing header: type and segments left
  __be32 identification;
};

static __always_inline __u32 rw_extension_bytes(__u32 kind, const struct rw_extension* header) {
  if (kind == IPPROTO_FRAGMENT) return sizeof *header;
  if (kind == IPPROTO_AH) return (header->length + 2) * 4;
  return (header->length + 1) * 8;
}

static __always_inline int rw_is_extension(__u32 kind) {
  return kind == IPPROTO_HOPOPTS || kind == IPPROTO_ROUTING || kind == IPPROTO_FRAGMENT ||
         kind == IPPROTO_AH || kind == IPPROTO_DSTOPTS;
}

// One extension header. Negative: malformed, or a routing header with hops to go, which only the
// kernel may follow.
static __always_inline int rw_skip_extension(struct xdp_md* context, struct rw_ip* ip) {
  const __u32 start = ip->at;
  const __u32 kind = ip->protocol;
  const struct rw_extension* const header = rw_take(context, ip, sizeof *header);
  if (!header) return -1;
  const __u16 word = bpf_ntohs(header->word);
  if (kind == IPPROTO_ROUTING && (word & 0xff) != 0) return -1;
  if (kind == IPPROTO_FRAGMENT) {
    // Offset and "more" both zero: an atomic fragment, which is a whole packet (RFC 6946).
    ip->identification = header->identification;
    if (word & 1) ip->fragment = RW_FIRST_FRAGMENT;
    if (word & 0xfff8) ip->fragment = RW_LATER_FRAGMENT;
  }
  ip->protocol = header->next;
  ip->at = start + rw_extension_bytes(kind, header);
  return ip->at >= start + sizeof *header && ip->at <= ip->end ? 0 : -1;
}

__noinline int rw_parse_ip6(struct xdp_md* context, struct rw_ip* ip, int quoted) {
  if (!ip) return -1;
  const struct ipv6hdr* const header = rw_take(context, ip, sizeof *header);
  if (!header || header->version != 6) return -1;
  if (rw_set_end(ip, ip->at + bpf_ntohs(header->payload_len), quoted) < 0) return -1;
  rw_set_ip6(&ip->source, &header->saddr);
  rw_set_ip6(&ip->destination, &header->daddr);
  ip->fragment = RW_WHOLE;
  ip->protocol = header->nexthdr;
  for (int count = 0; count < RW_STEER_MAX_EXTENSIONS; ++count) {
    if (!rw_is_extension(ip->protocol) || ip->fragment == RW_LATER_FRAGMENT) return 0;
    if (rw_skip_extension(context, ip) < 0) return -1;
  }
  return rw_is_extension(ip->protocol) && ip->fragment != RW_LATER_FRAGMENT ? -1 : 0;
}
