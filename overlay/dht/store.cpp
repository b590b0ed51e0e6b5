#include "overlay/dht/store.hpp"

#include <algorithm>
#include <tuple>

namespace ringway::overlay::dht {

std::size_t Store::lower_bound(const Key& key) const {
  const auto found =
      std::lower_bound(entries_.begin(), entries_.end(), key,
                       [](const Entry& entry, const Key& wanted) { return entry.key < wanted; });
  return static_cast<std::size_t>(found - entries_.begin());
}

std::span<const Store::Entry> Store::at(const Key& key) const {
  const std::size_t from = lower_bound(key);
  std::size_t to = from;
  while (to < entries_.size() && entries_[to].key == key)
    ++to;
  return std::span(entries_).subspan(from, to - from);
}

const Store::Entry* Store::find(const Key& key, const NodeId& owner) const {
  for (const Entry& entry : at(key))
    if (entry.owner == owner) return &entry;
  return nullptr;
}

const Store::Entry* Store::holder(const Key& key, const NodeId& owner, WallTime now) const {
  for (const Entry& entry : at(key))
    if (entry.owner != owner && !entry.removed && entry.not_after > now) return &entry;
  return nullptr;
}

ConstBytes Store::credential_of(const NodeId& owner) const {
  for (const Entry& entry : entries_)
    if (entry.owner == owner) return entry.credential();
  return {};
}

bool Store::has_room(const Key& key, const NodeId& owner) const {
  if (entries_.size() >= parameters_.max_values) return false;
  if (at(key).size() >= parameters_.max_values_a_key) return false;
  const auto owned = std::count_if(entries_.begin(), entries_.end(),
                                   [&](const Entry& entry) { return entry.owner == owner; });
  return static_cast<std::size_t>(owned) < parameters_.max_values_an_owner;
}

bool Store::put(const Key& key, const Value& value, const Record& record, WallTime now,
                Instant offered_from) {
  Entry entry;
  entry.key = key;
  entry.owner = value.owner;
  entry.sequence = value.sequence;
  entry.id = value.id();
  entry.not_after = value.not_after;
  entry.offered_from = offered_from;
  entry.kind = value.kind;
  entry.removed = value.removed;
  entry.value_bytes = static_cast<std::uint16_t>(record.value.size());
  entry.bytes.reserve(record.value.size() + record.credential.size());
  entry.bytes.assign(record.value.begin(), record.value.end());
  entry.bytes.insert(entry.bytes.end(), record.credential.begin(), record.credential.end());

  if (const Entry* const older = find(key, value.owner)) {
    entries_[static_cast<std::size_t>(older - entries_.data())] = std::move(entry);
    return true;
  }
  if (!has_room(key, value.owner)) {
    expire(now);
    if (!has_room(key, value.owner)) return false;
  }
  const auto at =
      std::upper_bound(entries_.begin(), entries_.end(), entry, [](const Entry& a, const Entry& b) {
        return std::tie(a.key, a.owner) < std::tie(b.key, b.owner);
      });
  entries_.insert(at, std::move(entry));
  return true;
}

void Store::remove(const Key& key, const NodeId& owner) {
  if (const Entry* const entry = find(key, owner))
    erase(static_cast<std::size_t>(entry - entries_.data()));
}

void Store::erase(std::size_t index) {
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(index));
}

void Store::expire(WallTime now) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.not_after <= now; });
}

}  // namespace ringway::overlay::dht
