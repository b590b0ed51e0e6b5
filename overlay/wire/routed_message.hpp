// A message that the ring carries from node to node. What routers change stands in front and is
// theirs; the rest is signed end to end by the source and checked by whoever it is delivered to.
//
//   0  version(1) = 1, type(1) = 8
//   2  sequence(2)  of this hop; acknowledged by the next node as soon as it has the message
//   4  hops(1)      taken so far
//   5  ttl(1)       hops left
//   6  detour(1)    1: the one step away from the destination was taken
//   7  route(1)     bits 0-1 direction; 2 exact; 3 annealing; 4 via is there      signed from here
//   8  source(20) destination(20) [via(20)] message id(8) time(8) payload type(1)
//      credential length(2) credential payload length(2) payload
//      signature(64)
//
// The signature covers "Ringway routed message 1", the group (16 bytes, not sent), and all from
// `route` to the end of the payload.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "overlay/crypto.hpp"
#include "overlay/node_id.hpp"

namespace ringway::overlay::wire {

// How routers measure the way that is left.
enum class Direction : std::uint8_t {
  kNearest = 0,      // to the node nearest to the destination, on either side
  kSuccessor = 1,    // to the first node at or clockwise of the destination
  kPredecessor = 2,  // to the first node at or counter-clockwise of it
};
struct Route {
  Direction direction = Direction::kNearest;
  bool exact = false;      // only for the node that the destination names
  bool annealing = false;  // may take one step away from the destination, where routing ends
};

enum class PayloadType : std::uint8_t {
  kRequest = 1,
  kReply = 2,
  kDhtNotice = 16,
  kBroadcastSample = 32,
};
// The lowest type whose payload a service parses.
inline constexpr std::uint8_t kFirstServicePayload = 16;

using GroupId = std::array<std::uint8_t, 16>;

struct RoutedMessage {
  // Of routers.
  std::uint16_t sequence = 0;
  std::uint8_t hops = 0;
  std::uint8_t ttl = 0;
  bool detour_taken = false;
  // Signed.
  Route route;
  NodeId source;
  NodeId destination;
  std::optional<NodeId> via;  // goes there first: the destination hangs on it as a leaf
  std::uint64_t message_id = 0;
  WallTime sent;  // on the wire in milliseconds
  PayloadType payload_type = PayloadType::kRequest;
  ConstBytes credential;  // this and the payload point into the message
  ConstBytes payload;
  Signature signature{};
  ConstBytes signed_part;  // when parsed
};

inline constexpr std::size_t kRoutedOverhead = 8 + 3 * 20 + 8 + 8 + 1 + 2 + 2 + kSignatureBytes;

// Empty for what is malformed: a length that lies, an unknown direction or type, anything behind
// the signature. The signature itself is for verify().
[[nodiscard]] std::optional<RoutedMessage> parse_routed(ConstBytes message);

class ByteWriter;
// Signs and emits. sequence, hops and ttl are set on the way (below).
void emit_signed(ByteWriter& writer, const RoutedMessage& message, const GroupId& group,
                 Signer& signer);
[[nodiscard]] bool verify(const RoutedMessage& message, const GroupId& group, Verifier& verifier);

// What a router writes before it passes a parsed message on.
struct HopFields {
  std::uint16_t sequence = 0;
  std::uint8_t hops = 0;
  std::uint8_t ttl = 0;
  bool detour_taken = false;
};
void store_hop_fields(Bytes message, const HopFields& fields);

}  // namespace ringway::overlay::wire
