// What the DHT says: bodies of requests and replies (wire/rpc_messages.hpp), notices (payloads of
// routed messages), and the hand-over between near neighbours (bodies of link messages).
//
//   method           request's body             reply's body
//   16 store         record                     outcome(1) settled(1) sequence(8) nodes record
//   17 get           key(20) flags(1) after(20) flags(1) nodes records
//   18 subscribe     key(20) seconds(2)         outcome(1) nodes
//   19 credential    owner(20)                  length(2) credential; 0: not known
//
//   flags of a get: 1 no nodes are wanted; of its reply: 1 settled, 2 there is more;
//   of an offer: 1 its last page, 2 a word: of all keys between `from` and `to`, ends excluded, the
//   sender knows what is there, and offers it; the same twice: of all keys
//
//   notice (payload type 16)   record
//   link message 16 offer      page(1) flags(1) [from(20) to(20)] versions
//   link message 17 want       versions; none: an offer is wanted
//   link message 18 hand-over  record
//
//   record    length(2) value length(2) credential; both may be empty
//   records   count(1) of records without empty values
//   nodes     count(1), at most 8, of IDs(20): the replicas of the key, as the sender knows them
//   versions  count(1), at most 48, of key(20) id(8)
//
// The credential is the owner's. It is left out of a request whose source is the owner, whose
// envelope has it, and wherever the message has no room for it: then it is asked for.
#pragma once

#include <cstdint>
#include <optional>

#include "overlay/contact.hpp"
#include "overlay/dht/parameters.hpp"
#include "overlay/dht/value.hpp"
#include "overlay/wire/limits.hpp"
#include "overlay/wire/link_messages.hpp"
#include "overlay/wire/rpc_messages.hpp"

namespace ringway::overlay::dht {

inline constexpr auto kStoreMethod = static_cast<wire::Method>(16);
inline constexpr auto kGetMethod = static_cast<wire::Method>(17);
inline constexpr auto kSubscribeMethod = static_cast<wire::Method>(18);
inline constexpr auto kCredentialMethod = static_cast<wire::Method>(19);
inline constexpr auto kOfferMessage = static_cast<wire::LinkMessageType>(16);
inline constexpr auto kWantMessage = static_cast<wire::LinkMessageType>(17);
inline constexpr auto kHandOverMessage = static_cast<wire::LinkMessageType>(18);

// What became of a request to a replica.
enum class Outcome : std::uint8_t {
  kDone = 0,             // stored, or stored before
  kStale = 1,            // a later version is there
  kHeld = 2,             // another owner lives there
  kRefused = 3,          // the owner may not write there, or not that, or not for so long
  kFull = 4,             // no room
  kTooFast = 5,          // too many in a short time
  kElsewhere = 6,        // this node is not one of the nearest to the key
  kNeedsCredential = 7,  // of the owner
};
inline constexpr std::uint8_t kLastOutcome = 7;

using Nodes = BoundedList<NodeId, kMaxReplicas>;

struct Record {
  ConstBytes value;
  ConstBytes credential;
};
// As many as a message can hold: the smallest values are larger than kValueOverhead.
inline constexpr std::size_t kMaxRecords = wire::kMaxMessageBytes / kValueOverhead;
using Records = BoundedList<Record, kMaxRecords>;

struct StoreReply {
  Outcome outcome = Outcome::kDone;
  bool settled = false;        // would know if another owner held the key
  std::uint64_t sequence = 0;  // kStale: of the version that is there
  Nodes nodes;
  Record holder;  // kHeld: who has it, where it fits
};
struct GetRequest {
  Key key;
  bool no_nodes = false;  // the replicas are known already
  NodeId after;           // owners up to this one are known already; zero: from the first
};
struct GetReply {
  bool settled = false;
  bool more = false;
  Nodes nodes;
  Records records;
};
struct SubscribeRequest {
  Key key;
  std::uint16_t seconds = 0;  // zero: no longer
};
struct SubscribeReply {
  Outcome outcome = Outcome::kDone;
  Nodes nodes;
};

struct Version {
  Key key;
  std::uint64_t id = 0;
  [[nodiscard]] bool operator==(const Version&) const = default;
};
inline constexpr std::size_t kMaxVersions = 48;
using Versions = BoundedList<Version, kMaxVersions>;

// Keys between two nodes, both excluded; or all.
struct KeyRange {
  bool all = false;
  NodeId from;
  NodeId to;
  [[nodiscard]] bool operator==(const KeyRange&) const = default;
};
// A part of what a node holds and its neighbour should hold.
struct Offer {
  std::uint8_t page = 0;  // from 0
  bool last = false;
  std::optional<KeyRange> word;  // nothing is there that these pages do not name
  Versions versions;
};

[[nodiscard]] std::optional<StoreReply> parse_store_reply(ConstBytes body);
[[nodiscard]] std::optional<GetRequest> parse_get(ConstBytes body);
[[nodiscard]] std::optional<GetReply> parse_get_reply(ConstBytes body);
[[nodiscard]] std::optional<SubscribeRequest> parse_subscribe(ConstBytes body);
[[nodiscard]] std::optional<SubscribeReply> parse_subscribe_reply(ConstBytes body);
[[nodiscard]] std::optional<NodeId> parse_credential_request(ConstBytes body);
[[nodiscard]] std::optional<ConstBytes> parse_credential_reply(ConstBytes body);
[[nodiscard]] std::optional<Record> parse_record(ConstBytes body);      // store, notice, hand-over
[[nodiscard]] std::optional<Versions> parse_versions(ConstBytes body);  // want
[[nodiscard]] std::optional<Offer> parse_offer(ConstBytes body);

void emit(wire::ByteWriter& writer, const StoreReply& reply);
void emit(wire::ByteWriter& writer, const GetRequest& get);
void emit(wire::ByteWriter& writer, const GetReply& reply);
void emit(wire::ByteWriter& writer, const SubscribeRequest& subscribe);
void emit(wire::ByteWriter& writer, const SubscribeReply& reply);
void emit_credential_request(wire::ByteWriter& writer, const NodeId& owner);
void emit_credential_reply(wire::ByteWriter& writer, ConstBytes credential);
void emit(wire::ByteWriter& writer, const Record& record);
void emit(wire::ByteWriter& writer, const Versions& versions);
void emit(wire::ByteWriter& writer, const Offer& offer);

[[nodiscard]] constexpr std::size_t encoded_bytes(const Record& record) {
  return 2 + record.value.size() + 2 + record.credential.size();
}
[[nodiscard]] inline std::size_t encoded_bytes(const Nodes& nodes) {
  return 1 + nodes.size() * NodeId::kBytes;
}

}  // namespace ringway::overlay::dht
