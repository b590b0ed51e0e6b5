// Numbers that look random and follow from another number.
#pragma once

#include <cstdint>

namespace ringway::bench {

// splitmix64's finaliser.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58'476d'1ce4'e5b9;
  value = (value ^ (value >> 27)) * 0x94d0'49bb'1331'11eb;
  return value ^ (value >> 31);
}

}  // namespace ringway::bench
