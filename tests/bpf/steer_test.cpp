// Every branch of the steering program but fragments: {description, frame, verdict, counter}.
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "bpf/shared.h"
#include "tests/bpf/steering_lab.hpp"

namespace ringway::bpf_test {
namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmp4 = 1;
constexpr std::uint8_t kIcmp6 = 58;
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint8_t kDestinationOptions = 60;

struct Case {
  std::string description;
  Frame frame;
  std::uint32_t verdict;
  std::string counter;
  // Of frames that are ours: bytes of the IP packet without which that cannot be known.
  std::size_t needed = 0;
};

Frame udp4(std::uint16_t port) {
  return ip4({}, ports(40000, port));
}
Frame tcp4(std::uint16_t port) {
  return ip4({.protocol = kTcp}, ports(40000, port));
}
Frame udp6(std::uint16_t port) {
  return ip6({}, ports(40000, port));
}
Frame tcp6(std::uint16_t port) {
  return ip6({.next = kTcp}, ports(40000, port));
}
Frame icmp4(const Frame& message) {
  return ip4({.protocol = kIcmp4}, message);
}
Frame icmp6(const Frame& message) {
  return ip6({.next = kIcmp6}, message);
}

const std::vector<Case>& plain_cases() {
  static const std::vector<Case> cases = {
      {"IPv4 UDP to the tunnel", ethernet(udp4(51820)), kRedirect, "tunnel", 24},
      {"IPv6 UDP to the tunnel", ethernet(udp6(51820)), kRedirect, "tunnel", 44},
      {"second tunnel port, IPv4", ethernet(ip4({.destination = "192.0.2.2"}, ports(1, 443))),
       kRedirect, "tunnel", 24},
      {"second tunnel port, IPv6", ethernet(ip6({.destination = "2001:db8::2"}, ports(1, 443))),
       kRedirect, "tunnel", 44},
      {"TCP to the tunnel's port", ethernet(tcp4(51820)), kPass, "other_service"},
      {"port 0 is no tunnel port", ethernet(udp4(0)), kPass, "other_service"},
      {"another address' tunnel port", ethernet(udp4(443)), kPass, "other_service"},
      {"IPv4 TCP, first port of the NAT", ethernet(tcp4(20000)), kRedirect, "nat_port", 24},
      {"IPv4 TCP, last port of the NAT", ethernet(tcp4(29999)), kRedirect, "nat_port", 24},
      {"IPv4 UDP, a port of the NAT", ethernet(udp4(25000)), kRedirect, "nat_port", 24},
      {"IPv6 TCP, a port of the NAT", ethernet(tcp6(25000)), kRedirect, "nat_port", 44},
      {"IPv6 UDP, a port of the NAT", ethernet(udp6(25000)), kRedirect, "nat_port", 44},
      {"one before the NAT's ports", ethernet(tcp4(19999)), kPass, "other_service"},
      {"one behind the NAT's ports", ethernet(tcp4(30000)), kPass, "other_service"},
      {"SSH, IPv4", ethernet(tcp4(22)), kPass, "other_service"},
      {"SSH, IPv6", ethernet(tcp6(22)), kPass, "other_service"},
      {"a NAT port, but an address without NAT",
       ethernet(ip4({.destination = "192.0.2.2"}, ports(1, 25000))), kPass, "other_service"},
      {"an address that is not ours", ethernet(ip4({.destination = "192.0.2.3"}, ports(1, 51820))),
       kPass, "foreign"},
      {"an IPv6 address that begins like our IPv4 one",
       ethernet(ip6({.destination = "c000:201::"}, ports(1, 51820))), kPass, "foreign"},
      {"SCTP", ethernet(ip4({.protocol = 132}, ports(1, 25000))), kPass, "other_service"},
      {"no next header", ethernet(ip6({.next = 59}, ports(1, 25000))), kPass, "other_service"},
      {"ICMP within IPv6", ethernet(ip6({.next = kIcmp4}, icmp(0, 25000))), kPass, "other_service"},
      {"ICMPv6 within IPv4", ethernet(ip4({.protocol = kIcmp6}, icmp(129, 25000))), kPass,
       "other_service"},
      {"ARP", ethernet_of_type(0x0806, Frame(28, 1)), kPass, "not_ip"},
      {"LLDP", ethernet_of_type(0x88cc, Frame(60, 1)), kPass, "not_ip"},
      {"802.3 length instead of a type", ethernet_of_type(46, Frame(46, 1)), kPass, "not_ip"},
  };
  return cases;
}

const std::vector<Case>& layer_cases() {
  static const std::vector<Case> cases = {
      {"one tag", ethernet(udp4(51820), {0x8100}), kRedirect, "tunnel", 24},
      {"one service tag", ethernet(tcp6(25000), {0x88a8}), kRedirect, "nat_port", 44},
      {"two tags", ethernet(udp4(51820), {0x88a8, 0x8100}), kRedirect, "tunnel", 24},
      {"three tags", ethernet(udp4(51820), {0x88a8, 0x8100, 0x8100}), kPass, "not_ip"},
      {"tagged ARP", ethernet_of_type(0x8100, {0, 5, 8, 6, 0, 1, 8, 0}), kPass, "not_ip"},
      {"IPv4 options, 4 bytes", ethernet(ip4({.option_bytes = 4}, ports(1, 51820))), kRedirect,
       "tunnel", 28},
      {"IPv4 options, 40 bytes",
       ethernet(ip4({.protocol = kTcp, .option_bytes = 40}, ports(1, 25000))), kRedirect,
       "nat_port", 64},
      {"hop-by-hop options",
       ethernet(ip6({.next = kHopByHop}, options_header(kUdp) + ports(1, 51820))), kRedirect,
       "tunnel", 52},
      {"destination options, long",
       ethernet(ip6({.next = kDestinationOptions}, options_header(kTcp, 20) + ports(1, 25000))),
       kRedirect, "nat_port", 212},
      {"authentication header",
       ethernet(ip6({.next = kAuthentication}, authentication_header(kUdp) + ports(1, 51820))),
       kRedirect, "tunnel", 68},
      {"routing header at its end",
       ethernet(ip6({.next = kRouting}, routing_header(kUdp, 0) + ports(1, 51820))), kRedirect,
       "tunnel", 52},
      {"routing header with a hop to go",
       ethernet(ip6({.next = kRouting}, routing_header(kUdp, 1) + ports(1, 51820))), kPass,
       "malformed"},
      {"atomic fragment (RFC 6946)",
       ethernet(ip6({.next = kFragment}, fragment_header(kUdp, 0) + ports(1, 51820))), kRedirect,
       "tunnel", 52},
      {"eight extension headers",
       ethernet(ip6({.next = kHopByHop},
                    options_header(kDestinationOptions) + options_header(kDestinationOptions) +
                        options_header(kDestinationOptions) + options_header(kDestinationOptions) +
                        options_header(kDestinationOptions) + options_header(kDestinationOptions) +
                        options_header(kDestinationOptions) + options_header(kUdp) +
                        ports(1, 51820))),
       kRedirect, "tunnel", 108},
      {"nine extension headers",
       ethernet(ip6({.next = kHopByHop},
                    options_header(kDestinationOptions) + options_header(kDestinationOptions) +
                        options_header(kDestinationOptions) + options_header(kDestinationOptions) +
                        options_header(kDestinationOptions) + options_header(kDestinationOptions) +
                        options_header(kDestinationOptions) + options_header(kDestinationOptions) +
                        options_header(kUdp) + ports(1, 51820))),
       kPass, "malformed"},
      {"headers past two kilobytes",
       ethernet(ip6({.next = kDestinationOptions}, options_header(kUdp, 255) + ports(1, 51820))),
       kPass, "malformed"},
  };
  return cases;
}

const std::vector<Case>& icmp_cases() {
  static const std::vector<Case> cases = {
      {"echo reply with an identifier of the NAT", ethernet(icmp4(icmp(0, 20000))), kRedirect,
       "nat_identifier", 28},
      {"timestamp reply", ethernet(icmp4(icmp(14, 29999))), kRedirect, "nat_identifier", 28},
      {"ICMPv6 echo reply", ethernet(icmp6(icmp(129, 25000))), kRedirect, "nat_identifier", 48},
      {"echo reply to the gateway itself", ethernet(icmp4(icmp(0, 19999))), kPass, "other_service"},
      {"ICMPv6 echo reply to the gateway itself", ethernet(icmp6(icmp(129, 30000))), kPass,
       "other_service"},
      {"echo request", ethernet(icmp4(icmp(8, 25000))), kPass, "other_service"},
      {"ICMPv6 echo request", ethernet(icmp6(icmp(128, 25000))), kPass, "other_service"},
      {"neighbour solicitation", ethernet(icmp6(icmp(135, 25000))), kPass, "other_service"},
      {"redirect", ethernet(icmp4(icmp(5, 0, ip4({.source = "192.0.2.1"}, ports(25000, 1))))),
       kPass, "other_service"},
      {"echo reply, but an address without NAT",
       ethernet(ip4({.destination = "192.0.2.2", .protocol = kIcmp4}, icmp(0, 25000))), kPass,
       "other_service"},
  };
  return cases;
}

// What an error quotes is a packet of ours on its way out: our address and port are its source's.
Frame error4(std::uint8_t type, const Ip4& header, const Frame& payload) {
  Ip4 quoted = header;
  quoted.destination = "198.51.100.77";
  if (quoted.source == Ip4{}.source) quoted.source = "192.0.2.1";
  return ethernet(icmp4(icmp(type, 0, ip4(quoted, payload))));
}
Frame error6(std::uint8_t type, const Ip6& header, const Frame& payload) {
  Ip6 quoted = header;
  quoted.destination = "2001:db8:77::77";
  if (quoted.source == Ip6{}.source) quoted.source = "2001:db8::1";
  return ethernet(icmp6(icmp(type, 0, ip6(quoted, payload))));
}

const std::vector<Case>& error_cases() {
  static const std::vector<Case> cases = {
      {"unreachable about TCP", error4(3, {.protocol = kTcp}, ports(25000, 80)), kRedirect,
       "icmp_error", 52},
      {"source quench about UDP", error4(4, {}, ports(25000, 53)), kRedirect, "icmp_error", 52},
      {"time exceeded about the tunnel", error4(11, {}, ports(51820, 51820)), kRedirect,
       "icmp_error", 52},
      {"parameter problem, quoted options", error4(12, {.option_bytes = 8}, ports(25000, 53)),
       kRedirect, "icmp_error", 60},
      {"unreachable about an echo request", error4(3, {.protocol = kIcmp4}, icmp(8, 25000)),
       kRedirect, "icmp_error", 56},
      {"unreachable about a later fragment", error4(3, {.fragment_word = 100}, Frame(8, 0)),
       kRedirect, "icmp_error", 48},
      {"ICMPv6 unreachable about TCP", error6(1, {.next = kTcp}, ports(25000, 80)), kRedirect,
       "icmp_error", 92},
      {"packet too big about the tunnel", error6(2, {}, ports(51820, 1)), kRedirect, "icmp_error",
       92},
      {"ICMPv6 time exceeded about an echo request", error6(3, {.next = kIcmp6}, icmp(128, 25000)),
       kRedirect, "icmp_error", 96},
      {"packet too big about a fragment, behind options",
       error6(2, {.next = kHopByHop},
              options_header(kFragment) + fragment_header(kUdp, 0x100) + Frame(8, 0)),
       kRedirect, "icmp_error", 104},
      {"about the gateway's own TCP", error4(3, {.protocol = kTcp}, ports(45000, 80)), kPass,
       "other_service"},
      {"about the gateway's own echo request", error4(3, {.protocol = kIcmp4}, icmp(8, 1)), kPass,
       "other_service"},
      {"about an echo reply", error4(3, {.protocol = kIcmp4}, icmp(0, 25000)), kPass,
       "other_service"},
      {"port of the NAT as the quoted destination", error4(3, {}, ports(45000, 25000)), kPass,
       "other_service"},
      {"about a packet that came from elsewhere",
       error4(3, {.source = "198.51.100.3"}, ports(25000, 53)), kPass, "other_service"},
      {"about SCTP", error4(3, {.protocol = 132}, ports(25000, 53)), kPass, "other_service"},
      {"ICMPv6 error 5", error6(5, {}, ports(25000, 53)), kPass, "other_service"},
      {"quoted packet of the other family",
       ethernet(icmp4(icmp(3, 0, ip6({.source = "2001:db8::1"}, ports(25000, 53))))), kPass,
       "malformed"},
  };
  return cases;
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const auto* cases : {&plain_cases(), &layer_cases(), &icmp_cases(), &error_cases()})
    all.insert(all.end(), cases->begin(), cases->end());
  return all;
}

