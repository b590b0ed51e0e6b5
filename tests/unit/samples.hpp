// What many tests begin with: a time, and addresses by their text.
#pragma once

#include <string_view>

#include "base/net/address.hpp"
#include "base/time.hpp"

namespace ringway::testing_support {

// Any but zero would do.
inline constexpr Instant kStart = Instant::from_ns(1'000'000'000'000);

[[nodiscard]] inline net::IpAddress address(std::string_view text) {
  return *net::IpAddress::parse(text);
}

}  // namespace ringway::testing_support
