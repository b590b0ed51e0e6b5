// Which addresses a node calls of those that others name, and how often: by themselves, and with a
// hostile neighbour that wants a victim flooded.

#include <gtest/gtest.h>

#include "overlay/candidate_gate.hpp"
#include "overlay/wire/byte_writer.hpp"
#include "tests/unit/overlay_village.hpp"

namespace ringway::overlay {
namespace {

Networks networks_at_home() {
  Networks networks;
  networks.tunnel = {*net::Prefix::parse("10.77.0.0/16"), *net::Prefix::parse("fd00:77::/32")};
  for (const char* prefix : {"10.0.0.0/9", "192.168.1.0/24", "203.0.113.0/24", "fd00:1::/64"})
    networks.on_link.push_back(*net::Prefix::parse(prefix));
  return networks;
}

TEST(CandidateRules, RefuseByAddress) {
  const struct {
    const char* address;
    std::optional<Drop> refusal;
  } kTable[] = {
      {"192.0.2.1", {}},  // documentation: labs are built of it
      {"2001:db8::1", {}},
      {"192.168.1.7", {}},  // private, and on-link
      {"fd00:1::7", {}},
      {"10.1.2.3", {}},
      {"10.77.0.1", Drop::kCandidateTunnel},  // on-link as well: the tunnel counts
      {"fd00:77::1", Drop::kCandidateTunnel},
      {"192.168.2.7", Drop::kCandidatePrivate},
      {"10.200.0.1", Drop::kCandidatePrivate},
      {"172.16.0.1", Drop::kCandidatePrivate},
      {"100.64.0.1", Drop::kCandidatePrivate},
      {"fd00:2::1", Drop::kCandidatePrivate},
      {"127.0.0.1", Drop::kCandidateLoopback},
      {"::1", Drop::kCandidateLoopback},
      {"169.254.169.254", Drop::kCandidateLinkLocal},
      {"fe80::1", Drop::kCandidateLinkLocal},
      {"224.0.0.251", Drop::kCandidateMulticast},
      {"ff02::1", Drop::kCandidateMulticast},
      {"255.255.255.255", Drop::kCandidateBroadcast},
      {"192.168.1.255", Drop::kCandidateBroadcast},  // of a subnet that is on-link
      {"192.168.1.0", Drop::kCandidateBroadcast},
      {"203.0.113.255", Drop::kCandidateBroadcast},
      {"0.0.0.0", Drop::kCandidateMartian},
      {"::", Drop::kCandidateMartian},
      {"240.0.0.1", Drop::kCandidateMartian},
      {"::ffff:127.0.0.1", Drop::kCandidateMartian},
      {"64:ff9b::7f00:1", Drop::kCandidateMartian},
      {"2002:7f00:1::1", Drop::kCandidateMartian},
  };
  for (const auto& [address, refusal] : kTable)
    EXPECT_EQ(refusal_of({*net::IpAddress::parse(address), 51820}, networks_at_home()), refusal)
        << address;
  EXPECT_EQ(refusal_of({*net::IpAddress::parse("192.0.2.1"), 0}, {}), Drop::kCandidatePort);
  EXPECT_EQ(refusal_of({*net::IpAddress::parse("192.168.1.7"), 1}, {}), Drop::kCandidatePrivate);
}

class Gate : public testing::Test {
 protected:
  std::size_t passed(const std::string& endpoint) {
    Candidates candidates;
    candidates.add(*net::Endpoint::parse(endpoint));
    return gate_.pass(candidates, {}, now_, drops_).size();
  }
  CallLimits parameters_;
  CandidateGate gate_{parameters_};
  DropCounters drops_;
  Instant now_ = Instant::from_ns(0);
};

TEST_F(Gate, LetsATargetBeCalledInABurstAndThenOnceAnInterval) {
  int calls = 0;
  for (int port = 1; port <= 1000; ++port)
    calls += static_cast<int>(passed("192.0.2.1:" + std::to_string(port)));
  EXPECT_EQ(calls, parameters_.a_target.burst);
  EXPECT_EQ(drops_.value(Drop::kCallsOfTarget), 1000U - static_cast<unsigned>(calls));
  EXPECT_EQ(passed("192.0.2.2:1"), 1U);
  now_ = now_ + parameters_.a_target.interval;
  EXPECT_EQ(passed("192.0.2.1:1"), 1U);
  EXPECT_EQ(passed("192.0.2.1:1"), 0U);
}

TEST_F(Gate, TakesWhatWasGivenToOneIpv6SiteForOneTarget) {
  int calls = 0;
  for (int host = 1; host <= 100; ++host)
    calls += static_cast<int>(passed("[2001:db8::" + std::to_string(host) + "]:51820"));
  EXPECT_EQ(calls, parameters_.a_target.burst);
  EXPECT_EQ(passed("[2001:db8:0:1::1]:51820"), 1U);
}

TEST_F(Gate, BoundsAllTargetsTogether) {
  int calls = 0;
  for (int host = 0; host < 1000; ++host) {
    calls += static_cast<int>(passed("198.51." + std::to_string(host / 250) + "." +
                                     std::to_string(host % 250) + ":51820"));
  }
  EXPECT_EQ(calls, parameters_.in_all.burst);
  EXPECT_EQ(drops_.value(Drop::kCallsInAll), 1000U - static_cast<unsigned>(calls));
  EXPECT_LE(gate_.targets(), parameters_.a_target.max_keys);
  now_ = now_ + Duration::seconds(60);
  gate_.forget(now_);
  EXPECT_EQ(gate_.targets(), 0U);
}

// --- Hostile neighbours --------------------------------------------------------------------------

class HostileContacts : public VillageTest {
 protected:
  // Node 0 names so many nodes to node 1, each nearer to it than the last, within that time.
  template <typename AddressOf>
  void name_contacts(std::uint32_t count, Duration time, AddressOf&& address_of) {
    village_.called.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
      wire::Status status;
      status.list_version = 1000 + i;
      Contact contact;
      contact.node = advance(village_[1].self(), Distance{0, 0, count - i});
      contact.candidates.add(address_of(i));
      status.near_neighbours.add(contact);
      wire::ByteWriter writer;
      wire::emit(writer, wire::LinkMessage(status));
      inject(0, 1, {writer.view().begin(), writer.view().end()});
      village_.pass(Duration::nanoseconds(time.count_ns() / count));
    }
  }
  [[nodiscard]] std::size_t calls_of(const net::IpAddress& address) const {
    return static_cast<std::size_t>(
        std::count_if(village_.called.begin(), village_.called.end(),
                      [&](const net::Endpoint& each) { return each.address == address; }));
  }
  CallLimits limits_;
};

TEST_F(HostileContacts, AThousandContactsAtOneAddressDoNotFloodIt) {
  grow(3);
  const auto victim = *net::IpAddress::parse("198.51.100.1");
  constexpr Duration kTime = Duration::seconds(100);
  name_contacts(1000, kTime, [&](std::uint32_t i) {
    return net::Endpoint{victim, static_cast<std::uint16_t>(1 + i)};
  });
  const auto most = static_cast<std::size_t>(limits_.a_target.burst) +
                    static_cast<std::size_t>(kTime.count_s() / limits_.a_target.interval.count_s());
  EXPECT_LE(calls_of(victim), most + 1);
  EXPECT_GE(calls_of(victim), most - 1);  // it was asked for far more
  EXPECT_GT(dropped(1, Drop::kCallsOfTarget), 500U);
  // Meanwhile others are called as ever.
  village_.add(advance(village_[1].self(), Distance{1, 0, 0}));
  village_.knows(3, 0);
  village_.start(3);
  village_.pass(Duration::seconds(10));
  EXPECT_TRUE(village_.near(1, 3));
}

TEST_F(HostileContacts, AThousandAddressesAreNotAllCalled) {
  grow(3);
  constexpr Duration kTime = Duration::seconds(2);
  name_contacts(1000, kTime, [](std::uint32_t i) {
    const std::uint8_t bytes[4] = {198, 51, static_cast<std::uint8_t>(i >> 8),
                                   static_cast<std::uint8_t>(i)};
    return net::Endpoint{net::IpAddress::v4(bytes), 51820};
  });
  const auto most = limits_.in_all.burst + kTime.count_ns() / limits_.in_all.interval.count_ns();
  EXPECT_LE(village_.called.size(), static_cast<std::size_t>(most) + 1);
  EXPECT_GT(dropped(1, Drop::kCallsInAll), 500U);
  EXPECT_LE(village_[1].linker().called_targets(), limits_.a_target.max_keys);
}

TEST_F(HostileContacts, AddressesInsideAreNotCalled) {
  grow(3);
  village_[1].set_networks(networks_at_home());
  const char* const inside[] = {"10.77.0.1", "127.0.0.1", "224.0.0.1", "192.168.2.1"};
  name_contacts(40, Duration::seconds(40), [&](std::uint32_t i) {
    return net::Endpoint{*net::IpAddress::parse(inside[i % std::size(inside)]), 51820};
  });
  EXPECT_TRUE(village_.called.empty());
  for (const Drop reason : {Drop::kCandidateTunnel, Drop::kCandidateLoopback,
                            Drop::kCandidateMulticast, Drop::kCandidatePrivate})
    EXPECT_GE(dropped(1, reason), 10U);
}

}  // namespace
}  // namespace ringway::overlay
