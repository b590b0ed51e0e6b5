#include "overlay/wire/broadcast_message.hpp"

#include <algorithm>
#include <string_view>

#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/link_messages.hpp"
#include "overlay/wire/signed_text.hpp"

namespace ringway::overlay::wire {
namespace {

constexpr std::size_t kOriginAt = 45;
constexpr std::string_view kBroadcastDomain = "Ringway broadcast 1";

void read_from_origin(ByteReader& reader, BroadcastMessage& message) {
  message.origin = reader.node_id();
  message.message_id = reader.number<std::uint64_t>();
  message.sent = reader.wall_time();
  message.sampling = reader.number<std::uint32_t>();
  message.credential = reader.sized_bytes(kMaxCredentialBytes);
  message.payload = reader.sized_bytes(kMaxBroadcastPayload);
}

}  // namespace

std::optional<BroadcastMessage> parse_broadcast(ConstBytes message) {
  if (link_message_type(message) != LinkMessageType::kBroadcast) return std::nullopt;
  ByteReader reader(message);
  BroadcastMessage parsed;
  static_cast<void>(reader.number<std::uint16_t>());  // version and type, as seen above
  parsed.sequence = reader.number<std::uint16_t>();
  parsed.hops = reader.number<std::uint8_t>();
  parsed.arc.from = reader.node_id();
  parsed.arc.to = reader.node_id();
  read_from_origin(reader, parsed);
  const std::size_t signed_to = reader.position();
  const ConstBytes signature = reader.bytes(kSignatureBytes);
  if (!reader.complete()) return std::nullopt;
  std::copy(signature.begin(), signature.end(), parsed.signature.begin());
  parsed.signed_part = message.subspan(kOriginAt, signed_to - kOriginAt);
  parsed.from_origin = message.subspan(kOriginAt);
  return parsed;
}

bool verify(const BroadcastMessage& message, const GroupId& group, Verifier& verifier) {
  const SignedText text(kBroadcastDomain, group, message.signed_part);
  return verifier.verify(message.origin, message.credential, text.view(), message.signature);
}

void emit_signed(ByteWriter& writer, const BroadcastMessage& message, const GroupId& group,
                 Signer& signer) {
  writer.node_id(message.origin);
  writer.number(message.message_id);
  writer.wall_time(message.sent);
  writer.number(message.sampling);
  writer.sized_bytes(message.credential);
  writer.sized_bytes(message.payload);
  const SignedText text(kBroadcastDomain, group, writer.view());
  writer.bytes(signer.sign(text.view()));
}

void emit(ByteWriter& writer, const BroadcastHop& hop, ConstBytes from_origin) {
  writer.byte(kVersion);
  writer.byte(static_cast<std::uint8_t>(LinkMessageType::kBroadcast));
  writer.number(hop.sequence);
  writer.byte(hop.hops);
  writer.node_id(hop.arc.from);
  writer.node_id(hop.arc.to);
  writer.bytes(from_origin);
}

std::optional<BroadcastSample> parse_broadcast_sample(ConstBytes payload) {
  ByteReader reader(payload);
  BroadcastSample sample;
  sample.message_id = reader.number<std::uint64_t>();
  sample.hops = reader.number<std::uint8_t>();
  if (!reader.complete()) return std::nullopt;
  return sample;
}

void emit(ByteWriter& writer, const BroadcastSample& sample) {
  writer.number(sample.message_id);
  writer.byte(sample.hops);
}

}  // namespace ringway::overlay::wire
