#include "dataplane/forwarding/ethernet_link.hpp"

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/net/checksum.hpp"
#include "base/net/ethernet.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/udp.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/forwarding/egress_shares.hpp"
#include "dataplane/forwarding/encapsulate.hpp"
#include "dataplane/io/memory_port.hpp"
#include "tests/unit/samples.hpp"

namespace ringway::forwarding {
namespace {

using testing_support::address;
using testing_support::kStart;
using Frame = std::vector<std::uint8_t>;

constexpr std::uint16_t kTunnelPort = 51820;
constexpr net::MacAddress kOurMac{{2, 0, 0, 0, 0, 1}};
constexpr net::MacAddress kRouterMac{{2, 0, 0, 0, 0, 2}};
constexpr net::MacAddress kOtherMac{{2, 0, 0, 0, 0, 3}};

net::Endpoint endpoint(const char* text) {
  return *net::Endpoint::parse(text);
}

io::MemoryPortConfig port_config(const char* name) {
  io::MemoryPortConfig config;
  config.name = name;
  config.buffer_count = 512;
  config.queue_slots = 256;
  return config;
}

// A UDP datagram in a frame, as a router would hand it to us.
Frame udp_frame(const char* from, const char* to, const std::string& payload,
                net::VlanTag vlan = {}) {
  const net::Endpoint source = endpoint(from);
  const std::uint32_t headers = encapsulation_bytes(source.address.family);
  Frame frame(net::EthernetView::kHeaderBytes + net::EthernetView::kTagBytes);
  const auto type = source.address.is_v4() ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6;
  frame.resize(
      net::emit_ethernet(frame.data(), kOurMac.bytes.data(), kRouterMac.bytes.data(), vlan, type));
  const std::size_t at = frame.size() + headers;
  frame.resize(at + payload.size());
  std::memcpy(frame.data() + at, payload.data(), payload.size());
  encapsulate({source.address, source.port, endpoint(to), 0x2e}, Bytes(frame).subspan(at));
  return frame;
}

class EthernetLinkTest : public testing::Test {
 protected:
  EthernetLinkTest()
      : link_(std::array<io::Port*, 2>{&lan_, &wan_}, kernel_,
              {{address("192.0.2.1"), address("2001:db8::1")}, kTunnelPort}) {
    link_.run(kStart);
  }
  ~EthernetLinkTest() override {
    for (io::MemoryPort* port : {&lan_, &wan_, &kernel_})
      (void)taken(*port);
  }

  // 198.51.100.0/24 and 2001:db8:1::/48 by `lan`, everything else by `wan`.
  static ForwardingContent routes(NextHopState lan_state = NextHopState::kResolved,
                                  std::uint16_t mtu = 1500) {
    ForwardingContent content;
    NextHop lan{lan_state, 0, mtu, kOurMac, kRouterMac, {}};
    NextHop wan{NextHopState::kResolved, 1, mtu, kOurMac, kOtherMac, {}};
    const NextHopId to_lan = content.add_next_hop(lan, {7, address("198.51.100.1")});
    const NextHopId to_wan = content.add_next_hop(wan, {8, address("203.0.113.1")});
    content.add_route(*net::Prefix::parse("198.51.100.0/24"), to_lan);
    content.add_route(*net::Prefix::parse("2001:db8:1::/48"), to_lan);
    content.add_route(*net::Prefix::parse("0.0.0.0/0"), to_wan);
    content.add_route(*net::Prefix::parse("::/0"), to_wan);
    return content;
  }
  void set_routes(NextHopState lan_state = NextHopState::kResolved, std::uint16_t mtu = 1500) {
    (void)link_.swap_table(std::make_unique<const ForwardingTable>(routes(lan_state, mtu)), kStart);
  }

  static Slot slot_with(io::Port& port, const std::string& bytes) {
    Slot slot;
    EXPECT_EQ(port.alloc_burst({&slot, 1}), 1U);
    std::memcpy(slot.data, bytes.data(), bytes.size());
    slot.length = static_cast<std::uint32_t>(bytes.size());
    slot.tailroom -= slot.length;
    return slot;
  }

