#include "overlay/sim/dht_ledger.hpp"

#include <algorithm>
#include <array>

#include "overlay/sim/distributions.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::uint32_t kFirstAddress = 0xcb007100;  // 203.0.113.0/24, for documentation
constexpr int kReaderTries = 20;

std::vector<std::uint8_t> numbers(std::initializer_list<std::uint32_t> all) {
  std::vector<std::uint8_t> bytes(all.size() * sizeof(std::uint32_t));
  std::uint8_t* at = bytes.data();
  for (const std::uint32_t number : all) {
    store_be(at, number);
    at += sizeof number;
  }
  return bytes;
}

std::vector<std::uint8_t> payload_of(const DhtLedger::Entry& entry, std::uint32_t version) {
  return numbers({entry.owner, entry.number, version});
}

}  // namespace

DhtLedger::DhtLedger(Simulation& simulation, std::uint64_t seed)
    : simulation_(simulation), rng_(seed ^ 0x6c6564676572) {
  simulation_.add_observer([this](NodeIndex node, const Event& event) { on_event(node, event); });
}

// --- Writing -------------------------------------------------------------------------------------

DhtLedger::Entry* DhtLedger::find(dht::Kind kind, NodeIndex owner, std::uint32_t number) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.kind == kind && entry.owner == owner && entry.number == number;
  });
  return found == entries_.end() ? nullptr : &*found;
}

dht::Order DhtLedger::order_for(const Entry& entry, dht::Task task) {
  dht::Order order;
  order.task = task;
  order.kind = entry.kind;
  order.name =
      numbers({entry.kind == dht::Kind::kLease ? kFirstAddress + entry.number : entry.number});
  return order;
}

bool DhtLedger::has_owner(const Entry& entry) const {
  return simulation_.is_alive(entry.owner) &&
         simulation_.incarnation(entry.owner) == entry.incarnation;
}

void DhtLedger::begin(Entry& entry, const dht::Order& order, State state) {
  entry.incarnation = simulation_.incarnation(entry.owner);
  entry.since = simulation_.now();
  entry.operation = simulation_.act(entry.owner, [&](Overlay& overlay, const Clock& clock) {
    return overlay.dht(clock).begin(order);
  });
  entry.state = entry.operation == 0 ? State::kRefused : state;
}

void DhtLedger::write(dht::Kind kind, NodeIndex owner, std::uint32_t number, Duration ttl) {
  Entry* entry = find(kind, owner, number);
  if (entry == nullptr) {
    entry = &entries_.emplace_back();
    entry->kind = kind;
    entry->owner = owner;
    entry->number = number;
  }
  const bool lease = kind == dht::Kind::kLease;
  dht::Order order = order_for(*entry, lease ? dht::Task::kCreate : dht::Task::kPut);
  order.ttl = ttl;
  order.payload = payload_of(*entry, entry->versions++);
  begin(*entry, order, State::kWriting);
}

void DhtLedger::take_back(dht::Kind kind, NodeIndex owner, std::uint32_t number) {
  Entry* const entry = find(kind, owner, number);
  if (entry == nullptr || !simulation_.is_alive(owner) || simulation_.is_paused(owner) ||
      !has_owner(*entry) || (entry->state != State::kWriting && entry->state != State::kWritten))
    return;
  begin(*entry, order_for(*entry, dht::Task::kRemove), State::kRemoving);
}

void DhtLedger::put(NodeIndex owner, std::uint32_t number, Duration ttl) {
  if (simulation_.is_alive(owner) && !simulation_.is_paused(owner))
    write(dht::Kind::kOwned, owner, number, ttl);
}

void DhtLedger::lease(NodeIndex node, std::uint32_t number, Duration ttl) {
  if (!simulation_.is_alive(node) || simulation_.is_paused(node)) return;
  const Entry* const entry = find(dht::Kind::kLease, node, number);
  const bool has_it = entry != nullptr && has_owner(*entry) &&
                      (entry->state == State::kWriting || entry->state == State::kWritten);
  if (!has_it) write(dht::Kind::kLease, node, number, ttl);
}

void DhtLedger::remove(NodeIndex owner, std::uint32_t number) {
  take_back(dht::Kind::kOwned, owner, number);
}

void DhtLedger::release(NodeIndex node, std::uint32_t number) {
  take_back(dht::Kind::kLease, node, number);
}

