#include "dataplane/io/partial_checksum.hpp"

#include <gtest/gtest.h>

#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "tests/unit/inner_packets.hpp"

namespace ringway::io {
namespace {

std::uint16_t pseudo_header_field(const PacketBytes& packet) {
  if (const auto ip4 = net::Ip4View::parse(packet)) {
    return net::checksum_fold(ip4->pseudo_header_sum());
  }
  const auto ip6 = net::Ip6View::parse(packet);
  return net::checksum_fold(net::pseudo_header_sum_v6(ip6->source(), ip6->destination(),
                                                      ip6->next_header(), ip6->payload_bytes()));
}

PacketBytes framed(const PacketBytes& packet, unsigned tags) {
  PacketBytes frame(12, 2);
  for (unsigned i = 0; i < tags; ++i)
    frame.insert(frame.end(), {0x81, 0x00, 0x00, 0x05});
  const bool v6 = packet[0] >> 4 == 6;
  frame.insert(frame.end(), {static_cast<std::uint8_t>(v6 ? 0x86 : 0x08),
                             static_cast<std::uint8_t>(v6 ? 0xdd : 0x00)});
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

Slot slot_over(PacketBytes& frame) {
  Slot slot;
  slot.data = frame.data();
  slot.length = static_cast<std::uint32_t>(frame.size());
  return slot;
}

struct Shape {
  bool v6;
  bool udp;
  unsigned tags;
  std::size_t payload;
};

class PartialChecksum : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    const Shape shape = GetParam();
    packet_ =
        build_packet({.v6 = shape.v6, .udp = shape.udp, .payload = make_payload(shape.payload, 5)});
    transport_ = shape.v6 ? 40 : 20;
    field_ = transport_ + (shape.udp ? 6 : 16);
    partial_ = packet_;
    store_le(partial_.data() + field_, pseudo_header_field(packet_));
  }
  PacketBytes packet_;
  PacketBytes partial_;
  std::size_t transport_ = 0;
  std::size_t field_ = 0;
};

TEST_P(PartialChecksum, IsFoundAndCanBeCompleted) {
  PacketBytes frame = framed(partial_, GetParam().tags);
  Slot slot = slot_over(frame);
  mark_partial_checksum(slot);
  ASSERT_EQ(slot.checksum, ChecksumState::kPartial);
  EXPECT_EQ(slot.checksum_start, 14 + 4 * GetParam().tags + transport_);
  ASSERT_TRUE(complete_checksum(slot));
  EXPECT_EQ(frame, framed(packet_, GetParam().tags));
}

TEST_P(PartialChecksum, OneThatIsCompleteIsLeftAlone) {
  PacketBytes frame = framed(packet_, GetParam().tags);
  Slot slot = slot_over(frame);
  mark_partial_checksum(slot);
  EXPECT_EQ(slot.checksum, ChecksumState::kUnknown);
  EXPECT_EQ(frame, framed(packet_, GetParam().tags));
}

TEST_P(PartialChecksum, BeforePaddingIsCompletedAtOnce) {
  const PacketBytes padding(7, 0xee);
  PacketBytes frame = framed(partial_, GetParam().tags);
  frame.insert(frame.end(), padding.begin(), padding.end());
  PacketBytes right = framed(packet_, GetParam().tags);
  right.insert(right.end(), padding.begin(), padding.end());
  Slot slot = slot_over(frame);
  mark_partial_checksum(slot);
  EXPECT_EQ(slot.checksum, ChecksumState::kVerified);
  EXPECT_EQ(frame, right);
}

TEST_P(PartialChecksum, IsNotLookedForInAFrameThatIsCutOff) {
  const PacketBytes whole = framed(partial_, GetParam().tags);
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    PacketBytes frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes));
    const PacketBytes before = frame;
    Slot slot = slot_over(frame);
    mark_partial_checksum(slot);
    ASSERT_EQ(slot.checksum, ChecksumState::kUnknown) << bytes;
    ASSERT_EQ(frame, before) << bytes;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, PartialChecksum,
                         ::testing::Values(Shape{false, false, 0, 100}, Shape{false, true, 1, 33},
                                           Shape{true, false, 2, 0}, Shape{true, true, 0, 1},
                                           Shape{false, true, 2, 1400}));

TEST(PartialChecksumTest, FragmentsHaveNoneToFind) {
  PacketBytes packet = build_packet({.udp = true, .fragment_word = 0x2000, .payload = {1, 2}});
  store_le(packet.data() + 26, pseudo_header_field(packet));
  PacketBytes frame = framed(packet, 0);
  Slot slot = slot_over(frame);
  mark_partial_checksum(slot);
  EXPECT_EQ(slot.checksum, ChecksumState::kUnknown);
}

}  // namespace
}  // namespace ringway::io
