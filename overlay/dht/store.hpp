// What a replica keeps: authentic values by key and owner, each with its owner's credential, and
// tombstones among them. Bounded in all, a key and an owner; a node that keeps nothing costs
// nothing.
#pragma once

#include <span>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/dht/messages.hpp"

namespace ringway::overlay::dht {

class Store {
 public:
  explicit Store(const DhtParameters& parameters) : parameters_(parameters) {}

  struct Entry {
    Key key;
    NodeId owner;
    std::uint64_t sequence = 0;
    std::uint64_t id = 0;  // of the version
    WallTime not_after;
    Instant outside_since = Instant::never();  // not one of the nearest nodes any more
    Instant offered_from;                      // to neighbours
    Kind kind = Kind::kOwned;
    bool removed = false;
    std::uint16_t value_bytes = 0;
    std::vector<std::uint8_t> bytes;  // value, then credential

    [[nodiscard]] ConstBytes value() const { return ConstBytes(bytes).first(value_bytes); }
    [[nodiscard]] ConstBytes credential() const { return ConstBytes(bytes).subspan(value_bytes); }
    [[nodiscard]] Record record() const { return {value(), credential()}; }
  };

  // The entries of a key, by owner. Valid until something is put or removed.
  [[nodiscard]] std::span<const Entry> at(const Key& key) const;
  [[nodiscard]] const Entry* find(const Key& key, const NodeId& owner) const;
  // Who lives at an exclusive key; another than `owner`.
  [[nodiscard]] const Entry* holder(const Key& key, const NodeId& owner, WallTime now) const;
  // A credential of that owner; empty if there is none.
  [[nodiscard]] ConstBytes credential_of(const NodeId& owner) const;

  // In place of the owner's earlier version. False when there is no room.
  bool put(const Key& key, const Value& value, const Record& record, WallTime now,
           Instant offered_from);
  void remove(const Key& key, const NodeId& owner);
  void expire(WallTime now);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] Entry& entry(std::size_t index) { return entries_[index]; }
  [[nodiscard]] const Entry& entry(std::size_t index) const { return entries_[index]; }
  void erase(std::size_t index);
  // The first entry at or behind the key, as an index.
  [[nodiscard]] std::size_t lower_bound(const Key& key) const;

 private:
  [[nodiscard]] bool has_room(const Key& key, const NodeId& owner) const;

  const DhtParameters& parameters_;
  std::vector<Entry> entries_;  // by key, then owner
};

}  // namespace ringway::overlay::dht
