#include "dataplane/io/udp_port.hpp"

#include <algorithm>

#include <sys/socket.h>

#include "base/rng.hpp"
#include "tests/unit/udp_port_fixture.hpp"

namespace ringway::io {
namespace {

TEST_F(UdpPortTest, CarriesIpv4OnTheDualStackSocket) {
  auto a = open();
  auto b = open();
  ASSERT_TRUE(a->dual_stack());
  ASSERT_NE(a->local_port(), 0);
  const Datagram sent = make_datagram(100, 1);
  EXPECT_EQ(send(*a, {fill(*a, sent, endpoint("127.0.0.1", b->local_port()))}), 0U);
  const auto received = receive(*b, 1);
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(slot_bytes(received[0]), sent);
  EXPECT_EQ(received[0].remote, endpoint("127.0.0.1", a->local_port()));
  EXPECT_EQ(received[0].local, net::IpAddress::parse("127.0.0.1").value());
  EXPECT_EQ(received[0].interface, 1U);
  EXPECT_EQ(received[0].train, TrainKind::kNone);
  EXPECT_FALSE(received[0].truncated);
  release_all(received);
  expect_all_home(*a);
  expect_all_home(*b);
}

TEST_F(UdpPortTest, CarriesIpv6) {
  auto a = open();
  auto b = open();
  const Datagram sent = make_datagram(1300, 2);
  EXPECT_EQ(send(*a, {fill(*a, sent, endpoint("::1", b->local_port()))}), 0U);
  const auto received = receive(*b, 1);
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(slot_bytes(received[0]), sent);
  EXPECT_EQ(received[0].remote, endpoint("::1", a->local_port()));
  EXPECT_EQ(received[0].local, net::IpAddress::parse("::1").value());
  release_all(received);
  expect_all_home(*b);
}

TEST_F(UdpPortTest, Ipv4OnlySocketCarriesIpv4AndDropsIpv6) {
  UdpOptions options;
  options.ipv6 = false;
  auto a = open(options);
  auto b = open(options);
  EXPECT_FALSE(a->dual_stack());
  EXPECT_EQ(send(*a, {fill(*a, make_datagram(10, 1), endpoint("::1", b->local_port())),
                      fill(*a, make_datagram(20, 2), endpoint("127.0.0.1", b->local_port()))}),
            1U);
  const auto received = receive(*b, 1);
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(slot_bytes(received[0]), make_datagram(20, 2));
  EXPECT_EQ(received[0].local, net::IpAddress::parse("127.0.0.1").value());
  EXPECT_EQ(a->counters().tx_dropped.value(), 1U);
  release_all(received);
  expect_all_home(*a);
}

TEST_F(UdpPortTest, TrainArrivesAsATrain) {
  auto a = open();
  auto b = open();
  for (const char* address : {"127.0.0.1", "::1"}) {
    const Datagram sent = make_datagram(45 * 1452 - 100, 3);
    EXPECT_EQ(send(*a, {fill_train(*a, sent, 1452, endpoint(address, b->local_port()))}), 0U);
    const auto received = receive(*b, 45);
    ASSERT_EQ(received.size(), 1U) << address;
    EXPECT_EQ(received[0].train, TrainKind::kDatagrams);
    EXPECT_EQ(received[0].segment_bytes, 1452);
    EXPECT_EQ(segment_count(received[0]), 45U);
    EXPECT_EQ(slot_bytes(received[0]), sent);
    release_all(received);
  }
  EXPECT_EQ(a->counters().tx_packets.value(), 90U);
  EXPECT_EQ(b->counters().rx_packets.value(), 90U);
  EXPECT_EQ(a->segmentation_refusals(), 0U);
  expect_all_home(*a);
  expect_all_home(*b);
}

TEST_F(UdpPortTest, WithoutReceiveOffloadATrainArrivesAsDatagrams) {
  auto a = open();
  UdpOptions options;
  options.receive_offload = false;
  auto b = open(options);
  EXPECT_FALSE(b->capabilities().datagram_trains_rx);
  const Datagram sent = make_datagram(10 * 1000 + 1, 3);
  EXPECT_EQ(send(*a, {fill_train(*a, sent, 1000, endpoint("127.0.0.1", b->local_port()))}), 0U);
  const auto received = receive(*b, 11);
  ASSERT_EQ(received.size(), 11U);
  EXPECT_EQ(received[0].length, 1000U);
  EXPECT_EQ(received[10].length, 1U);
  release_all(received);
  expect_all_home(*b);
}

TEST_F(UdpPortTest, WithoutSegmentationATrainLeavesAsDatagrams) {
  UdpOptions options;
  options.segmentation_offload = false;
  auto a = open(options);
  auto b = open();
  const Datagram sent = make_datagram(100 * 100 + 7, 3);
  EXPECT_EQ(send(*a, {fill_train(*a, sent, 100, endpoint("::1", b->local_port()))}), 0U);
  const auto received = receive(*b, 101);
  Datagram joined;
  for (const Datagram& datagram : datagrams_of(received))
    joined.insert(joined.end(), datagram.begin(), datagram.end());
  EXPECT_EQ(joined, sent);
  EXPECT_EQ(datagram_count(received), 101U);
  EXPECT_EQ(a->counters().tx_packets.value(), 101U);
  release_all(received);
  expect_all_home(*a);
}

TEST_F(UdpPortTest, EqualDatagramsInARowLeaveAsOneTrain) {
  auto a = open();
  auto b = open();
  std::vector<Slot> slots;
  std::vector<Datagram> sent;
  for (std::uint8_t i = 0; i < 10; ++i) {
    sent.push_back(make_datagram(i == 9 ? 40 : 100, i));
    slots.push_back(fill(*a, sent.back(), endpoint("127.0.0.1", b->local_port())));
  }
  EXPECT_EQ(send(*a, slots), 0U);
  const auto received = receive(*b, 10);
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(received[0].segment_bytes, 100);
  EXPECT_EQ(datagrams_of(received), sent);
  release_all(received);
  expect_all_home(*a);
}

TEST_F(UdpPortTest, TrafficClassSeparatesTrainsAndArrives) {
  auto a = open();
  auto b = open();
  for (const char* address : {"127.0.0.1", "::1"}) {
    std::vector<Slot> slots;
    for (std::uint8_t i = 0; i < 4; ++i) {
      slots.push_back(fill(*a, make_datagram(64, i), endpoint(address, b->local_port())));
      slots.back().traffic_class = i < 2 ? 0x88 : 0x03;
    }
    EXPECT_EQ(send(*a, slots), 0U);
    const auto received = receive(*b, 4);
    ASSERT_EQ(received.size(), 2U) << address;
    EXPECT_EQ(received[0].traffic_class, 0x88);
    EXPECT_EQ(received[1].traffic_class, 0x03);
    release_all(received);
  }
  expect_all_home(*b);
}

TEST_F(UdpPortTest, SourceAddressIsTheSlots) {
  auto a = open();
  auto b = open();
  Slot slot = fill(*a, make_datagram(64, 1), endpoint("127.0.0.1", b->local_port()));
  slot.local = net::IpAddress::parse("127.0.0.7").value();
  slot.interface = 1;
  EXPECT_EQ(send(*a, {slot}), 0U);
  const auto received = receive(*b, 1);
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(received[0].remote, endpoint("127.0.0.7", a->local_port()));
  release_all(received);
}

TEST_F(UdpPortTest, SourceAddressThatIsGoneIsLeftOut) {
  auto a = open();
  auto b = open();
  struct Case {
    const char* remote;
    const char* local;
  };
  for (const Case& test : {Case{"127.0.0.1", "192.0.2.9"}, Case{"::1", "2001:db8::9"}}) {
    for (int round = 0; round < 3; ++round) {
      Slot slot =
          fill_train(*a, make_datagram(300, 1), 100, endpoint(test.remote, b->local_port()));
      slot.local = net::IpAddress::parse(test.local).value();
      slot.interface = 1;
      EXPECT_EQ(send(*a, {slot}), 0U) << test.local;
      const auto received = receive(*b, 3);
      ASSERT_EQ(received.size(), 1U) << test.local;
      EXPECT_EQ(received[0].remote, endpoint(test.remote, a->local_port()));
      release_all(received);
    }
  }
  EXPECT_EQ(a->segmentation_refusals(), 0U);
}

TEST_F(UdpPortTest, TrainOfSegmentsPastTheDeviceMtuIsSentOneByOneAndFragmented) {
  ASSERT_TRUE(set_interface_mtu("lo", 1300));
  auto a = open();
  auto b = open();
  for (const char* address : {"127.0.0.1", "::1"}) {
    const std::uint64_t refusals = a->segmentation_refusals();
    for (int round = 0; round < 3; ++round) {
      const Datagram sent = make_datagram(20 * 1400, static_cast<std::uint8_t>(round));
      EXPECT_EQ(send(*a, {fill_train(*a, sent, 1400, endpoint(address, b->local_port()))}), 0U);
      const auto received = receive(*b, 20);
      Datagram joined;
      for (const Datagram& datagram : datagrams_of(received)) {
        EXPECT_EQ(datagram.size(), 1400U);
        joined.insert(joined.end(), datagram.begin(), datagram.end());
      }
      EXPECT_EQ(joined, sent) << address;
      release_all(received);
    }
    EXPECT_EQ(a->segmentation_refusals(), refusals + 1) << "refused once, then remembered";
    // Shorter segments still leave as one.
    EXPECT_EQ(send(*a, {fill_train(*a, make_datagram(5000, 1), 1000,
                                   endpoint(address, b->local_port()))}),
              0U);
    const auto received = receive(*b, 5);
    EXPECT_EQ(received.size(), 1U);
    release_all(received);
  }
  expect_all_home(*a);
  expect_all_home(*b);
}

TEST_F(UdpPortTest, RefusedSegmentationIsTriedAgainLater) {
  ASSERT_TRUE(set_interface_mtu("lo", 1300));
  auto a = open();
  auto b = open();
  const auto send_train = [&] {
    EXPECT_EQ(send(*a, {fill_train(*a, make_datagram(2800, 1), 1400,
                                   endpoint("127.0.0.1", b->local_port()))}),
              0U);
    const auto received = receive(*b, 2);
    EXPECT_EQ(datagram_count(received), 2U);
    const std::size_t slots = received.size();
    release_all(received);
    return slots;
  };
  EXPECT_EQ(send_train(), 2U);
  ASSERT_TRUE(set_interface_mtu("lo", 65536));
  int trains_until_whole = 0;
  while (send_train() == 2 && trains_until_whole < 2000)
    ++trains_until_whole;
  EXPECT_GT(trains_until_whole, 100);
  EXPECT_LT(trains_until_whole, 2000);
  EXPECT_EQ(a->segmentation_refusals(), 1U);
}

TEST_F(UdpPortTest, OverlongTrainIsCutAtTheSegmentLimit) {
  auto a = open();
  auto b = open();
  const Datagram sent = make_datagram(150 * 300 + 5, 9);
  EXPECT_EQ(send(*a, {fill_train(*a, sent, 300, endpoint("127.0.0.1", b->local_port()))}), 0U);
  const auto received = receive(*b, 151);
  EXPECT_EQ(received.size(), 3U);
  Datagram joined;
  for (const Slot& slot : received) {
    EXPECT_LE(segment_count(slot), 64U);
    joined.insert(joined.end(), slot.data, slot.data + slot.length);
  }
  EXPECT_EQ(joined, sent);
  release_all(received);
}

TEST_F(UdpPortTest, DatagramPastTheLimitIsDroppedAndTheRestSent) {
  auto a = open();
  auto b = open();
  const net::Endpoint to = endpoint("127.0.0.1", b->local_port());
  EXPECT_EQ(send(*a, {fill(*a, make_datagram(10, 1), to), fill(*a, make_datagram(65508, 2), to),
                      fill(*a, make_datagram(65507, 3), to), fill(*a, {}, to),
                      fill(*a, make_datagram(30, 4), to)}),
            1U);
  const auto received = receive(*b, 4);
  ASSERT_EQ(received.size(), 4U);
  EXPECT_EQ(received[0].length, 10U);
  EXPECT_EQ(slot_bytes(received[1]), make_datagram(65507, 3));
  EXPECT_EQ(received[2].length, 0U);
  EXPECT_EQ(received[3].length, 30U);
  EXPECT_EQ(a->counters().tx_dropped.value(), 1U);
  release_all(received);
  expect_all_home(*a);
}

TEST_F(UdpPortTest, InnerTrainIsNotItsBusiness) {
  auto a = open();
  Slot slot = fill_train(*a, make_datagram(3040, 1), 1000, endpoint("127.0.0.1", 9));
  slot.train = TrainKind::kTcp;
  slot.header_bytes = 40;
  EXPECT_EQ(send(*a, {slot}), 3U);
  EXPECT_EQ(a->counters().tx_dropped.value(), 3U);
  expect_all_home(*a);
}

TEST_F(UdpPortTest, NoRouteAndClosedPortStopNothing) {
  auto a = open();
  auto b = open();
  const std::uint16_t closed = [&] { return open()->local_port(); }();
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(send(*a, {fill(*a, make_datagram(50, 1), endpoint("127.0.0.1", closed)),
                        fill(*a, make_datagram(51, 1), endpoint("::1", closed)),
                        fill(*a, make_datagram(52, 1), endpoint("192.0.2.1", 9)),
                        fill(*a, make_datagram(53, 1), endpoint("2001:db8::1", 9)),
                        fill(*a, make_datagram(54, 1), endpoint("::1", b->local_port()))}),
              2U);
    const auto received = receive(*b, 1);
    ASSERT_EQ(received.size(), 1U);
    EXPECT_EQ(received[0].length, 54U);
    release_all(received);
    std::vector<Slot> none(4);
    EXPECT_EQ(a->rx_burst(none), 0U);
  }
  expect_all_home(*a);
}

TEST_F(UdpPortTest, FirewallRefusalDropsOnlyWhatItRefuses) {
  ASSERT_TRUE(
      run_command("nft add table inet t && nft add chain inet t o '{ type filter hook output "
                  "priority 0; }' && nft add rule inet t o udp dport 9 drop"));
  auto a = open();
  auto b = open();
  EXPECT_EQ(send(*a, {fill(*a, make_datagram(50, 1), endpoint("127.0.0.1", 9)),
                      fill_train(*a, make_datagram(500, 1), 100, endpoint("127.0.0.1", 9)),
                      fill(*a, make_datagram(54, 1), endpoint("127.0.0.1", b->local_port()))}),
            6U);
  const auto received = receive(*b, 1);
  EXPECT_EQ(datagram_count(received), 1U);
  EXPECT_EQ(a->segmentation_refusals(), 0U);
  release_all(received);
  expect_all_home(*a);
}

TEST_F(UdpPortTest, PortInUseIsAClearError) {
  auto a = open();
  UdpOptions options;
  options.port = a->local_port();
  const auto second = UdpPort::open(options);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().text().find(std::to_string(a->local_port())), std::string::npos);
  EXPECT_NE(second.error().text().find("another program"), std::string::npos);
}

