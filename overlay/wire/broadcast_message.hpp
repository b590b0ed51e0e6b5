// A message for every node of the ring. What a sender writes for the next node stands in front; the
// rest is signed by the origin and checked by everyone.
//
//   0  version(1) = 1, type(1) = 32
//   2  sequence(2)  of this hop; acknowledged like that of a routed message
//   4  hops(1)      taken so far
//   5  arc: from(20) to(20)    which the receiver takes care of
//  45  origin(20) message id(8) time(8) sampling(4)                                signed from here
//      credential length(2) credential payload length(2) payload
//      signature(64)
//
// The signature covers "Ringway broadcast 1", the group (16 bytes, not sent), and all from `origin`
// to the end of the payload.
//
// Who is in the sample answers the origin by a routed message, payload type 32:
//
//      message id(8)   of the broadcast
//      hops(1)         that it took
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "overlay/broadcast/arc.hpp"
#include "overlay/crypto.hpp"
#include "overlay/wire/routed_message.hpp"

namespace ringway::overlay::wire {

// So that it fits with the largest credential.
inline constexpr std::size_t kMaxBroadcastPayload = 704;

struct BroadcastMessage {
  // Of this hop.
  std::uint16_t sequence = 0;
  std::uint8_t hops = 0;
  Arc arc;
  // Signed.
  NodeId origin;
  std::uint64_t message_id = 0;
  WallTime sent;               // on the wire in milliseconds
  std::uint32_t sampling = 0;  // of 2^32: the part of the receivers that answers
  ConstBytes credential;       // this and the payload point into the message
  ConstBytes payload;
  Signature signature{};
  ConstBytes signed_part;  // when parsed
  ConstBytes from_origin;  // the signed part and its signature, as they are passed on
};

// Empty for what is malformed. The signature itself is for verify().
[[nodiscard]] std::optional<BroadcastMessage> parse_broadcast(ConstBytes message);
[[nodiscard]] bool verify(const BroadcastMessage& message, const GroupId& group,
                          Verifier& verifier);

class ByteWriter;
// All of the origin's part, signed.
void emit_signed(ByteWriter& writer, const BroadcastMessage& message, const GroupId& group,
                 Signer& signer);
// A whole message for the next node, of what came from the origin.
struct BroadcastHop {
  std::uint16_t sequence = 0;
  std::uint8_t hops = 0;
  Arc arc;
};
void emit(ByteWriter& writer, const BroadcastHop& hop, ConstBytes from_origin);

struct BroadcastSample {
  std::uint64_t message_id = 0;
  std::uint8_t hops = 0;
};
[[nodiscard]] std::optional<BroadcastSample> parse_broadcast_sample(ConstBytes payload);
void emit(ByteWriter& writer, const BroadcastSample& sample);

}  // namespace ringway::overlay::wire
