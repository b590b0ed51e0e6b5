#include "dataplane/nat/shard.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/net/checksum.hpp"

namespace ringway::nat {

Timeouts::Timeouts(const Config& config)
    : udp(ticks_in(config.udp_timeout)),
      icmp(ticks_in(config.icmp_timeout)),
      tcp_established(ticks_in(config.tcp_established_timeout)),
      tcp_transitory(ticks_in(config.tcp_transitory_timeout)) {}

Shard::Shard(const Config& given, Rng& rng)
    : config(given),
      random(rng),
      timeouts(config),
      externals(config.external_addresses),
      policy(config),
      table(config.max_mappings, rng),
      ports(config, random),
      overflow(config.max_mappings, config.max_mappings / 2 + 1024, rng),
      wheel(table),
      identifications(rng),
      use(config.max_subscribers),
      ttl_step(config.decrement_ttl ? 1 : 0),
      ttl_delta(config.decrement_ttl ? 0xfffe : 0) {
  open_forwards();
}

// On the first external address of their family, for good.
void Shard::open_forwards() {
  for (const StaticForward& forward : config.forwards) {
    const net::IpAddress& inner = forward.inner.address;
    const std::uint16_t address = externals.first_of(inner.family);
    CHECK(forward.protocol == net::kProtocolTcp || forward.protocol == net::kProtocolUdp);
    CHECK(address != ExternalAddresses::kNone && forward.subscriber.value < use.size());
    const Transport transport = transport_of(forward.protocol);
    const InnerKey key{inner.bytes.data(), forward.subscriber.value, forward.inner.port,
                       mapping_kind(transport, inner.family)};
    CHECK(ports.mapping_at(address, transport, forward.external_port) == kNoSlot);
    CHECK(find(key, inner.family) == kNoSlot);
    const Slot slot = insert(key, inner.family);
    CHECK(slot != kNoSlot);
    table[slot].flags = Mapping::kStatic;
    table[slot].tcp = TcpState::kIdle;
    set_external(slot, address, forward.external_port);
    ports.pin(address, transport, forward.external_port, slot);
    ++use[forward.subscriber.value].mappings;
  }
}

Opened Shard::open(const InnerKey& key, net::Family family, Ticks now) {
  if (key.subscriber >= use.size()) return {kNoSlot, Drop::kTableFull};
  if (use[key.subscriber].mappings >= config.max_mappings_per_subscriber) {
    return {kNoSlot, Drop::kSubscriberStateLimit};
  }
  const Slot slot = insert(key, family);
  if (slot == kNoSlot) return {kNoSlot, Drop::kTableFull};
  Mapping& mapping = table[slot];
  const auto grant = ports.choose(key.subscriber, family, mapping.transport(), key.port, now);
  if (grant.answer != PortTable::Answer::kGranted) {
    table.erase(slot);
    if (grant.answer == PortTable::Answer::kLimit) return {kNoSlot, Drop::kSubscriberPortLimit};
    if (grant.answer == PortTable::Answer::kNoAddress) return {kNoSlot, Drop::kNoExternalAddress};
    return {kNoSlot, Drop::kPortsExhausted};
  }
  mapping.tcp = TcpState::kIdle;
  mapping.last_used = now;
  admit(slot, grant.address, grant.port, now);
  return {slot};
}

// A new mapping whose port is granted.
void Shard::admit(Slot slot, std::uint16_t address, std::uint16_t port, Ticks now) {
  const Mapping& mapping = table[slot];
  ports.assign(address, mapping.transport(), port, slot);
  set_external(slot, address, port);
  wheel.insert(slot, mapping.last_used + timeouts.of(mapping), now);
  ++use[mapping.subscriber].mappings;
  ++mappings_created;
}

std::optional<WorkerId> Shard::other_owner(std::uint16_t port) const {
  for (const OtherShard& other : config.other_shards) {
    if (port >= other.first_port && port <= other.last_port) return other.worker;
  }
  return std::nullopt;
}

void Shard::set_external(Slot slot, std::uint16_t address, std::uint16_t port) {
  Mapping& mapping = table[slot];
  mapping.external_address = address;
  mapping.external_port = port;
  const std::size_t bytes = address_bytes(mapping.family());
  const std::uint64_t before = net::checksum_sum({mapping.inner_address(), bytes});
  const std::uint64_t after = net::checksum_sum({externals.bytes(address), bytes});
  const auto change = [](std::uint64_t from, std::uint64_t to) {
    const auto removed = static_cast<std::uint16_t>(~net::checksum_fold(from));
    return net::checksum_fold(std::uint64_t{removed} + net::checksum_fold(to));
  };
  const std::uint64_t port_before = net::checksum_of_be16(mapping.inner_port);
  const std::uint64_t port_after = net::checksum_of_be16(port);
  mapping.ip_delta = change(before, after);
  // ICMP has no pseudo-header over IPv4.
  const bool ports_only =
      mapping.transport() == Transport::kIcmp && mapping.family() == net::Family::kIpv4;
  mapping.transport_delta = ports_only ? change(port_before, port_after)
                                       : change(before + port_before, after + port_after);
}

void Shard::close(Slot slot, Ticks now) {
  const Mapping& mapping = table[slot];
  SubscriberUse& subscriber = use[mapping.subscriber];
  if (mapping.is(Mapping::kOverflowRemotes)) subscriber.overflow_remotes -= overflow.clear(slot);
  if (mapping.is(Mapping::kStatic)) {
    ports.unpin(mapping.external_address, mapping.transport(), mapping.external_port);
  } else {
    ports.release(mapping.external_address, mapping.transport(), mapping.external_port, now);
  }
  --subscriber.mappings;
  table.erase(slot);
}

void Shard::set_external_address(std::uint16_t place, const net::IpAddress& address, Ticks now) {
  CHECK(place < externals.count() && externals[place].family == address.family);
  if (externals[place] == address) return;
  for (Slot slot = 1; slot <= table.last_slot(); ++slot) {
    const Mapping& mapping = table[slot];
    if (mapping.kind == 0 || mapping.external_address != place || mapping.is(Mapping::kStatic)) {
      continue;
    }
    wheel.remove(slot);
    close(slot, now);
  }
  externals.replace(place, address);
  ports.set_address(place, address);
  for (Slot slot = 1; slot <= table.last_slot(); ++slot) {  // the forwards
    const Mapping& mapping = table[slot];
    if (mapping.kind != 0 && mapping.external_address == place) {
      set_external(slot, place, mapping.external_port);
    }
  }
}

void Shard::close_forwards(std::uint32_t subscriber, Ticks now) {
  for (const StaticForward& forward : config.forwards) {
    if (forward.subscriber.value != subscriber) continue;
    const Transport transport = transport_of(forward.protocol);
    const std::uint16_t address = externals.first_of(forward.inner.address.family);
    const Slot slot = ports.mapping_at(address, transport, forward.external_port);
    if (slot != kNoSlot && table[slot].is(Mapping::kStatic)) close(slot, now);
  }
}

MappingRecord Shard::record_of(Slot slot, Ticks now) const {
  const Mapping& mapping = table[slot];
  const auto duration = [](Ticks ticks) { return Duration::nanoseconds(ticks * kTickNs); };
  const bool forever = mapping.is(Mapping::kStatic);
  const Ticks idle = forever ? 0 : now - mapping.last_used;
  const Ticks timeout = forever ? 0 : timeouts.of(mapping);
  MappingRecord record;
  record.protocol = protocol_number(mapping.transport(), mapping.family());
  record.subscriber = PeerId{mapping.subscriber};
  record.inner.address.family = mapping.family();
  std::memcpy(record.inner.address.bytes.data(), mapping.inner_address(),
              address_bytes(mapping.family()));
  record.inner.port = mapping.inner_port;
  record.external = {externals[mapping.external_address], mapping.external_port};
  record.idle = duration(idle);
  record.expires_in = duration(idle < timeout ? timeout - idle : 0);
  return record;
}

// Who may answer is not kept: the subscriber's next packet says it again (and see kRestoredGrace).
bool Shard::restore(const MappingRecord& record, Ticks now) {
  const net::IpAddress& inner = record.inner.address;
  const net::IpAddress& outer = record.external.address;
  const bool known = record.protocol == net::kProtocolTcp || record.protocol == net::kProtocolUdp ||
                     record.protocol == protocol_number(Transport::kIcmp, inner.family);
  const std::uint16_t address = externals.find(outer.family, outer.bytes.data());
  if (!known || inner.family != outer.family || address == ExternalAddresses::kNone ||
      record.subscriber.value >= use.size() ||
      use[record.subscriber.value].mappings >= config.max_mappings_per_subscriber) {
    return false;
  }
  const Transport transport = transport_of(record.protocol);
  const InnerKey key{inner.bytes.data(), record.subscriber.value, record.inner.port,
                     mapping_kind(transport, inner.family)};
  if (find(key, inner.family) != kNoSlot) return false;
  const Slot slot = insert(key, inner.family);
  if (slot == kNoSlot) return false;
  if (!ports.claim(key.subscriber, address, transport, record.external.port, now)) {
    table.erase(slot);
    return false;
  }
  Mapping& mapping = table[slot];
  const bool was_established = record.idle + record.expires_in > config.tcp_transitory_timeout * 2;
  mapping.tcp = was_established ? TcpState::kEstablished : TcpState::kSynOut;
  mapping.flags = Mapping::kRestored;
  restored_until = now + ticks_in(kRestoredGrace);
  mapping.last_used = now - std::min(now, ticks_in(record.idle));
  admit(slot, address, record.external.port, now);
  return true;
}

void Shard::rearm(Slot slot, Ticks now) {
  const Mapping& mapping = table[slot];
  if (mapping.is(Mapping::kStatic)) return;
  wheel.remove(slot);
  wheel.insert(slot, mapping.last_used + timeouts.of(mapping), now);
}

void Shard::expire(Ticks now, unsigned limit) {
  for (unsigned looks = 0; looks < limit; ++looks) {
    const Slot slot = wheel.take_due(now);
    if (slot == kNoSlot) return;
    const Mapping& mapping = table[slot];
    const Ticks timeout = timeouts.of(mapping);
    if (now - mapping.last_used >= timeout) {
      close(slot, now);
      ++mappings_expired;
    } else {
      wheel.insert(slot, mapping.last_used + timeout, now);
    }
  }
}

bool Shard::knows_remote(Slot slot, const std::uint8_t* address) const {
  const Mapping& mapping = table[slot];
  if (has_inline_remote(mapping, address)) return true;
  return mapping.is(Mapping::kOverflowRemotes) &&
         overflow.contains(slot, wide_address(mapping.family(), address));
}

void Shard::remember_remote(Slot slot, const std::uint8_t* address, bool ours) {
  Mapping& mapping = table[slot];
  const bool v4 = mapping.family() == net::Family::kIpv4;
  const std::size_t words = v4 ? 1 : 4;
  const std::size_t inline_remotes = 8 / words - 1;
  if (!ours && mapping.remotes < inline_remotes) {
    ++mapping.remotes;
    std::memcpy(&mapping.addresses[mapping.remotes * words], address, words * 4);
    return;
  }
  SubscriberUse& subscriber = use[mapping.subscriber];
  const bool may_grow = subscriber.overflow_remotes < config.max_mappings_per_subscriber;
  const auto added = overflow.add(slot, wide_address(mapping.family(), address), may_grow);
  if (added == RemoteOverflow::Added::kNew) ++subscriber.overflow_remotes;
  if (added != RemoteOverflow::Added::kNoRoom) {
    mapping.flags |= Mapping::kOverflowRemotes;
  } else if (!ours) {
    // Someone must make room; who was forgotten is let in again by the next packet to him.
    const std::size_t place = 1 + random.below(static_cast<std::uint32_t>(inline_remotes));
    std::memcpy(&mapping.addresses[place * words], address, words * 4);
  }
}

void Shard::promote_remote(Slot slot, const std::uint8_t* address) {
  Mapping& mapping = table[slot];
  // One in eight: two that take turns should not change places with every packet.
  if (has_inline_remote(mapping, address) || mapping.remotes == 0 || random.below(8) != 0) return;
  const net::Family family = mapping.family();
  const std::size_t words = address_bytes(family) / 4;
  std::uint32_t* const place = &mapping.addresses[(1 + random.below(mapping.remotes)) * words];
  const auto* const demoted = reinterpret_cast<const std::uint8_t*>(place);
  overflow.exchange(slot, wide_address(family, address), wide_address(family, demoted));
  std::memcpy(place, address, words * 4);
}

}  // namespace ringway::nat