// Where the IP header begins.
std::size_t ip_offset(const Frame& frame) {
  std::size_t at = 14;
  while ((frame[at - 2] == 0x81 && frame[at - 1] == 0x00) ||
         (frame[at - 2] == 0x88 && frame[at - 1] == 0xa8)) {
    at += 4;
  }
  return at;
}

// The outer IP header's length fields say that the packet is `bytes` long.
void set_ip_length(Frame& frame, std::size_t bytes) {
  const std::size_t at = ip_offset(frame);
  const bool v6 = frame[at] >> 4 == 6;
  const std::size_t value = v6 ? bytes - 40 : bytes;
  const std::size_t field = at + (v6 ? 4 : 2);
  frame[field] = static_cast<std::uint8_t>(value >> 8);
  frame[field + 1] = static_cast<std::uint8_t>(value);
}

class SteerTest : public SteeringLab {};

// The same where packets to others are taken too.
class SteerTransitTest : public SteeringLab {
 protected:
  [[nodiscard]] control::SteeringMode mode() const override {
    return control::SteeringMode::kTransit;
  }
};

// The host's own queries draw their identifiers from all numbers.
TEST_F(SteerTest, AnswersGivenBackTakeFurtherOnesAlong) {
  const Frame answer4 = ethernet(icmp4(icmp(0, 25000)));
  const Frame elsewhere =
      ethernet(ip4({.source = "198.51.100.3", .protocol = kIcmp4}, icmp(0, 25000)));
  EXPECT_EQ(run(answer4).counter, "nat_identifier");
  EXPECT_EQ(give_back(answer4), "given_back");
  EXPECT_EQ(run(answer4).verdict, kPass);
  EXPECT_EQ(run(elsewhere).counter, "nat_identifier");
  const Frame about6 = error6(3, {.next = kIcmp6}, icmp(128, 25001));
  EXPECT_EQ(run(about6).counter, "icmp_error");
  EXPECT_EQ(give_back(about6), "given_back");
  EXPECT_EQ(run(about6).verdict, kPass);
  EXPECT_EQ(give_back(error4(3, {}, ports(25000, 53))), "not_given_back")
      << "the NAT's by its port";
  std::this_thread::sleep_for(std::chrono::seconds(RW_STEER_QUERY_SECONDS));
  EXPECT_EQ(run(answer4).counter, "nat_identifier") << "for a while only";
}

