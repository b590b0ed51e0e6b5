// A value as its owner signed it. Replicas and readers pass it on as it came: whoever holds it can
// check it with the owner's credential, and nobody can change it or claim another place for it.
//
//   kind(1) flags(1) owner(20) sequence(8) not after(8) name length(1) name
//   payload length(2) payload signature(64)
//
// The signature covers "Ringway DHT value 1", the group (16 bytes, not sent), and all before it.
// The key is not sent: it follows from kind, owner and name.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "overlay/crypto.hpp"
#include "overlay/wire/routed_message.hpp"

namespace ringway::overlay::dht {

// What a value is for; each kind has keys of its own and says who may write there (admission.hpp).
enum class Kind : std::uint8_t {
  kOwned = 1,       // whatever the owner likes; the key belongs to the owner
  kLease = 2,       // an address; one owner a key
  kName = 3,        // a host name; one owner a key
  kGateway = 4,     // those with the role, under one key
  kRelay = 5,       // those with the role, under one key
  kRevocation = 6,  // those with the issuer's role
  kMember = 7,      // every member of the group
};
inline constexpr std::uint8_t kLastKind = 7;

// One owner at a time: others are refused while it lives.
[[nodiscard]] constexpr bool is_exclusive(Kind kind) {
  return kind == Kind::kLease || kind == Kind::kName;
}

using Key = NodeId;

inline constexpr std::size_t kMaxNameBytes = 64;
// With the credential of the sender of the message around it, 512 bytes too, a value of this size
// fits into one message. docs/OVERLAY.md says why it is not more.
inline constexpr std::size_t kMaxPayloadBytes = 512;
inline constexpr std::size_t kValueOverhead =
    1 + 1 + NodeId::kBytes + 8 + 8 + 1 + 2 + kSignatureBytes;
inline constexpr std::size_t kMaxValueBytes = kValueOverhead + kMaxNameBytes + kMaxPayloadBytes;

struct Value {
  Kind kind = Kind::kOwned;
  bool removed = false;  // a tombstone: the owner took the value back
  NodeId owner;
  std::uint64_t sequence = 0;  // of this owner's versions at this key; the highest counts
  WallTime not_after;          // on the wire in milliseconds
  ConstBytes name;             // this and the payload point into the bytes that were parsed
  ConstBytes payload;
  Signature signature{};
  ConstBytes signed_part;  // when parsed

  // Tells versions apart without a hash: the signature's leading bytes.
  [[nodiscard]] std::uint64_t id() const { return load_be<std::uint64_t>(signature.data()); }
};

[[nodiscard]] inline ConstBytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Empty for what is malformed: a length that lies, an unknown kind, a tombstone with a payload.
[[nodiscard]] std::optional<Value> parse_value(ConstBytes bytes);
// Signs and encodes. Sizes are within the limits above.
[[nodiscard]] std::vector<std::uint8_t> sign_value(const Value& value, const wire::GroupId& group,
                                                   Signer& signer);
[[nodiscard]] bool verify(const Value& value, ConstBytes credential, const wire::GroupId& group,
                          Verifier& verifier);
// `owner` counts for kOwned only: in the other kinds all owners meet at one key.
[[nodiscard]] Key key_of(Verifier& verifier, const wire::GroupId& group, Kind kind,
                         const NodeId& owner, ConstBytes name);

}  // namespace ringway::overlay::dht
