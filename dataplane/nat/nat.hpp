// The gateway's NAT: between packets that left the tunnel (their sources are subscribers' inner
// addresses) and the Internet (which sees the gateway's external addresses and ports). NAPT44 and
// NAT66, endpoint-independent mapping, filtering by setting. One worker's shard: it owns its
// mappings, its range of external ports and everything it allocates; nothing is shared, nothing is
// allocated after construction. Sans-IO: given packets, time and randomness.
//
//   outbound()  subscriber ──► Internet       inbound()  Internet ──► subscriber
//   fast path   a mapping is there: two passes over the batch, the first parses, hashes and
//               prefetches, the second compares and rewrites with incremental checksums
//   slow path   everything else: new mappings, ICMP errors, fragments, TTL, path MTU
//
// Sources: RFC 4787, 5382, 5508, 6888, 7857; docs/NAT.md has each rule and the test that holds it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/net/address.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "dataplane/nat/nat_drops.hpp"

namespace ringway::nat {

// Who may answer through a mapping (RFC 4787 section 5).
enum class Filtering : std::uint8_t {
  kEndpointIndependent,  // anyone
  kAddressDependent,     // addresses that the subscriber has sent to
};

// What a subscriber is told when there is no port or no room left.
enum class ExhaustionAnswer : std::uint8_t {
  kSilence,
  kHostUnreachable,  // ICMP 3/1 (RFC 6888 REQ-11)
  kProhibited,       // ICMP 3/13 (RFC 5508 REQ-8)
};

// The TCP and UDP ports and ICMP identifiers of another worker's shard; both inclusive.
struct OtherShard {
  WorkerId worker;
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;
};

struct StaticForward {
  std::uint8_t protocol = 0;  // TCP or UDP
  std::uint16_t external_port = 0;
  PeerId subscriber;
  net::Endpoint inner;
};

struct Config {
  // Pooling is paired (RFC 4787 REQ-2): a subscriber keeps to one address of a family, at first
  // that with the most free ports. Without one, packets of that family are dropped; an unspecified
  // one keeps a place for one that is not there yet.
  std::vector<net::IpAddress> external_addresses;
  // This shard's TCP and UDP ports, and its ICMP identifiers; both inclusive.
  std::uint16_t first_port = 10000;
  std::uint16_t last_port = 32767;
  std::vector<OtherShard> other_shards;
  std::uint16_t block_ports = 64;  // handed to a subscriber at a time (RFC 7422)
  std::uint32_t max_mappings = 1U << 20;
  std::uint32_t max_ports_per_subscriber = 4096;  // in blocks, a family and transport
  std::uint32_t max_mappings_per_subscriber = 8192;
  std::uint32_t max_subscribers = 1U << 14;  // a subscriber's PeerId is below it

  Filtering filtering = Filtering::kAddressDependent;
  bool hairpin = true;
  bool decrement_ttl = true;
  ExhaustionAnswer exhaustion_answer = ExhaustionAnswer::kHostUnreachable;

  Duration udp_timeout = Duration::seconds(300);
  Duration icmp_timeout = Duration::seconds(60);
  Duration tcp_established_timeout = Duration::seconds(7440);
  Duration tcp_transitory_timeout = Duration::seconds(240);
  Duration port_rest = Duration::seconds(120);  // a freed port's (RFC 6888 REQ-8)

  // Bytes of the largest IP packet each way.
  std::uint16_t tunnel_mtu = 1420;
  std::uint16_t internet_mtu = 1500;