  void send_datagram(const char* to, const std::string& payload) {
    Slot slot = slot_with(link_.datagrams(), payload);
    slot.remote = endpoint(to);
    EXPECT_EQ(link_.datagrams().tx_burst({&slot, 1}), 0U);
  }
  void send_packet(const Frame& packet) {
    Slot slot = slot_with(link_.packets(), std::string(packet.begin(), packet.end()));
    EXPECT_EQ(link_.packets().tx_burst({&slot, 1}), 0U);
  }

  static std::vector<Frame> taken(io::MemoryPort& port) {
    std::vector<Frame> frames;
    Slot slot;
    while (port.take_sent({&slot, 1}) == 1) {
      frames.emplace_back(slot.data, slot.data + slot.length);
      BufferPool::release(slot);
    }
    return frames;
  }
  // What the worker would get from one side.
  static std::vector<Slot> received(io::Port& port) {
    std::vector<Slot> slots(64);
    slots.resize(port.rx_burst(slots));
    return slots;
  }
  static std::string text(const Slot& slot) {
    return {reinterpret_cast<const char*>(slot.data), slot.length};
  }
  void expect_all_home() {
    for (io::MemoryPort* port : {&lan_, &wan_, &kernel_}) {
      EXPECT_EQ(port->pool().held(), 0U);
      EXPECT_EQ(port->pool().allocated(), port->pool().freed());
    }
  }

  io::MemoryPort lan_{port_config("lan")};
  io::MemoryPort wan_{port_config("wan")};
  io::MemoryPort kernel_{port_config("kernel")};
  EthernetLink link_;
};

TEST_F(EthernetLinkTest, DatagramsToTheTunnelsPortGoToTheTunnelSide) {
  ASSERT_TRUE(lan_.inject_copy(udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "sealed")));
  ASSERT_TRUE(wan_.inject_copy(udp_frame("[2001:db8:9::9]:4000", "[2001:db8::1]:51820", "six")));
  const std::vector<Slot> slots = received(link_.datagrams());
  ASSERT_EQ(slots.size(), 2U);
  EXPECT_EQ(text(slots[0]), "sealed");
  EXPECT_EQ(slots[0].remote, endpoint("198.51.100.9:4000"));
  EXPECT_EQ(slots[0].local, address("192.0.2.1"));
  EXPECT_EQ(slots[0].traffic_class, 0x2e);
  EXPECT_EQ(text(slots[1]), "six");
  EXPECT_EQ(slots[1].remote, endpoint("[2001:db8:9::9]:4000"));
  EXPECT_EQ(slots[1].local, address("2001:db8::1"));
  EXPECT_TRUE(received(link_.packets()).empty());
  for (const Slot& slot : slots)
    BufferPool::release(slot);
  expect_all_home();
}

TEST_F(EthernetLinkTest, APortThatIsAlwaysFullLeavesTheOtherItsTurn) {
  for (int turn = 0; turn < 2; ++turn) {
    ASSERT_TRUE(lan_.inject_copy(udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "flood")));
  }
  ASSERT_TRUE(wan_.inject_copy(udp_frame("[2001:db8:9::9]:4000", "[2001:db8::1]:51820", "six")));
  std::vector<std::string> order;
  for (Slot slot; link_.datagrams().rx_burst({&slot, 1}) == 1; BufferPool::release(slot))
    order.push_back(text(slot));
  EXPECT_EQ(order, (std::vector<std::string>{"flood", "six", "flood"}));
  expect_all_home();
}

TEST_F(EthernetLinkTest, EverythingElseGoesToTheInternetSide) {
  const Frame other_port = udp_frame("198.51.100.9:4000", "192.0.2.1:20001", "answer");
  const Frame other_address = udp_frame("198.51.100.9:4000", "192.0.2.77:51820", "answer");
  const Frame tagged =
      udp_frame("198.51.100.9:4000", "192.0.2.1:20001", "answer", {net::kEtherTypeVlan, 5});
  Frame fragment = udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "first");
  fragment[net::EthernetView::kHeaderBytes + net::Ip4View::kFragmentAt] = 0x20;
  for (const Frame& frame : {other_port, other_address, tagged, fragment})
    ASSERT_TRUE(wan_.inject_copy(frame));
  EXPECT_TRUE(received(link_.datagrams()).empty());
  const std::vector<Slot> slots = received(link_.packets());
  ASSERT_EQ(slots.size(), 4U);
  EXPECT_EQ(slots[0].length, other_port.size() - net::EthernetView::kHeaderBytes);
  EXPECT_EQ(slots[2].length, slots[0].length) << "the tag is gone";
  for (const Slot& slot : slots) {
    EXPECT_EQ(slot.data[0], 0x45);
    BufferPool::release(slot);
  }
  expect_all_home();
}

