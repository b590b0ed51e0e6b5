// The numbers of meetings.
#pragma once

#include "base/time.hpp"

namespace ringway::overlay {

struct MeetingParameters {
  // GroupVPN: members are published for an hour and looked for every 10 s until connected, then
  // every 300 s. Published anew at half of the time that they live.
  Duration ttl = Duration::seconds(3600);
  Duration search_interval = Duration::seconds(10);
  Duration check_interval = Duration::seconds(300);
  // The place of meeting changes with the epoch, so that nobody can watch it for long.
  Duration epoch = Duration::seconds(6 * 3600);
  // Near the border of two epochs both are looked at: clocks differ, as for signed messages.
  Duration clock_skew = Duration::seconds(120);
};

}  // namespace ringway::overlay
