#include "dataplane/nat/fragments.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/nat_packets.hpp"
#include "tests/unit/samples.hpp"

namespace ringway::nat {
namespace {

using ringway::testing_support::kStart;
using testing_support::address;
using testing_support::build;
using testing_support::cut;
using testing_support::PacketBytes;
using testing_support::PacketSpec;
using testing_support::put_together;
using testing_support::random_bytes;

using Verdict = Fragments::Verdict;
constexpr PeerId kAlice{1};
constexpr PeerId kBob{2};

class FragmentsTest : public testing::Test {
 protected:
  Verdict accept(const PacketBytes& packet, PeerId owner = kAlice) {
    flow_ = parse_flow(packet);
    return fragments_.accept(owner, packet, flow_, now_);
  }
  std::vector<PacketBytes> released() {
    std::vector<PacketBytes> packets;
    for (Fragments::Released r; fragments_.pop_released(r);) {
      last_ = r;
      packets.emplace_back(r.packet.begin(), r.packet.end());
    }
    return packets;
  }
  // Four fragments of 96 bytes and one of 40.
  std::vector<PacketBytes> parts(std::uint32_t identification = 7) {
    return cut(build(spec_), 96, identification);
  }
  void make(const FragmentLimits& limits) {
    limits_ = limits;
    fragments_ = Fragments(limits, rng_, nullptr);
  }

  FragmentsTest() { spec_.payload = random_bytes(416, rng_); }