TEST_F(EthernetLinkTest, PaddingOfShortFramesIsCutOff) {
  Frame frame = udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "x");
  frame.resize(60, 0xee);
  ASSERT_TRUE(lan_.inject_copy(frame));
  const std::vector<Slot> slots = received(link_.datagrams());
  ASSERT_EQ(slots.size(), 1U);
  EXPECT_EQ(text(slots[0]), "x");
  BufferPool::release(slots[0]);
  expect_all_home();
}

TEST_F(EthernetLinkTest, FramesWithoutAWholePacketAreCounted) {
  const Frame whole = udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "sealed");
  for (std::size_t bytes = 1; bytes < whole.size(); ++bytes) {
    ASSERT_TRUE(lan_.inject_copy(ConstBytes(whole).first(bytes)));
    EXPECT_TRUE(received(link_.datagrams()).empty()) << bytes;
    EXPECT_TRUE(received(link_.packets()).empty()) << bytes;
  }
  EXPECT_EQ(link_.drops().value(DropReason::kFrameMalformed), whole.size() - 1);
  expect_all_home();
}

// As AF_XDP hands it over where the sender left the checksum to its device: the field holds the
// pseudo-header's sum.
class PartialChecksumTest : public EthernetLinkTest {
 protected:
  static constexpr std::size_t kUdpAt =
      net::EthernetView::kHeaderBytes + net::Ip4View::kMinHeaderBytes;

  void inject_partial(Frame frame, std::uint16_t checksum_start = kUdpAt) {
    const auto ip = net::Ip4View::parse(ConstBytes(frame).subspan(net::EthernetView::kHeaderBytes));
    ASSERT_TRUE(ip);
    store_le(frame.data() + kUdpAt + net::UdpView::kChecksumAt,
             net::checksum_fold(ip->pseudo_header_sum()));
    Slot slot = slot_with(wan_, std::string(frame.begin(), frame.end()));
    slot.checksum = ChecksumState::kPartial;
    slot.checksum_start = checksum_start;
    slot.checksum_offset = net::UdpView::kChecksumAt;
    ASSERT_TRUE(wan_.inject(slot));
  }
};

TEST_F(PartialChecksumTest, IsCompletedInPackets) {
  const Frame whole = udp_frame("198.51.100.9:4000", "192.0.2.1:20001", "an answer");
  Frame padded = whole;
  padded.resize(whole.size() + 5, 0xee);
  for (const Frame& frame : {whole, padded}) {
    inject_partial(frame);
    EXPECT_TRUE(received(link_.datagrams()).empty());
    const std::vector<Slot> slots = received(link_.packets());
    ASSERT_EQ(slots.size(), 1U);
    EXPECT_NE(slots[0].checksum, ChecksumState::kPartial);
    EXPECT_EQ(text(slots[0]),
              std::string(whole.begin() + net::EthernetView::kHeaderBytes, whole.end()));
    BufferPool::release(slots[0]);
  }
  expect_all_home();
}

TEST_F(PartialChecksumTest, OfATunnelDatagramIsNobodysBusiness) {
  inject_partial(udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "sealed"));
  const std::vector<Slot> slots = received(link_.datagrams());
  ASSERT_EQ(slots.size(), 1U);
  EXPECT_EQ(text(slots[0]), "sealed");
  EXPECT_EQ(slots[0].checksum, ChecksumState::kUnknown);
  BufferPool::release(slots[0]);
  expect_all_home();
}

TEST_F(PartialChecksumTest, OutsideItsPacketIsRefused) {
  const Frame frame = udp_frame("198.51.100.9:4000", "192.0.2.1:20001", "x");
  const std::uint16_t places[] = {0, 13, static_cast<std::uint16_t>(frame.size() - 1)};
  for (const std::uint16_t place : places)
    inject_partial(frame, place);
  EXPECT_TRUE(received(link_.datagrams()).empty());
  EXPECT_TRUE(received(link_.packets()).empty());
  EXPECT_EQ(link_.drops().value(DropReason::kFrameMalformed), std::size(places));
  expect_all_home();
}