void DhtLedger::on_write_done(Entry& entry, const output::DhtDone& done) {
  const bool refused = done.result == dht::Result::kRefused ||
                       (done.task == dht::Task::kCreate && done.result != dht::Result::kDone);
  if (refused) {
    entry.state = State::kRefused;
  } else if (done.result == dht::Result::kDone) {
    entry.state = done.task == dht::Task::kRemove ? State::kRemoved : State::kWritten;
  } else {
    return;  // a value that found no majority is put again by its node
  }
  entry.since = simulation_.now();
}

// --- Reading -------------------------------------------------------------------------------------

void DhtLedger::read(NodeIndex reader, std::size_t entry) {
  dht::Order order = order_for(entries_[entry], dht::Task::kGet);
  order.owner = simulation_.id(entries_[entry].owner);
  Read read{reader, simulation_.incarnation(reader), 0, entry, simulation_.now()};
  read.operation = simulation_.act(reader, [&](Overlay& overlay, const Clock& clock) {
    return overlay.dht(clock).begin(order);
  });
  if (read.operation != 0) reads_.push_back(read);
}

void DhtLedger::read_from_anywhere(std::size_t entry) {
  const std::vector<NodeIndex>& alive = simulation_.alive();
  for (int tries = 0; tries < kReaderTries && !alive.empty(); ++tries) {
    const NodeIndex node = alive[rng_.below(alive.size())];
    const bool able = alive.size() == 1 || simulation_.overlay(node).in_ring();
    if (able && !simulation_.is_paused(node) && !simulation_.is_hostile(node))
      return read(node, entry);
  }
}

bool DhtLedger::is_being_read(std::size_t entry) const {
  return std::any_of(reads_.begin(), reads_.end(),
                     [&](const Read& read) { return read.entry == entry; });
}

void DhtLedger::keep_reading(Duration interval) {
  simulation_.schedule(simulation_.now() + draw_exponential(rng_, interval),
                       [this, interval] { read_next(interval); });
}

void DhtLedger::read_next(Duration interval) {
  std::erase_if(reads_, [&](const Read& read) {  // who was stopped meanwhile is told nothing
    return !simulation_.is_alive(read.reader) ||
           simulation_.incarnation(read.reader) != read.incarnation;
  });
  if (!entries_.empty()) read_from_anywhere(rng_.below(entries_.size()));
  keep_reading(interval);
}

std::optional<NodeIndex> DhtLedger::node_of(const NodeId& id) const {
  for (NodeIndex node = 0; node < simulation_.nodes(); ++node)
    if (simulation_.id(node) == id) return node;
  return std::nullopt;
}

std::optional<std::uint32_t> DhtLedger::version_of(const Entry& entry,
                                                   const dht::Found& found) const {
  const auto owner = node_of(found.owner);
  if (!owner || (entry.kind == dht::Kind::kOwned && *owner != entry.owner)) return std::nullopt;
  const auto written = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& each) {
    return each.kind == entry.kind && each.owner == *owner && each.number == entry.number;
  });
  if (written == entries_.end()) return std::nullopt;
  for (std::uint32_t version = 0; version < written->versions; ++version)
    if (payload_of(*written, version) == found.payload) return version;
  return std::nullopt;
}

// --- What nodes tell -----------------------------------------------------------------------------

void DhtLedger::on_event(NodeIndex node, const Event& event) {
  if (const auto* const lost = std::get_if<output::DhtLost>(&event)) {
    for (Entry& entry : entries_) {
      if (entry.owner != node || entry.kind != lost->kind ||
          order_for(entry, dht::Task::kGet).name != lost->name)
        continue;
      entry.state = State::kRefused;
      entry.since = simulation_.now();
    }
    return;
  }
  const auto* const done = std::get_if<output::DhtDone>(&event);
  if (done == nullptr) return;
  for (Entry& entry : entries_)
    if (entry.owner == node && entry.operation == done->operation && has_owner(entry))
      return on_write_done(entry, *done);
  const auto found = std::find_if(reads_.begin(), reads_.end(), [&](const Read& read) {
    return read.reader == node && read.operation == done->operation &&
           read.incarnation == simulation_.incarnation(node);
  });
  if (found == reads_.end()) return;
  const Read read = *found;
  reads_.erase(found);
  for (const Listener& listener : listeners_)
    listener(read, *done);
}

}  // namespace ringway::overlay::sim
