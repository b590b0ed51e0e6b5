// Logarithms of distances on the ring, in whole numbers: a floating point library rounds
// differently from one version and processor to the next, and a simulation must not. Logarithms are
// to base 2, in units of 1/65536.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "overlay/node_id.hpp"

namespace ringway::overlay {

inline constexpr unsigned kLogFractionBits = 16;
inline constexpr unsigned kRingBits = 160;

namespace detail {
__extension__ typedef unsigned __int128 Uint128;

// The 64 leading bits of a number, the first of them set: a value from 1 to 2 in units of 2^-63.
[[nodiscard]] constexpr std::uint64_t leading_bits(const Distance& distance, unsigned top_bit) {
  std::uint64_t bits = 0;
  for (unsigned i = 0; i < 64; ++i) {
    bits <<= 1;
    if (i > top_bit) continue;
    const unsigned bit = top_bit - i;
    if (bit >= 96) bits |= (distance.high >> (bit - 96)) & 1;
    if (bit >= 32 && bit < 96) bits |= (distance.middle >> (bit - 32)) & 1;
    if (bit < 32) bits |= (distance.low >> bit) & 1;
  }
  return bits;
}

[[nodiscard]] constexpr std::uint64_t square_root(Uint128 value) {
  std::uint64_t root = 0;
  for (unsigned bit = 64; bit-- > 0;) {
    const std::uint64_t tried = root | (std::uint64_t{1} << bit);
    if (static_cast<Uint128>(tried) * tried <= value) root = tried;
  }
  return root;
}

// 2^(1/2), 2^(1/4), 2^(1/8), ... in units of 2^-63: each the square root of the one before.
inline constexpr std::array<std::uint64_t, kLogFractionBits> kRootsOfTwo = [] {
  std::array<std::uint64_t, kLogFractionBits> roots{};
  Uint128 value = static_cast<Uint128>(1) << 127;  // 2 * 2^126
  for (std::uint64_t& root : roots) {
    root = square_root(value);
    value = static_cast<Uint128>(root) << 63;
  }
  return roots;
}();
}  // namespace detail

// log2 of a distance that is not zero, rounded down.
[[nodiscard]] constexpr std::uint32_t log2_of(const Distance& distance) {
  const unsigned top_bit =
      distance.high != 0     ? 159 - static_cast<unsigned>(std::countl_zero(distance.high))
      : distance.middle != 0 ? 95 - static_cast<unsigned>(std::countl_zero(distance.middle))
                             : 31 - static_cast<unsigned>(std::countl_zero(distance.low | 1));
  std::uint64_t value = detail::leading_bits(distance, top_bit);
  std::uint32_t log = top_bit << kLogFractionBits;
  for (unsigned i = 1; i <= kLogFractionBits; ++i) {  // squaring doubles the logarithm
    const detail::Uint128 square = static_cast<detail::Uint128>(value) * value;
    const bool two_or_more = (square >> 127) != 0;
    value = static_cast<std::uint64_t>(square >> (two_or_more ? 64 : 63));
    if (two_or_more) log |= 1U << (kLogFractionBits - i);
  }
  return log;
}

// 2 to the power of `exponent`, which is below 160 (in units of 1/65536).
[[nodiscard]] constexpr Distance two_to_the(std::uint32_t exponent) {
  std::uint64_t mantissa = std::uint64_t{1} << 63;
  for (unsigned i = 0; i < kLogFractionBits; ++i) {
    if ((exponent & (1U << (kLogFractionBits - 1 - i))) == 0) continue;
    mantissa = static_cast<std::uint64_t>(
        (static_cast<detail::Uint128>(mantissa) * detail::kRootsOfTwo[i]) >> 63);
  }
  const unsigned top_bit = exponent >> kLogFractionBits;
  Distance result;
  for (unsigned i = 0; i < 64 && i <= top_bit; ++i) {
    if (((mantissa >> (63 - i)) & 1) == 0) continue;
    const unsigned bit = top_bit - i;
    if (bit >= 96) result.high |= std::uint64_t{1} << (bit - 96);
    if (bit >= 32 && bit < 96) result.middle |= std::uint64_t{1} << (bit - 32);
    if (bit < 32) result.low |= 1U << bit;
  }
  return result;
}

}  // namespace ringway::overlay
