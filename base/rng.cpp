#include "base/rng.hpp"

#include <bit>
#include <cerrno>

#include <sys/random.h>

#include "base/check.hpp"

namespace ringway {

std::uint32_t Rng::next_u32() {
  std::uint8_t bytes[4];
  fill(bytes);
  return load_le<std::uint32_t>(bytes);
}

std::uint64_t Rng::next_u64() {
  std::uint8_t bytes[8];
  fill(bytes);
  return load_le<std::uint64_t>(bytes);
}

std::uint64_t Rng::below(std::uint64_t bound) {
  DCHECK(bound > 0);
  // Draws under 2^64 mod bound would favour the small remainders; draw again.
  const std::uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t draw = next_u64();
    if (draw >= threshold) return draw % bound;
  }
}

void SystemRng::fill(Bytes out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

SeededRng::SeededRng(std::uint64_t seed) {
  for (std::uint64_t& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = seed;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    word = mixed ^ (mixed >> 31);
  }
}

std::uint64_t SeededRng::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void SeededRng::fill(Bytes out) {
  while (!out.empty()) {
    std::uint8_t word[8];
    store_le(word, next());
    const std::size_t take = out.size() < sizeof word ? out.size() : sizeof word;
    std::memcpy(out.data(), word, take);
    out = out.subspan(take);
  }
}

}  // namespace ringway
