// A gateway's worker, from the Ethernet frame to the subscriber and back, under everything that
// hostile_frames.hpp makes: nothing crashes, every frame is accounted for, every buffer comes home,
// nobody gets what is not his, and afterwards the gateway serves as before.

#include "tests/unit/hostile_frames.hpp"

#include <algorithm>
#include <initializer_list>
#include <vector>

#include <gtest/gtest.h>

#include "base/net/icmp.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "dataplane/host_access.hpp"
#include "tests/unit/hostile_frames.hpp"
#include "tests/unit/nat_packets.hpp"
#include "tests/unit/whole_gateway.hpp"

namespace ringway {
namespace {

using hostile::Origin;
using nat::testing_support::address;
using nat::testing_support::build;
using nat::testing_support::PacketSpec;
using Packet = std::vector<std::uint8_t>;

constexpr std::uint64_t kSeed = 20'260'101;
constexpr std::uint16_t kSubscriberPort = 5000;

net::IpAddress source_of(ConstBytes packet) {
  return packet[0] >> 4 == 4 ? net::IpAddress::v4(&packet[net::Ip4View::kSourceAt])
                             : net::IpAddress::v6(&packet[net::Ip6View::kSourceAt]);
}
net::IpAddress destination_of(ConstBytes packet) {
  return packet[0] >> 4 == 4 ? net::IpAddress::v4(&packet[net::Ip4View::kDestinationAt])
                             : net::IpAddress::v6(&packet[net::Ip6View::kDestinationAt]);
}
bool any_of(const net::IpAddress& one, std::initializer_list<net::IpAddress> of) {
  return std::ranges::find(of, one) != of.end();
}

class HostileFrames : public testing::Test {
 protected:
  // From the subscriber to the server; where it comes from outside, once it is through.
  std::uint16_t open_flow(bool v6, std::uint8_t protocol, std::uint16_t port = kSubscriberPort) {
    PacketSpec spec;
    spec.protocol = protocol;
    spec.source = v6 ? at_.subscriber6 : at_.subscriber4;
    spec.destination = v6 ? at_.server6 : at_.server4;
    spec.source_port = port;
    spec.destination_port = kServerPort;
    spec.tcp_flags = net::kTcpSyn;
    EXPECT_TRUE(gateway_.offer_inner(build(spec)));
    gateway_.turn();
    const auto received = gateway_.received();
    EXPECT_EQ(received.by_internet.size(), 1U);
    if (received.by_internet.empty()) return 0;
    const Packet& packet = received.by_internet[0];
    const std::size_t transport = v6 ? 40 : 20;
    const bool icmp = protocol == net::kProtocolIcmp || protocol == net::kProtocolIcmpv6;
    return load_be<std::uint16_t>(&packet[transport + (icmp ? net::IcmpView::kIdentifierAt : 0)]);
  }

  // The subscriber has flows of every kind; strangers know their ports outside.
  hostile::Ends from_outside() {
    const auto listening = [this](bool v6) {
      return hostile::Listeners{open_flow(v6, net::kProtocolUdp), open_flow(v6, net::kProtocolTcp),
                                open_flow(v6, v6 ? net::kProtocolIcmpv6 : net::kProtocolIcmp)};
    };
    return {at_.server4,
            at_.server6,
            at_.external4,
            at_.external6,
            kServerPort,
            listening(false),
            listening(true),
            WholeGateway::kTunnelPort,
            {at_.subscriber4, at_.subscriber6, at_.inner4, at_.inner6, at_.tunnel4, at_.tunnel6}};
  }
  [[nodiscard]] hostile::Ends from_inside() const {
    const hostile::Listeners server{kServerPort, kServerPort, 7};
    return {at_.subscriber4,
            at_.subscriber6,
            at_.server4,
            at_.server6,
            kSubscriberPort,
            server,
            server,
            WholeGateway::kTunnelPort,
            {at_.external4, at_.external6, at_.inner4, at_.inner6, at_.tunnel4, at_.tunnel6}};
  }

  // What the gateway said by itself, to where it got packets from: nothing came in for it.
  [[nodiscard]] bool is_error_of_ours(const Packet& packet) const {
    if (!any_of(source_of(packet), {at_.inner4, at_.inner6, at_.external4, at_.external6}))
      return false;
    if (packet[0] >> 4 == 4) {
      return packet[net::Ip4View::kProtocolAt] == net::kProtocolIcmp &&
             (packet[20] == net::kIcmpUnreachable || packet[20] == net::kIcmpTimeExceeded);
    }
    return packet[net::Ip6View::kNextHeaderAt] == net::kProtocolIcmpv6 && packet[40] < 128;
  }
  void note(const WholeGateway::Received& received, const std::vector<Packet>& sent_back) {
    forwarded_ += received.count();
    errors_ += static_cast<std::uint64_t>(std::ranges::count_if(
        sent_back, [this](const Packet& packet) { return is_error_of_ours(packet); }));
  }

