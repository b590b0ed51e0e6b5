// A meeting's place in the DHT of a public overlay: a list under the meeting's name, in which every
// member of the public overlay may stand. The DHT renews what stands there.
#pragma once

#include <optional>
#include <vector>

#include "overlay/meeting/meeting.hpp"
#include "overlay/overlay.hpp"

namespace ringway::overlay {

class DhtMeetingPlace final : public MeetingPlace {
 public:
  explicit DhtMeetingPlace(Overlay& overlay) : overlay_(overlay) {}

  // Before each input to the meeting.
  void enter(Clock clock) { clock_ = clock; }
  void publish(const MeetingName& name, ConstBytes value, Duration ttl) override;
  void withdraw(const MeetingName& name) override;
  void fetch(const MeetingName& name) override;

  struct Fetched {
    MeetingName name;
    std::vector<std::vector<std::uint8_t>> values;
  };
  // What a fetch brought; none: the operation was another's.
  [[nodiscard]] std::optional<Fetched> on_done(const output::DhtDone& done);

 private:
  struct Fetch {
    std::uint64_t operation;
    MeetingName name;
  };

  Overlay& overlay_;
  Clock clock_;
  std::vector<Fetch> fetches_;  // two at a time, at the border of two epochs
};

}  // namespace ringway::overlay
