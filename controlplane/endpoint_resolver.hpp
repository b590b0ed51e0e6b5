// Turns a peer's configured endpoint into an address. Control thread; blocks while the system's
// resolver asks.
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "controlplane/config.hpp"

namespace ringway::control {

// An address is taken as it is; of a name's addresses the resolver's first choice (RFC 6724).
[[nodiscard]] Result<net::Endpoint> resolve_endpoint(const PeerEndpoint& endpoint);

}  // namespace ringway::control
