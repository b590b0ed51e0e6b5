// All that one NAT shard owns, and the life of its mappings: opened by the slow path, remembered
// and refreshed by both paths, ended by the wheel or with their subscriber. One worker's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/nat/address_policy.hpp"
#include "dataplane/nat/expiry_wheel.hpp"
#include "dataplane/nat/flow.hpp"
#include "dataplane/nat/identification.hpp"
#include "dataplane/nat/mapping_table.hpp"
#include "dataplane/nat/nat.hpp"
#include "dataplane/nat/ports.hpp"
#include "dataplane/nat/random_pool.hpp"
#include "dataplane/nat/remote_overflow.hpp"

namespace ringway::nat {

// How long after a restart TCP may go on from addresses that are not known again yet: the longest
// pause of a sender that kept trying through an absence of a few seconds is some seconds more (RFC
// 6298 doubles it), and a minute for one that was away longer.
inline constexpr Duration kRestoredGrace = Duration::seconds(60);

// What a subscriber has of the shared tables.
struct SubscriberUse {
  std::uint32_t mappings = 0;
  std::uint32_t overflow_remotes = 0;
};

// The idle timers, in ticks.
struct Timeouts {
  explicit Timeouts(const Config& config);
  [[nodiscard]] Ticks of(const Mapping& mapping) const {
    if (mapping.transport() == Transport::kUdp) return udp;
    if (mapping.transport() == Transport::kIcmp) return icmp;
    return has_long_timer(mapping.tcp) ? tcp_established : tcp_transitory;
  }

  Ticks udp;
  Ticks icmp;
  Ticks tcp_established;
  Ticks tcp_transitory;
};

struct Opened {
  Slot slot = kNoSlot;
  Drop drop = Drop::kTableFull;  // where there is no slot
};

struct Shard {
  Shard(const Config& given, Rng& rng);

  // ---- Mappings ----
  [[nodiscard]] Slot find(const InnerKey& key, net::Family family) const {
    return family == net::Family::kIpv4 ? table.find<net::Family::kIpv4>(key)
                                        : table.find<net::Family::kIpv6>(key);
  }
  // The key is not there yet.
  [[nodiscard]] Opened open(const InnerKey& key, net::Family family, Ticks now);
  void close(Slot slot, Ticks now);
  // A timer that became shorter: the wheel would look too late.
  void rearm(Slot slot, Ticks now);
  // Ends what is due, at most `limit` looks.
  void expire(Ticks now, unsigned limit);

  void set_external_address(std::uint16_t place, const net::IpAddress& address, Ticks now);
  // The forwards to a subscriber.
  void close_forwards(std::uint32_t subscriber, Ticks now);
  [[nodiscard]] MappingRecord record_of(Slot slot, Ticks now) const;
  // False when its port is taken, resting or not this shard's, or a limit is in the way.
  [[nodiscard]] bool restore(const MappingRecord& record, Ticks now);

  // ---- Remote addresses: who may answer ----
  [[nodiscard]] bool knows_remote(Slot slot, const std::uint8_t* address) const;
  // Not known yet. `ours`: one of the external addresses.
  void remember_remote(Slot slot, const std::uint8_t* address, bool ours);

  // Known, but perhaps not to the fast path: now and then it changes places with one that is, so
  // that who is spoken to most is found there.
  void promote_remote(Slot slot, const std::uint8_t* address);

  // Which other shard has this port; empty for this shard's own, and for nobody's.
  [[nodiscard]] std::optional<WorkerId> other_owner(std::uint16_t port) const;

  // What the external side of a mapping adds to its packets' sums.
  void set_external(Slot slot, std::uint16_t address, std::uint16_t port);

  Config config;
  RandomPool random;
  Timeouts timeouts;
  ExternalAddresses externals;
  AddressPolicy policy;
  MappingTable table;
  PortTable ports;
  RemoteOverflow overflow;
  ExpiryWheel wheel;
  Identifications identifications;
  std::vector<SubscriberUse> use;  // by PeerId
  Ticks restored_until = 0;        // the end of kRestoredGrace
  std::uint64_t mappings_created = 0;
  std::uint64_t mappings_expired = 0;

  // What a packet's TTL loses here, and what that adds to the sum of its header (the TTL is the
  // first byte of its word; one less is 0xfffe more).
  std::uint8_t ttl_step;
  std::uint16_t ttl_delta;

 private:
  [[nodiscard]] Slot insert(const InnerKey& key, net::Family family) {
    return family == net::Family::kIpv4 ? table.insert<net::Family::kIpv4>(key)
                                        : table.insert<net::Family::kIpv6>(key);
  }
  void admit(Slot slot, std::uint16_t address, std::uint16_t port, Ticks now);
  void open_forwards();
};

}  // namespace ringway::nat
