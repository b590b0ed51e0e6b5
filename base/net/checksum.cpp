// The summing loops. All of them rest on two facts: 2^16 = 1 modulo 2^16 - 1, so words of any even
// width may be added; and for 64-bit words w = high * 2^32 + low, the wrapping sum of w and the sum
// of the highs are enough to recover the sum of the lows. So a word costs an add, a shift and an
// add, without a carry chain, in a general register and in a vector lane alike. Sums of the highs
// stay exact for 2^32 words.
#include "base/net/checksum.hpp"

#include <array>
#include <atomic>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#define RINGWAY_CHECKSUM_X86 1
#endif

namespace ringway::net {
namespace {

// The last 0 to 7 bytes as one little-endian word, copied on the way if asked.
template <bool kCopy>
inline std::uint64_t tail_word(std::uint8_t* dst, const std::uint8_t* src, std::size_t n) {
  std::uint64_t word = 0;
  unsigned shift = 0;
  std::size_t at = 0;
  if (n & 4) {
    const auto part = load_le<std::uint32_t>(src);
    if constexpr (kCopy) store_le(dst, part);
    word = part;
    shift = 32;
    at = 4;
  }
  if (n & 2) {
    const auto part = load_le<std::uint16_t>(src + at);
    if constexpr (kCopy) store_le(dst + at, part);
    word |= std::uint64_t{part} << shift;
    shift += 16;
    at += 2;
  }
  if (n & 1) {
    const std::uint8_t part = src[at];
    if constexpr (kCopy) dst[at] = part;
    word |= std::uint64_t{part} << shift;
  }
  return word;
}

inline std::uint64_t finish(std::uint64_t wrapped, std::uint64_t highs, std::uint64_t initial) {
  const std::uint64_t lows = wrapped - (highs << 32);
  return checksum_add(initial, lows + highs);
}

template <bool kCopy>
inline std::uint64_t run_portable(std::uint8_t* dst, const std::uint8_t* src, std::size_t n,
                                  std::uint64_t initial) {
  std::uint64_t wrapped = 0;
  std::uint64_t highs = 0;
  std::size_t at = 0;
  for (; n - at >= 8; at += 8) {
    const auto word = load_le<std::uint64_t>(src + at);
    if constexpr (kCopy) store_le(dst + at, word);
    wrapped += word;
    highs += word >> 32;
  }
  const std::uint64_t word = tail_word<kCopy>(kCopy ? dst + at : nullptr, src + at, n - at);
  return finish(wrapped + word, highs + (word >> 32), initial);
}

std::uint64_t sum_portable(const std::uint8_t* src, std::size_t n, std::uint64_t initial) {
  return run_portable<false>(nullptr, src, n, initial);
}
std::uint64_t copy_and_sum_portable(std::uint8_t* dst, const std::uint8_t* src, std::size_t n,
                                    std::uint64_t initial) {
  return run_portable<true>(dst, src, n, initial);
}

#ifdef RINGWAY_CHECKSUM_X86

#define RINGWAY_AVX2 __attribute__((target("avx2")))
#define RINGWAY_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx2")))

// Vectors of the compilers' extension: plain operators, and none of the false "uninitialized"
// warnings that GCC 12 gives for the AVX-512 intrinsics.
using Words4 = std::uint64_t __attribute__((vector_size(32)));
using Words8 = std::uint64_t __attribute__((vector_size(64)));

template <bool kCopy>
RINGWAY_AVX2 inline std::uint64_t run_avx2(std::uint8_t* dst, const std::uint8_t* src,
                                           std::size_t n, std::uint64_t initial) {
  Words4 wrapped0{}, wrapped1{}, highs0{}, highs1{};
  std::size_t at = 0;
  for (; n - at >= 64; at += 64) {
    Words4 first;
    std::memcpy(&first, src + at, sizeof first);
    Words4 second;
    std::memcpy(&second, src + at + 32, sizeof second);
    if constexpr (kCopy) {
      std::memcpy(dst + at, &first, sizeof first);
      std::memcpy(dst + at + 32, &second, sizeof second);
    }
    wrapped0 += first;
    wrapped1 += second;
    highs0 += first >> 32;
    highs1 += second >> 32;
  }
  if (n - at >= 32) {
    Words4 last;
    std::memcpy(&last, src + at, sizeof last);
    if constexpr (kCopy) std::memcpy(dst + at, &last, sizeof last);
    wrapped0 += last;
    highs0 += last >> 32;
    at += 32;
  }
  const Words4 highs = highs0 + highs1;
  const Words4 lanes = (wrapped0 + wrapped1) - (highs << 32) + highs;
  const std::uint64_t sum = lanes[0] + lanes[1] + lanes[2] + lanes[3];
  return run_portable<kCopy>(kCopy ? dst + at : nullptr, src + at, n - at,
                             checksum_add(initial, sum));
}

RINGWAY_AVX2 std::uint64_t sum_avx2(const std::uint8_t* src, std::size_t n, std::uint64_t initial) {
  return run_avx2<false>(nullptr, src, n, initial);
}
RINGWAY_AVX2 std::uint64_t copy_and_sum_avx2(std::uint8_t* dst, const std::uint8_t* src,
                                             std::size_t n, std::uint64_t initial) {
  return run_avx2<true>(dst, src, n, initial);
}

template <bool kCopy>
RINGWAY_AVX512 inline std::uint64_t run_avx512(std::uint8_t* dst, const std::uint8_t* src,
                                               std::size_t n, std::uint64_t initial) {
  Words8 wrapped0{}, wrapped1{}, highs0{}, highs1{};
  std::size_t at = 0;
  for (; n - at >= 128; at += 128) {
    Words8 first;
    std::memcpy(&first, src + at, sizeof first);
    Words8 second;
    std::memcpy(&second, src + at + 64, sizeof second);
    if constexpr (kCopy) {
      std::memcpy(dst + at, &first, sizeof first);
      std::memcpy(dst + at + 64, &second, sizeof second);
    }
    wrapped0 += first;
    wrapped1 += second;
    highs0 += first >> 32;
    highs1 += second >> 32;
  }
  if (n - at >= 64) {
    Words8 next;
    std::memcpy(&next, src + at, sizeof next);
    if constexpr (kCopy) std::memcpy(dst + at, &next, sizeof next);
    wrapped0 += next;
    highs0 += next >> 32;
    at += 64;
  }
  if (at < n) {
    const __mmask64 mask = ~std::uint64_t{0} >> (64 - (n - at));
    const __m512i loaded = _mm512_maskz_loadu_epi8(mask, src + at);
    if constexpr (kCopy) _mm512_mask_storeu_epi8(dst + at, mask, loaded);
    const Words8 last = reinterpret_cast<Words8>(loaded);
    wrapped1 += last;
    highs1 += last >> 32;
  }
  const Words8 highs = highs0 + highs1;
  const Words8 lanes = (wrapped0 + wrapped1) - (highs << 32) + highs;
  const Words4 halves = __builtin_shufflevector(lanes, lanes, 0, 1, 2, 3) +
                        __builtin_shufflevector(lanes, lanes, 4, 5, 6, 7);
  return checksum_add(initial, halves[0] + halves[1] + halves[2] + halves[3]);
}

RINGWAY_AVX512 std::uint64_t sum_avx512(const std::uint8_t* src, std::size_t n,
                                        std::uint64_t initial) {
  return run_avx512<false>(nullptr, src, n, initial);
}
RINGWAY_AVX512 std::uint64_t copy_and_sum_avx512(std::uint8_t* dst, const std::uint8_t* src,
                                                 std::size_t n, std::uint64_t initial) {
  return run_avx512<true>(dst, src, n, initial);
}

#endif  // RINGWAY_CHECKSUM_X86

struct Kernels {
  std::array<ChecksumKernel, 3> list{};
  std::size_t count = 0;

