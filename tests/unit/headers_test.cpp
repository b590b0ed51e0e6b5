// The views of net/{ip4,ip6,tcp,udp,icmp}.hpp on good, truncated and lying input.
#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "base/net/icmp.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/tcp.hpp"
#include "base/net/udp.hpp"

namespace ringway::net {
namespace {

using Packet = std::vector<std::uint8_t>;

// The header that Wikipedia, many textbooks and `tcpdump -X` users know: 192.168.0.1 to
// 192.168.0.199, UDP, checksum b861.
Packet textbook_ip4() {
  Packet packet = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                   0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
  packet.resize(0x73);
  return packet;
}

Packet ip6_packet(std::uint8_t next_header, Packet payload) {
  Packet packet(Ip6View::kHeaderBytes);
  packet[0] = 0x60;
  store_be(packet.data() + Ip6View::kPayloadLengthAt, static_cast<std::uint16_t>(payload.size()));
  packet[Ip6View::kNextHeaderAt] = next_header;
  packet[Ip6View::kHopLimitAt] = 64;
  for (std::size_t i = 8; i < packet.size(); ++i)
    packet[i] = static_cast<std::uint8_t>(i);
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

TEST(Ip4View, ReadsTheTextbookHeader) {
  const Packet packet = textbook_ip4();
  const auto ip = Ip4View::parse(packet);
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->header_bytes(), 20U);
  EXPECT_EQ(ip->total_bytes(), 0x73);
  EXPECT_TRUE(ip->dont_fragment());
  EXPECT_FALSE(ip->more_fragments());
  EXPECT_FALSE(ip->is_fragment());
  EXPECT_EQ(ip->ttl(), 64);
  EXPECT_EQ(ip->protocol(), kProtocolUdp);
  EXPECT_EQ(ip->source_address().to_string(), "192.168.0.1");
  EXPECT_EQ(ip->destination_address().to_string(), "192.168.0.199");
  EXPECT_EQ(ip->payload().size(), 0x73U - 20);
  EXPECT_TRUE(ip->checksum_valid());
}

TEST(Ip4View, SeesFragments) {
  Packet packet = textbook_ip4();
  store_be(packet.data() + Ip4View::kFragmentAt, std::uint16_t{0x2000});
  EXPECT_TRUE(Ip4View::parse(packet)->is_fragment());
  EXPECT_TRUE(Ip4View::parse(packet)->more_fragments());
  store_be(packet.data() + Ip4View::kFragmentAt, std::uint16_t{0x00b9});
  EXPECT_TRUE(Ip4View::parse(packet)->is_fragment());
  EXPECT_EQ(Ip4View::parse(packet)->fragment_offset_bytes(), 1480U);
}

TEST(Ip4View, EndsWhereThePacketEnds) {
  Packet packet = textbook_ip4();
  packet.resize(packet.size() + 13, 0xee);
  EXPECT_EQ(Ip4View::parse(packet)->packet().size(), 0x73U);
  EXPECT_EQ(Ip4View::parse(packet)->payload().size(), 0x73U - 20);
}

TEST(Ip4View, RefusesEveryTruncation) {
  const Packet packet = textbook_ip4();
  for (std::size_t length = 0; length < packet.size(); ++length) {
    const Packet cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_FALSE(Ip4View::parse(cut)) << length;
  }
}

TEST(Ip4View, RefusesLies) {
  Packet packet = textbook_ip4();
  packet[0] = 0x55;  // version 5
  EXPECT_FALSE(Ip4View::parse(packet));
  packet[0] = 0x44;  // a header of 16 bytes
  EXPECT_FALSE(Ip4View::parse(packet));
  packet[0] = 0x4f;  // 60 bytes: still within the packet
  EXPECT_TRUE(Ip4View::parse(packet));
  store_be(packet.data() + Ip4View::kTotalLengthAt, std::uint16_t{59});  // shorter than its header
  EXPECT_FALSE(Ip4View::parse(packet));
  packet[0] = 0x45;
  store_be(packet.data() + Ip4View::kTotalLengthAt, std::uint16_t{0x74});  // longer than the bytes
  EXPECT_FALSE(Ip4View::parse(packet));
}

TEST(Ip4MutableView, SettersKeepTheChecksumRight) {
  for (unsigned value = 0; value < 256; ++value) {
    Packet packet = textbook_ip4();
    auto ip = Ip4MutableView::parse(packet);
    ASSERT_TRUE(ip);
    ip->set_tos(static_cast<std::uint8_t>(value));
    ASSERT_TRUE(ip->checksum_valid());
    ip->set_ttl(static_cast<std::uint8_t>(255 - value));
    ASSERT_TRUE(ip->checksum_valid());
    ASSERT_EQ(ip->tos(), value);
    ASSERT_EQ(ip->ttl(), 255 - value);
    ASSERT_EQ(ip->ecn(), value & 3);
  }
}

TEST(Ip4MutableView, RecomputesTheChecksum) {
  Packet packet = textbook_ip4();
  packet[10] = packet[11] = 0x5a;
  auto ip = Ip4MutableView::parse(packet);
  ASSERT_TRUE(ip);
  EXPECT_FALSE(ip->checksum_valid());
  ip->recompute_checksum();
  EXPECT_EQ(load_be<std::uint16_t>(packet.data() + 10), 0xb861);
  ip->set_identification(0x1234);
  ip->set_total_bytes(40);
  EXPECT_FALSE(ip->checksum_valid());
  ip->recompute_checksum();
  EXPECT_TRUE(ip->checksum_valid());
  EXPECT_EQ(ip->mutable_payload().size(), 20U);
}

TEST(Ip6View, ReadsAndRefuses) {
  Packet packet = ip6_packet(kProtocolUdp, Packet(24));
  const auto ip = Ip6View::parse(packet);
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->total_bytes(), 64U);
  EXPECT_EQ(ip->next_header(), kProtocolUdp);
  EXPECT_EQ(ip->hop_limit(), 64);
  EXPECT_EQ(ip->source()[0], 8);
  EXPECT_EQ(ip->destination()[15], 39);
  EXPECT_EQ(ip->payload().size(), 24U);
  for (std::size_t length = 0; length < packet.size(); ++length) {
    const Packet cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_FALSE(Ip6View::parse(cut)) << length;
  }
  packet[0] = 0x70;
  EXPECT_FALSE(Ip6View::parse(packet));
}

TEST(Ip6View, SplitsTheFirstWord) {
  Packet packet = ip6_packet(kNextNone, {});
  store_be(packet.data(), std::uint32_t{0x6abcdef5});
  EXPECT_EQ(Ip6View::parse(packet)->traffic_class(), 0xab);
  EXPECT_EQ(Ip6View::parse(packet)->flow_label(), 0xcdef5U);
  auto writable = Ip6MutableView::parse(packet);
  writable->set_traffic_class(0x5e);
  EXPECT_EQ(writable->traffic_class(), 0x5e);
  EXPECT_EQ(writable->ecn(), 2);
  EXPECT_EQ(writable->flow_label(), 0xcdef5U);
  EXPECT_EQ(packet[0] >> 4, 6);
}

TEST(Ip6View, RefusesJumbogramsButNotEmptyPackets) {
  EXPECT_TRUE(Ip6View::parse(ip6_packet(kNextNone, {})));
  Packet jumbo = ip6_packet(kNextHopByHop, {kProtocolUdp, 0, 0xc2, 4, 0, 1, 0, 0});
  EXPECT_TRUE(Ip6View::parse(jumbo));  // with a payload length it is an ordinary option
  store_be(jumbo.data() + Ip6View::kPayloadLengthAt, std::uint16_t{0});
  EXPECT_FALSE(Ip6View::parse(jumbo));
}

TEST(Ip6UpperLayer, FindsItBehindExtensionHeaders) {
  const auto plain = ip6_upper_layer(ip6_packet(kProtocolTcp, Packet(20)));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->protocol, kProtocolTcp);
  EXPECT_EQ(plain->offset, 40);
  EXPECT_FALSE(plain->fragment || plain->rerouted);

