// Which signed messages came already. Bounded: when it must forget a message before its time, it
// refuses from then on all that are as old, so that a flood can delay messages but not replay one.
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
                              WallTime now);
  // It was authentic: not once more.
  void remember(const NodeId& source, std::uint64_t message_id, WallTime sent);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::uint64_t message_id;
    std::uint64_t source;  // its leading bits: with the random ID they tell messages apart
    WallTime sent;
  };
  void forget_before(WallTime time);

  Duration lifetime_;
  std::size_t capacity_;
  std::vector<Entry> entries_;  // in no order: an expired one is replaced by the last
  WallTime floor_ = WallTime::from_unix_ns(INT64_MIN);
};

}  // namespace ringway::overlay