TEST_F(EthernetLinkTest, DatagramLeavesWithAllHeadersByItsRoute) {
  set_routes();
  send_datagram("198.51.100.9:4000", "sealed");
  const auto frames = taken(lan_);
  ASSERT_EQ(frames.size(), 1U);
  const auto ethernet = net::EthernetView::parse(frames[0]);
  ASSERT_TRUE(ethernet);
  EXPECT_EQ(net::MacAddress::from(ethernet->destination()), kRouterMac);
  EXPECT_EQ(net::MacAddress::from(ethernet->source()), kOurMac);
  const auto ip = net::Ip4View::parse(ethernet->payload());
  ASSERT_TRUE(ip);
  EXPECT_TRUE(ip->checksum_valid());
  EXPECT_EQ(ip->source_address(), address("192.0.2.1"));
  EXPECT_EQ(ip->destination_address(), address("198.51.100.9"));
  const auto udp = net::UdpView::parse(ip->payload());
  ASSERT_TRUE(udp);
  EXPECT_TRUE(udp->checksum_valid(ip->pseudo_header_sum()));
  EXPECT_EQ(udp->source_port(), kTunnelPort);
  EXPECT_EQ(udp->destination_port(), 4000);
  EXPECT_EQ(std::string(udp->payload().begin(), udp->payload().end()), "sealed");
  expect_all_home();
}

TEST_F(EthernetLinkTest, IdentificationsFollowTheFirstOne) {
  EthernetLink link(std::array<io::Port*, 2>{&lan_, &wan_}, kernel_,
                    {{address("192.0.2.1")}, kTunnelPort, 0xffff});
  (void)link.swap_table(std::make_unique<const ForwardingTable>(routes()), kStart);
  for (const int expected : {0xffff, 0}) {
    Slot slot = slot_with(link.datagrams(), "sealed");
    slot.remote = endpoint("198.51.100.9:4000");
    EXPECT_EQ(link.datagrams().tx_burst({&slot, 1}), 0U);
    const auto frames = taken(lan_);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(load_be<std::uint16_t>(frames[0].data() + net::EthernetView::kHeaderBytes +
                                     net::Ip4View::kIdentificationAt),
              expected);
  }
}

TEST_F(EthernetLinkTest, DatagramLeavesOverIpv6Alike) {
  set_routes();
  send_datagram("[2001:db8:1::9]:4000", "sealed");
  const auto frames = taken(lan_);
  ASSERT_EQ(frames.size(), 1U);
  const auto ip =
      net::Ip6View::parse(ConstBytes(frames[0]).subspan(net::EthernetView::kHeaderBytes));
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->source_address(), address("2001:db8::1"));
  const auto udp = net::UdpView::parse(ip->payload());
  ASSERT_TRUE(udp);
  EXPECT_TRUE(udp->has_checksum());
  EXPECT_TRUE(udp->checksum_valid(net::pseudo_header_sum_v6(
      ip->source(), ip->destination(), net::kProtocolUdp, ip->payload_bytes())));
  expect_all_home();
}

TEST_F(EthernetLinkTest, PacketLeavesAsItIsByItsRoute) {
  set_routes();
  const Frame frame = udp_frame("192.0.2.1:20001", "203.0.113.80:53", "query");
  const Frame packet(frame.begin() + net::EthernetView::kHeaderBytes, frame.end());
  send_packet(packet);
  const auto frames = taken(wan_);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(Frame(frames[0].begin() + net::EthernetView::kHeaderBytes, frames[0].end()), packet);
  EXPECT_EQ(net::MacAddress::from(frames[0].data()), kOtherMac);
  EXPECT_TRUE(taken(lan_).empty());
  expect_all_home();
}

TEST_F(EthernetLinkTest, WhatTheEthernetPortsCannotCarryGoesByTheSocket) {
  send_datagram("198.51.100.9:4000", "no route at all");
  set_routes(NextHopState::kNotOurs);
  send_datagram("198.51.100.9:4000", "by another interface");
  set_routes(NextHopState::kResolved, 600);
  send_datagram("198.51.100.9:4000", std::string(600, 'x'));
  EXPECT_EQ(taken(kernel_).size(), 3U);
  EXPECT_TRUE(taken(lan_).empty());
  expect_all_home();
}

