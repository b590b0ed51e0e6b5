#include "dataplane/tunnel/blake2s.hpp"

#include <algorithm>
#include <bit>
#include <span>
#include <type_traits>
#include <utility>

#include "base/check.hpp"

namespace ringway::tunnel {
namespace {

using Words = std::array<std::uint32_t, 16>;

// RFC 7693, section 2.6.
constexpr std::array<std::uint32_t, 8> kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
// RFC 7693, section 2.7: the order of the message words in each round.
constexpr std::uint8_t kSchedule[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                            {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                            {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                            {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                            {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                            {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                            {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                            {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                            {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                            {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};
constexpr std::size_t kRounds = 10;

// Calls step(0) to step(3), each index a constant. Everything from here down to the rounds is
// forced inline: where GCC 12 leaves a call, or a loop that it takes to SSE2 (which has no
// rotation), the words go through memory and a block takes two to five times as long.
template <typename Step>
[[gnu::always_inline]] inline void four_times(const Step& step) {
  [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) __attribute__((always_inline)) {
    (step(std::integral_constant<std::size_t, kIndex>{}), ...);
  }
  (std::make_index_sequence<4>{});
}

// Half of the mixing function G, on four columns (kShift 0) or diagonals (kShift 1) in lockstep, so
// that four chains of dependent instructions run side by side.
template <std::size_t kRound, std::size_t kFirstWord, std::size_t kShift, int kRotateD,
          int kRotateB>
[[gnu::always_inline]] inline void half_mix(Words& v, const std::uint8_t* message) {
  constexpr auto b = [](std::size_t i) { return 4 + (i + kShift) % 4; };
  constexpr auto c = [](std::size_t i) { return 8 + (i + 2 * kShift) % 4; };
  constexpr auto d = [](std::size_t i) { return 12 + (i + 3 * kShift) % 4; };
  constexpr std::span order = std::span(kSchedule[kRound]).subspan(kFirstWord);
  four_times([&](auto i) __attribute__((always_inline)) {
    v[i] += load_le<std::uint32_t>(message + std::size_t{4} * order[2 * i]);
  });
  four_times([&](auto i) __attribute__((always_inline)) { v[i] += v[b(i)]; });
  four_times([&](auto i)
                 __attribute__((always_inline)) { v[d(i)] = std::rotr(v[d(i)] ^ v[i], kRotateD); });
  four_times([&](auto i) __attribute__((always_inline)) { v[c(i)] += v[d(i)]; });
  four_times([&](auto i) __attribute__((always_inline)) {
    v[b(i)] = std::rotr(v[b(i)] ^ v[c(i)], kRotateB);
  });
}

template <std::size_t kRound>
[[gnu::always_inline]] inline void mix_round(Words& v, const std::uint8_t* message) {
  half_mix<kRound, 0, 0, 16, 12>(v, message);
  half_mix<kRound, 1, 0, 8, 7>(v, message);
  half_mix<kRound, 8, 1, 16, 12>(v, message);
  half_mix<kRound, 9, 1, 8, 7>(v, message);
}

}  // namespace

Blake2s::Blake2s(std::size_t digest_bytes, ConstBytes key)
    : state_(kInitial), digest_bytes_(static_cast<std::uint32_t>(digest_bytes)) {
  DCHECK(digest_bytes >= 1 && digest_bytes <= kDigestBytes && key.size() <= kDigestBytes);
  // The parameter block: fan-out 1, depth 1, key and digest length; all else zero.
  state_[0] ^= 0x01010000U ^ (static_cast<std::uint32_t>(key.size()) << 8) ^ digest_bytes_;
  if (key.empty()) return;
  std::copy(key.begin(), key.end(), buffer_.begin());
  std::fill(buffer_.begin() + static_cast<std::ptrdiff_t>(key.size()), buffer_.end(), 0);
  buffered_ = kBlockBytes;
}

void Blake2s::update(ConstBytes data) {
  while (!data.empty()) {
    if (buffered_ == kBlockBytes) commit_block();
    const std::size_t take = std::min(data.size(), kBlockBytes - buffered_);
    std::memcpy(buffer_.data() + buffered_, data.data(), take);
    buffered_ += static_cast<std::uint32_t>(take);
    data = data.subspan(take);
  }
}

void Blake2s::commit_block() {
  DCHECK(buffered_ == kBlockBytes);
  compressed_bytes_ += kBlockBytes;
  compress(buffer_.data(), 0);
  buffered_ = 0;
}

void Blake2s::finish(std::uint8_t* digest) {
  std::memset(buffer_.data() + buffered_, 0, kBlockBytes - buffered_);
  compressed_bytes_ += buffered_;
  compress(buffer_.data(), UINT32_MAX);
  std::memcpy(digest, state_.data(), digest_bytes_);
}

Blake2s::Digest Blake2s::finish() {
  Digest digest{};
  finish(digest.data());
  return digest;
}

void Blake2s::compress(const std::uint8_t* block, std::uint32_t final_mask) {
  Words v;
  std::copy(state_.begin(), state_.end(), v.begin());
  std::copy(kInitial.begin(), kInitial.end(), v.begin() + 8);
  v[12] ^= static_cast<std::uint32_t>(compressed_bytes_);
  v[13] ^= static_cast<std::uint32_t>(compressed_bytes_ >> 32);
  v[14] ^= final_mask;
  [&]<std::size_t... kRound>(std::index_sequence<kRound...>) __attribute__((always_inline)) {
    (mix_round<kRound>(v, block), ...);
  }
  (std::make_index_sequence<kRounds>{});
  for (std::size_t i = 0; i < 8; ++i)
    state_[i] ^= v[i] ^ v[i + 8];
}

}  // namespace ringway::tunnel
