#include "dataplane/nat/nat.hpp"

#include <array>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/unit/nat_world.hpp"

namespace ringway::nat {
namespace {

using namespace testing_support;

constexpr std::string_view kAliceV4 = "10.66.0.2";
constexpr std::string_view kAliceV6 = "fd66::2";

TEST(Nat, TranslatesQueriesOfEachKindAndTheirAnswers) {
  for (const std::string_view inner : {kAliceV4, kAliceV6}) {
    for (const PacketSpec& spec :
         {udp_from(inner), tcp_from(inner, net::kTcpSyn), ping_from(inner)}) {
      NatWorld world;
      const Passed sent = world.out(kAlice, spec);
      ASSERT_EQ(sent.verdict, Verdict::kForward) << inner << int{spec.protocol};
      EXPECT_EQ(sent.source().address,
                address(inner == kAliceV4 ? "203.0.113.1" : "2001:db8:ffff::1"));
      EXPECT_GE(sent.source().port, 10000);
      EXPECT_LE(sent.source().port, 10999);
      EXPECT_EQ(sent.destination().address, spec.destination);
      EXPECT_TRUE(checksums_right(sent.bytes));
      PacketSpec answer;
      answer.tcp_flags = net::kTcpSyn | net::kTcpAck;
      const Passed back = world.answer(sent, answer);
      ASSERT_EQ(back.verdict, Verdict::kForward) << inner << int{spec.protocol};
      EXPECT_EQ(back.subscriber, kAlice);
      EXPECT_EQ(back.destination(), (net::Endpoint{spec.source, spec.source_port}));
      EXPECT_EQ(back.source().address, spec.destination);
      EXPECT_TRUE(checksums_right(back.bytes));
      EXPECT_EQ(world.nat().counters().mappings, 1U);
    }
  }
}

TEST(Nat, SecondPacketsTakeTheSameWay) {
  for (const std::string_view inner : {kAliceV4, kAliceV6}) {
    for (const PacketSpec& spec : {udp_from(inner), ping_from(inner)}) {
      NatWorld world;
      const Passed first = world.out(kAlice, spec);
      for (int i = 0; i < 3; ++i) {
        const Passed again = world.out(kAlice, spec);
        ASSERT_EQ(again.verdict, Verdict::kForward);
        EXPECT_EQ(again.source(), first.source());
        const Passed back = world.answer(again);
        ASSERT_EQ(back.verdict, Verdict::kForward);
        EXPECT_TRUE(checksums_right(back.bytes));
      }
      EXPECT_EQ(world.nat().counters().mappings_created, 1U);
    }
  }
}

}  // namespace
}  // namespace ringway::nat