  Kernels() {
#ifdef RINGWAY_CHECKSUM_X86
    __builtin_cpu_init();
    // VBMI2 came with Ice Lake and Zen 4: machines that do not lower their clock for 512-bit work.
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vbmi2")) {
      list[count++] = {"avx512", &sum_avx512, &copy_and_sum_avx512};
    }
    if (__builtin_cpu_supports("avx2")) list[count++] = {"avx2", &sum_avx2, &copy_and_sum_avx2};
#endif
    list[count++] = {"portable", &sum_portable, &copy_and_sum_portable};
  }
};

const Kernels& kernels() {
  static const Kernels found;
  return found;
}

std::uint64_t choose_and_sum(const std::uint8_t* src, std::size_t n, std::uint64_t initial);
std::uint64_t choose_and_copy(std::uint8_t* dst, const std::uint8_t* src, std::size_t n,
                              std::uint64_t initial);

// Constant-initialized, so that even a static constructor may sum. Every writer writes the same.
std::atomic<decltype(ChecksumKernel::sum)> chosen_sum{&choose_and_sum};
std::atomic<decltype(ChecksumKernel::copy_and_sum)> chosen_copy{&choose_and_copy};

void choose() {
  chosen_sum.store(kernels().list[0].sum, std::memory_order_relaxed);
  chosen_copy.store(kernels().list[0].copy_and_sum, std::memory_order_relaxed);
}

std::uint64_t choose_and_sum(const std::uint8_t* src, std::size_t n, std::uint64_t initial) {
  choose();
  return kernels().list[0].sum(src, n, initial);
}
std::uint64_t choose_and_copy(std::uint8_t* dst, const std::uint8_t* src, std::size_t n,
                              std::uint64_t initial) {
  choose();
  return kernels().list[0].copy_and_sum(dst, src, n, initial);
}

// A header: not worth an indirect call and a reduction across lanes.
constexpr std::size_t kSmallBytes = 40;

}  // namespace

std::uint64_t checksum_sum(ConstBytes bytes, std::uint64_t initial) {
  if (bytes.size() <= kSmallBytes) {
    return run_portable<false>(nullptr, bytes.data(), bytes.size(), initial);
  }
  return chosen_sum.load(std::memory_order_relaxed)(bytes.data(), bytes.size(), initial);
}

std::uint64_t copy_and_sum(std::uint8_t* dst, const std::uint8_t* src, std::size_t n,
                           std::uint64_t initial) {
  if (n <= kSmallBytes) return run_portable<true>(dst, src, n, initial);
  return chosen_copy.load(std::memory_order_relaxed)(dst, src, n, initial);
}

std::span<const ChecksumKernel> checksum_kernels() {
  return {kernels().list.data(), kernels().count};
}

}  // namespace ringway::net