TEST_F(EthernetLinkTest, WhatTheSocketReceivedReachesTheTunnelSide) {
  ASSERT_TRUE(kernel_.inject_copy(Frame{1, 2, 3}, endpoint("198.51.100.9:4000")));
  const std::vector<Slot> slots = received(link_.datagrams());
  ASSERT_EQ(slots.size(), 1U);
  EXPECT_EQ(slots[0].remote, endpoint("198.51.100.9:4000"));
  BufferPool::release(slots[0]);
  expect_all_home();
}

// Fragments of datagrams come by the socket: a peer behind a narrow path has only that way.
TEST_F(EthernetLinkTest, SocketAndWireWaitForEachOtherForABoundedTime) {
  constexpr std::size_t kCalls = 8;
  const Frame from_wire = udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "wire");
  std::array<Slot, 16> burst;
  std::size_t from_socket = 0;
  for (std::size_t call = 0; call < kCalls; ++call) {
    for (std::size_t i = 0; i < burst.size(); ++i) {
      ASSERT_TRUE(lan_.inject_copy(from_wire));
      ASSERT_TRUE(kernel_.inject_copy(Frame{1, 2, 3}, endpoint("198.51.100.9:4000")));
    }
    ASSERT_EQ(link_.datagrams().rx_burst(burst), burst.size()) << "the flood fills every burst";
    for (const Slot& slot : burst) {
      if (slot.length == 3) ++from_socket;
      BufferPool::release(slot);
    }
  }
  EXPECT_EQ(from_socket, burst.size() / 4);
  while (const std::size_t count = link_.datagrams().rx_burst(burst)) {
    for (const Slot& slot : std::span(burst).first(count))
      BufferPool::release(slot);
  }
  expect_all_home();
}

TEST_F(EthernetLinkTest, PacketsWaitForTheirNeighbourAndAreAskedForOnce) {
  set_routes(NextHopState::kUnresolved);
  send_datagram("198.51.100.9:4000", "one");
  send_datagram("198.51.100.9:4000", "two");
  EXPECT_TRUE(taken(lan_).empty());
  std::array<Neighbour, 8> wanted;
  ASSERT_EQ(link_.take_wanted(wanted), 1U);
  EXPECT_EQ(wanted[0], (Neighbour{7, address("198.51.100.1")}));
  EXPECT_EQ(link_.take_wanted(wanted), 0U);
  EXPECT_EQ(link_.datagrams().counters().tx_packets.value(), 0U) << "held is not sent";
  set_routes();
  EXPECT_EQ(taken(lan_).size(), 2U);
  expect_all_home();
}

TEST_F(EthernetLinkTest, PacketsWhoseNeighbourNeverAnswersAreDropped) {
  set_routes(NextHopState::kUnresolved);
  send_datagram("198.51.100.9:4000", "one");
  EXPECT_LE(link_.next_deadline(), kStart + Duration::seconds(1));
  link_.run(kStart + Duration::milliseconds(1001));
  EXPECT_EQ(link_.drops().value(DropReason::kNeighbourPending), 1U);
  expect_all_home();
}

// Two subscribers, of whom one fills the queue first: only it is refused, and only there.
TEST_F(EthernetLinkTest, AFullQueueCostsWhoFilledIt) {
  set_routes();
  const Frame frame = udp_frame("192.0.2.1:20001", "203.0.113.80:53", std::string(1000, 'x'));
  const std::string packet(frame.begin() + net::EthernetView::kHeaderBytes, frame.end());
  const auto send = [&](PeerId subscriber, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Slot slot = slot_with(link_.packets(), packet);
      slot.subscriber = subscriber;
      EXPECT_EQ(link_.packets().tx_burst({&slot, 1}), 0U) << "for want of room";
    }
  };
  constexpr std::size_t kQueue = 256;
  constexpr std::size_t kTooMany = 300;
  send({1}, kTooMany);
  send({2}, 3);
  const auto refused = link_.drops().value(DropReason::kOverShare);
  EXPECT_EQ(refused, kTooMany - (kQueue - kQueue / EgressShares::kReservePart));
  EXPECT_EQ(link_.packets().counters().tx_packets.value(), kTooMany + 3 - refused);
  EXPECT_EQ(taken(wan_).size(), kTooMany + 3 - refused);
  send({1}, 5);
  EXPECT_EQ(taken(wan_).size(), 5U) << "at once when there is room again";
  expect_all_home();
}

