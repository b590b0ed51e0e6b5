#include "overlay/sim/dht_workload.hpp"

#include <algorithm>

#include "overlay/sim/distributions.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr std::size_t kPayloadBytes = 64;
// Around a key: where its holders are, when nothing went wrong.
constexpr std::size_t kLookedAtFirst = 24;

}  // namespace

DhtWorkload::DhtWorkload(Simulation& simulation, const DhtWorkloadOptions& options)
    : simulation_(simulation), options_(options), rng_(simulation.rng().next_u64()) {
  values_.resize(options.values);
  simulation_.add_observer([this](NodeIndex node, const Event& event) { on_event(node, event); });
}

void DhtWorkload::start() {
  if (values_.empty()) return;
  put_all();
  simulation_.schedule(simulation_.now() + options_.look_interval, [this] { look(); });
  if (options_.read_interval > Duration{}) next_read();
}

void DhtWorkload::put_all() {
  for (std::size_t i = 0; i < values_.size(); ++i)
    put(i);
}

std::optional<NodeIndex> DhtWorkload::random_member() {
  const std::vector<NodeIndex>& alive = simulation_.alive();
  for (int tries = 0; tries < 100 && !alive.empty(); ++tries) {
    const NodeIndex node = alive[rng_.below(alive.size())];
    if (simulation_.overlay(node).in_ring()) return node;
  }
  return std::nullopt;
}

void DhtWorkload::put(std::size_t index) {
  Value& value = values_[index];
  value = {};
  const auto owner = random_member();
  if (!owner) return;
  value.owner = *owner;
  value.payload.resize(kPayloadBytes);
  rng_.fill(value.payload);
  dht::Order order;
  order.task = dht::Task::kPut;
  order.name.resize(sizeof(std::uint64_t));
  store_be(order.name.data(), std::uint64_t{index});
  order.payload = value.payload;
  order.ttl = options_.ttl;
  ++statistics_.puts;
  value.key = simulation_.overlay(*owner).dht().key(order);
  value.put_operation = simulation_.act(
      *owner, [&](Overlay& overlay, Clock clock) { return overlay.dht(clock).begin(order); });
}

void DhtWorkload::read(std::size_t index) {
  const Value& value = values_[index];
  const auto reader = random_member();
  if (!reader) return;
  dht::Order order;
  order.task = dht::Task::kGet;
  order.owner = simulation_.id_of(value.owner);
  order.name.resize(sizeof(std::uint64_t));
  store_be(order.name.data(), std::uint64_t{index});
  const std::uint64_t operation = simulation_.act(
      *reader, [&](Overlay& overlay, Clock clock) { return overlay.dht(clock).begin(order); });
  if (operation != 0)
    reads_.push_back({*reader, operation, index, owner_lives(value), simulation_.now()});
}

void DhtWorkload::read_all() {
  for (std::size_t i = 0; i < values_.size(); ++i)
    if (values_[i].confirmed) read(i);
}

void DhtWorkload::next_read() {
  simulation_.schedule(simulation_.now() + draw_exponential(rng_, options_.read_interval), [this] {
    const std::size_t index = rng_.below(values_.size());
    if (values_[index].confirmed && owner_lives(values_[index])) read(index);
    next_read();
  });
}

void DhtWorkload::on_event(NodeIndex node, const Event& event) {
  const auto* const done = std::get_if<output::DhtDone>(&event);
  if (done == nullptr) return;
  if (done->task == dht::Task::kPut) {
    for (Value& value : values_) {
      if (value.owner != node || value.put_operation != done->operation) continue;
      value.confirmed = done->result == dht::Result::kDone;
      if (value.confirmed) ++statistics_.puts_confirmed;
    }
    return;
  }
  const auto found = std::find_if(reads_.begin(), reads_.end(), [&](const Read& read) {
    return read.reader == node && read.operation == done->operation;
  });
  if (found == reads_.end()) return;
  const Read read = *found;
  *found = reads_.back();
  reads_.pop_back();
  on_read_done(read, *done);
}

void DhtWorkload::on_read_done(const Read& read, const output::DhtDone& done) {
  Value& value = values_[read.value];
  const bool right = done.values.size() == 1 && done.values[0].payload == value.payload;
  if (right) value.readable = true;
  // An owner that went meanwhile, or was replaced, obliges nobody.
  if (!read.owner_lived || !value.confirmed || !owner_lives(value)) return;
  ++statistics_.reads;
  statistics_.slowest_read = std::max(statistics_.slowest_read, simulation_.now() - read.began);
  if (!done.majority) {
    ++statistics_.reads_below_majority;
  } else if (right) {
    ++statistics_.reads_ok;
  } else if (done.values.empty()) {
    ++statistics_.reads_missing;
  } else {
    ++statistics_.reads_wrong;
  }
}

bool DhtWorkload::owner_lives(const Value& value) const {
  return simulation_.is_alive(value.owner);
}

std::size_t DhtWorkload::holders(const Value& value) const {
  const std::vector<NodeIndex>& alive = simulation_.alive();
  const NodeId owner = simulation_.id_of(value.owner);
  const auto holds = [&](NodeIndex node) {
    const auto* const entry =
        simulation_.overlay(node).dht().replica().values().find(value.key, owner);
    return entry != nullptr && !entry->removed;
  };
  const auto after = std::lower_bound(
      alive.begin(), alive.end(), value.key,
      [&](NodeIndex node, const NodeId& key) { return simulation_.id_of(node) < key; });
  const std::size_t around = std::min(kLookedAtFirst, alive.size());
  const auto first = static_cast<std::size_t>(after - alive.begin()) + alive.size() - around / 2;
  std::size_t count = 0;
  for (std::size_t i = 0; i < around; ++i)
    if (holds(alive[(first + i) % alive.size()])) ++count;
  if (count > 0) return count;
  return static_cast<std::size_t>(std::count_if(alive.begin(), alive.end(), holds));
}

void DhtWorkload::look() {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    Value& value = values_[i];
    if (!owner_lives(value) || value.put_operation == 0) {
      put(i);
    } else if (value.confirmed && !value.lost) {
      const std::size_t count = holders(value);
      statistics_.fewest_holders = std::min<std::uint64_t>(statistics_.fewest_holders, count);
      value.lost = count == 0;
      if (value.lost) ++statistics_.lost;
    }
  }
  std::erase_if(reads_, [&](const Read& read) { return !simulation_.is_alive(read.reader); });
  simulation_.schedule(simulation_.now() + options_.look_interval, [this] { look(); });
}

void DhtWorkload::forget_reads() {
  for (Value& value : values_)
    value.readable = false;
}

}  // namespace ringway::overlay::sim