  Packet chain = {kNextDestinationOptions,
                  1,
                  0,
                  0,
                  0,
                  0,
                  0,
                  0,  // hop-by-hop, 16 bytes
                  0,
                  0,
                  0,
                  0,
                  0,
                  0,
                  0,
                  0};
  chain.insert(chain.end(), {kNextAuthentication, 0, 0, 0, 0, 0, 0, 0});
  chain.insert(chain.end(), {kProtocolUdp, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});  // 12 bytes
  chain.resize(chain.size() + 8);
  const auto found = ip6_upper_layer(ip6_packet(kNextHopByHop, chain));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->protocol, kProtocolUdp);
  EXPECT_EQ(found->offset, 40 + 16 + 8 + 12);
}

TEST(Ip6UpperLayer, MarksFragmentsAndRoutingHeaders) {
  Packet later = {kProtocolUdp, 0, 0x05, 0xa8, 0, 0, 0, 1};
  const auto fragment = ip6_upper_layer(ip6_packet(kNextFragment, later));
  ASSERT_TRUE(fragment);
  EXPECT_TRUE(fragment->fragment);
  EXPECT_FALSE(fragment->first_fragment);

  Packet first = {kProtocolUdp, 0, 0, 1, 0, 0, 0, 1};
  const auto first_fragment = ip6_upper_layer(ip6_packet(kNextFragment, first));
  ASSERT_TRUE(first_fragment);
  EXPECT_TRUE(first_fragment->fragment);
  EXPECT_TRUE(first_fragment->first_fragment);

  Packet routing = {kProtocolTcp, 0, 4, 1, 0, 0, 0, 0};
  EXPECT_TRUE(ip6_upper_layer(ip6_packet(kNextRouting, routing))->rerouted);
  routing[3] = 0;
  EXPECT_FALSE(ip6_upper_layer(ip6_packet(kNextRouting, routing))->rerouted);
}

