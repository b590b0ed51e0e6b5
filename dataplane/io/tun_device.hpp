// What TunPort sets on its own device. Addresses, routes and link state are the control plane's.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace ringway::io {

[[nodiscard]] Result<void> set_device_mtu(const std::string& name, std::uint16_t mtu);
[[nodiscard]] Result<void> set_device_tx_queue(const std::string& name, std::uint32_t packets);
// The most segments of a super-packet that the stack gives the device (IFLA_GSO_MAX_SEGS).
[[nodiscard]] Result<void> set_device_gso_segments(std::uint32_t interface_index,
                                                   std::uint32_t segments);

}  // namespace ringway::io