  // The gateway's own addresses in the tunnel: ICMP errors to subscribers come from them.
  std::vector<net::IpAddress> gateway_addresses;
  // Where subscribers may not go, and from where nothing may come. What belongs there is
  // default_denied(); `allowed` are exceptions by name.
  std::vector<net::Prefix> denied;
  std::vector<net::Prefix> allowed;
  std::vector<net::Prefix> inner_prefixes;  // never a source outside
  std::vector<StaticForward> forwards;
};

// RFC 1918, shared, link-local, loopback, benchmarking, multicast and reserved space, ULA, all
// v4-mapped addresses, Teredo, and the 6to4, NAT64 and SIIT forms of the IPv4 ones (SECURITY:
// gateways). Documentation prefixes are not among them: test networks use them. No prefix covers
// another, so that the list can be a set of intervals too.
[[nodiscard]] std::vector<net::Prefix> default_denied();

enum class Verdict : std::uint8_t {
  kForward,  // translated in place: send it on
  kHairpin,  // outbound only: translated both ways, it now goes to `subscriber`
  kHeld,     // consumed; what becomes of it comes out of poll_output()
  kDrop,     // `drop` says why
  // Inbound only, untouched: no port of ours, or an answer to an ICMP query that nobody here sent.
  kNotOurs,
  // Another worker's NAT goes on with it, `shard`'s. Inbound: untouched. Outbound, a hairpin:
  // translated as for the Internet; for the other it is inbound, with `hairpin`.
  kOtherShard,
};

struct Packet {
  std::uint8_t* data = nullptr;  // the IP header, writable
  std::uint32_t length = 0;      // exactly the IP packet
  PeerId subscriber;             // outbound: whose; inbound and hairpin: out, whose it becomes
  Verdict verdict = Verdict::kDrop;
  Drop drop = Drop::kMalformed;
  WorkerId shard{};      // kOtherShard: whose
  bool hairpin = false;  // inbound: comes from a subscriber of another shard
};

// A packet that the NAT made or had kept: ICMP errors, fragments it held or cut.
struct Output {
  bool to_internet = false;  // else to `subscriber`
  bool to_host = false;      // neither: a fragment that was held and then was kNotOurs
  bool to_shard = false;     // nor these: a fragment that was held and then was kOtherShard
  WorkerId shard{};          // whose
  bool hairpin = false;      // as Packet::hairpin there
  PeerId subscriber{};       // to whom; to_internet: whose
  ConstBytes packet{};       // valid until the next call of any member
};

// A port block was given to a subscriber or came back. No destinations (RFC 6888 REQ-12).
struct BlockEvent {
  bool allocated = false;
  PeerId subscriber;
  std::uint8_t protocol = 0;
  net::IpAddress external_address;
  std::uint16_t first_port = 0;
  std::uint16_t ports = 0;
};

// One mapping, for listing, for keeping over a restart, and for "who had this port".
struct MappingRecord {
  std::uint8_t protocol = 0;
  PeerId subscriber;
  net::Endpoint inner;  // ICMP: the port is the identifier
  net::Endpoint external;
  Duration idle;
  Duration expires_in;  // 0: a forward, which does not
};

struct Counters {
  std::uint64_t mappings = 0;  // live
  std::uint64_t mappings_created = 0;
  std::uint64_t mappings_expired = 0;
  std::uint64_t blocks_in_use = 0;
  std::uint64_t blocks_total = 0;
  std::uint64_t fragments_held = 0;     // now, for want of their first
  std::uint64_t fragments_expired = 0;  // held, and the first never came
  std::uint64_t fragments_lost = 0;  // held, then dropped: no room, contradictions, the first's lot
  std::uint64_t errors_sent = 0;
  std::uint64_t block_events_lost = 0;  // nobody polled for them

  Counters& operator+=(const Counters& other);  // of another shard
};

class PrefixList;

class Nat {
 public:
  static constexpr std::size_t kMaxBatch = 256;

  Nat(const Config& config, Rng& rng);
  ~Nat();
  Nat(const Nat&) = delete;
  Nat& operator=(const Nat&) = delete;

  // At most kMaxBatch packets, each a whole IP packet as parse_inner_packet accepts it. On return
  // every packet has its verdict. Outbound packets have passed the source check of the tunnel.
  void outbound(std::span<Packet> packets, Instant now);
  void inbound(std::span<Packet> packets, Instant now);
  // After each of the two, and after tick(), until false.
  [[nodiscard]] bool poll_output(Output& output);

  // Expires a bounded number of mappings and fragments. Due at next_deadline().
  void tick(Instant now);
  [[nodiscard]] Instant next_deadline() const;

  // The external address in this place of the configuration is another one now. Its mappings end,
  // as nobody outside can reach them any more; forwards move over.
  void set_external_address(std::size_t place, const net::IpAddress& address, Instant now);
  // What Config::inner_prefixes said.
  void swap_inner_prefixes(PrefixList& inner);

  // All mappings of a subscriber that is gone, its forwards included.
  void remove_subscriber(PeerId subscriber, Instant now);

  [[nodiscard]] bool has_block_events() const;
  [[nodiscard]] bool poll_block_event(BlockEvent& event);
  // What nobody asked for so far counts as lost.
  void lose_block_events();
  // From `cursor` (0 at first) on; returns the next cursor, 0 at the end. Fills `records`, at most
  // its size, and says in `count` how many. Looks at a bounded number of slots, so that there may
  // be none although there are more to come.
  [[nodiscard]] std::uint32_t list(std::uint32_t cursor, std::span<MappingRecord> records,
                                   std::size_t& count, Instant now) const;
  // Puts a kept mapping back; false when its port is taken, resting or not this shard's. For
  // kRestoredGrace anyone may go on with its TCP connections, though none may begin one: a sender
  // whose last segment was acknowledged before the restart waits for nothing that would let it in.
  bool restore(const MappingRecord& record, Instant now);

  [[nodiscard]] Counters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ringway::nat