TEST_F(SteerTest, JudgesEveryKindOfPacket) {
  for (const Case& one : all_cases()) {
    const Judgement got = run(one.frame);
    EXPECT_EQ(got.verdict, one.verdict) << one.description;
    EXPECT_EQ(got.counter, one.counter) << one.description;
  }
}

TEST_F(SteerTransitTest, TakesWhatIsToBeForwarded) {
  const Case cases[] = {
      {"IPv4 TCP", ethernet(ip4({.destination = "192.0.2.3", .protocol = kTcp}, ports(1, 80))),
       kRedirect, "transit"},
      {"IPv6 UDP", ethernet(ip6({.destination = "2001:db8::3"}, ports(1, 53))), kRedirect,
       "transit"},
      {"echo request", ethernet(ip4({.destination = "192.0.2.3", .protocol = kIcmp4}, icmp(8, 1))),
       kRedirect, "transit"},
      {"SCTP", ethernet(ip4({.destination = "192.0.2.3", .protocol = 132}, ports(1, 2))), kRedirect,
       "transit"},
      {"later fragment", ethernet(ip4({.destination = "192.0.2.3", .fragment_word = 100}, {})),
       kRedirect, "transit"},
      {"tagged", ethernet(ip4({.destination = "192.0.2.3"}, ports(1, 2)), {0x8100}), kRedirect,
       "transit"},
      {"behind link-local space", ethernet(ip6({.destination = "fec0::1"}, ports(1, 2))), kRedirect,
       "transit"},
      {"beside link-local space", ethernet(ip4({.destination = "169.253.0.1"}, ports(1, 2))),
       kRedirect, "transit"},
      {"IPv4 multicast", ethernet(ip4({.destination = "224.0.0.251"}, ports(1, 2))), kPass,
       "foreign"},
      {"IPv4 broadcast", ethernet(ip4({.destination = "255.255.255.255"}, ports(68, 67))), kPass,
       "foreign"},
      {"IPv4 link-local", ethernet(ip4({.destination = "169.254.1.1"}, ports(1, 2))), kPass,
       "foreign"},
      {"IPv4 loopback", ethernet(ip4({.destination = "127.0.0.1"}, ports(1, 2))), kPass, "foreign"},
      {"this network", ethernet(ip4({.destination = "0.0.0.0"}, ports(1, 2))), kPass, "foreign"},
      {"neighbour solicitation of a group",
       ethernet(ip6({.destination = "ff02::1:ff00:3", .next = kIcmp6}, icmp(135, 0))), kPass,
       "foreign"},
      {"neighbour solicitation, link-local",
       ethernet(ip6({.destination = "fe80::3", .next = kIcmp6}, icmp(135, 0))), kPass, "foreign"},
      {"the last of link-local space", ethernet(ip6({.destination = "febf::1"}, ports(1, 2))),
       kPass, "foreign"},
  };
  for (const Case& one : cases) {
    Judgement got = run(one.frame);
    EXPECT_EQ(got.verdict, one.verdict) << one.description;
    EXPECT_EQ(got.counter, one.counter) << one.description;
    Frame to_group = one.frame;
    to_group[0] |= 1;
    got = run(to_group);
    EXPECT_EQ(got.verdict, kPass) << one.description << ", to a group of stations";
    EXPECT_EQ(got.counter, "foreign") << one.description << ", to a group of stations";
  }
}

