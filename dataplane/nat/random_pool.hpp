// Random numbers for port choices, drawn from the shard's Rng in larger pieces: the kernel's
// generator costs a system call whatever the size.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/rng.hpp"

namespace ringway::nat {

class RandomPool {
 public:
  explicit RandomPool(Rng& rng) : rng_(rng) {}

  [[nodiscard]] std::uint32_t next_u32() {
    if (at_ == bytes_.size()) {
      rng_.fill(bytes_);
      at_ = 0;
    }
    const auto value = load_le<std::uint32_t>(bytes_.data() + at_);
    at_ += sizeof value;
    return value;
  }
  // Uniform in [0, bound) but for a bias of bound / 2^32, which for ports and blocks is nothing.
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((std::uint64_t{next_u32()} * bound) >> 32);
  }

 private:
  Rng& rng_;
  std::array<std::uint8_t, 1024> bytes_{};
  std::size_t at_ = bytes_.size();
};

}  // namespace ringway::nat
