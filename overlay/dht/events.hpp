// What a node is told of the DHT.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/net/address.hpp"
#include "overlay/dht/value.hpp"

namespace ringway::overlay::dht {

enum class Task : std::uint8_t { kPut, kCreate, kRemove, kGet, kSubscribe };

enum class Result : std::uint8_t {
  kDone,
  kNothing,     // get: no value, or a removed one
  kHeld,        // create: another holds the key
  kRefused,     // this node may not write that, or there is no room
  kNoMajority,  // too few replicas answered: nothing is sure; a get has what some of them hold
};

// A value as read: authentic, and admitted by the rules of its kind.
struct Found {
  Kind kind = Kind::kOwned;
  NodeId owner;
  std::uint64_t sequence = 0;
  WallTime not_after;
  std::vector<std::uint8_t> name;
  std::vector<std::uint8_t> payload;
};

}  // namespace ringway::overlay::dht

namespace ringway::overlay::output {

// An operation that the driver began has ended.
struct DhtDone {
  std::uint64_t operation = 0;
  dht::Task task = dht::Task::kGet;
  dht::Result result = dht::Result::kDone;
  bool majority = false;  // of the key's replicas answered
  NodeId holder;          // kHeld
  std::vector<dht::Found> values;
};
// A key to which this node subscribed has another value.
struct DhtChanged {
  dht::Key key;
  bool removed = false;
  dht::Found value;
};
// A lease or name of this node is another's, who prevails by the rule.
struct DhtLost {
  dht::Kind kind = dht::Kind::kLease;
  std::vector<std::uint8_t> name;
  NodeId holder;
};

// This node has that address from now on; none: every address that it tried is taken.
struct AddressTaken {
  std::optional<net::IpAddress> address;
};
// It is another node's; a new one follows.
struct AddressLost {
  net::IpAddress address;
  NodeId holder;
};

}  // namespace ringway::overlay::output
