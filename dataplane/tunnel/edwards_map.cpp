#include "dataplane/tunnel/edwards_map.hpp"

#include <cstddef>

#include "base/bytes.hpp"

namespace ringway::tunnel {
namespace {

using Limb = std::uint64_t;
__extension__ using Wide = unsigned __int128;

// A residue modulo p = 2^255 - 19 in five little-endian limbs of 51 bits. Between operations a limb
// may exceed 51 bits by a little; 2^255 is 19 modulo p, so what carries out at the top comes in
// again at the bottom 19 times.
using Field = std::array<Limb, 5>;
constexpr unsigned kLimbBits = 51;
constexpr Limb kLimbMask = (Limb{1} << kLimbBits) - 1;
constexpr Limb kFold = 19;
constexpr Field kOne = {1, 0, 0, 0, 0};

// Brings five sums, each below 2^115, back to limbs below 2^52.
[[gnu::always_inline]] inline Field carry(Wide s0, Wide s1, Wide s2, Wide s3, Wide s4) {
  const auto low = [](Wide sum) { return static_cast<Limb>(sum) & kLimbMask; };
  s1 += static_cast<Limb>(s0 >> kLimbBits);
  s2 += static_cast<Limb>(s1 >> kLimbBits);
  s3 += static_cast<Limb>(s2 >> kLimbBits);
  s4 += static_cast<Limb>(s3 >> kLimbBits);
  const Wide wrapped = Wide{static_cast<Limb>(s4 >> kLimbBits)} * kFold + low(s0);
  return {low(wrapped), low(s1) + static_cast<Limb>(wrapped >> kLimbBits), low(s2), low(s3),
          low(s4)};
}

Field add(const Field& a, const Field& b) {
  return carry(Wide{a[0]} + b[0], Wide{a[1]} + b[1], Wide{a[2]} + b[2], Wide{a[3]} + b[3],
               Wide{a[4]} + b[4]);
}

// a - b, as a + 4p - b; every limb of 4p is larger than b's.
Field subtract(const Field& a, const Field& b) {
  constexpr Limb lowest = 4 * ((Limb{1} << kLimbBits) - kFold);
  constexpr Limb others = 4 * kLimbMask;
  return carry(Wide{a[0]} + lowest - b[0], Wide{a[1]} + others - b[1], Wide{a[2]} + others - b[2],
               Wide{a[3]} + others - b[3], Wide{a[4]} + others - b[4]);
}

// Limbs of up to 54 bits.
Field multiply(const Field& a, const Field& b) {
  const auto at = [&](std::size_t i, std::size_t j) { return Wide{a[i]} * b[j]; };
  const auto folded = [&](std::size_t i, std::size_t j) {
    const Limb b_folded = b[j] * kFold;
    return Wide{a[i]} * b_folded;
  };
  return carry(at(0, 0) + folded(1, 4) + folded(2, 3) + folded(3, 2) + folded(4, 1),
               at(0, 1) + at(1, 0) + folded(2, 4) + folded(3, 3) + folded(4, 2),
               at(0, 2) + at(1, 1) + at(2, 0) + folded(3, 4) + folded(4, 3),
               at(0, 3) + at(1, 2) + at(2, 1) + at(3, 0) + folded(4, 4),
               at(0, 4) + at(1, 3) + at(2, 2) + at(3, 1) + at(4, 0));
}

// multiply(a, a) with each mixed product taken once and doubled.
[[gnu::always_inline]] inline Field square(const Field& a) {
  const auto at = [&](std::size_t i, std::size_t j) { return Wide{a[i]} * a[j]; };
  const auto twice = [&](std::size_t i, std::size_t j) {
    const Limb doubled = a[j] * 2;
    return Wide{a[i]} * doubled;
  };
  const auto folded = [&](std::size_t i, std::size_t j, Limb times) {
    const Limb a_folded = a[j] * (times * kFold);
    return Wide{a[i]} * a_folded;
  };
  return carry(at(0, 0) + folded(1, 4, 2) + folded(2, 3, 2),  //
               twice(0, 1) + folded(2, 4, 2) + folded(3, 3, 1),
               twice(0, 2) + at(1, 1) + folded(3, 4, 2),  //
               twice(0, 3) + twice(1, 2) + folded(4, 4, 1), twice(0, 4) + twice(1, 3) + at(2, 2));
}

// value^(2^times).
Field square_times(Field value, int times) {
  for (int i = 0; i < times; ++i)
    value = square(value);
  return value;
}

// value^(p - 2), which is 1 / value (Fermat). The exponent of `ones_n` is n one bits; p - 2 is 250
// ones and then 01011.
Field invert(const Field& value) {
  const Field power_2 = square_times(value, 1);
  const Field power_9 = multiply(square_times(power_2, 2), value);
  const Field power_11 = multiply(power_9, power_2);
  const Field ones_5 = multiply(square_times(power_11, 1), power_9);
  const Field ones_10 = multiply(square_times(ones_5, 5), ones_5);
  const Field ones_20 = multiply(square_times(ones_10, 10), ones_10);
  const Field ones_40 = multiply(square_times(ones_20, 20), ones_20);
  const Field ones_50 = multiply(square_times(ones_40, 10), ones_10);
  const Field ones_100 = multiply(square_times(ones_50, 50), ones_50);
  const Field ones_200 = multiply(square_times(ones_100, 100), ones_100);
  const Field ones_250 = multiply(square_times(ones_200, 50), ones_50);
  return multiply(square_times(ones_250, 5), power_11);
}

// 255 bits, little-endian.
Field unpack(const std::array<std::uint8_t, 32>& bytes) {
  const auto word = [&](std::size_t at) { return load_le<std::uint64_t>(bytes.data() + at); };
  return {word(0) & kLimbMask, (word(6) >> 3) & kLimbMask, (word(12) >> 6) & kLimbMask,
          (word(19) >> 1) & kLimbMask, (word(24) >> 12) & kLimbMask};
}

// The smallest residue, little-endian.
std::array<std::uint8_t, 32> pack(const Field& value) {
  // Below 2^255 after two rounds of carrying; then p is subtracted if that leaves no borrow, which
  // is when adding 19 carries out of bit 255.
  Field v = add(add(value, {}), {});
  Limb overflow = kFold;
  for (const Limb limb : v)
    overflow = (limb + overflow) >> kLimbBits;
  v[0] += kFold * overflow;
  for (std::size_t i = 0; i < 4; ++i) {
    v[i + 1] += v[i] >> kLimbBits;
    v[i] &= kLimbMask;
  }
  v[4] &= kLimbMask;
  std::array<std::uint8_t, 32> bytes{};
  store_le(bytes.data(), v[0] | v[1] << 51);
  store_le(bytes.data() + 8, v[1] >> 13 | v[2] << 38);
  store_le(bytes.data() + 16, v[2] >> 26 | v[3] << 25);
  store_le(bytes.data() + 24, v[3] >> 39 | v[4] << 12);
  return bytes;
}

}  // namespace

std::array<std::uint8_t, 32> edwards_to_montgomery(const std::array<std::uint8_t, 32>& point) {
  const Field y = unpack(point);
  return pack(multiply(add(kOne, y), invert(subtract(kOne, y))));
}

}  // namespace ringway::tunnel
