#include "dataplane/tunnel/blake2s.hpp"

#include <algorithm>
#include <bit>
#include <span>
#include <type_traits>
#include <utility>

#include "base/check.hpp"

namespace ringway::tunnel {
namespace {

// Of one message, or of as many as a vector has lanes.
template <typename Word>
using Words = std::array<Word, 16>;
using Chain = std::array<std::uint32_t, 8>;

// RFC 7693, section 2.6.
constexpr Chain kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
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

[[gnu::always_inline]] inline void rotate_right(std::uint32_t& word, int bits) {
  word = std::rotr(word, bits);
}
template <typename Vector>
[[gnu::always_inline]] inline void rotate_right(Vector& word, int bits) {
  word = (word >> bits) | (word << (32 - bits));
}

// Half of the mixing function G, on four columns (kShift 0) or diagonals (kShift 1) in lockstep, so
// that four chains of dependent instructions run side by side. add_word(to, i): adds the
// block's word i. (A vector may not be returned where nothing says that the processor has it.)
template <std::size_t kFirstWord, std::size_t kShift, int kRotateD, int kRotateB, typename Word,
          typename AddWord>
[[gnu::always_inline]] inline void half_mix(std::size_t round, Words<Word>& v,
                                            const AddWord& add_word) {
  constexpr auto b = [](std::size_t i) { return 4 + (i + kShift) % 4; };
  constexpr auto c = [](std::size_t i) { return 8 + (i + 2 * kShift) % 4; };
  constexpr auto d = [](std::size_t i) { return 12 + (i + 3 * kShift) % 4; };
  four_times([&](auto i) __attribute__((always_inline)) {
    add_word(v[i], kSchedule[round][kFirstWord + 2 * i]);
  });
  four_times([&](auto i) __attribute__((always_inline)) { v[i] += v[b(i)]; });
  four_times([&](auto i) __attribute__((always_inline)) {
    v[d(i)] ^= v[i];
    rotate_right(v[d(i)], kRotateD);
  });
  four_times([&](auto i) __attribute__((always_inline)) { v[c(i)] += v[d(i)]; });
  four_times([&](auto i) __attribute__((always_inline)) {
    v[b(i)] ^= v[c(i)];
    rotate_right(v[b(i)], kRotateB);
  });
}

// With checks around every step, ten rounds in one function keep a compiler busy for minutes; then
// the round is no constant, and all are the same function.
#ifdef RINGWAY_INSTRUMENTED
#define RINGWAY_INLINE_ROUND [[gnu::noinline]]
#else
#define RINGWAY_INLINE_ROUND [[gnu::always_inline]] inline
#endif

template <typename Word, typename AddWord>
RINGWAY_INLINE_ROUND void mix_round(std::size_t round, Words<Word>& v, const AddWord& add_word) {
  half_mix<0, 0, 16, 12>(round, v, add_word);
  half_mix<1, 0, 8, 7>(round, v, add_word);
  half_mix<8, 1, 16, 12>(round, v, add_word);
  half_mix<9, 1, 8, 7>(round, v, add_word);
}

// RFC 7693, section 3.2, on a chain for each lane. end: bytes up to the block's end.
template <typename Word, typename AddWord>
[[gnu::always_inline]] inline void compress_block(std::array<Word, 8>& chain, std::uint64_t end,
                                                  std::uint32_t final_mask,
                                                  const AddWord& add_word) {
  Words<Word> v;
  for (std::size_t i = 0; i < 8; ++i) {
    v[i] = chain[i];
    v[i + 8] = Word{} + kInitial[i];
  }
  v[12] ^= static_cast<std::uint32_t>(end);
  v[13] ^= static_cast<std::uint32_t>(end >> 32);
  v[14] ^= final_mask;
  [&]<std::size_t... kRound>(std::index_sequence<kRound...>) __attribute__((always_inline)) {
    (mix_round(kRound, v, add_word), ...);
  }
  (std::make_index_sequence<kRounds>{});
  for (std::size_t i = 0; i < 8; ++i)
    chain[i] ^= v[i] ^ v[i + 8];
}

constexpr std::size_t kBlockBytes = Blake2s::kBlockBytes;

// The state that several messages go on from, and what each of them adds: equally many bytes.
struct Continuation {
  const Chain& chain;
  std::uint64_t bytes_before;
  std::span<const std::uint8_t* const> tails;
  std::size_t tail_bytes;
};

// Takes the first messages, one a lane of `Vector`. chains: theirs at the end.
template <typename Vector>
[[gnu::always_inline]] inline void finish_lanes(const Continuation& from, Chain* chains) {
  constexpr std::size_t kLanes = sizeof(Vector) / sizeof(std::uint32_t);
  std::array<Vector, 8> lanes;
  for (std::size_t i = 0; i < lanes.size(); ++i)
    lanes[i] = Vector{} + from.chain[i];
  for (std::size_t at = 0; at < from.tail_bytes; at += kBlockBytes) {
    const std::size_t take = std::min(kBlockBytes, from.tail_bytes - at);
    alignas(Vector) std::uint32_t words[16][kLanes];
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      std::uint8_t block[kBlockBytes] = {};
      std::memcpy(block, from.tails[lane] + at, take);
      for (std::size_t i = 0; i < 16; ++i)
        words[i][lane] = load_le<std::uint32_t>(block + sizeof(std::uint32_t) * i);
    }
    const bool last = at + take == from.tail_bytes;
    compress_block(
        lanes, from.bytes_before + at + take,
        last ? UINT32_MAX : 0, [&](Vector & to, std::size_t i) __attribute__((always_inline)) {
          to += *reinterpret_cast<const Vector*>(words[i]);
        });
  }
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    std::uint32_t words[kLanes];
    std::memcpy(words, &lanes[i], sizeof words);
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      chains[lane][i] = words[lane];
  }
}