TEST_F(UdpPortTest, MarkIsSetOnTheSocket) {
  UdpOptions options;
  options.mark = 0x5257;
  auto a = open(options);
  int mark = 0;
  socklen_t length = sizeof mark;
  ASSERT_EQ(::getsockopt(a->wake_fd(), SOL_SOCKET, SO_MARK, &mark, &length), 0);
  EXPECT_EQ(mark, 0x5257);
}

TEST_F(UdpPortTest, ExhaustedPoolHoldsBackAndRecovers) {
  UdpOptions options;
  options.pool_buffers = 8;
  auto a = open();
  auto b = open(options);
  std::vector<Slot> slots;
  for (std::uint8_t i = 0; i < 20; ++i) {
    slots.push_back(fill(*a, make_datagram(100U + i, i), endpoint("127.0.0.1", b->local_port())));
  }
  EXPECT_EQ(send(*a, slots), 0U);
  std::vector<Slot> burst(64);
  EXPECT_EQ(b->rx_burst(burst), 8U);
  std::vector<Slot> more(64);
  EXPECT_EQ(b->rx_burst(more), 0U);
  for (std::size_t i = 0; i < 8; ++i)
    BufferPool::release(burst[i]);
  const auto rest = receive(*b, 8);
  EXPECT_EQ(rest.size(), 8U);
  release_all(rest);
  const auto last = receive(*b, 4);
  EXPECT_EQ(last.size(), 4U);
  EXPECT_EQ(last.back().length, 119U);
  release_all(last);
  expect_all_home(*b);
}

