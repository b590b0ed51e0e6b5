// A hash with a secret key for the NAT's small tables, so that nobody outside can choose who shares
// a bucket with whom. One 64-bit multiplication a word, folded; not for authentication.
#pragma once

#include <cstdint>
#include <span>

#include "base/rng.hpp"

namespace ringway::nat {

class KeyedHash {
 public:
  explicit KeyedHash(Rng& rng) : key_{rng.next_u64() | 1, rng.next_u64() | 1} {}

  [[nodiscard]] std::uint64_t operator()(std::span<const std::uint64_t> words) const {
    std::uint64_t state = key_[0];
    for (const std::uint64_t word : words)
      state = fold(state ^ word, key_[1]) + key_[0];
    return fold(state, key_[1]);
  }

  // The step of which it is made: wyhash's (Wang Yi, 2019).
  [[nodiscard]] static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    return a * b ^ static_cast<std::uint64_t>(static_cast<Uint128>(a) * b >> 64);
  }

 private:
  __extension__ typedef unsigned __int128 Uint128;

  std::uint64_t key_[2];
};

}  // namespace ringway::nat
