#include "overlay/dht/admission.hpp"

#include <algorithm>
#include <array>

#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay::dht {
namespace {

constexpr std::size_t kIpv4Bytes = 4;
constexpr std::size_t kIpv6Bytes = 16;
constexpr std::size_t kMaxLabelBytes = 63;  // RFC 1035, section 2.3.4

// Names that a resolver, a proxy search or a name server would take for something else: RFC 6761,
// RFC 7686, RFC 8375 and the lists of what clients look for by themselves.
constexpr std::array<std::string_view, 14> kRefusedNames = {
    "wpad",  "localhost", "isatap",        "broadcasthost", "localdomain",
    "local", "internal",  "autoconfig",    "autodiscover",  "invalid",
    "onion", "arpa",      "ip6-localhost", "ip6-loopback"};

// The role that a kind asks of its writers; none: any member.
std::optional<Grant> needed_role(Kind kind) {
  switch (kind) {
    case Kind::kGateway:
      return Grant::kGateway;
    case Kind::kRelay:
      return Grant::kRelay;
    case Kind::kRevocation:
      return Grant::kIssuer;
    case Kind::kOwned:
    case Kind::kLease:
    case Kind::kName:
    case Kind::kMember:
      break;
  }
  return std::nullopt;
}

bool well_formed_name(const Value& value) {
  if (value.kind == Kind::kLease)
    return value.name.size() == kIpv4Bytes || value.name.size() == kIpv6Bytes;
  return value.kind != Kind::kName || is_permitted_name(value.name);
}

NodeId weight(const Core& core, const Value& value) {
  wire::ByteWriter text;
  text.bytes(value.name);
  text.node_id(value.owner);
  return core.verifier.place_of(text.view());
}

}  // namespace

bool is_permitted_name(ConstBytes name) {
  if (name.empty() || name.size() > kMaxLabelBytes) return false;
  const auto fits = [](std::uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (!std::all_of(name.begin(), name.end(), fits)) return false;
  if (name.front() == '-' || name.back() == '-') return false;
  const std::string_view text(reinterpret_cast<const char*>(name.data()), name.size());
  return std::find(kRefusedNames.begin(), kRefusedNames.end(), text) == kRefusedNames.end();
}

std::optional<Drop> refusal(const Core& core, const Value& value, ConstBytes credential) {
  const WallTime now = core.clock.wall;
  if (value.not_after <= now || value.not_after > now + kLongestTtl + kClockSkew)
    return Drop::kValueUntimely;
  if (!well_formed_name(value)) return Drop::kValueNotAllowed;
  const auto role = needed_role(value.kind);
  if (role && !core.verifier.grants(credential, *role, {})) return Drop::kValueNotAllowed;
  return std::nullopt;
}

std::optional<Drop> authentic_refusal(const Core& core, const Value& value, ConstBytes credential) {
  if (const auto reason = refusal(core, value, credential)) return reason;
  if (!verify(value, credential, core.identity.group, core.verifier)) return Drop::kValueForged;
  return std::nullopt;
}

bool is_fixed(const Core& core, const Claim& claim) {
  const Grant grant = claim.value.kind == Kind::kLease ? Grant::kAddress : Grant::kName;
  return core.verifier.grants(claim.credential, grant, claim.value.name);
}

bool prevails(const Core& core, const Claim& claim, const Claim& other) {
  const bool fixed = is_fixed(core, claim);
  if (fixed != is_fixed(core, other)) return fixed;
  return weight(core, claim.value) < weight(core, other.value);
}

}  // namespace ringway::overlay::dht
