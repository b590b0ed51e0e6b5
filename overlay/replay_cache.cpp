#include "overlay/replay_cache.hpp"

#include <algorithm>

namespace ringway::overlay {
namespace {

constexpr std::size_t kMaxFloors = 64;

std::uint32_t seconds_of(Instant instant) {
  return static_cast<std::uint32_t>(instant.ns() / 1'000'000'000);
}

}  // namespace

ReplayCache::Source ReplayCache::source_of(const NodeId& node) {
  const std::uint64_t high = node.from_zero().high;
  return static_cast<Source>(high ^ (high >> 32));
}

bool ReplayCache::below_floor(Source source, WallTime sent) const {
  return sent <= floor_ || std::any_of(floors_.begin(), floors_.end(), [&](const Floor& floor) {
           return floor.source == source && sent <= floor.sent;
         });
}

ReplayCache::Verdict ReplayCache::check(const NodeId& source, std::uint64_t message_id,
                                        WallTime sent, Clock clock) {
  // `sent` is as large as the sender likes: nothing may be added to it.
  if (sent < clock.wall + lifetime_ * -1 || clock.wall + lifetime_ < sent)
    return Verdict::kOutdated;
  const Source key = source_of(source);
  if (below_floor(key, sent)) return Verdict::kOutdated;
  forget_old(clock);
  const bool known = std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.message_id == message_id && entry.source == key;
  });
  return known ? Verdict::kReplayed : Verdict::kFresh;
}

void ReplayCache::remember(const NodeId& source, std::uint64_t message_id, WallTime sent,
                           Clock clock) {
  if (entries_.size() >= capacity_) make_room(clock);
  if (entries_.size() == entries_.capacity())
    entries_.reserve(std::min(capacity_, entries_.size() + entries_.size() / 2 + 8));
  entries_.push_back({message_id, sent, source_of(source), seconds_of(clock.now)});
}

// What came a lifetime ago may have been dated ahead by another. Whether it is outdated by the
// calendar says nothing: the calendar may be set back, and it would come once more.
void ReplayCache::forget_old(Clock clock) {
  const auto kept_s = static_cast<std::uint32_t>(lifetime_.count_ms() / 500) + 1;
  const std::uint32_t now_s = seconds_of(clock.now);
  for (std::size_t i = 0; i < entries_.size();) {
    if (now_s - entries_[i].came_s <= kept_s) {
      ++i;
      continue;
    }
    entries_[i] = entries_.back();
    entries_.pop_back();
  }
}

// The older half of what the source with the most entries has.
void ReplayCache::make_room(Clock clock) {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.source != b.source ? a.source < b.source : a.sent < b.sent;
  });
  std::size_t first = 0;
  std::size_t most = 0;
  for (std::size_t begin = 0, end = 0; begin < entries_.size(); begin = end) {
    while (end < entries_.size() && entries_[end].source == entries_[begin].source)
      ++end;
    if (end - begin <= most) continue;
    first = begin;
    most = end - begin;
  }
  std::size_t forgotten = (most + 1) / 2;
  const Floor floor{entries_[first].source, entries_[first + forgotten - 1].sent};
  while (forgotten < most && entries_[first + forgotten].sent <= floor.sent)
    ++forgotten;  // refused from now on, whether known or not
  const auto from = entries_.begin() + static_cast<std::ptrdiff_t>(first);
  entries_.erase(from, from + static_cast<std::ptrdiff_t>(forgotten));
  raise_floor(floor, clock);
}

void ReplayCache::raise_floor(const Floor& floor, Clock clock) {
  const auto same = std::find_if(floors_.begin(), floors_.end(),
                                 [&](const Floor& each) { return each.source == floor.source; });
  if (same != floors_.end()) {
    same->sent = std::max(same->sent, floor.sent);
    return;
  }
  if (floors_.size() >= kMaxFloors) {
    // One that refuses only what is outdated by itself, else the lowest becomes that of all.
    const auto lowest =
        std::min_element(floors_.begin(), floors_.end(),
                         [](const Floor& a, const Floor& b) { return a.sent < b.sent; });
    if (lowest->sent >= clock.wall + lifetime_ * -1) floor_ = std::max(floor_, lowest->sent);
    floors_.erase(lowest);
  }
  floors_.push_back(floor);
}

}  // namespace ringway::overlay
