// Randomness as a parameter: protocol code draws from an Rng it is given, so that a simulation can
// replay a run from its seed. SystemRng is the kernel's CSPRNG; SeededRng is for tests,
// simulations and what is no secret, such as the jitter of timers.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace ringway {

class Rng {
 public:
  virtual ~Rng() = default;
  virtual void fill(Bytes out) = 0;

  [[nodiscard]] std::uint32_t next_u32();
  [[nodiscard]] std::uint64_t next_u64();
  // Uniform in [0, bound), without modulo bias. bound > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
};

class SystemRng final : public Rng {
 public:
  void fill(Bytes out) override;  // getrandom(2); aborts when the kernel has none to give
};

// xoshiro256** (Blackman, Vigna 2018), seeded through splitmix64. Not for keys of a real node.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed);
  void fill(Bytes out) override;

 private:
  std::uint64_t next();
  std::uint64_t state_[4];
};

}  // namespace ringway