TEST_F(SteerTransitTest, JudgesPacketsToOurOwnAddressesAsEver) {
  for (const Case& one : all_cases()) {
    if (one.counter == "foreign") continue;
    const Judgement got = run(one.frame);
    EXPECT_EQ(got.verdict, one.verdict) << one.description;
    EXPECT_EQ(got.counter, one.counter) << one.description;
  }
}

TEST_F(SteerTest, LeavesFramesCutOffAtAnyByteToTheKernel) {
  for (const Case& one : all_cases()) {
    if (one.verdict != kRedirect) continue;
    for (std::size_t bytes = 14; bytes < one.frame.size(); ++bytes) {
      const Judgement got =
          run(Frame(one.frame.begin(), one.frame.begin() + static_cast<std::ptrdiff_t>(bytes)));
      ASSERT_EQ(got.verdict, kPass) << one.description << " cut to " << bytes;
      ASSERT_EQ(got.counter, "malformed") << one.description << " cut to " << bytes;
    }
  }
}

// The frame stays long, but its packet ends early: what follows is padding, and no header.
TEST_F(SteerTest, TakesNoPaddingForAHeader) {
  for (const Case& one : all_cases()) {
    if (one.verdict != kRedirect) continue;
    const std::size_t start = ip_offset(one.frame);
    const std::size_t shortest = one.frame[start] >> 4 == 6 ? 40 : 20;
    for (std::size_t bytes = shortest; bytes < one.frame.size() - start; ++bytes) {
      Frame frame = one.frame;
      set_ip_length(frame, bytes);
      const Judgement got = run(frame);
      const bool enough = bytes >= one.needed;
      ASSERT_EQ(got.verdict, enough ? kRedirect : kPass) << one.description << ", " << bytes;
      ASSERT_EQ(got.counter, enough ? one.counter : "malformed")
          << one.description << ", " << bytes;
    }
  }
}

