// Room for N values that are written before they are read. An array of slots would set every member
// of every slot at each call: 24 KiB for a vector, more than the packets of a small burst cost.
#pragma once

#include <cstddef>
#include <type_traits>

#include "base/check.hpp"

namespace ringway {

template <typename T, std::size_t N>
class Scratch {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  Scratch() {}  // NOLINT(modernize-use-equals-default): leaves the memory alone, even for {}

  [[nodiscard]] T* data() { return static_cast<T*>(static_cast<void*>(memory_)); }
  [[nodiscard]] const T* data() const {
    return static_cast<const T*>(static_cast<const void*>(memory_));
  }
  [[nodiscard]] T& operator[](std::size_t i) {
    DCHECK(i < N);
    return data()[i];
  }
  [[nodiscard]] const T& operator[](std::size_t i) const {
    DCHECK(i < N);
    return data()[i];
  }
  [[nodiscard]] static constexpr std::size_t size() { return N; }

 private:
  alignas(T) std::byte memory_[N * sizeof(T)];
};

}  // namespace ringway
