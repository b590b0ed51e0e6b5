// Numbers that all messages of the overlay share. docs/PROTOCOL.md specifies every byte.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringway::overlay::wire {

inline constexpr std::uint8_t kVersion = 1;

// What a control frame of the tunnel carries without fragments over a path of 1,500 bytes.
inline constexpr std::size_t kMaxMessageBytes = 1400;

inline constexpr std::uint8_t kIpv4Candidate = 4;
inline constexpr std::uint8_t kIpv6Candidate = 6;

}  // namespace ringway::overlay::wire
