// Which signed messages came already. Bounded: when it must forget messages before their time, it
// refuses from then on all of that source that are as old. They are of the source that has the most
// in it, so that a flood costs its own source, and no other's messages are refused or come twice.
#pragma once

#include <cstdint>
#include <vector>

#include "overlay/core.hpp"

namespace ringway::overlay {

class ReplayCache {
 public:
  ReplayCache(Duration lifetime, std::size_t capacity) : lifetime_(lifetime), capacity_(capacity) {}

  enum class Verdict : std::uint8_t { kFresh, kReplayed, kOutdated };
  // Whether a message of this source, ID and time may be accepted now.
  [[nodiscard]] Verdict check(const NodeId& source, std::uint64_t message_id, WallTime sent,
                              Clock clock);
  // It was authentic: not once more.
  void remember(const NodeId& source, std::uint64_t message_id, WallTime sent, Clock clock);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  // A source by some bits of its ID: with the random ID of a message they tell messages apart.
  using Source = std::uint32_t;
  struct Entry {
    std::uint64_t message_id;
    WallTime sent;
    Source source;
    std::uint32_t came_s;  // by the clock that nobody sets
  };
  struct Floor {  // of a source that sent more than there was room for
    Source source;
    WallTime sent;  // as old as this, or older: refused
  };
  [[nodiscard]] static Source source_of(const NodeId& node);
  [[nodiscard]] bool below_floor(Source source, WallTime sent) const;
  void forget_old(Clock clock);
  void make_room(Clock clock);
  void raise_floor(const Floor& floor, Clock clock);

  Duration lifetime_;
  std::size_t capacity_;
  std::vector<Entry> entries_;  // in no order: an expired one is replaced by the last
  std::vector<Floor> floors_;
  WallTime floor_ = WallTime::from_unix_ns(INT64_MIN);  // of all, when there are too many floors
};

}  // namespace ringway::overlay