TEST_F(SteerTest, LeavesContradictoryHeadersToTheKernel) {
  const Frame good = ethernet(udp4(51820));
  Frame frame = good;
  frame[14] = 0x44;  // header length below 20
  EXPECT_EQ(run(frame).counter, "malformed");
  frame = good;
  frame[14] = 0x65;  // version 6 under the type of IPv4
  EXPECT_EQ(run(frame).counter, "malformed");
  frame = good;
  frame[14] = 0x4f;  // header longer than the packet
  EXPECT_EQ(run(frame).counter, "malformed");
  frame = good;
  frame[16] = 0xff;  // packet longer than the frame
  EXPECT_EQ(run(frame).counter, "malformed");
  frame = good;
  frame[16] = 0;
  frame[17] = 19;  // packet shorter than its header
  EXPECT_EQ(run(frame).counter, "malformed");
  frame = ethernet(udp6(51820));
  frame[14] = 0x45;  // version 4 under the type of IPv6
  EXPECT_EQ(run(frame).counter, "malformed");
}

TEST_F(SteerTest, PassesOnAQueueWithoutASocket) {
  const Frame frame = ethernet(udp4(51820));
  steering().remove_socket(0);
  Judgement got = run(frame);
  EXPECT_EQ(got.verdict, kPass);
  EXPECT_EQ(got.counter, "no_socket");
  ASSERT_TRUE(steering().add_socket(0, socket_fd()));
  got = run(frame);
  EXPECT_EQ(got.verdict, kRedirect);
  EXPECT_EQ(got.counter, "tunnel");
}

