// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//
// Everything here is in memory byte order: sums are made of words as the machine loads them, and a
// result is stored with memcpy (store_le). RFC 1071 section 2(B) is why that is right on either
// kind of machine. A partial sum is 64 bits wide with end-around carry, so partial sums may be
// added and used as `initial` without limit; only an all-zero input gives zero.
//
// The big loops are chosen once, at the first call, by what the CPU has.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"

namespace ringway::net {

// One's-complement addition of 64-bit partial sums.
[[nodiscard]] constexpr std::uint64_t checksum_add(std::uint64_t a, std::uint64_t b) {
  a += b;
  return a + (a < b ? 1U : 0U);
}

// `initial` plus the sum of `bytes`, as if they began at an even offset; an odd last byte counts as
// followed by a zero.
[[nodiscard]] std::uint64_t checksum_sum(ConstBytes bytes, std::uint64_t initial = 0);

// Copies n bytes that do not overlap and sums them in the same pass.
[[nodiscard]] std::uint64_t copy_and_sum(std::uint8_t* dst, const std::uint8_t* src, std::size_t n,
                                         std::uint64_t initial = 0);

// What a partial sum becomes when its bytes begin at an odd offset of the message (RFC 1071 section
// 2(B)). Apply it before checksum_add.
[[nodiscard]] constexpr std::uint64_t checksum_at_odd_offset(std::uint64_t sum) {
  return std::rotl(sum, 8);
}

// Sixteen bits in memory order, not inverted. A sum added to itself with its halves exchanged has
// in its upper half both halves and the carry out of the lower one.
[[nodiscard]] constexpr std::uint16_t checksum_fold(std::uint64_t sum) {
  const auto half = static_cast<std::uint32_t>((sum + std::rotl(sum, 32)) >> 32);
  return static_cast<std::uint16_t>((half + std::rotl(half, 16)) >> 16);
}

// What goes into a checksum field: folded and inverted.
[[nodiscard]] constexpr std::uint16_t checksum_finish(std::uint64_t sum) {
  return static_cast<std::uint16_t>(~checksum_fold(sum));
}
// Likewise for UDP, where zero in the field would mean "none" (RFC 768): zero becomes 0xffff.
[[nodiscard]] constexpr std::uint16_t checksum_finish_udp(std::uint64_t sum) {
  const std::uint16_t field = checksum_finish(sum);
  return field == 0 ? std::uint16_t{0xffff} : field;
}

// A number of the protocol (in host order) as it adds to a sum in memory order.
[[nodiscard]] constexpr std::uint64_t checksum_of_be16(std::uint16_t value) {
  return byte_swap(value);
}
[[nodiscard]] constexpr std::uint64_t checksum_of_be32(std::uint32_t value) {
  return byte_swap(value);
}

// The pseudo-headers of RFC 9293 section 3.1 (also RFC 768) and RFC 8200 section 8.1. `length` is
// that of the transport header and its payload. src and dst: 4 bytes each, or 16.
[[nodiscard]] inline std::uint64_t pseudo_header_sum_v4(const std::uint8_t* src,
                                                        const std::uint8_t* dst,
                                                        std::uint8_t protocol,
                                                        std::uint32_t length) {
  return std::uint64_t{load_le<std::uint32_t>(src)} + load_le<std::uint32_t>(dst) +
         checksum_of_be16(protocol) + checksum_of_be32(length);
}
[[nodiscard]] inline std::uint64_t pseudo_header_sum_v6(const std::uint8_t* src,
                                                        const std::uint8_t* dst,
                                                        std::uint8_t protocol,
                                                        std::uint32_t length) {
  std::uint64_t sum = checksum_of_be16(protocol) + checksum_of_be32(length);
  for (std::size_t at = 0; at < 16; at += 4) {
    sum += std::uint64_t{load_le<std::uint32_t>(src + at)} + load_le<std::uint32_t>(dst + at);
  }
  return sum;
}

// The new value of a checksum field after a word of what it covers changed from `before` to
// `after`: equation 3 of RFC 1624, HC' = ~(~HC + ~m + m'). All in memory order. The word lies at an
// even offset. Never on a partial (pseudo-header only) checksum.
[[nodiscard]] constexpr std::uint16_t checksum_update16(std::uint16_t field, std::uint16_t before,
                                                        std::uint16_t after) {
  return checksum_finish(std::uint64_t{static_cast<std::uint16_t>(~field)} +
                         static_cast<std::uint16_t>(~before) + after);
}
[[nodiscard]] constexpr std::uint16_t checksum_update32(std::uint16_t field, std::uint32_t before,
                                                        std::uint32_t after) {
  return checksum_finish(std::uint64_t{static_cast<std::uint16_t>(~field)} + ~before + after);
}
// Likewise for any run of bytes that begins at an even offset, given the sums of what stood there
// and of what stands there now.
[[nodiscard]] constexpr std::uint16_t checksum_update(std::uint16_t field, std::uint64_t sum_before,
                                                      std::uint64_t sum_after) {
  const auto removed = static_cast<std::uint16_t>(~checksum_fold(sum_before));
  return checksum_finish(std::uint64_t{static_cast<std::uint16_t>(~field)} + removed +
                         checksum_fold(sum_after));
}

// One way to run the loops, for tests and benchmarks: every one that this CPU can run, the chosen
// one first.
struct ChecksumKernel {
  const char* name;
  std::uint64_t (*sum)(const std::uint8_t* src, std::size_t n, std::uint64_t initial);
  std::uint64_t (*copy_and_sum)(std::uint8_t* dst, const std::uint8_t* src, std::size_t n,
                                std::uint64_t initial);
};
[[nodiscard]] std::span<const ChecksumKernel> checksum_kernels();

}  // namespace ringway::net
