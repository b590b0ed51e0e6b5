#include "dataplane/tunnel/blake2s.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.hpp"

namespace ringway::tunnel {
namespace {

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

using Word = std::uint32_t;

// Half of the mixing function G on four columns, or diagonals, in lockstep, so that four chains of
// dependent instructions run side by side. Everything down to the rounds' lambda is forced inline:
// where GCC 12 passes the sixteen words through memory, it takes two to five times as long.
template <std::size_t kRound, std::size_t kFirst, int kRotateD, int kRotateB>
[[gnu::always_inline]] inline void half_mix(Word& a0, Word& a1, Word& a2, Word& a3,  //
                                            Word& b0, Word& b1, Word& b2, Word& b3,  //
                                            Word& c0, Word& c1, Word& c2, Word& c3,  //
                                            Word& d0, Word& d1, Word& d2, Word& d3,
                                            const std::uint8_t* message) {
  constexpr const std::uint8_t* kOrder = kSchedule[kRound] + kFirst;
  a0 += load_le<Word>(message + 4 * kOrder[0]);
  a1 += load_le<Word>(message + 4 * kOrder[2]);
  a2 += load_le<Word>(message + 4 * kOrder[4]);
  a3 += load_le<Word>(message + 4 * kOrder[6]);
  a0 += b0, a1 += b1, a2 += b2, a3 += b3;
  d0 ^= a0, d1 ^= a1, d2 ^= a2, d3 ^= a3;
  d0 = std::rotr(d0, kRotateD), d1 = std::rotr(d1, kRotateD);
  d2 = std::rotr(d2, kRotateD), d3 = std::rotr(d3, kRotateD);
  c0 += d0, c1 += d1, c2 += d2, c3 += d3;
  b0 ^= c0, b1 ^= c1, b2 ^= c2, b3 ^= c3;
  b0 = std::rotr(b0, kRotateB), b1 = std::rotr(b1, kRotateB);
  b2 = std::rotr(b2, kRotateB), b3 = std::rotr(b3, kRotateB);
}

template <std::size_t kRound>
[[gnu::always_inline]] inline void mix_round(Word& a0, Word& a1, Word& a2, Word& a3,  //
                                             Word& b0, Word& b1, Word& b2, Word& b3,  //
                                             Word& c0, Word& c1, Word& c2, Word& c3,  //
                                             Word& d0, Word& d1, Word& d2, Word& d3,
                                             const std::uint8_t* m) {
  half_mix<kRound, 0, 16, 12>(a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3, m);
  half_mix<kRound, 1, 8, 7>(a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3, m);
  half_mix<kRound, 8, 16, 12>(a0, a1, a2, a3, b1, b2, b3, b0, c2, c3, c0, c1, d3, d0, d1, d2, m);
  half_mix<kRound, 9, 8, 7>(a0, a1, a2, a3, b1, b2, b3, b0, c2, c3, c0, c1, d3, d0, d1, d2, m);
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
  std::array<Word, 8>& h = state_;
  Word a0 = h[0], a1 = h[1], a2 = h[2], a3 = h[3];
  Word b0 = h[4], b1 = h[5], b2 = h[6], b3 = h[7];
  Word c0 = kInitial[0], c1 = kInitial[1], c2 = kInitial[2], c3 = kInitial[3];
  Word d0 = kInitial[4] ^ static_cast<Word>(compressed_bytes_);
  Word d1 = kInitial[5] ^ static_cast<Word>(compressed_bytes_ >> 32);
  Word d2 = kInitial[6] ^ final_mask;
  Word d3 = kInitial[7];
  [&]<std::size_t... kRound>(std::index_sequence<kRound...>) __attribute__((always_inline)) {
    (mix_round<kRound>(a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3, block), ...);
  }
  (std::make_index_sequence<kRounds>{});
  h[0] ^= a0 ^ c0, h[1] ^= a1 ^ c1, h[2] ^= a2 ^ c2, h[3] ^= a3 ^ c3;
  h[4] ^= b0 ^ d0, h[5] ^= b1 ^ d1, h[6] ^= b2 ^ d2, h[7] ^= b3 ^ d3;
}

}  // namespace ringway::tunnel
