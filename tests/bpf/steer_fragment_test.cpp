// Fragments in the steering program: the first has ports, the others must go where it went.
#include <initializer_list>

#include "tests/bpf/steering_lab.hpp"

namespace ringway::bpf_test {
namespace {

constexpr std::uint16_t kMore = 0x2000;
constexpr std::uint16_t kLater = 0x0010;
constexpr std::uint16_t kMore6 = 0x0001;
constexpr std::uint16_t kLater6 = 0x0100;

class SteerFragmentTest : public SteeringLab {
 protected:
  static Frame first4(std::uint16_t port, std::uint16_t identification,
                      const std::string& to = "192.0.2.1") {
    return ethernet(
        ip4({.destination = to, .fragment_word = kMore, .identification = identification},
            ports(53, port)));
  }
  static Frame later4(std::uint16_t identification, const std::string& to = "192.0.2.1") {
    return ethernet(
        ip4({.destination = to, .fragment_word = kLater, .identification = identification},
            Frame(16, 0)));
  }
  static Frame first6(std::uint16_t port, std::uint32_t identification) {
    return ethernet(
        ip6({.next = 44}, fragment_header(17, kMore6, identification) + ports(53, port)));
  }
  static Frame later6(std::uint32_t identification, const std::string& to = "2001:db8::1") {
    return ethernet(ip6({.destination = to, .next = 44},
                        fragment_header(17, kLater6, identification) + Frame(16, 0)));
  }
};

TEST_F(SteerFragmentTest, FragmentsOfTheNatGoToUserSpace) {
  EXPECT_EQ(run(first4(25000, 1)).counter, "nat_port");
  const Judgement rest = run(later4(1));
  EXPECT_EQ(rest.verdict, kRedirect);
  EXPECT_EQ(rest.counter, "fragment");
  EXPECT_EQ(run(first6(25000, 1)).counter, "nat_port");
  EXPECT_EQ(run(later6(1)).counter, "fragment");
}

TEST_F(SteerFragmentTest, FragmentsWhoseFirstHasNotComeGoToUserSpace) {
  EXPECT_EQ(run(later4(2)).counter, "fragment");
  EXPECT_EQ(run(later6(2)).counter, "fragment");
}

TEST_F(SteerFragmentTest, FragmentsOfTheKernelFollowTheirFirst) {
  EXPECT_EQ(run(first4(40000, 3)).counter, "other_service");
  const Judgement rest = run(later4(3));
  EXPECT_EQ(rest.verdict, kPass);
  EXPECT_EQ(rest.counter, "kernel_fragment");
  EXPECT_EQ(run(later4(4)).counter, "fragment");  // another packet
  EXPECT_EQ(run(first6(40000, 3)).counter, "other_service");
  EXPECT_EQ(run(later6(3)).counter, "kernel_fragment");
  EXPECT_EQ(run(later6(0x10003)).counter, "fragment");
}

// As with ESP behind options, whose later fragments name the options.
TEST_F(SteerFragmentTest, HeadersThatOnlyTheFirstHasKeepNothingApart) {
  const auto first = [](std::uint32_t identification) {
    return ethernet(ip6({.next = 44}, fragment_header(60, kMore6, identification) +
                                          options_header(50) + Frame(16, 0)));
  };
  const auto later = [](std::uint32_t identification) {
    return ethernet(ip6({.next = 44}, fragment_header(60, kLater6, identification) + Frame(16, 0)));
  };
  EXPECT_EQ(run(first(30)).counter, "other_service");
  EXPECT_EQ(run(later(30)).counter, "kernel_fragment");
  EXPECT_EQ(run(later(31)).counter, "fragment");
  EXPECT_EQ(run(first(31)).counter, "fragment");
  EXPECT_EQ(give_back(first(31)), "given_back");
  EXPECT_EQ(run(later(31)).counter, "kernel_fragment");
}

TEST_F(SteerFragmentTest, AnIdentificationUsedAgainCountsAnew) {
  EXPECT_EQ(run(first4(40000, 5)).counter, "other_service");
  EXPECT_EQ(run(first4(25000, 5)).counter, "nat_port");
  EXPECT_EQ(run(later4(5)).counter, "fragment");
}

TEST_F(SteerFragmentTest, AFirstOfTheKernelsFollowsWhatCameBeforeIt) {
  EXPECT_EQ(run(later4(20)).counter, "fragment");
  EXPECT_EQ(run(first4(40000, 20)).verdict, kRedirect);
  EXPECT_EQ(run(later4(20)).counter, "fragment");
  EXPECT_EQ(run(later6(20)).counter, "fragment");
  EXPECT_EQ(run(first6(51820, 20)).counter, "fragment");  // the tunnel's socket in the kernel
  EXPECT_EQ(run(first4(40000, 21)).counter, "other_service") << "another packet";
}

TEST_F(SteerFragmentTest, WhatIsGivenBackTakesItsRestAlong) {
  EXPECT_EQ(run(later4(22)).counter, "fragment");
  EXPECT_EQ(give_back(first4(40000, 22)), "given_back");
  EXPECT_EQ(run(later4(22)).counter, "kernel_fragment");
  EXPECT_EQ(run(later6(22)).counter, "fragment");
  EXPECT_EQ(give_back(later6(22)), "given_back");
  EXPECT_EQ(run(later6(22)).counter, "kernel_fragment");
  EXPECT_EQ(run(first6(40000, 22)).counter, "other_service");
}

TEST_F(SteerFragmentTest, OnlyWhatIsNotedIsGivenBack) {
  EXPECT_EQ(give_back(ethernet(ip4({}, ports(53, 25000)))), "not_given_back");
  EXPECT_EQ(give_back(ethernet_of_type(0x0806, Frame(28, 0))), "not_given_back");
  EXPECT_EQ(give_back(ethernet(ip4({.protocol = 1}, icmp(8, 25000)))), "not_given_back");
}

TEST_F(SteerFragmentTest, FragmentsToTheTunnelGoToItsKernelSocket) {
  EXPECT_EQ(run(first4(51820, 6)).verdict, kPass);
  EXPECT_EQ(run(later4(6)).verdict, kPass);
  EXPECT_EQ(run(first6(51820, 6)).verdict, kPass);
  EXPECT_EQ(run(later6(6)).verdict, kPass);
}

TEST_F(SteerFragmentTest, WithoutNatAllFragmentsAreTheKernels) {
  EXPECT_EQ(run(first4(51820, 7, "192.0.2.2")).counter, "other_service");
  EXPECT_EQ(run(later4(8, "192.0.2.2")).counter, "other_service");
  EXPECT_EQ(run(later6(8, "2001:db8::2")).counter, "other_service");
}

TEST_F(SteerFragmentTest, FragmentsToOthersAreForeign) {
  EXPECT_EQ(run(later4(9, "192.0.2.9")).counter, "foreign");
}

TEST_F(SteerFragmentTest, ProtocolAndSourceTellPacketsApart) {
  EXPECT_EQ(run(first4(40000, 10)).counter, "other_service");
  EXPECT_EQ(
      run(ethernet(ip4({.source = "198.51.100.10", .fragment_word = kLater, .identification = 10},
                       Frame(16, 0))))
          .counter,
      "fragment");
  EXPECT_EQ(run(ethernet(ip4({.protocol = 6, .fragment_word = kLater, .identification = 10},
                             Frame(16, 0))))
                .counter,
            "fragment");
}

TEST_F(SteerFragmentTest, EveryOffsetButZeroIsALaterFragment) {
  for (const std::uint16_t word :
       std::initializer_list<std::uint16_t>{0x0001, 0x1000, 0x1fff, 0x2001, 0x3fff}) {
    const Frame frame =
        ethernet(ip4({.fragment_word = word, .identification = 12}, ports(53, 51820)));
    EXPECT_EQ(run(frame).counter, "fragment") << word;
  }
  for (const std::uint16_t word :
       std::initializer_list<std::uint16_t>{0x0008, 0x0009, 0x8000, 0xfff8, 0xfff9}) {
    const Frame frame =
        ethernet(ip6({.next = 44}, fragment_header(17, word, 12) + ports(53, 51820)));
    EXPECT_EQ(run(frame).counter, "fragment") << word;
  }
  const Frame do_not_fragment = ethernet(ip4({.fragment_word = 0x4000}, ports(53, 51820)));
  EXPECT_EQ(run(do_not_fragment).counter, "tunnel");
}

TEST_F(SteerFragmentTest, AFragmentTooShortForPortsIsTheKernels) {
  const Frame tiny = ethernet(ip4({.fragment_word = kMore, .identification = 11}, Frame(2, 0)));
  EXPECT_EQ(run(tiny).counter, "malformed");
  EXPECT_EQ(run(later4(11)).counter, "kernel_fragment");
}

}  // namespace
}  // namespace ringway::bpf_test
