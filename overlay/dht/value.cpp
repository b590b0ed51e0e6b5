#include "overlay/dht/value.hpp"

#include "base/check.hpp"
#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "overlay/wire/signed_text.hpp"

namespace ringway::overlay::dht {
namespace {

constexpr std::string_view kValueDomain = "Ringway DHT value 1";
constexpr std::string_view kKeyDomain = "Ringway DHT key 1";
constexpr std::uint8_t kRemovedFlag = 1;

}  // namespace

std::optional<Value> parse_value(ConstBytes bytes) {
  wire::ByteReader reader(bytes);
  Value value;
  const auto kind = reader.number<std::uint8_t>();
  if (kind < 1 || kind > kLastKind) reader.fail();
  value.kind = static_cast<Kind>(kind);
  const auto flags = reader.number<std::uint8_t>();
  if (flags > kRemovedFlag) reader.fail();
  value.removed = flags == kRemovedFlag;
  value.owner = reader.node_id();
  value.sequence = reader.number<std::uint64_t>();
  value.not_after = reader.wall_time();
  value.name = reader.bytes(reader.count(kMaxNameBytes));
  value.payload = reader.sized_bytes(value.removed ? 0 : kMaxPayloadBytes);
  const std::size_t signed_bytes = reader.position();
  const ConstBytes signature = reader.bytes(kSignatureBytes);
  if (!reader.complete()) return std::nullopt;
  value.signed_part = bytes.first(signed_bytes);
  std::copy(signature.begin(), signature.end(), value.signature.begin());
  return value;
}

std::vector<std::uint8_t> sign_value(const Value& value, const wire::GroupId& group,
                                     Signer& signer) {
  CHECK(value.name.size() <= kMaxNameBytes && value.payload.size() <= kMaxPayloadBytes);
  wire::ByteWriter writer;
  writer.byte(static_cast<std::uint8_t>(value.kind));
  writer.byte(value.removed ? kRemovedFlag : 0);
  writer.node_id(value.owner);
  writer.number(value.sequence);
  writer.wall_time(value.not_after);
  writer.byte(static_cast<std::uint8_t>(value.name.size()));
  writer.bytes(value.name);
  writer.sized_bytes(value.payload);
  const wire::SignedText text(kValueDomain, group, writer.view());
  writer.bytes(signer.sign(text.view()));
  return {writer.view().begin(), writer.view().end()};
}

bool verify(const Value& value, ConstBytes credential, const wire::GroupId& group,
            Verifier& verifier) {
  const wire::SignedText text(kValueDomain, group, value.signed_part);
  return verifier.verify(value.owner, credential, text.view(), value.signature);
}

Key key_of(Verifier& verifier, const wire::GroupId& group, Kind kind, const NodeId& owner,
           ConstBytes name) {
  wire::ByteWriter text;
  text.byte(static_cast<std::uint8_t>(kind));
  if (kind == Kind::kOwned) text.node_id(owner);
  text.bytes(name);
  const wire::SignedText whole(kKeyDomain, group, text.view());
  return verifier.place_of(whole.view());
}

}  // namespace ringway::overlay::dht
