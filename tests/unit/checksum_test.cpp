#include "base/net/checksum.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace ringway::net {
namespace {

// RFC 1071 word by word, big-endian, as an independent opinion. Returned in memory order.
std::uint16_t naive_fold(ConstBytes bytes, std::uint16_t initial_memory_order = 0) {
  std::uint32_t sum = byte_swap(initial_memory_order);
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const unsigned high = bytes[i];
    const unsigned low = i + 1 < bytes.size() ? bytes[i + 1] : 0U;
    sum += (high << 8) | low;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return byte_swap(static_cast<std::uint16_t>(sum));
}

std::vector<std::uint8_t> random_bytes(Rng& rng, std::size_t n) {
  std::vector<std::uint8_t> bytes(n);
  rng.fill(bytes);
  return bytes;
}

class EveryKernel : public testing::TestWithParam<std::size_t> {
 protected:
  const ChecksumKernel& kernel() const { return checksum_kernels()[GetParam()]; }
};

TEST_P(EveryKernel, AgreesWithNaiveForAllSmallLengthsAndAlignments) {
  SeededRng rng(1);
  const std::vector<std::uint8_t> source = random_bytes(rng, 512 + 64);
  for (std::size_t offset = 0; offset < 64; ++offset) {
    for (std::size_t length = 0; length <= 300; ++length) {
      const ConstBytes bytes{source.data() + offset, length};
      ASSERT_EQ(checksum_fold(kernel().sum(bytes.data(), length, 0)), naive_fold(bytes))
          << kernel().name << " offset " << offset << " length " << length;
    }
  }
}

TEST_P(EveryKernel, CopiesExactlyAndSumsForAllSmallLengthsAndAlignments) {
  SeededRng rng(2);
  const std::vector<std::uint8_t> source = random_bytes(rng, 512);
  for (std::size_t offset = 0; offset < 66; ++offset) {
    for (std::size_t length = 0; length <= 260; ++length) {
      std::array<std::uint8_t, 400> target;
      target.fill(0xa5);
      std::uint8_t* const dst = target.data() + 8 + offset % 7;
      const ConstBytes bytes{source.data() + offset, length};
      ASSERT_EQ(checksum_fold(kernel().copy_and_sum(dst, bytes.data(), length, 0)),
                naive_fold(bytes));
      ASSERT_EQ(std::memcmp(dst, bytes.data(), length), 0);
      for (const std::uint8_t* at = target.data(); at < target.data() + target.size(); ++at) {
        const bool inside = at >= dst && at < dst + length;
        ASSERT_TRUE(inside || *at == 0xa5) << "wrote outside";
      }
    }
  }
}

TEST_P(EveryKernel, AgreesWithNaiveOnBigInputs) {
  SeededRng rng(3);
  for (int round = 0; round < 60; ++round) {
    const std::vector<std::uint8_t> source = random_bytes(rng, 64 + rng.below(70'000));
    std::vector<std::uint8_t> target(source.size());
    const auto initial = static_cast<std::uint16_t>(rng.next_u32());
    const std::uint16_t expected = naive_fold(source, initial);
    ASSERT_EQ(checksum_fold(kernel().sum(source.data(), source.size(), initial)), expected);
    ASSERT_EQ(
        checksum_fold(kernel().copy_and_sum(target.data(), source.data(), source.size(), initial)),
        expected);
    ASSERT_EQ(source, target);
  }
}

TEST_P(EveryKernel, HandlesExtremesWithoutLosingACarry) {
  for (const std::uint8_t fill : {std::uint8_t{0}, std::uint8_t{0xff}, std::uint8_t{0x80}}) {
    const std::vector<std::uint8_t> source(65'535, fill);
    for (const std::size_t length : {1U, 2U, 63U, 64U, 65U, 127U, 1400U, 65'535U}) {
      const ConstBytes bytes{source.data(), length};
      ASSERT_EQ(checksum_fold(kernel().sum(bytes.data(), length, 0)), naive_fold(bytes));
      // 2^64 - 1 is a multiple of 2^16 - 1: adding it changes nothing but the zero's face.
      const std::uint16_t with_max = checksum_fold(kernel().sum(bytes.data(), length, UINT64_MAX));
      ASSERT_EQ(with_max, naive_fold(bytes, 0xffff));
    }
  }
}

TEST_P(EveryKernel, ReadsNothingOutside) {
  // Exact heap blocks, so that AddressSanitizer sees a read past either end.
  SeededRng rng(4);
  for (std::size_t length = 1; length <= 200; ++length) {
    const std::vector<std::uint8_t> source = random_bytes(rng, length);
    std::vector<std::uint8_t> target(length);
    EXPECT_EQ(kernel().sum(source.data(), length, 7),
              kernel().copy_and_sum(target.data(), source.data(), length, 7));
  }
}

std::string kernel_name(const testing::TestParamInfo<std::size_t>& index) {
  return checksum_kernels()[index.param].name;
}
INSTANTIATE_TEST_SUITE_P(Checksum, EveryKernel,
                         testing::Range<std::size_t>(0, checksum_kernels().size()), kernel_name);

TEST(Checksum, PortableKernelIsAlwaysThere) {
  ASSERT_FALSE(checksum_kernels().empty());
  EXPECT_STREQ(checksum_kernels().back().name, "portable");
}

TEST(Checksum, PublicEntryPointsAgreeWithNaive) {
  SeededRng rng(5);
  const std::vector<std::uint8_t> source = random_bytes(rng, 3000);
  for (std::size_t length = 0; length <= source.size(); ++length) {
    std::vector<std::uint8_t> target(length);
    const ConstBytes bytes{source.data(), length};
    ASSERT_EQ(checksum_fold(checksum_sum(bytes)), naive_fold(bytes));
    ASSERT_EQ(checksum_fold(copy_and_sum(target.data(), source.data(), length)), naive_fold(bytes));
    ASSERT_TRUE(std::equal(target.begin(), target.end(), source.begin()));
  }
}

TEST(Checksum, Rfc1071Example) {
  // Section 3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
  const std::array<std::uint8_t, 8> bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  std::uint8_t stored[2];
  store_le(stored, checksum_fold(checksum_sum(bytes)));
  EXPECT_EQ(load_be<std::uint16_t>(stored), 0xddf2);
  store_le(stored, checksum_finish(checksum_sum(bytes)));
  EXPECT_EQ(load_be<std::uint16_t>(stored), 0x220d);
}

TEST(Checksum, PartsCombineAtEvenAndOddOffsets) {
  SeededRng rng(6);
  const std::vector<std::uint8_t> whole = random_bytes(rng, 257);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    const std::uint64_t first = checksum_sum(ConstBytes(whole).first(cut));
    const std::uint64_t second = checksum_sum(ConstBytes(whole).subspan(cut));
    const std::uint64_t sum =
        checksum_add(first, cut % 2 == 0 ? second : checksum_at_odd_offset(second));
    ASSERT_EQ(checksum_fold(sum), naive_fold(whole)) << cut;
  }
}

TEST(Checksum, FoldsEveryBitOfThePartialSum) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    EXPECT_EQ(checksum_fold(std::uint64_t{1} << bit), 1U << (bit % 16));
  }
  EXPECT_EQ(checksum_fold(0), 0);
  EXPECT_EQ(checksum_fold(UINT64_MAX), 0xffff);
  EXPECT_EQ(checksum_fold(0xffff'ffff), 0xffff);
  EXPECT_EQ(checksum_fold(0xffff'0000'0000'0001), 1);
}

TEST(Checksum, PseudoHeadersEqualTheirBytes) {
  SeededRng rng(7);
  for (int round = 0; round < 100; ++round) {
    const std::vector<std::uint8_t> src = random_bytes(rng, 16);
    const std::vector<std::uint8_t> dst = random_bytes(rng, 16);
    const auto protocol = static_cast<std::uint8_t>(rng.below(256));
    const auto length = static_cast<std::uint32_t>(rng.below(65'536));

    std::array<std::uint8_t, 12> v4{};
    std::memcpy(v4.data(), src.data(), 4);
    std::memcpy(v4.data() + 4, dst.data(), 4);
    v4[9] = protocol;
    store_be(v4.data() + 10, static_cast<std::uint16_t>(length));
    ASSERT_EQ(checksum_fold(pseudo_header_sum_v4(src.data(), dst.data(), protocol, length)),
              naive_fold(v4));

    const std::uint32_t long_length = length + 70'000;
    std::array<std::uint8_t, 40> v6{};
    std::memcpy(v6.data(), src.data(), 16);
    std::memcpy(v6.data() + 16, dst.data(), 16);
    store_be(v6.data() + 32, long_length);
    v6[39] = protocol;
    ASSERT_EQ(checksum_fold(pseudo_header_sum_v6(src.data(), dst.data(), protocol, long_length)),
              naive_fold(v6));
  }
}

TEST(Checksum, UdpNeverSendsZero) {
  EXPECT_EQ(checksum_finish(0xffff), 0);
  EXPECT_EQ(checksum_finish_udp(0xffff), 0xffff);
  EXPECT_EQ(checksum_finish_udp(0x1234), checksum_finish(0x1234));
}

TEST(IncrementalUpdate, Rfc1624Example) {
  // Section 4: HC = dd2f, m = 5555 becomes 3285; the right result is 0000 where RFC 1141 had ffff.
  const auto be = [](std::uint16_t value) { return byte_swap(value); };
  EXPECT_EQ(checksum_update16(be(0xdd2f), be(0x5555), be(0x3285)), be(0x0000));
  EXPECT_EQ(checksum_update(be(0xdd2f), be(0x5555), be(0x3285)), be(0x0000));
  EXPECT_EQ(checksum_update32(be(0xdd2f), be(0x5555), be(0x3285)), be(0x0000));
}

TEST(IncrementalUpdate, EqualsARecomputation) {
  SeededRng rng(8);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::uint8_t> bytes = random_bytes(rng, 40);
    bytes[0] |= 1;  // never all zero: a real header never is
    const std::uint16_t field = checksum_finish(checksum_sum(bytes));
    const std::size_t at = 4 + 2 * rng.below(16);
    std::uint8_t* const word = bytes.data() + at;

    const auto before16 = load_le<std::uint16_t>(word);
    const auto after16 = static_cast<std::uint16_t>(rng.next_u32());
    store_le(word, after16);
    const std::uint16_t field16 = checksum_update16(field, before16, after16);
    ASSERT_EQ(field16, checksum_finish(checksum_sum(bytes)));

    const auto before32 = load_le<std::uint32_t>(word);
    const std::uint32_t after32 = rng.next_u32();
    store_le(word, after32);
    const std::uint16_t field32 = checksum_update32(field16, before32, after32);
    ASSERT_EQ(field32, checksum_finish(checksum_sum(bytes)));

    const std::uint64_t sum_before = checksum_sum({word, 6});
    rng.fill({word, 6});
    ASSERT_EQ(checksum_update(field32, sum_before, checksum_sum({word, 6})),
              checksum_finish(checksum_sum(bytes)));
  }
}

}  // namespace
}  // namespace ringway::net