TEST_F(SteerTest, ReplacesItsConfiguration) {
  auto changed = addresses();
  changed.erase(changed.begin() + 3);  // 2001:db8::2
  changed[0].tunnel_ports = {4500};    // of 192.0.2.1
  changed[0].nat_first = 1024;         // likewise
  changed.push_back({*net::IpAddress::parse("203.0.113.5"), {51820}, 0, 0});
  ASSERT_TRUE(steering().configure(changed));
  EXPECT_EQ(run(ethernet(udp4(51820))).counter, "other_service");
  EXPECT_EQ(run(ethernet(udp4(4500))).counter, "tunnel");
  EXPECT_EQ(run(ethernet(tcp4(1024))).counter, "nat_port");
  EXPECT_EQ(run(ethernet(udp6(51820))).counter, "tunnel");
  EXPECT_EQ(run(ethernet(ip6({.destination = "2001:db8::2"}, ports(1, 443)))).counter, "foreign");
  EXPECT_EQ(run(ethernet(ip4({.destination = "203.0.113.5"}, ports(1, 51820)))).counter, "tunnel");
  ASSERT_TRUE(steering().configure({}));
  EXPECT_EQ(run(ethernet(udp4(4500))).counter, "foreign");
}

}  // namespace
}  // namespace ringway::bpf_test
