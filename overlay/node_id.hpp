// Where a node or key stands on the ring: 160 bits, and the arithmetic modulo 2^160 that all of the
// overlay is made of. Clockwise is towards larger numbers; "right" is clockwise, "left" is not.
// Source: Symphony (Manku, Bawa, Raghavan, USITS 2003), section 3; identifiers as in Brunet.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/rng.hpp"

namespace ringway::overlay {

// An unsigned number of 160 bits: how far apart two places of the ring are. Wraps around.
struct Distance {
  std::uint64_t high = 0;
  std::uint64_t middle = 0;
  std::uint32_t low = 0;

  constexpr auto operator<=>(const Distance&) const = default;

  [[nodiscard]] constexpr Distance operator-(const Distance& other) const {
    Distance result;
    result.low = low - other.low;
    const std::uint64_t from_middle = low < other.low ? 1 : 0;
    result.middle = middle - other.middle - from_middle;
    const bool borrow = middle < other.middle || (middle == other.middle && from_middle == 1);
    result.high = high - other.high - (borrow ? 1 : 0);
    return result;
  }
  [[nodiscard]] constexpr Distance operator+(const Distance& other) const {
    return *this - (Distance{} - other);
  }
  [[nodiscard]] constexpr Distance half() const {
    return {high >> 1, (middle >> 1) | (high << 63),
            (low >> 1) | (static_cast<std::uint32_t>(middle & 1) << 31)};
  }
  [[nodiscard]] constexpr bool is_zero() const { return high == 0 && middle == 0 && low == 0; }
  static constexpr Distance max() { return {UINT64_MAX, UINT64_MAX, UINT32_MAX}; }
};

class NodeId {
 public:
  static constexpr std::size_t kBytes = 20;
  static constexpr std::size_t kTextLength = 32;

  constexpr NodeId() = default;
  constexpr explicit NodeId(const Distance& from_zero) : from_zero_(from_zero) {}

  [[nodiscard]] static NodeId from_bytes(const std::uint8_t* big_endian);
  void to_bytes(std::uint8_t* big_endian) const;
  [[nodiscard]] static NodeId random(Rng& rng);

  // 32 characters of base32 (RFC 4648, small letters, no padding); sorts as the numbers do not.
  [[nodiscard]] std::string to_string() const;
  // Empty unless `text` is what to_string() gives.
  [[nodiscard]] static std::optional<NodeId> parse(std::string_view text);

  [[nodiscard]] constexpr const Distance& from_zero() const { return from_zero_; }
  constexpr auto operator<=>(const NodeId&) const = default;

 private:
  Distance from_zero_;
};

// The way from `from` to `to`, clockwise.
[[nodiscard]] constexpr Distance clockwise(const NodeId& from, const NodeId& to) {
  return to.from_zero() - from.from_zero();
}
// The shorter of both ways.
[[nodiscard]] constexpr Distance ring_distance(const NodeId& a, const NodeId& b) {
  return std::min(clockwise(a, b), clockwise(b, a));
}
// Whether who goes clockwise from `from` to `to` meets `id` on the way, ends excluded. From a place
// to itself is once around.
[[nodiscard]] constexpr bool between(const NodeId& from, const NodeId& id, const NodeId& to) {
  if (id == from || id == to) return false;
  return from == to || clockwise(from, id) < clockwise(from, to);
}
[[nodiscard]] constexpr NodeId advance(const NodeId& from, const Distance& clockwise_by) {
  return NodeId(from.from_zero() + clockwise_by);
}
// Half way from `from` to `to`, clockwise.
[[nodiscard]] constexpr NodeId midpoint(const NodeId& from, const NodeId& to) {
  return advance(from, clockwise(from, to).half());
}

}  // namespace ringway::overlay
