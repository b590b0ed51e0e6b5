// The map from the Edwards form of Curve25519 to the Montgomery form that X25519 speaks (RFC 7748,
// section 4.1). It is here so that an ephemeral public key can be made by libsodium's fixed-base
// multiplication, which has a table for the Edwards form, in little more than half the time that
// OpenSSL or libsodium take for an X25519 one; making such a key is a quarter of a handshake. Both
// forms are public, so this need not take constant time. Any thread.
#pragma once

#include <array>
#include <cstdint>

namespace ringway::tunnel {

// u = (1 + y) / (1 - y) modulo 2^255 - 19, little-endian and reduced. `point`: a point in Ed25519's
// encoding, whose top bit, the sign of x, does not matter. y = 1, the neutral point, gives 0.
[[nodiscard]] std::array<std::uint8_t, 32> edwards_to_montgomery(
    const std::array<std::uint8_t, 32>& point);

}  // namespace ringway::tunnel
