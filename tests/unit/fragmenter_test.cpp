#include "dataplane/nat/fragmenter.hpp"

#include <gtest/gtest.h>

#include "dataplane/nat/flow.hpp"
#include "tests/unit/nat_packets.hpp"

namespace ringway::nat {
namespace {

using testing_support::address;
using testing_support::build;
using testing_support::checksums_right;
using testing_support::cut;
using testing_support::PacketBytes;
using testing_support::PacketSpec;
using testing_support::put_together;
using testing_support::random_bytes;

std::vector<PacketBytes> emitted(const Fragmenter& fragmenter) {
  std::vector<PacketBytes> parts;
  for (std::uint32_t i = 0; i < fragmenter.count(); ++i) {
    parts.emplace_back(fragmenter.packet_bytes(i));
    EXPECT_EQ(fragmenter.emit(i, parts.back().data()), parts.back().size());
  }
  return parts;
}
std::vector<PacketBytes> fragmented(const PacketBytes& packet, std::uint16_t mtu) {
  Fragmenter fragmenter;
  EXPECT_TRUE(fragmenter.start(packet, mtu));
  return emitted(fragmenter);
}
PacketSpec udp(std::size_t payload_bytes, std::uint64_t seed) {
  SeededRng rng(seed);
  PacketSpec spec;
  spec.payload = random_bytes(payload_bytes, rng);
  return spec;
}

TEST(Fragmenter, CutsIntoPiecesThatFitAndMakeTheWholeAgain) {
  SeededRng rng(1);
  for (int i = 0; i < 3000; ++i) {
    PacketSpec spec = udp(rng.below(5000), rng.next_u32());
    if (rng.below(2) == 0) spec.ip_options = {0x94, 4, 0, 0, 1, 1, 1, 0};
    spec.identification = static_cast<std::uint16_t>(rng.next_u32());
    const auto mtu = static_cast<std::uint16_t>(68 + rng.below(1500));
    const PacketBytes packet = build(spec);
    const auto parts = fragmented(packet, mtu);
    for (const PacketBytes& part : parts) {
      ASSERT_LE(part.size(), mtu);
      ASSERT_TRUE(checksums_right(part));
      const Flow flow = parse_flow(part);
      ASSERT_TRUE(parts.size() == 1 || flow.is_fragment());
      ASSERT_EQ(flow.identification, spec.identification);
    }
    ASSERT_EQ(put_together(parts), packet);
  }
}

TEST(Fragmenter, UsesNoMoreFragmentsThanNeeded) {
  EXPECT_EQ(fragmented(build(udp(1472, 1)), 1500).size(), 1U);
  EXPECT_EQ(fragmented(build(udp(1473, 1)), 1500).size(), 2U);
  EXPECT_EQ(fragmented(build(udp(2952, 1)), 1500).size(), 2U);  // 8 + 2952 = 2 * 1480
  EXPECT_EQ(fragmented(build(udp(2953, 1)), 1500).size(), 3U);
}

TEST(Fragmenter, LeavesAPacketThatFitsAsItIs) {
  const PacketBytes packet = build(udp(100, 1));
  EXPECT_EQ(fragmented(packet, 1500), std::vector<PacketBytes>(1, packet));
}

TEST(Fragmenter, RepeatsOnlyTheOptionsThatAskForIt) {
  PacketSpec spec = udp(200, 1);
  // Record route (not copied), router alert (copied), no operation.
  spec.ip_options = {7, 7, 4, 0, 0, 0, 0, 0x94, 4, 0, 0, 1};
  const auto parts = fragmented(build(spec), 120);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0][0], 0x48);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i][0], 0x46);
    EXPECT_EQ(PacketBytes(parts[i].begin() + 20, parts[i].begin() + 24),
              (PacketBytes{0x94, 4, 0, 0}));
  }
}

TEST(Fragmenter, CutsFragmentsFurther) {
  const PacketBytes packet = build(udp(4000, 1));
  std::vector<PacketBytes> pieces;
  for (const PacketBytes& part : cut(packet, 1480, 1)) {
    for (PacketBytes& piece : fragmented(part, 576))
      pieces.push_back(std::move(piece));
  }
  EXPECT_EQ(pieces.size(), 8U);  // 3 + 3 + 2 of at most 552 bytes
  EXPECT_EQ(put_together(pieces), packet);
}

TEST(Fragmenter, RefusesWhatMustNotBeCut) {
  PacketSpec spec = udp(2000, 1);
  Fragmenter fragmenter;
  EXPECT_FALSE(fragmenter.start(build(spec), Fragmenter::kMinMtu - 1));
  EXPECT_TRUE(fragmenter.start(build(spec), Fragmenter::kMinMtu));
  spec.dont_fragment = true;
  EXPECT_FALSE(fragmenter.start(build(spec), 1500));
  spec.source = spec.destination = address("2001:db8::1");
  EXPECT_FALSE(fragmenter.start(build(spec), 1500));
  EXPECT_FALSE(fragmenter.start({}, 1500));
  PacketBytes last = cut(build(udp(4000, 1)), 1480, 1)[2];
  store_be(last.data() + net::Ip4View::kFragmentAt, std::uint16_t{0x1fff});
  EXPECT_FALSE(fragmenter.start(last, 576));  // it ends where no datagram does
}

TEST(Fragmenter, RefusesOptionsThatLieAboutTheirLength) {
  PacketSpec spec = udp(2000, 1);
  Fragmenter fragmenter;
  for (const PacketBytes& options :
       {PacketBytes{0x94, 0, 0, 0}, PacketBytes{0x94, 5, 0, 0}, PacketBytes{1, 1, 1, 0x94}}) {
    spec.ip_options = options;
    EXPECT_FALSE(fragmenter.start(build(spec), 1500));
  }
}

TEST(Fragmenter, CutsTheLargestHeaderAtTheSmallestMtu) {
  PacketSpec spec = udp(100, 1);
  spec.ip_options.assign(40, 1);
  spec.ip_options[0] = 0x94;
  spec.ip_options[1] = 40;
  const PacketBytes packet = build(spec);
  const auto parts = fragmented(packet, Fragmenter::kMinMtu);
  EXPECT_EQ(parts.size(), 14U);  // 108 bytes, 8 at a time
  EXPECT_EQ(put_together(parts), packet);
}

}  // namespace
}  // namespace ringway::nat
