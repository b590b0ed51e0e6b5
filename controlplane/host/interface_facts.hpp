// What an interface can do, as far as the choice of a gateway's packet path depends on it. Control
// thread, at start; changes nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace ringway::control {

// As the driver names itself to ethtool ("ixgbe", "veth", "bonding"); empty where it does not.
[[nodiscard]] std::string driver_of(const std::string& interface);

// Whether AF_XDP sockets on it may go without copies (netdev netlink family's xdp-features). Unset
// where the kernel does not tell: before Linux 6.3, or no such interface.
[[nodiscard]] std::optional<bool> has_xdp_zero_copy(const std::string& interface);

// Interfaces with an address that is more than link-local, the loopback left out.
[[nodiscard]] Result<std::vector<std::string>> addressed_interfaces();

}  // namespace ringway::control
