#include "dataplane/nat/fragments.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.hpp"

namespace ringway::nat {

namespace {

constexpr unsigned kForgottenPerTick = 256;

}  // namespace

Fragments::Fragments(const FragmentLimits& limits, Rng& rng, Identifications* fresh)
    : limits_(limits),
      hash_(rng),
      fresh_(fresh),
      buckets_(std::bit_ceil(std::size_t{limits.datagrams} * 2), kNone),
      datagrams_(limits.datagrams),
      held_(limits.held),
      memory_(std::make_unique_for_overwrite<std::uint8_t[]>(std::size_t{limits.held} *
                                                             limits.held_bytes)),
      shares_(kSourceBuckets) {
  CHECK(limits.datagrams > 0 && limits.held > 0 && limits.held_bytes <= UINT16_MAX);
  CHECK(limits.datagrams_per_source <= UINT16_MAX && limits.held_per_source <= UINT16_MAX);
  for (std::uint32_t i = limits.datagrams; i-- > 0;) {
    datagrams_[i].next_in_bucket = free_datagram_;
    free_datagram_ = i;
  }
  for (std::uint32_t i = limits.held; i-- > 0;) {
    held_[i].next = free_held_;
    free_held_ = i;
  }
}

// Fragments belong together by addresses and identification, in IPv4 also by protocol (RFC 791
// section 3.2, RFC 8200 section 4.5).
Fragments::Key Fragments::key_of(PeerId owner, const std::uint8_t* packet, const Flow& flow) {
  const std::uint8_t* const from = packet + address_at(flow.family, Side::kSource);
  const std::uint8_t* const to = packet + address_at(flow.family, Side::kDestination);
  Key key{};
  key[0] = std::uint64_t{owner.value} << 32 | flow.identification;
  if (flow.is_v4()) {
    key[1] = std::uint64_t{4} << 8 | flow.protocol;
    key[2] = load_le<std::uint32_t>(from);
    key[4] = load_le<std::uint32_t>(to);
    return key;
  }
  key[1] = load_le<std::uint64_t>(from);
  key[2] = load_le<std::uint64_t>(from + 8);
  key[3] = load_le<std::uint64_t>(to);
  key[4] = load_le<std::uint64_t>(to + 8);
  key[5] = 6;
  return key;
}

// A subscriber is one source. So is an IPv4 address outside, or an IPv6 /64.
std::uint16_t Fragments::source_bucket_of(const Key& key) const {
  const std::uint64_t owner = key[0] >> 32;
  const bool outside = owner == PeerId::none().value;
  const std::uint64_t source = !outside ? 0 : key[5] == 6 ? key[1] : key[2];
  const std::uint64_t words[] = {owner, source};
  return static_cast<std::uint16_t>(hash_(words) % kSourceBuckets);
}

std::uint32_t& Fragments::bucket_of(const Key& key) {
  return buckets_[hash_(key) & (buckets_.size() - 1)];
}

std::uint32_t Fragments::find(const Key& key, Instant now) {
  for (std::uint32_t i = bucket_of(key); i != kNone; i = datagrams_[i].next_in_bucket) {
    if (datagrams_[i].key != key) continue;
    if (datagrams_[i].deadline > now) return i;
    forget(i, counts_.expired);
    return kNone;
  }
  return kNone;
}

std::uint32_t Fragments::create(const Key& key, const std::uint8_t* packet, const Flow& flow,
                                Instant now) {
  const std::uint16_t source = source_bucket_of(key);
  if (shares_[source].datagrams >= limits_.datagrams_per_source) return kNone;
  if (free_datagram_ == kNone) evict_oldest();
  const std::uint32_t index = free_datagram_;
  Datagram& datagram = datagrams_[index];
  free_datagram_ = datagram.next_in_bucket;
  datagram = Datagram{};
  datagram.key = key;
  datagram.source_bucket = source;
  datagram.identification = fresh_ != nullptr ? fresh_->next(packet, flow) : flow.identification;
  std::uint32_t& bucket = bucket_of(key);
  datagram.next_in_bucket = bucket;
  bucket = index;
  ++shares_[source].datagrams;
  ++datagrams_in_use_;
  enter(index, State::kWaiting, now + limits_.lifetime);
  return index;
}

Fragments::Verdict Fragments::accept(PeerId owner, ConstBytes packet, Flow& flow, Instant now) {
  DCHECK(flow.is_fragment());
  const Key key = key_of(owner, packet.data(), flow);
  std::uint32_t index = find(key, now);
  if (index == kNone) index = create(key, packet.data(), flow, now);
  if (index == kNone || datagrams_[index].state == State::kPoisoned) return Verdict::kDrop;
  Datagram& datagram = datagrams_[index];

  const Placed placed = place(datagram, flow, packet.size() - flow.fragment_data_at());
  if (placed == Placed::kDuplicate) return Verdict::kDrop;
  if (placed == Placed::kContradiction) {
    poison(index);
    return Verdict::kDrop;
  }
  if (flow.kind == Kind::kFirstFragment) {
    datagram.protocol = flow.protocol;
    datagram.icmp_type = flow.icmp_type;
    datagram.source_port = flow.source_port;
    datagram.destination_port = flow.destination_port;
    release_held(datagram);
    leave(index);
    enter(index, State::kKnown, now + limits_.lifetime);
  } else if (datagram.state == State::kWaiting) {
    if (hold(index, owner, packet, flow)) return Verdict::kHeld;
    poison(index);
    return Verdict::kDrop;
  }
  complete_flow(datagram, flow);
  if (complete(datagram)) forget(index, counts_.discarded);
  return Verdict::kPass;
}

void Fragments::complete_flow(const Datagram& datagram, Flow& flow) {
  flow.protocol = datagram.protocol;
  flow.icmp_type = datagram.icmp_type;
  flow.source_port = datagram.source_port;
  flow.destination_port = datagram.destination_port;
  flow.identification = datagram.identification;
}

// What was seen already is a duplicate and passes once only, so that the receiver never gets to
// choose between two versions; what was seen in part is an attack (RFC 1858, RFC 5722).
Fragments::Placed Fragments::place(Datagram& datagram, const Flow& flow, std::size_t data_bytes) {
  const Run run = {flow.fragment_offset,
                   static_cast<std::uint16_t>(flow.fragment_offset + data_bytes)};
  if (datagram.end != 0 && run.end > datagram.end) return Placed::kContradiction;
  if (!flow.more_fragments && datagram.end != 0 && datagram.end != run.end) {
    return Placed::kContradiction;
  }
  for (std::size_t i = 0; i < datagram.runs_in_use; ++i) {
    const Run seen = datagram.runs[i];
    if (!flow.more_fragments && seen.end > run.end) return Placed::kContradiction;
    if (run.end <= seen.begin || run.begin >= seen.end) continue;
    const bool inside = run.begin >= seen.begin && run.end <= seen.end;
    return inside ? Placed::kDuplicate : Placed::kContradiction;
  }
  if (!flow.more_fragments) datagram.end = run.end;
  return add_run(datagram, run) ? Placed::kNew : Placed::kContradiction;
}

// Joins `run` with its neighbours. False when there are too many gaps.
bool Fragments::add_run(Datagram& datagram, Run run) {
  for (std::size_t i = 0; i < datagram.runs_in_use;) {
    const Run seen = datagram.runs[i];
    if (seen.end != run.begin && seen.begin != run.end) {
      ++i;
      continue;
    }
    run = {std::min(run.begin, seen.begin), std::max(run.end, seen.end)};
    datagram.runs[i] = datagram.runs[--datagram.runs_in_use];
  }
  if (datagram.runs_in_use == kMaxRuns) return false;
  datagram.runs[datagram.runs_in_use++] = run;
  return true;
}

bool Fragments::complete(const Datagram& datagram) {
  return datagram.end != 0 && datagram.runs_in_use == 1 && datagram.runs[0].begin == 0 &&
         datagram.runs[0].end == datagram.end;
}

// Copies the fragment into the datagram's chain. False when there is no room for it. Whatever waits
// holds something, so room for the newest is made by giving up the datagram that waits longest.
bool Fragments::hold(std::uint32_t datagram_index, PeerId owner, ConstBytes packet,
                     const Flow& flow) {
  Datagram& datagram = datagrams_[datagram_index];
  Share& share = shares_[datagram.source_bucket];
  if (packet.size() > limits_.held_bytes || share.held >= limits_.held_per_source) return false;
  if (free_held_ == kNone) {
    const std::uint32_t longest = list_of(State::kWaiting).oldest;
    if (longest == datagram_index) return false;
    poison(longest);
  }
  const std::uint32_t index = free_held_;
  Held& held = held_[index];
  free_held_ = held.next;
  held = {kNone, static_cast<std::uint16_t>(packet.size()), datagram.source_bucket, owner, flow};
  std::memcpy(buffer(index).data(), packet.data(), packet.size());
  std::uint32_t* at = &datagram.held_head;
  while (*at != kNone && held_[*at].flow.fragment_offset < flow.fragment_offset)
    at = &held_[*at].next;
  held.next = *at;
  *at = index;
  ++share.held;
  ++counts_.held;
  return true;
}

// The chain goes behind what waits to be popped already.
void Fragments::release_held(Datagram& datagram) {
  while (datagram.held_head != kNone) {
    const std::uint32_t index = datagram.held_head;
    Held& held = held_[index];
    datagram.held_head = held.next;
    held.next = kNone;
    complete_flow(datagram, held.flow);
    (released_.newest == kNone ? released_.oldest : held_[released_.newest].next) = index;
    released_.newest = index;
  }
}

bool Fragments::pop_released(Released& released) {
  if (lent_ != kNone) free_held(lent_);
  lent_ = released_.oldest;
  if (lent_ == kNone) return false;
  Held& held = held_[lent_];
  released_.oldest = held.next;
  if (released_.oldest == kNone) released_.newest = kNone;
  released = {buffer(lent_).first(held.bytes), held.owner, held.flow};
  return true;
}

void Fragments::free_held(std::uint32_t index) {
  Held& held = held_[index];
  --shares_[held.source_bucket].held;
  --counts_.held;
  held.next = free_held_;
  free_held_ = index;
}

void Fragments::drop_held(Datagram& datagram, std::uint64_t& count) {
  while (datagram.held_head != kNone) {
    const std::uint32_t index = datagram.held_head;
    datagram.held_head = held_[index].next;
    free_held(index);
    ++count;
  }
}

void Fragments::enter(std::uint32_t index, State state, Instant deadline) {
  Datagram& datagram = datagrams_[index];
  List& list = list_of(state);
  datagram.state = state;
  datagram.deadline = deadline;
  datagram.older = list.newest;
  datagram.newer = kNone;
  (list.newest == kNone ? list.oldest : datagrams_[list.newest].newer) = index;
  list.newest = index;
}

void Fragments::leave(std::uint32_t index) {
  const Datagram& datagram = datagrams_[index];
  List& list = list_of(datagram.state);
  (datagram.older == kNone ? list.oldest : datagrams_[datagram.older].newer) = datagram.newer;
  (datagram.newer == kNone ? list.newest : datagrams_[datagram.newer].older) = datagram.older;
}

// Keeps its deadline: the list is in the order of poisoning, and what stands behind a later
// deadline is forgotten with that one.
void Fragments::poison(std::uint32_t index) {
  Datagram& datagram = datagrams_[index];
  drop_held(datagram, counts_.discarded);
  leave(index);
  enter(index, State::kPoisoned, datagram.deadline);
}

void Fragments::forget(std::uint32_t index, std::uint64_t& count) {
  Datagram& datagram = datagrams_[index];
  drop_held(datagram, count);
  leave(index);
  std::uint32_t* at = &bucket_of(datagram.key);
  while (*at != index)
    at = &datagrams_[*at].next_in_bucket;
  *at = datagram.next_in_bucket;
  --shares_[datagram.source_bucket].datagrams;
  --datagrams_in_use_;
  datagram.next_in_bucket = free_datagram_;
  free_datagram_ = index;
}

// A poisoned one if there is any, else the one whose time ends first.
void Fragments::evict_oldest() {
  std::uint32_t victim = list_of(State::kPoisoned).oldest;
  for (const State state : {State::kWaiting, State::kKnown}) {
    const std::uint32_t oldest = list_of(state).oldest;
    if (list_of(State::kPoisoned).oldest != kNone || oldest == kNone) continue;
    if (victim == kNone || datagrams_[oldest].deadline < datagrams_[victim].deadline) {
      victim = oldest;
    }
  }
  forget(victim, counts_.discarded);
}

void Fragments::tick(Instant now) {
  unsigned left = kForgottenPerTick;
  for (List& list : lists_) {
    while (left > 0 && list.oldest != kNone && datagrams_[list.oldest].deadline <= now) {
      forget(list.oldest, counts_.expired);
      --left;
    }
  }
}

Instant Fragments::next_deadline() const {
  Instant earliest = Instant::never();
  for (const List& list : lists_) {
    if (list.oldest != kNone) earliest = std::min(earliest, datagrams_[list.oldest].deadline);
  }
  return earliest;
}

void Fragments::remove_owner(PeerId owner) {
  for (List& list : lists_) {
    for (std::uint32_t i = list.oldest; i != kNone;) {
      const std::uint32_t newer = datagrams_[i].newer;
      if (datagrams_[i].key[0] >> 32 == owner.value) forget(i, counts_.discarded);
      i = newer;
    }
  }
}

}  // namespace ringway::nat
