// What the handshake tests share: bytes from hexadecimal text, and randomness that is known.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/rng.hpp"

namespace ringway::test_support {

inline std::vector<std::uint8_t> from_hex(std::string_view text) {
  CHECK(text.size() % 2 == 0);
  const auto digit = [](char c) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const std::size_t value = kDigits.find(c);
    CHECK(value != std::string_view::npos);
    return value;
  };
  std::vector<std::uint8_t> bytes;
  for (std::size_t at = 0; at < text.size(); at += 2) {
    bytes.push_back(static_cast<std::uint8_t>(digit(text[at]) << 4 | digit(text[at + 1])));
  }
  return bytes;
}

template <std::size_t N>
std::array<std::uint8_t, N> array_from_hex(std::string_view text) {
  const std::vector<std::uint8_t> bytes = from_hex(text);
  CHECK(bytes.size() == N);
  std::array<std::uint8_t, N> result;
  std::copy(bytes.begin(), bytes.end(), result.begin());
  return result;
}

template <std::size_t N>
SecretBytes<N> secret_from_hex(std::string_view text) {
  return SecretBytes<N>(array_from_hex<N>(text));
}

inline std::vector<std::uint8_t> to_vector(ConstBytes bytes) {
  return {bytes.begin(), bytes.end()};
}

inline ConstBytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Yields the given bytes, once; a test that draws more is wrong.
class ScriptedRng final : public Rng {
 public:
  explicit ScriptedRng(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}
  void fill(Bytes out) override {
    CHECK(out.size() <= bytes_.size() - used_);
    std::memcpy(out.data(), bytes_.data() + used_, out.size());
    used_ += out.size();
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t used_ = 0;
};

}  // namespace ringway::test_support
