// What replicas said of a key, sorted out: which values are authentic, which of each owner's
// versions is the last, and which are older than what this node has read before.
#pragma once

#include <optional>
#include <vector>

#include "overlay/core.hpp"
#include "overlay/dht/events.hpp"
#include "overlay/dht/messages.hpp"

namespace ringway::overlay::dht {

// The versions that this node has read or written: an earlier one is not believed any more, though
// a majority of hostile replicas may swear to it. Bounded: the oldest memory goes first.
class Memory {
 public:
  explicit Memory(const DhtParameters& parameters) : parameters_(parameters) {}

  [[nodiscard]] bool is_rolled_back(const Key& key, const NodeId& owner, std::uint64_t sequence,
                                    WallTime now) const;
  // Of the version that is remembered; zero: none is.
  [[nodiscard]] std::uint64_t last(const Key& key, const NodeId& owner) const;
  // True when that is news.
  bool remember(const Key& key, const NodeId& owner, std::uint64_t sequence, WallTime not_after);

 private:
  struct Seen {
    std::uint64_t key;  // leading bits, as of the owner: together they tell values apart
    std::uint64_t owner;
    std::uint64_t sequence;
    WallTime not_after;
  };
  [[nodiscard]] auto find(const Key& key, const NodeId& owner) const;

  const DhtParameters& parameters_;
  std::vector<Seen> seen_;  // oldest memory first
};

class Reading {
 public:
  struct Version {
    NodeId owner;
    std::uint64_t sequence = 0;
    std::uint64_t id = 0;
    WallTime not_after;
    bool removed = false;
    bool authentic = false;  // checked with the credential
    NodeId from;             // the first replica that had it
    std::vector<std::uint8_t> value;
    std::vector<std::uint8_t> credential;
  };
  enum class Taken : std::uint8_t { kRefused, kAuthentic, kNeedsCredential };

  // A record that `from` has at the key.
  Taken take(Core& core, const Key& key, const Record& record, const NodeId& from,
             std::size_t most);
  // Of the owner of some versions that wait for it.
  void take_credential(Core& core, const NodeId& owner, ConstBytes credential);

  // The last authentic version of each owner, tombstones among them.
  [[nodiscard]] std::vector<const Version*> latest() const;
  // A live one of another owner than `self`, at an exclusive key.
  [[nodiscard]] const Version* holder(const NodeId& self) const;
  void clear() { versions_.clear(); }
  [[nodiscard]] bool empty() const { return versions_.empty(); }

 private:
  void check(Core& core, Version& version, ConstBytes credential);
  std::vector<Version> versions_;
};

[[nodiscard]] Found found(const Reading::Version& version);

}  // namespace ringway::overlay::dht
