#include "base/net/ethernet.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace ringway::net {
namespace {

constexpr std::uint8_t kDestination[] = {1, 2, 3, 4, 5, 6};
constexpr std::uint8_t kSource[] = {7, 8, 9, 10, 11, 12};

std::vector<std::uint8_t> frame_with(std::vector<std::uint16_t> words_after_addresses) {
  std::vector<std::uint8_t> frame(2 * kMacBytes + 2 * words_after_addresses.size());
  std::copy_n(kDestination, kMacBytes, frame.begin());
  std::copy_n(kSource, kMacBytes, frame.begin() + kMacBytes);
  for (std::size_t i = 0; i < words_after_addresses.size(); ++i)
    store_be(&frame[2 * kMacBytes + 2 * i], words_after_addresses[i]);
  return frame;
}

TEST(EthernetView, ReadsWhatEmitWrote) {
  std::vector<std::uint8_t> frame(EthernetView::kHeaderBytes + 3);
  emit_ethernet(frame.data(), kDestination, kSource, kEtherTypeIpv6);
  const auto ethernet = EthernetView::parse(frame);
  ASSERT_TRUE(ethernet);
  EXPECT_TRUE(std::equal(kDestination, kDestination + kMacBytes, ethernet->destination()));
  EXPECT_TRUE(std::equal(kSource, kSource + kMacBytes, ethernet->source()));
  EXPECT_EQ(ethernet->ether_type(), kEtherTypeIpv6);
  EXPECT_EQ(ethernet->tag_count(), 0U);
  EXPECT_EQ(ethernet->payload().size(), 3U);
}

TEST(EthernetView, ReadsATagThatEmitWrote) {
  std::vector<std::uint8_t> frame(40, 0xee);
  const VlanTag tag{kEtherTypeVlan, 0xa064};
  EXPECT_EQ(emit_ethernet(frame.data(), kDestination, kSource, tag, kEtherTypeIpv4), 18U);
  const auto ethernet = EthernetView::parse(frame);
  ASSERT_TRUE(ethernet);
  EXPECT_EQ(ethernet->tag_count(), 1U);
  EXPECT_EQ(ethernet->tag(0), tag);
  EXPECT_EQ(ethernet->tag(0).id(), 100);
  EXPECT_EQ(ethernet->ether_type(), kEtherTypeIpv4);
  EXPECT_EQ(ethernet->payload().data(), frame.data() + 18);
}

TEST(EthernetView, EmitWithoutATagWritesAPlainHeader) {
  std::vector<std::uint8_t> frame(20, 0xee);
  EXPECT_EQ(emit_ethernet(frame.data(), kDestination, kSource, VlanTag{}, kEtherTypeIpv4), 14U);
  EXPECT_EQ(EthernetView::parse(frame)->ether_type(), kEtherTypeIpv4);
  EXPECT_EQ(frame[14], 0xee);
}

TEST(EthernetView, LooksBehindTwoTags) {
  const auto frame =
      frame_with({kEtherTypeServiceVlan, 0x0fff, kEtherTypeVlan, 0x2001, kEtherTypeArp, 0x1234});
  const auto ethernet = EthernetView::parse(frame);
  ASSERT_TRUE(ethernet);
  EXPECT_EQ(ethernet->tag_count(), 2U);
  EXPECT_EQ(ethernet->tag(0), (VlanTag{kEtherTypeServiceVlan, 0x0fff}));
  EXPECT_EQ(ethernet->tag(1), (VlanTag{kEtherTypeVlan, 0x2001}));
  EXPECT_EQ(ethernet->ether_type(), kEtherTypeArp);
  EXPECT_EQ(ethernet->header_bytes(), 22U);
  EXPECT_EQ(ethernet->payload().size(), 2U);
}

TEST(EthernetView, RefusesAThirdTag) {
  EXPECT_FALSE(EthernetView::parse(
      frame_with({kEtherTypeVlan, 1, kEtherTypeVlan, 2, kEtherTypeVlan, 3, kEtherTypeIpv4, 0})));
}

TEST(EthernetView, RefusesEveryTruncation) {
  for (const auto& whole :
       {frame_with({kEtherTypeIpv4}), frame_with({kEtherTypeVlan, 1, kEtherTypeIpv4}),
        frame_with({kEtherTypeServiceVlan, 1, kEtherTypeVlan, 2, kEtherTypeIpv4})}) {
    EXPECT_TRUE(EthernetView::parse(whole));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::vector<std::uint8_t> part(whole.begin(),
                                           whole.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(EthernetView::parse(part)) << size << " of " << whole.size();
    }
  }
}

TEST(EthernetView, RefusesFramesWithALengthInPlaceOfTheType) {
  EXPECT_FALSE(EthernetView::parse(frame_with({0x05ff})));
  EXPECT_FALSE(EthernetView::parse(frame_with({kEtherTypeVlan, 1, 46})));
  EXPECT_TRUE(EthernetView::parse(frame_with({0x0600})));
}

TEST(MacAddress, KnowsGroupAddresses) {
  const std::uint8_t multicast[] = {0x33, 0x33, 0, 0, 0, 1};
  EXPECT_TRUE(MacAddress::from(multicast).is_group());
  const std::uint8_t station[] = {2, 0, 0, 0, 0, 1};
  EXPECT_FALSE(MacAddress::from(station).is_group());
}

}  // namespace
}  // namespace ringway::net
