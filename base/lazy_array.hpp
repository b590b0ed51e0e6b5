// Large arrays that cost nothing until they are touched: zeroed pages of their own, huge ones where
// the kernel has them. For tables that are found at random, where a page walk would cost as much as
// the cache miss. Allocated once, never grown.
#pragma once

#include <cstddef>
#include <type_traits>

#include "base/check.hpp"

namespace ringway {

namespace detail {
// Zeroed, page-aligned; aborts when there is no address space left.
[[nodiscard]] void* map_zeroed(std::size_t bytes);
void unmap_zeroed(void* memory, std::size_t bytes);
}  // namespace detail

// All bytes zero at first, which must be a valid T.
template <typename T>
class LazyArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  explicit LazyArray(std::size_t size)
      : size_(size), data_(static_cast<T*>(detail::map_zeroed(size * sizeof(T)))) {}
  ~LazyArray() { detail::unmap_zeroed(data_, size_ * sizeof(T)); }
  LazyArray(const LazyArray&) = delete;
  LazyArray& operator=(const LazyArray&) = delete;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T& operator[](std::size_t at) {
    DCHECK(at < size_);
    return data_[at];
  }
  [[nodiscard]] const T& operator[](std::size_t at) const {
    DCHECK(at < size_);
    return data_[at];
  }

 private:
  std::size_t size_;
  T* data_;
};

}  // namespace ringway
