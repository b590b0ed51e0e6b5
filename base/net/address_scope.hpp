// Where an address leads, by the IANA registries of special-purpose addresses (RFC 6890, RFC 8190).
// The ranges for documentation (RFC 5737, RFC 3849, RFC 9637) count as global: networks for tests
// live in them, and nobody else's packets go there.
#pragma once

#include <cstdint>

#include "base/net/address.hpp"

namespace ringway::net {

enum class AddressScope : std::uint8_t {
  kGlobal,
  kPrivate,      // known only inside of a network: RFC 1918, 100.64/10, benchmarks, ULA
  kUnspecified,  // 0.0.0.0/8, ::
  kLoopback,
  kLinkLocal,
  kMulticast,
  kBroadcast,  // 255.255.255.255; that of a subnet is is_broadcast_of()
  kReserved,   // of no host, or of a protocol that puts another address into it
};

[[nodiscard]] AddressScope scope_of(const IpAddress& address);

// The first and the last address of an IPv4 subnet, which no host has (RFC 1122 section 3.2.1.3;
// those of two addresses or one, RFC 3021, have none such).
[[nodiscard]] bool is_broadcast_of(const Prefix& subnet, const IpAddress& address);

}  // namespace ringway::net
