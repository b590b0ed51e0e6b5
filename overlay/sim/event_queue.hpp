// The simulator's clock: events in the order of their time, and of their making where times are
// equal, so that a seed always gives the same history. A heap of four children a node, whose
// entries are small and lie together; what is to happen lies beside.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/time.hpp"

namespace ringway::overlay::sim {

template <typename Event>
class EventQueue {
 public:
  void push(Instant time, const Event& event) {
    std::uint32_t slot = 0;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(events_.size());
      CHECK(slot < (1U << kSlotBits));
      events_.push_back(event);
    } else {
      slot = free_.back();
      free_.pop_back();
      events_[slot] = event;
    }
    heap_.push_back({time.ns(), (next_sequence_++ << kSlotBits) | slot});
    rise(heap_.size() - 1);
  }

  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] Instant next_time() const { return Instant::from_ns(heap_.front().time); }
  [[nodiscard]] Event pop() {
    const auto slot = static_cast<std::uint32_t>(heap_.front().order & ((1U << kSlotBits) - 1));
    free_.push_back(slot);
    const Entry last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink(last);
    return events_[slot];
  }

 private:
  static constexpr unsigned kSlotBits = 24;
  static constexpr std::size_t kChildren = 4;

  struct Entry {
    std::int64_t time;
    std::uint64_t order;  // sequence, then slot
    [[nodiscard]] bool before(const Entry& other) const {
      return time != other.time ? time < other.time : order < other.order;
    }
  };

  void rise(std::size_t at) {
    const Entry entry = heap_[at];
    while (at > 0) {
      const std::size_t parent = (at - 1) / kChildren;
      if (!entry.before(heap_[parent])) break;
      heap_[at] = heap_[parent];
      at = parent;
    }
    heap_[at] = entry;
  }
  void sink(const Entry& entry) {  // from the top
    std::size_t at = 0;
    for (;;) {
      const std::size_t first = at * kChildren + 1;
      if (first >= heap_.size()) break;
      const std::size_t end = std::min(first + kChildren, heap_.size());
      std::size_t least = first;
      for (std::size_t child = first + 1; child < end; ++child)
        if (heap_[child].before(heap_[least])) least = child;
      if (!heap_[least].before(entry)) break;
      heap_[at] = heap_[least];
      at = least;
    }
    heap_[at] = entry;
  }

  std::vector<Entry> heap_;
  std::vector<Event> events_;
  std::vector<std::uint32_t> free_;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace ringway::overlay::sim
