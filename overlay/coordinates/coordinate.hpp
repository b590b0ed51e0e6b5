// Where a node stands in a space in which distances are round-trip times: a plane, and a height
// above it for the way from a node to the rest of the network, which no direction shortens.
// Source: Dabek, Cox, Kaashoek, Morris, "Vivaldi: A Decentralized Network Coordinate System"
// (SIGCOMM 2004), sections 3.4 and 5.4.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/time.hpp"

namespace ringway::overlay {

// As it is on the wire, and kept of others: distances in quarters of a millisecond.
struct Coordinate {
  static constexpr std::int16_t kMost = 16'000;  // 4 s either way: beyond it is no network
  static constexpr float kUnitsPerMs = 4;
  static constexpr std::uint8_t kUnknown = 255;  // error: the node has measured nothing yet

  std::int16_t x = 0;
  std::int16_t y = 0;
  std::uint16_t height = 0;
  std::uint8_t error = kUnknown;  // of the node's own predictions, relative, in parts of 254

  [[nodiscard]] bool known() const { return error != kUnknown; }
  [[nodiscard]] bool valid() const {
    return x >= -kMost && x <= kMost && y >= -kMost && y <= kMost && height <= kMost;
  }
  [[nodiscard]] bool operator==(const Coordinate&) const = default;
};

// The round trip between two nodes that are known.
[[nodiscard]] inline Duration predict(const Coordinate& a, const Coordinate& b) {
  const auto x = static_cast<float>(a.x - b.x);
  const auto y = static_cast<float>(a.y - b.y);
  const float units = std::sqrt(x * x + y * y) + static_cast<float>(a.height + b.height);
  return Duration::microseconds(
      static_cast<std::int64_t>(units * (1000 / Coordinate::kUnitsPerMs)));
}

}  // namespace ringway::overlay
