// How the members of a private overlay find each other without a node that all of them know: in
// the DHT of a public overlay, under a name that only members can compute, stands a sealed value of
// each member: who it is and where it may be reached. What strangers see is that somebody meets.
//
//   every TTL/2, and when the epoch or our addresses change    publish our value
//   every 10 s, every 300 s once connected                     fetch the others', call them
//
// The driver passes on what it wants of the public DHT and brings what was found. Source: private
// overlays in GroupVPN; SECURITY rule 12 (the name is an HMAC of the group's secret and an epoch).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "overlay/core.hpp"
#include "overlay/meeting/meeting_parameters.hpp"

namespace ringway::overlay {

using MeetingName = std::array<std::uint8_t, 32>;

// What follows from the group's secret, brought by who drives the overlay.
class MeetingSecret {
 public:
  virtual ~MeetingSecret() = default;
  [[nodiscard]] virtual MeetingName name(std::uint64_t epoch) = 0;
  // Encrypted and authenticated, for that epoch only.
  [[nodiscard]] virtual std::vector<std::uint8_t> seal(std::uint64_t epoch, ConstBytes plain) = 0;
  [[nodiscard]] virtual std::optional<std::vector<std::uint8_t>> open(std::uint64_t epoch,
                                                                      ConstBytes sealed) = 0;
};

// The public DHT. A name holds one value of each node that published under it.
class MeetingPlace {
 public:
  virtual ~MeetingPlace() = default;
  virtual void publish(const MeetingName& name, ConstBytes value, Duration ttl) = 0;
  virtual void withdraw(const MeetingName& name) = 0;  // our own value
  // Answered by Meeting::on_fetched(), or never.
  virtual void fetch(const MeetingName& name) = 0;
};

class Meeting {
 public:
  Meeting(const MeetingParameters& parameters, const NodeId& self, MeetingSecret& secret,
          MeetingPlace& place)
      : parameters_(parameters), self_(self), secret_(secret), place_(place) {}

  void start(Clock clock, const Candidates& candidates);
  void leave();  // takes our value back
  void set_candidates(const Candidates& candidates);
  // connected: whether the private overlay has its ring.
  void tick(Clock clock, bool connected);
  [[nodiscard]] Instant next_deadline() const { return std::min(publish_due_, search_due_); }
  // Members that those values name, this node excluded. What does not open is no member's.
  [[nodiscard]] std::vector<Contact> on_fetched(
      const MeetingName& name, const std::vector<std::vector<std::uint8_t>>& values);

  [[nodiscard]] std::uint32_t refused() const { return refused_; }

 private:
  [[nodiscard]] std::uint64_t epoch_at(WallTime wall) const;
  void publish(Clock clock);
  void search(Clock clock);

  const MeetingParameters& parameters_;
  NodeId self_;
  MeetingSecret& secret_;
  MeetingPlace& place_;
  Candidates candidates_;
  std::optional<std::uint64_t> published_epoch_;
  std::vector<std::uint64_t> asked_epochs_;  // of the last search
  Instant publish_due_ = Instant::never();
  Instant search_due_ = Instant::never();
  std::uint32_t refused_ = 0;
};

// A member, before it is sealed: version(1) = 1, node ID(20), candidates, zeros up to
// kMemberBytes, so that its length tells nothing.
inline constexpr std::size_t kMemberBytes = 1 + NodeId::kBytes + 1 + kMaxCandidates * 19;
[[nodiscard]] std::array<std::uint8_t, kMemberBytes> encode_member(const Contact& member);
[[nodiscard]] std::optional<Contact> parse_member(ConstBytes plain);

}  // namespace ringway::overlay