TEST_F(EthernetLinkTest, PacketsWithoutAWayAreCounted) {
  const Frame frame = udp_frame("192.0.2.1:20001", "203.0.113.80:53", "query");
  const Frame packet(frame.begin() + net::EthernetView::kHeaderBytes, frame.end());
  send_packet(packet);
  EXPECT_EQ(link_.drops().value(DropReason::kUnreachable), 1U);
  set_routes(NextHopState::kResolved, 20);
  send_packet(packet);
  EXPECT_EQ(link_.drops().value(DropReason::kTooBig), 1U);
  EXPECT_EQ(link_.packets().counters().tx_packets.value(), 0U) << "dropped is not sent";
  set_routes();
  send_packet(packet);
  EXPECT_EQ(link_.packets().counters().tx_packets.value(), 1U);
  EXPECT_EQ(taken(wan_).size(), 1U);
  expect_all_home();
}

TEST_F(EthernetLinkTest, LargeBurstsBothWaysLoseNothing) {
  set_routes();
  const Frame tunnel = udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "sealed");
  const Frame answer = udp_frame("203.0.113.80:53", "192.0.2.1:20001", "answer");
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(wan_.inject_copy(i % 3 == 0 ? tunnel : answer));
  std::size_t datagrams = 0;
  std::size_t packets = 0;
  for (int turn = 0; turn < 20; ++turn) {
    for (const Slot& slot : received(link_.datagrams())) {
      ++datagrams;
      BufferPool::release(slot);
    }
    for (const Slot& slot : received(link_.packets())) {
      ++packets;
      BufferPool::release(slot);
    }
  }
  EXPECT_EQ(datagrams, 67U);
  EXPECT_EQ(packets, 133U);
  expect_all_home();
}

TEST_F(EthernetLinkTest, APortThatIsNeverEmptyDoesNotStarveTheOthers) {
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(lan_.inject_copy(udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "flood")));
  ASSERT_TRUE(wan_.inject_copy(udp_frame("203.0.113.9:4000", "192.0.2.1:51820", "polite")));
  int calls = 0;
  for (bool heard = false; !heard; ++calls) {
    const std::vector<Slot> slots = received(link_.datagrams());
    ASSERT_FALSE(slots.empty());
    for (const Slot& slot : slots) {
      heard = heard || text(slot) == "polite";
      BufferPool::release(slot);
    }
  }
  EXPECT_LE(calls, 2);
  while (lan_.waiting() != 0)
    for (const Slot& slot : received(link_.datagrams()))
      BufferPool::release(slot);
  expect_all_home();
}

TEST_F(EthernetLinkTest, FinishedFramesLeaveByThePortThatTheyName) {
  std::array frames = {slot_with(lan_, "first"), slot_with(lan_, "second"),
                       slot_with(lan_, "third")};
  frames[1].interface = 1;
  EXPECT_EQ(link_.send_frames(frames), 0U);
  const auto by_lan = taken(lan_);
  ASSERT_EQ(by_lan.size(), 2U);
  EXPECT_EQ(std::string(by_lan[1].begin(), by_lan[1].end()), "third");
  EXPECT_EQ(taken(wan_).size(), 1U);
  expect_all_home();
}

TEST_F(EthernetLinkTest, WhatWaitsInsideGoesHomeAtTheEnd) {
  {
    EthernetLink link(std::array<io::Port*, 1>{&lan_}, kernel_,
                      {{address("192.0.2.1")}, kTunnelPort});
    const Frame tunnel = udp_frame("198.51.100.9:4000", "192.0.2.1:51820", "sealed");
    const Frame answer = udp_frame("203.0.113.80:53", "192.0.2.1:20001", "answer");
    ASSERT_TRUE(lan_.inject_copy(answer));
    ASSERT_TRUE(lan_.inject_copy(tunnel));
    std::array<Slot, 2> slots;
    ASSERT_EQ(link.datagrams().rx_burst(slots), 1U);
    BufferPool::release(slots[0]);
  }
  expect_all_home();
}

}  // namespace
}  // namespace ringway::forwarding