  // Every packet that came in went out or was dropped, once; when all that waits has run out.
  template <typename Check>
  void expect_account(std::uint64_t offered, Check&& check) {
    for (int second = 0; second < 90; ++second) {
      gateway_.turn(Duration::seconds(1));
      check(Origin{"end", "second", static_cast<std::uint64_t>(second)}, gateway_.received());
    }
    EXPECT_EQ(offered + errors_, forwarded_ + gateway_.all_drops() + gateway_.to_control());
    gateway_.expect_all_home();
    EXPECT_EQ(gateway_.allocations(), 0U) << "the packet path allocates nothing";
  }
  void expect_service() {
    for (const bool v6 : {false, true}) {
      PacketSpec answer;
      answer.source = v6 ? at_.server6 : at_.server4;
      answer.destination = v6 ? at_.external6 : at_.external4;
      answer.source_port = kServerPort;
      answer.destination_port = open_flow(v6, net::kProtocolUdp, kSubscriberPort + 77);
      ASSERT_TRUE(gateway_.offer_packet(build(answer)));
      gateway_.turn();
      const auto received = gateway_.received();
      ASSERT_EQ(received.by_subscriber.size(), 1U);
      EXPECT_TRUE(nat::testing_support::checksums_right(received.by_subscriber[0]));
    }
    gateway_.expect_all_home();
  }

  // From outside: subscribers get what is theirs, and by their inner addresses; the host nothing.
  void check_from_outside(const Origin& origin, const WholeGateway::Received& received) {
    note(received, received.by_internet);
    EXPECT_TRUE(received.by_host.empty()) << origin.text();
    for (const Packet& packet : received.by_subscriber) {
      EXPECT_TRUE(any_of(destination_of(packet), {at_.subscriber4, at_.subscriber6}))
          << origin.text();
      EXPECT_FALSE(any_of(source_of(packet),
                          {at_.subscriber4, at_.subscriber6, at_.external4, at_.external6}))
          << origin.text();
    }
    for (const Packet& packet : received.by_internet)
      EXPECT_TRUE(is_error_of_ours(packet)) << origin.text();
  }

  // From a subscriber: the Internet sees the external addresses alone, nobody behind or beside the
  // gateway is reached, and the host only as host_access.hpp says.
  void check_from_inside(const Origin& origin, const WholeGateway::Received& received) {
    note(received, received.by_subscriber);
    for (const Packet& packet : received.by_host) {
      EXPECT_TRUE(may_reach_host(packet)) << origin.text();
      EXPECT_TRUE(any_of(source_of(packet), {at_.subscriber4, at_.subscriber6})) << origin.text();
    }
    for (const Packet& packet : received.by_subscriber) {
      EXPECT_TRUE(any_of(destination_of(packet), {at_.subscriber4, at_.subscriber6}))
          << origin.text();
    }
    for (const Packet& packet : received.by_internet) {
      EXPECT_TRUE(any_of(source_of(packet), {at_.external4, at_.external6})) << origin.text();
      const net::IpAddress to = destination_of(packet);
      EXPECT_TRUE(std::ranges::none_of(
          denied_, [&](const net::Prefix& prefix) { return prefix.contains(to); }))
          << origin.text() << " to " << to.to_string();
    }
  }

  WholeGateway gateway_;
  const GatewayAddresses& at_ = gateway_.at;
  std::vector<net::Prefix> denied_ = nat::default_denied();
  std::uint64_t forwarded_ = 0;
  std::uint64_t errors_ = 0;
};

TEST_F(HostileFrames, FromTheWireDoNoHarm) {
  const hostile::Ends ends = from_outside();
  ASSERT_EQ(gateway_.all_drops(), 0U);
  std::uint64_t offered = 0;
  const auto offer = [&](const Origin& origin, ConstBytes frame) {
    // The Internet's by its interface, and the same by the other one.
    io::MemoryPort& port = offered % 4 == 3 ? gateway_.lan : gateway_.wan;
    ASSERT_TRUE(gateway_.offer_frame(port, frame)) << origin.text();
    ++offered;
    gateway_.turn();
    check_from_outside(origin, gateway_.received());
  };
  hostile::make_frames(ends, kSeed, offer);
  EXPECT_GT(forwarded_, 1000U) << "the good ones among them were to pass";
  EXPECT_GT(hostile::read_frames(RINGWAY_HOSTILE_FRAMES, offer), 0U);
  expect_account(offered, [this](const auto&... arguments) { check_from_outside(arguments...); });
  expect_service();
}

TEST_F(HostileFrames, FromASubscriberDoNoHarm) {
  std::uint64_t offered = 0;
  const auto offer = [&](const Origin& origin, ConstBytes packet) {
    if (packet.empty()) return;  // a keepalive
    ASSERT_TRUE(gateway_.offer_inner(packet)) << origin.text();
    ++offered;
    gateway_.turn();
    check_from_inside(origin, gateway_.received());
  };
  hostile::make_packets(from_inside(), kSeed, offer);
  EXPECT_GT(forwarded_, 1000U) << "the good ones among them were to pass";
  expect_account(offered, [this](const auto&... arguments) { check_from_inside(arguments...); });
  expect_service();
}

}  // namespace
}  // namespace ringway
