#include "overlay/meeting/meeting.hpp"

#include <algorithm>

#include "overlay/wire/byte_reader.hpp"
#include "overlay/wire/byte_writer.hpp"

namespace ringway::overlay {
namespace {

constexpr std::uint8_t kMemberVersion = 1;

}  // namespace

std::array<std::uint8_t, kMemberBytes> encode_member(const Contact& member) {
  wire::ByteWriter writer;
  writer.byte(kMemberVersion);
  writer.node_id(member.node);
  writer.candidates(member.candidates);
  std::array<std::uint8_t, kMemberBytes> plain{};
  std::copy(writer.view().begin(), writer.view().end(), plain.begin());
  return plain;
}

std::optional<Contact> parse_member(ConstBytes plain) {
  if (plain.size() != kMemberBytes) return std::nullopt;
  wire::ByteReader reader(plain);
  if (reader.number<std::uint8_t>() != kMemberVersion) return std::nullopt;
  Contact member;
  member.node = reader.node_id();
  member.candidates = reader.candidates();
  const ConstBytes padding = reader.rest();
  const bool zeros =
      std::all_of(padding.begin(), padding.end(), [](std::uint8_t byte) { return byte == 0; });
  if (!reader.complete() || !zeros || member.candidates.empty()) return std::nullopt;
  return member;
}

void Meeting::start(Clock clock, const Candidates& candidates) {
  candidates_ = candidates;
  publish_due_ = search_due_ = clock.now;
}

void Meeting::leave() {
  if (published_epoch_) place_.withdraw(secret_.name(*published_epoch_));
  published_epoch_.reset();
  publish_due_ = search_due_ = Instant::never();
}

void Meeting::set_candidates(const Candidates& candidates) {
  if (candidates_ == candidates) return;
  candidates_ = candidates;
  publish_due_ = Instant::distant_past();
}

std::uint64_t Meeting::epoch_at(WallTime wall) const {
  return static_cast<std::uint64_t>(wall.unix_ns() / parameters_.epoch.count_ns());
}

void Meeting::tick(Clock clock, bool connected) {
  if (publish_due_ == Instant::never()) return;  // not started
  if (clock.now >= publish_due_ || published_epoch_ != epoch_at(clock.wall)) publish(clock);
  if (clock.now >= search_due_) {
    search(clock);
    search_due_ =
        clock.now + (connected ? parameters_.check_interval : parameters_.search_interval);
  }
}

void Meeting::publish(Clock clock) {
  const std::uint64_t epoch = epoch_at(clock.wall);
  if (published_epoch_ && *published_epoch_ != epoch)
    place_.withdraw(secret_.name(*published_epoch_));
  published_epoch_ = epoch;
  place_.publish(secret_.name(epoch), secret_.seal(epoch, encode_member({self_, candidates_})),
                 parameters_.ttl);
  const std::int64_t into_epoch = clock.wall.unix_ns() % parameters_.epoch.count_ns();
  const Duration left = parameters_.epoch - Duration::nanoseconds(into_epoch);
  const Duration half = Duration::nanoseconds(parameters_.ttl.count_ns() / 2);
  publish_due_ = clock.now + std::min(half, left);
}

void Meeting::search(Clock clock) {
  asked_epochs_.clear();
  const Duration skew = parameters_.clock_skew;
  for (const WallTime when : {clock.wall, clock.wall + skew * -1, clock.wall + skew}) {
    const std::uint64_t epoch = epoch_at(when);
    if (std::find(asked_epochs_.begin(), asked_epochs_.end(), epoch) != asked_epochs_.end())
      continue;
    asked_epochs_.push_back(epoch);
    place_.fetch(secret_.name(epoch));
  }
}

std::vector<Contact> Meeting::on_fetched(const MeetingName& name,
                                         const std::vector<std::vector<std::uint8_t>>& values) {
  std::vector<Contact> members;
  const auto asked = std::find_if(asked_epochs_.begin(), asked_epochs_.end(),
                                  [&](std::uint64_t epoch) { return secret_.name(epoch) == name; });
  if (asked == asked_epochs_.end()) return members;
  for (const std::vector<std::uint8_t>& value : values) {
    const auto plain = secret_.open(*asked, value);
    const auto member = plain ? parse_member(*plain) : std::nullopt;
    if (!member) {
      ++refused_;
    } else if (member->node != self_) {
      members.push_back(*member);
    }
  }
  return members;
}

}  // namespace ringway::overlay
