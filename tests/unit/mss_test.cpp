#include "dataplane/nat/mss.hpp"

#include <gtest/gtest.h>

#include "tests/unit/nat_packets.hpp"

namespace ringway::nat {
namespace {

using testing_support::address;
using testing_support::build;
using testing_support::checksums_right;
using testing_support::PacketBytes;
using testing_support::PacketSpec;

PacketSpec syn(const char* source, PacketBytes options) {
  PacketSpec spec;
  spec.protocol = net::kProtocolTcp;
  spec.source = spec.destination = address(source);
  spec.tcp_flags = net::kTcpSyn;
  spec.tcp_options = std::move(options);
  return spec;
}
std::uint16_t mss_in(const PacketBytes& packet) {
  const auto tcp = net::TcpView::parse(ConstBytes(packet).subspan(parse_flow(packet).transport_at));
  return load_be<std::uint16_t>(packet.data() + parse_flow(packet).transport_at +
                                tcp->mss_value_offset().value());
}

TEST(ClampMss, LowersWhatIsAboveTheMtuInBothFamilies) {
  for (const PacketBytes& options :
       {PacketBytes{2, 4, 0x05, 0xb4}, PacketBytes{1, 2, 4, 0x05, 0xb4, 1, 1, 0}}) {
    PacketBytes packet = build(syn("192.0.2.1", options));
    EXPECT_TRUE(clamp_mss(packet, parse_flow(packet), 1420));
    EXPECT_EQ(mss_in(packet), 1380);
    EXPECT_TRUE(checksums_right(packet));
    packet = build(syn("2001:db8::1", options));
    EXPECT_TRUE(clamp_mss(packet, parse_flow(packet), 1420));
    EXPECT_EQ(mss_in(packet), 1360);
    EXPECT_TRUE(checksums_right(packet));
  }
}

TEST(ClampMss, ActsOnTheAnswerToASynToo) {
  PacketSpec spec = syn("192.0.2.1", {2, 4, 0x05, 0xb4});
  spec.tcp_flags = net::kTcpSyn | net::kTcpAck;
  PacketBytes packet = build(spec);
  EXPECT_TRUE(clamp_mss(packet, parse_flow(packet), 1420));
  EXPECT_EQ(mss_in(packet), 1380);
}

TEST(ClampMss, LeavesWhatFits) {
  const PacketBytes before = build(syn("192.0.2.1", {2, 4, 0x05, 0x64}));  // 1380
  PacketBytes packet = before;
  EXPECT_FALSE(clamp_mss(packet, parse_flow(packet), 1420));
  EXPECT_EQ(packet, before);
}

TEST(ClampMss, LeavesSegmentsThatAreNoSyn) {
  PacketSpec spec = syn("192.0.2.1", {2, 4, 0x05, 0xb4});
  spec.tcp_flags = net::kTcpAck;
  const PacketBytes before = build(spec);
  PacketBytes packet = before;
  EXPECT_FALSE(clamp_mss(packet, parse_flow(packet), 1420));
  EXPECT_EQ(packet, before);
}

TEST(ClampMss, LeavesSynsWithoutTheOptionOrWithLyingOnes) {
  for (const PacketBytes& options :
       {PacketBytes{}, PacketBytes{8, 0, 2, 4, 5, 180, 0, 0}, PacketBytes{1, 1, 1, 2}}) {
    const PacketBytes before = build(syn("192.0.2.1", options));
    PacketBytes packet = before;
    EXPECT_FALSE(clamp_mss(packet, parse_flow(packet), 1420));
    EXPECT_EQ(packet, before);
  }
}

}  // namespace
}  // namespace ringway::nat