// Random slots of every kind to two destinations: what arrives is what was sent, in order.
TEST_F(UdpPortTest, RandomBurstsArriveWholeAndInOrder) {
  SeededRng rng(20240607);
  auto a = open();
  std::unique_ptr<UdpPort> sinks[2] = {open(), open()};
  const char* addresses[2] = {"127.0.0.1", "::1"};
  for (int round = 0; round < 200; ++round) {
    std::vector<Slot> slots;
    std::vector<Datagram> sent[2];
    for (std::uint64_t n = 1 + rng.below(40); n > 0; --n) {
      const auto which = static_cast<std::size_t>(rng.below(8) == 0);
      const net::Endpoint to = endpoint(addresses[which], sinks[which]->local_port());
      const auto segment = static_cast<std::uint16_t>(100 + 100 * rng.below(3));
      const std::size_t bytes = rng.below(3) == 0 ? 1 + rng.below(5000) : segment;
      const Datagram content = make_datagram(bytes, static_cast<std::uint8_t>(n));
      slots.push_back(bytes > segment ? fill_train(*a, content, segment, to)
                                      : fill(*a, content, to));
      for (const Datagram& datagram : datagrams_of({slots.back()}))
        sent[which].push_back(datagram);
    }
    ASSERT_EQ(send(*a, slots), 0U);
    for (std::size_t which = 0; which < 2; ++which) {
      const auto received = receive(*sinks[which], sent[which].size());
      ASSERT_EQ(datagrams_of(received), sent[which]) << "round " << round;
      release_all(received);
    }
  }
  expect_all_home(*a);
  for (auto& sink : sinks)
    expect_all_home(*sink);
}

}  // namespace
}  // namespace ringway::io
