#include "overlay/wire/routed_message.hpp"

#include <algorithm>
#include <string_view>

#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/link_messages.hpp"
#include "overlay/wire/signed_text.hpp"

namespace ringway::overlay::wire {
namespace {

constexpr std::size_t kSequenceAt = 2;
constexpr std::size_t kHopsAt = 4;
constexpr std::size_t kTtlAt = 5;
constexpr std::size_t kDetourAt = 6;
constexpr std::size_t kSignedFrom = 7;

constexpr std::uint8_t kDirectionMask = 0x03;
constexpr std::uint8_t kExactBit = 0x04;
constexpr std::uint8_t kAnnealingBit = 0x08;
constexpr std::uint8_t kViaBit = 0x10;
constexpr std::uint8_t kRouteBits = 0x1F;

// So that a signature made here means nothing anywhere else.
constexpr std::string_view kDomain = "Ringway routed message 1";

std::uint8_t route_byte(const RoutedMessage& message) {
  return static_cast<std::uint8_t>(
      static_cast<std::uint8_t>(message.route.direction) | (message.route.exact ? kExactBit : 0) |
      (message.route.annealing ? kAnnealingBit : 0) | (message.via ? kViaBit : 0));
}

void read_route(ByteReader& reader, RoutedMessage& message) {
  const auto bits = reader.number<std::uint8_t>();
  const std::uint8_t direction = bits & kDirectionMask;
  if ((bits & ~kRouteBits) != 0 || direction > 2) reader.fail();
  message.route = {static_cast<Direction>(direction), (bits & kExactBit) != 0,
                   (bits & kAnnealingBit) != 0};
  message.source = reader.node_id();
  message.destination = reader.node_id();
  if ((bits & kViaBit) != 0) message.via = reader.node_id();
}

void read_content(ByteReader& reader, RoutedMessage& message) {
  message.message_id = reader.number<std::uint64_t>();
  message.sent = reader.wall_time();
  const auto type = reader.number<std::uint8_t>();
  const bool of_rpc = type == static_cast<std::uint8_t>(PayloadType::kRequest) ||
                      type == static_cast<std::uint8_t>(PayloadType::kReply);
  if (!of_rpc && type < kFirstServicePayload) reader.fail();
  message.payload_type = static_cast<PayloadType>(type);
  message.credential = reader.sized_bytes(kMaxCredentialBytes);
  message.payload = reader.sized_bytes(kMaxMessageBytes);
}

}  // namespace

std::optional<RoutedMessage> parse_routed(ConstBytes message) {
  if (link_message_type(message) != LinkMessageType::kRouted) return std::nullopt;
  ByteReader reader(message);
  RoutedMessage parsed;
  static_cast<void>(reader.number<std::uint16_t>());  // version and type, as seen above
  parsed.sequence = reader.number<std::uint16_t>();
  parsed.hops = reader.number<std::uint8_t>();
  parsed.ttl = reader.number<std::uint8_t>();
  const auto detour = reader.number<std::uint8_t>();
  if (detour > 1) reader.fail();
  parsed.detour_taken = detour == 1;
  read_route(reader, parsed);
  read_content(reader, parsed);
  const std::size_t signed_to = reader.position();
  const ConstBytes signature = reader.bytes(kSignatureBytes);
  if (!reader.complete()) return std::nullopt;
  std::copy(signature.begin(), signature.end(), parsed.signature.begin());
  parsed.signed_part = message.subspan(kSignedFrom, signed_to - kSignedFrom);
  return parsed;
}

void emit_signed(ByteWriter& writer, const RoutedMessage& message, const GroupId& group,
                 Signer& signer) {
  writer.byte(kVersion);
  writer.byte(static_cast<std::uint8_t>(LinkMessageType::kRouted));
  writer.number(message.sequence);
  writer.byte(message.hops);
  writer.byte(message.ttl);
  writer.byte(message.detour_taken ? 1 : 0);
  writer.byte(route_byte(message));
  writer.node_id(message.source);
  writer.node_id(message.destination);
  if (message.via) writer.node_id(*message.via);
  writer.number(message.message_id);
  writer.wall_time(message.sent);
  writer.byte(static_cast<std::uint8_t>(message.payload_type));
  writer.sized_bytes(message.credential);
  writer.sized_bytes(message.payload);
  const SignedText text(kDomain, group, writer.view().subspan(kSignedFrom));
  writer.bytes(signer.sign(text.view()));
}

bool verify(const RoutedMessage& message, const GroupId& group, Verifier& verifier) {
  const SignedText text(kDomain, group, message.signed_part);
  return verifier.verify(message.source, message.credential, text.view(), message.signature);
}

void store_hop_fields(Bytes message, const HopFields& fields) {
  store_be(message.data() + kSequenceAt, fields.sequence);
  message[kHopsAt] = fields.hops;
  message[kTtlAt] = fields.ttl;
  message[kDetourAt] = fields.detour_taken ? 1 : 0;
}

}  // namespace ringway::overlay::wire
