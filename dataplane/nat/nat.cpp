#include "dataplane/nat/nat.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "dataplane/nat/fast_path.hpp"
#include "dataplane/nat/shard.hpp"
#include "dataplane/nat/slow_path.hpp"

namespace ringway::nat {

namespace {
// Mappings that one tick looks at: some tens of microseconds, and far more a second than can be
// opened.
constexpr unsigned kLooksPerTick = 1024;
// Slots that one call of list() looks at, used or not: half a megabyte.
constexpr Slot kLooksPerListing = 8192;
}  // namespace

Counters& Counters::operator+=(const Counters& other) {
  mappings += other.mappings;
  mappings_created += other.mappings_created;
  mappings_expired += other.mappings_expired;
  blocks_in_use += other.blocks_in_use;
  blocks_total += other.blocks_total;
  fragments_held += other.fragments_held;
  fragments_expired += other.fragments_expired;
  fragments_lost += other.fragments_lost;
  errors_sent += other.errors_sent;
  block_events_lost += other.block_events_lost;
  return *this;
}

struct Nat::State {
  State(const Config& config, Rng& rng) : shard(config, rng), slow(shard, rng) {}

  Shard shard;
  SlowPath slow;
};

Nat::Nat(const Config& config, Rng& rng) : state_(std::make_unique<State>(config, rng)) {}
Nat::~Nat() = default;

void Nat::outbound(std::span<Packet> packets, Instant now) {
  DCHECK(packets.size() <= kMaxBatch);
  outbound_batch(state_->shard, packets, ticks_at(now),
                 [&](Packet& packet) { state_->slow.outbound(packet, now); });
}

void Nat::inbound(std::span<Packet> packets, Instant now) {
  DCHECK(packets.size() <= kMaxBatch);
  inbound_batch(state_->shard, packets, ticks_at(now),
                [&](Packet& packet) { state_->slow.inbound(packet, now); });
}

bool Nat::poll_output(Output& output) {
  return state_->slow.outputs().poll(output);
}

void Nat::tick(Instant now) {
  state_->shard.expire(ticks_at(now), kLooksPerTick);
  state_->slow.tick(now);
}

Instant Nat::next_deadline() const {
  const ExpiryWheel& wheel = state_->shard.wheel;
  const Instant mappings =
      wheel.armed() ? Instant::from_ns(wheel.next_due() * kTickNs) : Instant::never();
  return std::min(mappings, state_->slow.next_deadline());
}

void Nat::set_external_address(std::size_t place, const net::IpAddress& address, Instant now) {
  state_->shard.set_external_address(static_cast<std::uint16_t>(place), address, ticks_at(now));
}

void Nat::swap_inner_prefixes(PrefixList& inner) {
  state_->shard.policy.swap_inner(inner);
}

void Nat::remove_subscriber(PeerId subscriber, Instant now) {
  Shard& shard = state_->shard;
  if (subscriber.value >= shard.use.size()) return;
  shard.ports.for_each_mapping(subscriber.value, [&](Slot slot) {
    if (shard.table[slot].is(Mapping::kStatic)) return;
    shard.wheel.remove(slot);
    shard.close(slot, ticks_at(now));
  });
  shard.close_forwards(subscriber.value, ticks_at(now));
  state_->slow.remove_subscriber(subscriber);
}

bool Nat::has_block_events() const {
  return !state_->shard.ports.events().empty();
}

bool Nat::poll_block_event(BlockEvent& event) {
  return state_->shard.ports.events().poll(event);
}

void Nat::lose_block_events() {
  state_->shard.ports.events().lose_all();
}

std::uint32_t Nat::list(std::uint32_t cursor, std::span<MappingRecord> records, std::size_t& count,
                        Instant now) const {
  const Shard& shard = state_->shard;
  count = 0;
  for (Slot slot = cursor + 1; slot <= shard.table.last_slot(); ++slot) {
    if (count == records.size() || slot - cursor > kLooksPerListing) return slot - 1;
    if (shard.table[slot].kind != 0) records[count++] = shard.record_of(slot, ticks_at(now));
  }
  return 0;
}

bool Nat::restore(const MappingRecord& record, Instant now) {
  return state_->shard.restore(record, ticks_at(now));
}

Counters Nat::counters() const {
  const Shard& shard = state_->shard;
  Counters counters;
  counters.mappings = shard.table.count();
  counters.mappings_created = shard.mappings_created;
  counters.mappings_expired = shard.mappings_expired;
  counters.blocks_in_use = shard.ports.blocks_in_use();
  counters.blocks_total = shard.ports.blocks_total();
  counters.errors_sent = state_->slow.errors_sent();
  state_->slow.count_fragments(counters);
  counters.block_events_lost = shard.ports.events().lost();
  return counters;
}

}  // namespace ringway::nat