constexpr std::size_t kMaxLanes = 16;

struct LaneKernel {
  std::size_t lanes = 0;  // 0: the processor has none that would gain
  void (*finish)(const Continuation& from, Chain* chains) = nullptr;
};

#ifdef __x86_64__
using Words8 = std::uint32_t __attribute__((vector_size(32), may_alias));
using Words16 = std::uint32_t __attribute__((vector_size(64), may_alias));

__attribute__((target("avx2"))) void finish_avx2(const Continuation& from, Chain* chains) {
  finish_lanes<Words8>(from, chains);
}
__attribute__((target("avx512f"))) void finish_avx512(const Continuation& from, Chain* chains) {
  finish_lanes<Words16>(from, chains);
}
#endif

LaneKernel choose_kernel() {
#ifdef __x86_64__
  __builtin_cpu_init();
  // VBMI2: as for checksums (base/net/checksum.cpp), machines that keep their clock at 512 bits.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vbmi2")) {
    return {16, &finish_avx512};
  }
  if (__builtin_cpu_supports("avx2")) return {8, &finish_avx2};
#endif
  return {};
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
  compress_block(
      state_, compressed_bytes_,
      final_mask, [&](std::uint32_t & to, std::size_t i) __attribute__((always_inline)) {
        to += load_le<std::uint32_t>(block + sizeof(std::uint32_t) * i);
      });
}

void Blake2s::finish_each(std::span<const std::uint8_t* const> tails, std::size_t tail_bytes,
                          std::uint8_t* digests) const {
  DCHECK(buffered_ == 0 && tail_bytes > 0);
  static const LaneKernel kernel = choose_kernel();
  std::size_t done = 0;
  for (; kernel.lanes != 0 && tails.size() - done >= kernel.lanes; done += kernel.lanes) {
    Chain chains[kMaxLanes];
    kernel.finish({state_, compressed_bytes_, tails.subspan(done, kernel.lanes), tail_bytes},
                  chains);
    for (std::size_t lane = 0; lane < kernel.lanes; ++lane)
      std::memcpy(digests + (done + lane) * digest_bytes_, chains[lane].data(), digest_bytes_);
  }
  for (; done < tails.size(); ++done) {
    Blake2s rest = *this;
    rest.update({tails[done], tail_bytes});
    rest.finish(digests + done * digest_bytes_);
  }
}

}  // namespace ringway::tunnel
