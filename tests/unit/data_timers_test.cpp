#include "dataplane/tunnel/data_timers.hpp"

#include <gtest/gtest.h>

#include "tests/unit/samples.hpp"

namespace ringway::tunnel {
namespace {

using testing_support::kStart;

TEST(DataTimers, CountsFromTheFirstUnansweredPacket) {
  DataTimers timers;
  timers.on_data_sent(kStart, {});
  timers.on_data_sent(kStart + Duration::seconds(14), {});
  EXPECT_FALSE(timers.take_due(kStart + Duration::milliseconds(14'999)).unanswered);
  EXPECT_TRUE(timers.take_due(kStart + Duration::seconds(15)).unanswered);
  EXPECT_FALSE(timers.take_due(kStart + Duration::seconds(16)).unanswered);  // once
}

TEST(DataTimers, AnyAuthenticatedPacketIsAnAnswer) {
  DataTimers timers;
  timers.on_data_sent(kStart, {});
  timers.on_packet_received(kStart + Duration::seconds(1));  // a keepalive
  EXPECT_EQ(timers.next_deadline(), Instant::never());
}

TEST(DataTimers, KeepaliveNeverArmsTheUnansweredTimer) {
  DataTimers timers;
  timers.on_packet_sent(kStart);
  EXPECT_EQ(timers.next_deadline(), Instant::never());
}

TEST(DataTimers, SendingAgainAtOnceChangesNothingUntilSomethingCame) {
  const Instant later = kStart + Duration::seconds(1);
  DataTimers timers;
  EXPECT_FALSE(timers.has_sent_data_at(kStart));
  timers.on_data_sent(kStart, {});
  EXPECT_TRUE(timers.has_sent_data_at(kStart));
  EXPECT_FALSE(timers.has_sent_data_at(later));
  timers.on_packet_received(kStart);
  EXPECT_FALSE(timers.has_sent_data_at(kStart)) << "the answer is there";
  timers.on_data_sent(later, {});
  timers.on_data_received(later);
  EXPECT_FALSE(timers.has_sent_data_at(later)) << "a keepalive is owed";
  timers.on_packet_sent(later);
  EXPECT_FALSE(timers.has_sent_data_at(later)) << "a keepalive awaits no answer";
}

TEST(DataTimers, AnswersDataWithAKeepaliveAfterTenSeconds) {
  DataTimers timers;
  timers.on_data_received(kStart);
  EXPECT_EQ(timers.next_deadline(), kStart + Duration::seconds(10));
  EXPECT_TRUE(timers.take_due(kStart + Duration::seconds(10)).send_keepalive);
  timers.on_packet_sent(kStart + Duration::seconds(10));
  EXPECT_EQ(timers.next_deadline(), Instant::never());
}

TEST(DataTimers, SendingAnythingMakesTheKeepaliveUnnecessary) {
  DataTimers timers;
  timers.on_data_received(kStart);
  timers.on_data_sent(kStart + Duration::seconds(3), {});
  timers.on_packet_received(kStart + Duration::seconds(4));
  EXPECT_EQ(timers.next_deadline(), Instant::never());
}

TEST(DataTimers, KeepaliveReceivedAsksForNoKeepaliveBack) {
  DataTimers timers;
  timers.on_packet_received(kStart);
  EXPECT_EQ(timers.next_deadline(), Instant::never());
}

TEST(DataTimers, PersistentKeepaliveFollowsTheLastTraffic) {
  DataTimers timers;
  timers.set_persistent_keepalive(Duration::seconds(25), kStart);
  timers.on_packet_received(kStart + Duration::seconds(20));
  EXPECT_FALSE(timers.take_due(kStart + Duration::seconds(44)).send_keepalive);
  EXPECT_TRUE(timers.take_due(kStart + Duration::seconds(45)).send_keepalive);
  EXPECT_EQ(timers.next_deadline(), kStart + Duration::seconds(70));
}

}  // namespace
}  // namespace ringway::tunnel
