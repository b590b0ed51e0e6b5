// Bytes as they stand in packets and keys: spans, unaligned loads and stores in either byte order,
// and arrays that forget what they held.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ringway {

using Bytes = std::span<std::uint8_t>;
using ConstBytes = std::span<const std::uint8_t>;

static_assert(std::endian::native == std::endian::little, "Ringway runs on little-endian machines");

template <std::unsigned_integral T>
[[nodiscard]] constexpr T byte_swap(T value) {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(value));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(value));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(value));
}

template <std::unsigned_integral T>
[[nodiscard]] inline T load_le(const std::uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <std::unsigned_integral T>
[[nodiscard]] inline T load_be(const std::uint8_t* from) {
  return byte_swap(load_le<T>(from));
}
template <std::unsigned_integral T>
inline void store_le(std::uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}
template <std::unsigned_integral T>
inline void store_be(std::uint8_t* to, T value) {
  store_le(to, byte_swap(value));
}

// Overwrites `size` bytes in a way that the compiler may not remove.
inline void secure_wipe(void* memory, std::size_t size) {
  std::memset(memory, 0, size);
  asm volatile("" : : "r"(memory) : "memory");
}

// Equality in time that depends on the length only. For MACs and keys.
[[nodiscard]] inline bool constant_time_equal(ConstBytes a, ConstBytes b) {
  if (a.size() != b.size()) return false;
  std::uint8_t difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<std::uint8_t>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

// N bytes of key material, wiped when they go out of scope or are moved from.
template <std::size_t N>
class SecretBytes {
 public:
  static constexpr std::size_t kSize = N;

  SecretBytes() = default;
  explicit SecretBytes(std::span<const std::uint8_t, N> from) {
    std::memcpy(bytes_.data(), from.data(), N);
  }
  SecretBytes(const SecretBytes&) = default;
  SecretBytes& operator=(const SecretBytes&) = default;
  SecretBytes(SecretBytes&& other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      other.wipe();
    }
    return *this;
  }
  ~SecretBytes() { wipe(); }

  void wipe() { secure_wipe(bytes_.data(), N); }
  [[nodiscard]] std::uint8_t* data() { return bytes_.data(); }
  [[nodiscard]] const std::uint8_t* data() const { return bytes_.data(); }
  [[nodiscard]] std::span<std::uint8_t, N> span() { return bytes_; }
  [[nodiscard]] std::span<const std::uint8_t, N> span() const { return bytes_; }
  [[nodiscard]] bool operator==(const SecretBytes& other) const {
    return constant_time_equal(bytes_, other.bytes_);
  }

 private:
  std::array<std::uint8_t, N> bytes_{};
};

}  // namespace ringway
