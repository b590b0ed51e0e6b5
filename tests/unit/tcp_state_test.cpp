#include "dataplane/nat/tcp_state.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace ringway::nat {
namespace {

using net::kTcpAck;
using net::kTcpFin;
using net::kTcpRst;
using net::kTcpSyn;

struct Segment {
  Way way;
  std::uint8_t flags;
};
constexpr Way kOut = Way::kOut;
constexpr Way kIn = Way::kIn;

TcpState after(const std::vector<Segment>& segments, TcpState state = TcpState::kIdle) {
  for (const Segment& segment : segments)
    state = next_tcp_state(state, segment.flags, segment.way);
  return state;
}

TEST(TcpState, OpensByEitherSideAndByBothAtOnce) {
  const auto both = static_cast<std::uint8_t>(kTcpSyn | kTcpAck);
  EXPECT_EQ(after({{kOut, kTcpSyn}}), TcpState::kSynOut);
  EXPECT_EQ(after({{kOut, kTcpSyn}, {kOut, kTcpSyn}}), TcpState::kSynOut);
  EXPECT_EQ(after({{kOut, kTcpSyn}, {kIn, both}}), TcpState::kEstablished);
  EXPECT_EQ(after({{kIn, kTcpSyn}}), TcpState::kSynIn);
  EXPECT_EQ(after({{kIn, kTcpSyn}, {kIn, kTcpAck}}), TcpState::kSynIn);
  EXPECT_EQ(after({{kIn, kTcpSyn}, {kOut, both}}), TcpState::kEstablished);
  EXPECT_EQ(after({{kOut, kTcpSyn}, {kIn, kTcpSyn}}), TcpState::kEstablished);
}

TEST(TcpState, TakesUpAConnectionOlderThanTheMapping) {
  EXPECT_EQ(after({{kOut, kTcpAck}}), TcpState::kSynOut);
  EXPECT_EQ(after({{kOut, kTcpAck}, {kIn, kTcpAck}}), TcpState::kEstablished);
}

TEST(TcpState, ClosesWhenBothSidesHave) {
  EXPECT_EQ(after({{kOut, kTcpFin}}, TcpState::kEstablished), TcpState::kFinOut);
  EXPECT_EQ(after({{kOut, kTcpFin}, {kOut, kTcpFin}, {kIn, kTcpAck}}, TcpState::kEstablished),
            TcpState::kFinOut);
  EXPECT_EQ(after({{kOut, kTcpFin}, {kIn, kTcpFin}}, TcpState::kEstablished), TcpState::kClosing);
  EXPECT_EQ(after({{kIn, kTcpFin}, {kOut, kTcpFin}}, TcpState::kEstablished), TcpState::kClosing);
  EXPECT_EQ(after({{kOut, kTcpFin}, {kIn, kTcpFin}, {kOut, kTcpAck}}, TcpState::kEstablished),
            TcpState::kClosing);
}

TEST(TcpState, AResetIsOnlyBelievedInSilence) {
  EXPECT_EQ(after({{kIn, kTcpRst}}, TcpState::kEstablished), TcpState::kReset);
  EXPECT_EQ(after({{kIn, kTcpRst}, {kOut, kTcpAck}}, TcpState::kEstablished),
            TcpState::kEstablished);
  EXPECT_FALSE(has_long_timer(TcpState::kReset));
}

TEST(TcpState, ASynAfterTheEndBeginsAnew) {
  for (const TcpState over : {TcpState::kClosing, TcpState::kReset}) {
    EXPECT_EQ(after({{kOut, kTcpSyn}}, over), TcpState::kSynOut);
    EXPECT_EQ(after({{kIn, kTcpSyn}}, over), TcpState::kSynIn);
  }
  EXPECT_EQ(after({{kOut, kTcpSyn}}, TcpState::kEstablished), TcpState::kEstablished);
}

TEST(TcpState, PlainProgressChangesNothing) {
  for (int state = 0; state <= static_cast<int>(TcpState::kReset); ++state) {
    for (int flags = 0; flags < 256; ++flags) {
      const auto from = static_cast<TcpState>(state);
      const auto byte = static_cast<std::uint8_t>(flags);
      if (!is_plain_progress(from, byte)) continue;
      EXPECT_EQ(next_tcp_state(from, byte, kOut), from);
      EXPECT_EQ(next_tcp_state(from, byte, kIn), from);
    }
  }
}

}  // namespace
}  // namespace ringway::nat
