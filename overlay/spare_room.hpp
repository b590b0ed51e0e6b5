// Vectors that were large once. A node lives for months after the first seconds of its ring, and
// there are thousands in a simulation: what a burst needed is given back.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace ringway::overlay {

// Of an empty vector nothing is kept but what is small.
template <typename T>
void give_back_if_empty(std::vector<T>& list) {
  constexpr std::size_t kKeptBytes = 1024;
  if (list.empty() && list.capacity() * sizeof(T) > kKeptBytes) std::vector<T>().swap(list);
}

// Of one that shrank, no more than room for `spare` more is kept, once twice that is free.
template <typename T>
void give_back_beyond(std::vector<T>& list, std::size_t spare) {
  if (list.capacity() <= list.size() + 2 * spare) return;
  std::vector<T> smaller;
  smaller.reserve(list.size() + spare);
  for (T& item : list)
    smaller.push_back(std::move(item));
  list = std::move(smaller);
}

}  // namespace ringway::overlay
