#include "overlay/replay_cache.hpp"

#include <algorithm>

namespace ringway::overlay {

ReplayCache::Verdict ReplayCache::check(const NodeId& source, std::uint64_t message_id,
                                        WallTime sent, WallTime now) {
  if (sent <= floor_ || sent + lifetime_ < now || now + lifetime_ < sent) return Verdict::kOutdated;
  forget_before(now + lifetime_ * -1);
  const bool known = std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.message_id == message_id && entry.source == source.from_zero().high;
  });
  return known ? Verdict::kReplayed : Verdict::kFresh;
}

void ReplayCache::remember(const NodeId& source, std::uint64_t message_id, WallTime sent) {
  if (entries_.size() >= capacity_) {
    const auto oldest =
        std::min_element(entries_.begin(), entries_.end(),
                         [](const Entry& a, const Entry& b) { return a.sent < b.sent; });
    floor_ = oldest->sent;
    forget_before(floor_ + Duration::nanoseconds(1));
  }
  if (entries_.size() == entries_.capacity())
    entries_.reserve(std::min(capacity_, entries_.size() + entries_.size() / 2 + 8));
  entries_.push_back({message_id, source.from_zero().high, sent});
}

void ReplayCache::forget_before(WallTime time) {
  for (std::size_t i = 0; i < entries_.size();) {
    if (entries_[i].sent >= time) {
      ++i;
      continue;
    }
    entries_[i] = entries_.back();
    entries_.pop_back();
  }
}

}  // namespace ringway::overlay
