// Who may write what. A replica asks before it stores, a reader before it believes, and both by the
// same rules: so a hostile replica can leave a value out, but not make one up.
// Rules: docs/PROTOCOL.md, "The DHT".
#pragma once

#include <optional>

#include "overlay/core.hpp"
#include "overlay/dht/messages.hpp"

namespace ringway::overlay::dht {

// A host name in the one form in which it may be taken: small letters, digits and hyphens (RFC 1123
// section 2.1, RFC 5890's LDH labels), no dots, no name that programs give a meaning of their own.
[[nodiscard]] bool is_permitted_name(ConstBytes name);

// Why the value may not stand where it wants to, by what it says of itself; none: it may. Needs the
// owner's credential for kinds that ask for a role.
[[nodiscard]] std::optional<Drop> refusal(const Core& core, const Value& value,
                                          ConstBytes credential);
// All of refusal(), and the signature.
[[nodiscard]] std::optional<Drop> authentic_refusal(const Core& core, const Value& value,
                                                    ConstBytes credential);

// Two owners hold one exclusive key, each by a majority of its part of a ring that was divided: who
// keeps it. Whose certificate names it does, else who has the lower hash of name and node ID. Both
// sides come to the same answer, whatever they heard first; no clock decides.
struct Claim {
  const Value& value;
  ConstBytes credential;
};
[[nodiscard]] bool prevails(const Core& core, const Claim& claim, const Claim& other);
// The issuer gave this address or name to that owner.
[[nodiscard]] bool is_fixed(const Core& core, const Claim& claim);

}  // namespace ringway::overlay::dht
