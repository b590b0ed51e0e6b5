// How to reach a node: its place on the ring and the addresses at which it may be found. Lists are
// bounded and lie in place, since tables and messages are full of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "base/net/address.hpp"
#include "overlay/node_id.hpp"

namespace ringway::overlay {

// At most kCapacity of T, in place. What does not fit is refused.
template <typename T, std::size_t kCapacity>
class BoundedList {
 public:
  static constexpr std::size_t kMax = kCapacity;

  bool add(const T& item) {
    if (size_ == kCapacity) return false;
    items_[size_++] = item;
    return true;
  }
  void remove_at(std::size_t index) {
    std::move(items_.begin() + static_cast<std::ptrdiff_t>(index) + 1, items_.begin() + size_,
              items_.begin() + static_cast<std::ptrdiff_t>(index));
    --size_;
  }
  void clear() { size_ = 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == kCapacity; }
  [[nodiscard]] const T& operator[](std::size_t index) const { return items_[index]; }
  [[nodiscard]] T& operator[](std::size_t index) { return items_[index]; }
  [[nodiscard]] auto begin() { return items_.begin(); }
  [[nodiscard]] auto end() { return items_.begin() + size_; }
  [[nodiscard]] auto begin() const { return items_.begin(); }
  [[nodiscard]] auto end() const { return items_.begin() + size_; }
  [[nodiscard]] bool contains(const T& item) const {
    return std::find(begin(), end(), item) != end();
  }
  [[nodiscard]] bool operator==(const BoundedList& other) const {
    return std::equal(begin(), end(), other.begin(), other.end());
  }

 private:
  std::array<T, kCapacity> items_{};
  std::uint8_t size_ = 0;
};

// Brunet links with up to 12 addresses, 6 at a time; those 6 are what we carry.
inline constexpr std::size_t kMaxCandidates = 6;
using Candidates = BoundedList<net::Endpoint, kMaxCandidates>;

struct Contact {
  NodeId node;
  Candidates candidates;
  [[nodiscard]] bool operator==(const Contact&) const = default;
};
// What one message carries of them: 2 a side around a place, and those beyond.
inline constexpr std::size_t kMaxContacts = 8;
using Contacts = BoundedList<Contact, kMaxContacts>;

}  // namespace ringway::overlay
