// A private overlay whose members know nobody and meet in a public one's DHT.

#include "overlay/sim/private_overlay.hpp"

#include <gtest/gtest.h>

namespace ringway::overlay::sim {
namespace {

TEST(PrivateOverlays, FormOfMembersWhoMeetInAPublicOne) {
  Options options;
  options.seed = 21;
  options.lookup_interval = {};
  Simulation home(options);
  home.add_nodes(40, home.now(), Duration::seconds(5));
  home.run_for(Duration::seconds(60));
  Options unknown = options;
  unknown.well_known = 0;
  Simulation members(unknown);
  PrivateOverlay group(home, members);
  for (const NodeIndex node : {3U, 11U, 17U, 29U, 38U})
    group.add_member(node);
  const auto took = group.time_until_right(Duration::seconds(120));
  ASSERT_TRUE(took.has_value());
  EXPECT_LT(took->count_s(), 40);
  EXPECT_TRUE(home.ring_right());
}

}  // namespace
}  // namespace ringway::overlay::sim