  SeededRng rng_{1};
  FragmentLimits limits_;
  Fragments fragments_{limits_, rng_, nullptr};
  PacketSpec spec_;
  Instant now_ = kStart;
  Flow flow_;
  Fragments::Released last_;
};

TEST_F(FragmentsTest, GiveLaterOnesThePortsOfTheFirst) {
  for (const bool v4 : {true, false}) {
    if (!v4) spec_.source = spec_.destination = address("2001:db8::1");
    const auto p = parts();
    ASSERT_EQ(p.size(), 5U);
    for (const PacketBytes& part : p) {
      EXPECT_EQ(accept(part), Verdict::kPass);
      EXPECT_EQ(flow_.protocol, net::kProtocolUdp);
      EXPECT_EQ(flow_.source_port, spec_.source_port);
      EXPECT_EQ(flow_.destination_port, spec_.destination_port);
      EXPECT_EQ(flow_.identification, 7U);
    }
    EXPECT_EQ(fragments_.datagrams(), 0U) << "all was seen";
  }
}

TEST_F(FragmentsTest, HoldLaterOnesUntilTheFirstComes) {
  const auto p = parts();
  for (const std::size_t i : {4U, 2U, 1U, 3U})
    EXPECT_EQ(accept(p[i]), Verdict::kHeld);
  EXPECT_TRUE(released().empty());
  EXPECT_EQ(fragments_.counts().held, 4U);
  EXPECT_EQ(accept(p[0]), Verdict::kPass);
  EXPECT_EQ(released(), std::vector<PacketBytes>(p.begin() + 1, p.end()));
  EXPECT_EQ(last_.flow.source_port, spec_.source_port);
  EXPECT_EQ(last_.owner, kAlice);
  EXPECT_EQ(fragments_.counts().held, 0U);
  EXPECT_EQ(fragments_.datagrams(), 0U);
}

TEST_F(FragmentsTest, KeepDatagramsApart) {
  const auto p = parts(7);
  EXPECT_EQ(accept(p[0]), Verdict::kPass);
  EXPECT_EQ(accept(p[1], kBob), Verdict::kHeld);
  EXPECT_EQ(accept(p[1], PeerId::none()), Verdict::kHeld);
  EXPECT_EQ(accept(parts(8)[1]), Verdict::kHeld);
  spec_.source = address("192.0.2.99");
  EXPECT_EQ(accept(parts(7)[1]), Verdict::kHeld);
  PacketBytes other_protocol = p[1];
  other_protocol[9] = net::kProtocolIcmp;
  EXPECT_EQ(accept(other_protocol), Verdict::kHeld);
  EXPECT_EQ(accept(p[1]), Verdict::kPass);
}

TEST_F(FragmentsTest, DropDuplicatesWithoutHarm) {
  const auto p = parts();
  EXPECT_EQ(accept(p[0]), Verdict::kPass);
  EXPECT_EQ(accept(p[0]), Verdict::kDrop);
  EXPECT_EQ(accept(p[1]), Verdict::kPass);
  EXPECT_EQ(accept(p[1]), Verdict::kDrop);
  EXPECT_EQ(accept(p[2]), Verdict::kPass);
}

// RFC 5722: a datagram with an overlap is dropped, and so is what still comes of it.
TEST_F(FragmentsTest, DropDatagramsThatOverlap) {
  const auto p = parts();
  const auto shifted = cut(build(spec_), 80, 7);
  EXPECT_EQ(accept(p[1]), Verdict::kHeld);        // 96 to 192
  EXPECT_EQ(accept(shifted[2]), Verdict::kDrop);  // 160 to 240
  EXPECT_EQ(fragments_.counts().held, 0U);
  EXPECT_EQ(fragments_.counts().discarded, 1U);
  EXPECT_EQ(accept(p[0]), Verdict::kDrop);
  EXPECT_TRUE(released().empty());
  now_ = now_ + limits_.lifetime;
  EXPECT_EQ(accept(p[0]), Verdict::kPass) << "the identification may come back";
}

TEST_F(FragmentsTest, DropDatagramsWithTwoEnds) {
  const auto p = parts();
  EXPECT_EQ(accept(p[0]), Verdict::kPass);
  EXPECT_EQ(accept(p[4]), Verdict::kPass);
  PacketBytes early_end = p[2];
  early_end[6] &= 0xdf;  // no more fragments
  EXPECT_EQ(accept(early_end), Verdict::kDrop);
  EXPECT_EQ(accept(p[3]), Verdict::kDrop);
}

TEST_F(FragmentsTest, DropDatagramsThatGoOnBehindTheirEnd) {
  const auto p = parts();
  PacketBytes early_end = p[2];
  early_end[6] &= 0xdf;
  EXPECT_EQ(accept(early_end), Verdict::kHeld);
  EXPECT_EQ(accept(p[3]), Verdict::kDrop);
  EXPECT_EQ(accept(p[0]), Verdict::kDrop);

  const auto q = parts(8);
  EXPECT_EQ(accept(q[3]), Verdict::kHeld);
  early_end = q[2];
  early_end[6] &= 0xdf;
  EXPECT_EQ(accept(early_end), Verdict::kDrop);
}

TEST_F(FragmentsTest, DropDatagramsWithTooManyGaps) {
  spec_.payload = random_bytes(4000, rng_);
  const auto p = cut(build(spec_), 96, 7);
  EXPECT_EQ(accept(p[0]), Verdict::kPass);
  for (std::size_t i = 2; i < 16; i += 2)
    EXPECT_EQ(accept(p[i]), Verdict::kPass);
  EXPECT_EQ(accept(p[16]), Verdict::kDrop);
  EXPECT_EQ(accept(p[1]), Verdict::kDrop);
}

TEST_F(FragmentsTest, ForgetAfterTheirLifetime) {
  const auto p = parts();
  EXPECT_EQ(accept(p[1]), Verdict::kHeld);
  EXPECT_EQ(fragments_.next_deadline(), now_ + Duration::seconds(2));
  now_ = now_ + Duration::milliseconds(1999);
  fragments_.tick(now_);
  EXPECT_EQ(fragments_.counts().held, 1U);
  now_ = now_ + Duration::milliseconds(1);
  fragments_.tick(now_);
  EXPECT_EQ(fragments_.counts().held, 0U);
  EXPECT_EQ(fragments_.counts().expired, 1U);
  EXPECT_EQ(fragments_.datagrams(), 0U);
  EXPECT_EQ(fragments_.next_deadline(), Instant::never());
}

TEST_F(FragmentsTest, DoNotAnswerForAnOldDatagramWithoutATick) {
  const auto p = parts();
  EXPECT_EQ(accept(p[0]), Verdict::kPass);
  now_ = now_ + limits_.lifetime;
  EXPECT_EQ(accept(p[1]), Verdict::kHeld);
}

TEST_F(FragmentsTest, BoundWhatOneSourceHolds) {
  make({.held = 100, .held_per_source = 3});
  for (std::uint32_t id = 0; id < 3; ++id)
    EXPECT_EQ(accept(parts(id)[1]), Verdict::kHeld);
  EXPECT_EQ(accept(parts(3)[1]), Verdict::kDrop);
  EXPECT_EQ(accept(parts(3)[1], kBob), Verdict::kHeld);
  // From outside the address is the source.
  for (std::uint32_t id = 0; id < 3; ++id)
    EXPECT_EQ(accept(parts(id)[1], PeerId::none()), Verdict::kHeld);
  EXPECT_EQ(accept(parts(3)[1], PeerId::none()), Verdict::kDrop);
  spec_.source = address("192.0.2.99");
  EXPECT_EQ(accept(parts(3)[1], PeerId::none()), Verdict::kHeld);
}

TEST_F(FragmentsTest, BoundHowManyDatagramsOneSourceBegins) {
  make({.datagrams = 100, .datagrams_per_source = 3});
  for (std::uint32_t id = 0; id < 3; ++id)
    EXPECT_EQ(accept(parts(id)[0]), Verdict::kPass);
  EXPECT_EQ(accept(parts(3)[0]), Verdict::kDrop);
  EXPECT_EQ(accept(parts(3)[0], kBob), Verdict::kPass);
}

TEST_F(FragmentsTest, GiveUpTheOldestDatagramWhenTheTableIsFull) {
  make({.datagrams = 4});
  for (std::uint32_t id = 0; id < 5; ++id)
    EXPECT_EQ(accept(parts(id)[0]), Verdict::kPass);
  EXPECT_EQ(fragments_.datagrams(), 4U);
  EXPECT_EQ(accept(parts(4)[1]), Verdict::kPass);
  EXPECT_EQ(accept(parts(1)[1]), Verdict::kPass);
  EXPECT_EQ(accept(parts(0)[1]), Verdict::kHeld);  // and in its place another went
}

TEST_F(FragmentsTest, GiveUpTheLongestWaitingWhenTheBuffersAreFull) {
  make({.held = 4});
  for (std::uint32_t id = 0; id < 5; ++id)
    EXPECT_EQ(accept(parts(id)[1]), Verdict::kHeld);
  EXPECT_EQ(fragments_.counts().held, 4U);
  EXPECT_EQ(fragments_.counts().discarded, 1U);
  EXPECT_EQ(accept(parts(0)[0]), Verdict::kDrop);
  EXPECT_EQ(accept(parts(4)[0]), Verdict::kPass);
  EXPECT_EQ(released().size(), 1U);
}

TEST_F(FragmentsTest, OneDatagramAloneMayNotTakeMoreThanThereIs) {
  make({.held = 2});
  const auto p = parts();
  EXPECT_EQ(accept(p[1]), Verdict::kHeld);
  EXPECT_EQ(accept(p[2]), Verdict::kHeld);
  EXPECT_EQ(accept(p[3]), Verdict::kDrop);
  EXPECT_EQ(fragments_.counts().held, 0U);
  EXPECT_EQ(accept(p[0]), Verdict::kDrop);
}

TEST_F(FragmentsTest, DoNotHoldWhatIsLongerThanABuffer) {
  make({.held_bytes = 115});
  EXPECT_EQ(accept(parts()[1]), Verdict::kDrop);  // 116 bytes
  make({.held_bytes = 116});
  EXPECT_EQ(accept(parts()[1]), Verdict::kHeld);
}

TEST_F(FragmentsTest, ForgetASubscriberThatIsGone) {
  const auto p = parts();
  EXPECT_EQ(accept(p[1]), Verdict::kHeld);
  EXPECT_EQ(accept(p[1], kBob), Verdict::kHeld);
  EXPECT_EQ(accept(parts(8)[0]), Verdict::kPass);
  fragments_.remove_owner(kAlice);
  EXPECT_EQ(fragments_.counts().held, 1U);
  EXPECT_EQ(fragments_.datagrams(), 1U);
  EXPECT_EQ(accept(p[0]), Verdict::kPass);
  EXPECT_TRUE(released().empty());
  EXPECT_EQ(accept(p[0], kBob), Verdict::kPass);
  EXPECT_EQ(released().size(), 1U);
}

TEST_F(FragmentsTest, GiveEveryDatagramItsOwnIdentification) {
  Identifications identifications(rng_);
  Fragments fragments(limits_, rng_, &identifications);
  std::set<std::uint32_t> seen;
  // Subscribers that all chose the same, fragments interleaved and the first last.
  for (const std::size_t part : {2U, 0U, 1U}) {
    std::set<std::uint32_t> of_this_part;
    for (std::uint32_t subscriber = 0; subscriber < 100; ++subscriber) {
      const auto p = parts(7);
      Flow flow = parse_flow(p[part]);
      const Verdict verdict = fragments.accept(PeerId{subscriber}, p[part], flow, now_);
      if (verdict == Verdict::kHeld) continue;
      of_this_part.insert(flow.identification & 0xffff);
      Fragments::Released r;
      while (fragments.pop_released(r))
        EXPECT_EQ(r.flow.identification, flow.identification);
    }
    if (part == 2) continue;
    EXPECT_EQ(of_this_part.size(), 100U);
    if (seen.empty()) seen = of_this_part;
    EXPECT_EQ(of_this_part, seen);
  }
}

// Many datagrams at once, their fragments in any order: each comes out once, whole and with ports.
TEST_F(FragmentsTest, LoseNothingOfManyDatagramsInAnyOrder) {
  make({.held = 4096, .held_per_source = 4096});
  for (int round = 0; round < 50; ++round) {
    struct Sent {
      PacketBytes packet;
      PeerId owner;
    };
    std::map<std::uint16_t, PacketBytes> whole;  // by source port
    std::vector<Sent> sent;
    for (std::uint16_t i = 0; i < 100; ++i) {
      spec_.source = address(i % 2 == 0 ? "192.0.2.1" : "2001:db8::1");
      spec_.destination = address(i % 2 == 0 ? "198.51.100.1" : "2001:db8::2");
      spec_.source_port = i;
      spec_.payload = random_bytes(rng_.below(1500), rng_);
      whole[i] = build(spec_);
      for (PacketBytes& part : cut(whole[i], 200, i / 4)) {
        if (parse_flow(part).is_fragment()) sent.push_back({std::move(part), PeerId{i % 4U}});
      }
    }
    for (std::size_t i = sent.size(); i > 1; --i)
      std::swap(sent[i - 1], sent[rng_.below(i)]);
    std::map<std::uint16_t, std::vector<PacketBytes>> out;
    for (const Sent& s : sent) {
      const Verdict verdict = accept(s.packet, s.owner);
      ASSERT_NE(verdict, Verdict::kDrop);
      if (verdict == Verdict::kPass) out[flow_.source_port].push_back(s.packet);
      for (Fragments::Released r; fragments_.pop_released(r);) {
        out[r.flow.source_port].emplace_back(r.packet.begin(), r.packet.end());
      }
    }
    for (auto& [port, fragments] : out) {
      PacketBytes again = put_together(fragments);
      const PacketBytes& expected = whole[port];
      if (expected[0] >> 4 == 4) std::copy_n(again.begin() + 4, 8, whole[port].begin() + 4);
      ASSERT_EQ(again, expected);
    }
    ASSERT_EQ(fragments_.datagrams(), 0U);
    ASSERT_EQ(fragments_.counts().held, 0U);
  }
}

TEST_F(FragmentsTest, KeepTheirBooksUnderRandomFragments) {
  make({.datagrams = 16, .datagrams_per_source = 6, .held = 8, .held_per_source = 3});
  std::uint64_t held = 0;
  std::uint64_t came_out = 0;
  for (int i = 0; i < 200'000; ++i) {
    PacketBytes packet(20 + 8 * (1 + rng_.below(4)));
    packet[0] = 0x45;
    packet[3] = static_cast<std::uint8_t>(packet.size());
    packet[5] = static_cast<std::uint8_t>(rng_.below(6));  // identification
    packet[6] = static_cast<std::uint8_t>(0x20 * rng_.below(2));
    packet[7] = static_cast<std::uint8_t>(rng_.below(8));
    packet[9] = net::kProtocolUdp;
    packet[15] = static_cast<std::uint8_t>(rng_.below(4));
    packet[25] = 8;
    flow_ = parse_flow(packet);
    if (!flow_.is_fragment()) continue;
    const PeerId owner = rng_.below(2) == 0 ? PeerId::none() : kAlice;
    held += fragments_.accept(owner, packet, flow_, now_) == Verdict::kHeld ? 1U : 0U;
    for (Fragments::Released r; fragments_.pop_released(r);)
      ++came_out;
    now_ = now_ + Duration::milliseconds(static_cast<std::int64_t>(rng_.below(60)));
    if (rng_.below(10) == 0) fragments_.tick(now_);
    const Fragments::Counts& counts = fragments_.counts();
    ASSERT_EQ(held, came_out + counts.held + counts.expired + counts.discarded);
    ASSERT_LE(counts.held, 8U);
    ASSERT_LE(fragments_.datagrams(), 16U);
  }
  EXPECT_GT(came_out, 1000U);
  now_ = now_ + Duration::seconds(10);
  fragments_.tick(now_);
  EXPECT_EQ(fragments_.datagrams(), 0U);
  EXPECT_EQ(fragments_.counts().held, 0U);
}

}  // namespace
}  // namespace ringway::nat
