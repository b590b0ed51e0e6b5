// A bounded ring between exactly one producer thread and one consumer thread (Lamport's queue with
// each side caching the other's position, as in FastForward and MCRingBuffer). No locks; a full
// ring refuses, and the producer decides what that means.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "base/check.hpp"

namespace ringway {

inline constexpr std::size_t kCacheLineBytes = 64;

template <typename T>
class SpscRing {
 public:
  // capacity: a power of two.
  explicit SpscRing(std::size_t capacity)
      : mask_(capacity - 1), slots_(std::make_unique<Place[]>(capacity)) {
    CHECK(std::has_single_bit(capacity));
  }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  // Producer. False, and `value` untouched, when the ring is full.
  [[nodiscard]] bool try_push(T&& value) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - cached_head_ > mask_) {
      cached_head_ = head_.load(std::memory_order_acquire);
      if (tail - cached_head_ > mask_) return false;
    }
    put(slots_[tail & mask_], std::move(value));
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Producer. As many from the front as there is room for, made visible at once; returns how many.
  // What was taken is moved from, the rest untouched.
  [[nodiscard]] std::size_t push_burst(std::span<T> values) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    std::size_t room = capacity() - (tail - cached_head_);
    if (room < values.size()) {
      cached_head_ = head_.load(std::memory_order_acquire);
      room = capacity() - (tail - cached_head_);
    }
    const std::size_t count = std::min(room, values.size());
    // The consumer's core has the places in its cache. To ask for one after the other costs a
    // packet that is handed over 45 cycles (ringway-bench pipeline --workers 2 --misplaced 50).
    for (std::size_t i = 0; i < count; ++i)
      fetch_for_writing(slots_[(tail + i) & mask_]);
    for (std::size_t i = 0; i < count; ++i)
      put(slots_[(tail + i) & mask_], std::move(values[i]));
    tail_.store(tail + count, std::memory_order_release);
    return count;
  }

  // Consumer. Fills `out` from the front as far as there is something; returns how many.
  [[nodiscard]] std::size_t pop_burst(std::span<T> out) {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (cached_tail_ - head < out.size()) cached_tail_ = tail_.load(std::memory_order_acquire);
    const std::size_t count = std::min(cached_tail_ - head, out.size());
    for (std::size_t i = 0; i < count; ++i)
      out[i] = take(slots_[(head + i) & mask_]);
    head_.store(head + count, std::memory_order_release);
    return count;
  }

  // Consumer. Empty when there is nothing.
  [[nodiscard]] std::optional<T> try_pop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == cached_tail_) {
      cached_tail_ = tail_.load(std::memory_order_acquire);
      if (head == cached_tail_) return std::nullopt;
    }
    std::optional<T> value = take(slots_[head & mask_]);
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

  // Either side; exact only for the consumer's question "is there something for me".
  [[nodiscard]] bool empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::size_t size() const {
    // The head is read first: tail only grows, so the difference never wraps below zero.
    const std::size_t head = head_.load(std::memory_order_acquire);
    return tail_.load(std::memory_order_acquire) - head;
  }
  [[nodiscard]] std::size_t capacity() const { return mask_ + 1; }

 private:
  // What needs no destruction is copied in and out, and the consumer writes to no place.
  static constexpr bool kPlain = std::is_trivially_copyable_v<T>;
  using Place = std::conditional_t<kPlain, T, std::optional<T>>;

  static void put(Place& place, T&& value) {
    if constexpr (kPlain) {
      place = value;
    } else {
      place.emplace(std::move(value));
    }
  }
  [[nodiscard]] static T take(Place& place) {
    if constexpr (kPlain) {
      return place;
    } else {
      T value = std::move(*place);
      place.reset();
      return value;
    }
  }
  static void fetch_for_writing(const Place& place) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&place);
    for (std::size_t at = 0; at < sizeof(Place); at += kCacheLineBytes)
      __builtin_prefetch(bytes + at, 1);
  }

  const std::size_t mask_;
  std::unique_ptr<Place[]> slots_;
  alignas(kCacheLineBytes) std::atomic<std::size_t> head_{0};  // written by the consumer
  std::size_t cached_tail_ = 0;                                // consumer's
  alignas(kCacheLineBytes) std::atomic<std::size_t> tail_{0};  // written by the producer
  std::size_t cached_head_ = 0;                                // producer's
};

}  // namespace ringway
