// Whether the person at this terminal came by SSH from a place that a full tunnel would cut off.
#pragma once

#include <optional>

#include "base/net/address.hpp"

namespace ringway::control::cli {

// The client's address of the SSH session in which this program runs, also through sudo.
[[nodiscard]] std::optional<net::IpAddress> ssh_client();

// On loopback or in the network of one of this machine's interfaces: reached without a gateway.
[[nodiscard]] bool is_on_link(const net::IpAddress& address);

}  // namespace ringway::control::cli