TEST(Ip6UpperLayer, RefusesCutAndEndlessChains) {
  EXPECT_FALSE(ip6_upper_layer(ip6_packet(kNextHopByHop, Packet(7))));
  EXPECT_FALSE(ip6_upper_layer(ip6_packet(kNextHopByHop, {kProtocolUdp, 1, 0, 0, 0, 0, 0, 0})));
  Packet chain;
  for (unsigned i = 0; i < kMaxExtensionHeaders; ++i)
    chain.insert(chain.end(), {kNextDestinationOptions, 0, 0, 0, 0, 0, 0, 0});
  Packet ends = chain;
  ends[ends.size() - 8] = kProtocolUdp;
  EXPECT_TRUE(ip6_upper_layer(ip6_packet(kNextDestinationOptions, ends)));
  chain.insert(chain.end(), {kProtocolUdp, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_FALSE(ip6_upper_layer(ip6_packet(kNextDestinationOptions, chain)));
}

Packet tcp_segment(Packet options, std::size_t payload_bytes) {
  Packet segment(TcpView::kMinHeaderBytes);
  store_be(segment.data(), std::uint16_t{443});
  store_be(segment.data() + 2, std::uint16_t{50'000});
  store_be(segment.data() + TcpView::kSequenceAt, std::uint32_t{0xfedcba98});
  store_be(segment.data() + TcpView::kAcknowledgmentAt, std::uint32_t{0x01234567});
  segment[TcpView::kDataOffsetAt] = static_cast<std::uint8_t>((5 + options.size() / 4) << 4);
  segment[TcpView::kFlagsAt] = kTcpSyn | kTcpAck;
  store_be(segment.data() + TcpView::kWindowAt, std::uint16_t{65'000});
  segment.insert(segment.end(), options.begin(), options.end());
  segment.resize(segment.size() + payload_bytes, 0x77);
  store_le(segment.data() + TcpView::kChecksumAt, checksum_finish(checksum_sum(segment)));
  return segment;
}

TEST(TcpView, ReadsAndRefuses) {
  Packet segment = tcp_segment({1, 1, 1, 0}, 9);
  const auto tcp = TcpView::parse(segment);
  ASSERT_TRUE(tcp);
  EXPECT_EQ(tcp->source_port(), 443);
  EXPECT_EQ(tcp->destination_port(), 50'000);
  EXPECT_EQ(tcp->sequence(), 0xfedcba98U);
  EXPECT_EQ(tcp->acknowledgment(), 0x01234567U);
  EXPECT_EQ(tcp->header_bytes(), 24U);
  EXPECT_EQ(tcp->window(), 65'000);
  EXPECT_TRUE(tcp->has(kTcpSyn));
  EXPECT_FALSE(tcp->has(kTcpFin));
  EXPECT_EQ(tcp->options().size(), 4U);
  EXPECT_EQ(tcp->payload().size(), 9U);
  EXPECT_TRUE(tcp->checksum_valid(0));
  EXPECT_FALSE(tcp->checksum_valid(1));
  for (std::size_t length = 0; length < 24; ++length) {
    EXPECT_FALSE(TcpView::parse(ConstBytes(segment).first(length))) << length;
  }
  segment[TcpView::kDataOffsetAt] = 0x40;
  EXPECT_FALSE(TcpView::parse(segment));
}

TEST(TcpView, FindsTheMssAndSetsItAtAnyOffset) {
  for (const Packet& options : {Packet{2, 4, 0x05, 0xb4}, Packet{1, 2, 4, 0x05, 0xb4, 0, 0, 0},
                                Packet{1, 1, 4, 2, 2, 4, 0x05, 0xb4}}) {
    Packet segment = tcp_segment(options, 5);
    auto tcp = TcpMutableView::parse(segment);
    ASSERT_TRUE(tcp);
    const auto at = tcp->mss_value_offset();
    ASSERT_TRUE(at);
    EXPECT_EQ(load_be<std::uint16_t>(segment.data() + *at), 1460);
    tcp->set_mss(*at, 1380);
    EXPECT_EQ(load_be<std::uint16_t>(segment.data() + *at), 1380);
    EXPECT_TRUE(tcp->checksum_valid(0));
  }
}

TEST(TcpView, IgnoresAnMssBehindLies) {
  for (const Packet& options :
       {Packet{0, 2, 4, 5}, Packet{8, 0, 2, 4, 5, 180, 0, 0}, Packet{8, 1, 2, 4, 5, 180, 0, 0},
        Packet{8, 200, 2, 4, 5, 180, 0, 0}, Packet{1, 1, 1, 2}, Packet{1, 2, 4, 5},
        Packet{2, 3, 5, 1}, Packet{1, 1, 1, 1}}) {
    const Packet segment = tcp_segment(options, 40);
    EXPECT_FALSE(TcpView::parse(segment)->mss_value_offset());
  }
}

TEST(UdpView, ReadsWhatEmitWroteAndRefusesLies) {
  Packet datagram(8 + 5 + 3, 0x42);
  emit_udp(datagram.data(), 51'820, 53, 13);
  const auto udp = UdpView::parse(datagram);
  ASSERT_TRUE(udp);
  EXPECT_EQ(udp->source_port(), 51'820);
  EXPECT_EQ(udp->destination_port(), 53);
  EXPECT_EQ(udp->total_bytes(), 13);
  EXPECT_EQ(udp->payload().size(), 5U);
  EXPECT_FALSE(udp->has_checksum());
  store_le(datagram.data() + UdpView::kChecksumAt,
           checksum_finish(checksum_sum(ConstBytes(datagram).first(13), 99)));
  EXPECT_TRUE(udp->has_checksum());
  EXPECT_TRUE(udp->checksum_valid(99));
  EXPECT_FALSE(udp->checksum_valid(98));

  for (std::size_t length = 0; length < 13; ++length) {
    EXPECT_FALSE(UdpView::parse(ConstBytes(datagram).first(length))) << length;
  }
  for (const unsigned length : {0U, 7U, 17U, 65'535U}) {
    store_be(datagram.data() + UdpView::kLengthAt, static_cast<std::uint16_t>(length));
    EXPECT_FALSE(UdpView::parse(datagram)) << length;
  }
}

TEST(IcmpView, ReadsBothKinds) {
  Packet message = {kIcmpEchoRequest, 0, 0, 0, 0x12, 0x34, 0x00, 0x07, 1, 2, 3};
  store_le(message.data() + IcmpView::kChecksumAt, checksum_finish(checksum_sum(message)));
  const auto icmp = IcmpView::parse(message);
  ASSERT_TRUE(icmp);
  EXPECT_EQ(icmp->type(), kIcmpEchoRequest);
  EXPECT_EQ(icmp->code(), 0);
  EXPECT_EQ(icmp->identifier(), 0x1234);
  EXPECT_EQ(icmp->sequence(), 7);
  EXPECT_EQ(icmp->body().size(), 3U);
  EXPECT_TRUE(icmp->checksum_valid(0));
  EXPECT_FALSE(IcmpView::parse(ConstBytes(message).first(7)));

  const Packet too_big = {kIcmpv6PacketTooBig, 0, 0, 0, 0, 0, 0x05, 0x00};
  EXPECT_EQ(IcmpView::parse(too_big)->packet_too_big_mtu(), 1280U);
  const Packet needed = {kIcmpUnreachable, kIcmpCodeFragmentationNeeded, 0, 0, 9, 9, 0x05, 0xdc};
  EXPECT_EQ(IcmpView::parse(needed)->fragmentation_needed_mtu(), 1500);
}

}  // namespace
}  // namespace ringway::net
