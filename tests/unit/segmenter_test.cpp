#include "dataplane/segmenter.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/rng.hpp"

namespace ringway {
namespace {

using Packet = std::vector<std::uint8_t>;
using net::Family;

constexpr std::uint8_t kFin = 1, kSyn = 2, kPsh = 8, kAck = 16, kCwr = 128;

std::uint16_t get16(const Packet& packet, std::size_t at) {
  return static_cast<std::uint16_t>((packet[at] << 8) | packet[at + 1]);
}
void put16(Packet& packet, std::size_t at, std::uint32_t value) {
  packet[at] = static_cast<std::uint8_t>(value >> 8);
  packet[at + 1] = static_cast<std::uint8_t>(value);
}
std::uint32_t get32(const Packet& packet, std::size_t at) {
  return (std::uint32_t{get16(packet, at)} << 16) | get16(packet, at + 2);
}
void put32(Packet& packet, std::size_t at, std::uint32_t value) {
  put16(packet, at, value >> 16);
  put16(packet, at + 2, value & 0xffff);
}

// RFC 1071 from its text, sharing nothing with the code under test.
std::uint32_t naive_sum(const Packet& packet, std::size_t from, std::size_t to,
                        std::uint32_t sum = 0) {
  for (std::size_t at = from; at < to; at += 2) {
    sum += std::uint32_t{packet[at]} << 8;
    if (at + 1 < to) sum += packet[at + 1];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}

// What a train is made of.
struct Shape {
  Family family = Family::kIpv4;
  TrainKind kind = TrainKind::kTcp;
  std::uint32_t ip_option_bytes = 0;  // IPv4 options, or one IPv6 destination options header
  std::uint32_t tcp_option_bytes = 12;
  std::uint32_t body_bytes = 10'000;
  std::uint16_t segment_bytes = 1448;
  std::uint8_t flags = kAck | kPsh | kFin | kCwr;
  std::uint32_t sequence = 0xffff'f000;  // wraps within the train
  std::uint16_t identification = 0xfffe;

  bool v4() const { return family == Family::kIpv4; }
  bool tcp() const { return kind == TrainKind::kTcp; }
  std::uint8_t protocol() const { return tcp() ? 6 : 17; }
  std::uint32_t ip_bytes() const { return (v4() ? 20U : 40U) + ip_option_bytes; }
  std::uint32_t transport_bytes() const { return tcp() ? 20U + tcp_option_bytes : 8U; }
  std::uint32_t header_bytes() const { return ip_bytes() + transport_bytes(); }
  std::uint32_t checksum_at() const { return ip_bytes() + (tcp() ? 16U : 6U); }
};

std::uint32_t pseudo_header_sum(const Shape& shape, const Packet& packet, std::size_t length) {
  const std::uint32_t sum = shape.v4() ? naive_sum(packet, 12, 20) : naive_sum(packet, 8, 40);
  return sum + shape.protocol() + static_cast<std::uint32_t>(length >> 16) + (length & 0xffff);
}

void write_ip4_header(const Shape& shape, Packet& packet) {
  packet[0] = static_cast<std::uint8_t>(0x40 | (shape.ip_bytes() / 4));
  packet[1] = 0xb9;
  put16(packet, 4, shape.identification);
  put16(packet, 6, 0x4000);
  packet[8] = 63;
  packet[9] = shape.protocol();
  std::fill(packet.begin() + 20, packet.begin() + 20 + shape.ip_option_bytes, std::uint8_t{1});
}

void write_ip6_header(const Shape& shape, Packet& packet) {
  put32(packet, 0, 0x6b9a'bcde);
  packet[7] = 63;
  packet[6] = shape.protocol();
  if (shape.ip_option_bytes == 0) return;
  packet[6] = 60;
  packet[40] = shape.protocol();
  packet[41] = static_cast<std::uint8_t>(shape.ip_option_bytes / 8 - 1);
}

// A super-packet as the kernel makes it: random addresses, ports and payload, the transport
// checksum partial.
Packet super_packet(const Shape& shape, Rng& rng) {
  Packet packet(shape.header_bytes() + shape.body_bytes);
  rng.fill(packet);
  const std::size_t transport = shape.ip_bytes();
  if (shape.v4()) {
    write_ip4_header(shape, packet);
    put16(packet, 2, static_cast<std::uint32_t>(packet.size()));
  } else {
    write_ip6_header(shape, packet);
    put16(packet, 4, static_cast<std::uint32_t>(packet.size() - 40));
  }
  if (shape.tcp()) {
    put32(packet, transport + 4, shape.sequence);
    packet[transport + 12] = static_cast<std::uint8_t>((shape.transport_bytes() / 4) << 4);
    packet[transport + 13] = shape.flags;
  } else {
    put16(packet, transport + 4, static_cast<std::uint32_t>(packet.size() - transport));
  }
  std::uint32_t partial = pseudo_header_sum(shape, packet, packet.size() - transport);
  partial = (partial & 0xffff) + (partial >> 16);
  put16(packet, shape.checksum_at(), (partial & 0xffff) + (partial >> 16));
  return packet;
}

Slot slot_of(const Shape& shape, Packet& packet) {
  Slot slot;
  slot.data = packet.data();
  slot.length = static_cast<std::uint32_t>(packet.size());
  slot.train = shape.kind;
  slot.segment_bytes = shape.segment_bytes;
  slot.header_bytes = static_cast<std::uint16_t>(shape.header_bytes());
  slot.checksum = ChecksumState::kPartial;
  slot.checksum_start = static_cast<std::uint16_t>(shape.ip_bytes());
  slot.checksum_offset = shape.tcp() ? 16 : 6;
  return slot;
}

// The reference: cuts the body, then finishes each packet as a whole, one field after another.
std::vector<Packet> reference_segments(const Shape& shape, const Packet& super) {
  std::vector<Packet> segments;
  const std::size_t header = shape.header_bytes();
  const std::size_t transport = shape.ip_bytes();
  for (std::size_t at = 0; at < shape.body_bytes || segments.empty(); at += shape.segment_bytes) {
    const std::size_t take = std::min<std::size_t>(shape.segment_bytes, shape.body_bytes - at);
    Packet packet(super.begin(), super.begin() + static_cast<std::ptrdiff_t>(header));
    const auto body = super.begin() + static_cast<std::ptrdiff_t>(header + at);
    packet.insert(packet.end(), body, body + static_cast<std::ptrdiff_t>(take));
    const bool first = segments.empty();
    const bool last = at + take == shape.body_bytes;
    if (shape.v4()) {
      put16(packet, 2, static_cast<std::uint32_t>(packet.size()));
      put16(packet, 4, (shape.identification + segments.size()) & 0xffff);
      put16(packet, 10, 0);
      put16(packet, 10, ~naive_sum(packet, 0, shape.ip_bytes()) & 0xffff);
    } else {
      put16(packet, 4, static_cast<std::uint32_t>(packet.size() - 40));
    }
    if (shape.tcp()) {
      put32(packet, transport + 4, shape.sequence + static_cast<std::uint32_t>(at));
      std::uint8_t flags = shape.flags;
      if (!first) flags &= static_cast<std::uint8_t>(~kCwr);
      if (!last) flags &= static_cast<std::uint8_t>(~(kFin | kPsh));
      packet[transport + 13] = flags;
    } else {
      put16(packet, transport + 4, static_cast<std::uint32_t>(packet.size() - transport));
    }
    put16(packet, shape.checksum_at(), 0);
    const std::uint32_t pseudo = pseudo_header_sum(shape, packet, packet.size() - transport);
    std::uint32_t checksum = ~naive_sum(packet, transport, packet.size(), pseudo) & 0xffff;
    if (!shape.tcp() && checksum == 0) checksum = 0xffff;
    put16(packet, shape.checksum_at(), checksum);
    segments.push_back(std::move(packet));
  }
  return segments;
}

Packet emitted(const Segmenter& segmenter, std::uint32_t index) {
  constexpr std::size_t kGuard = 70;
  const std::uint32_t bytes = segmenter.packet_bytes(index);
  Packet target(bytes + 2 * kGuard, 0xa5);
  EXPECT_EQ(segmenter.emit(index, target.data() + kGuard), bytes);
  const auto begin = target.begin() + kGuard;
  const auto end = begin + bytes;
  const auto untouched = [](std::uint8_t byte) { return byte == 0xa5; };
  EXPECT_TRUE(std::all_of(target.begin(), begin, untouched)) << "wrote before the packet";
  EXPECT_TRUE(std::all_of(end, target.end(), untouched)) << "wrote past the packet";
  return Packet(begin, end);
}

void expect_like_reference(const Shape& shape, Rng& rng) {
  Packet super = super_packet(shape, rng);
  const Slot slot = slot_of(shape, super);
  const std::vector<Packet> expected = reference_segments(shape, super);
  Segmenter segmenter;
  ASSERT_TRUE(segmentable(slot));
  ASSERT_TRUE(segmenter.start(slot));
  ASSERT_EQ(segmenter.count(), expected.size());
  ASSERT_EQ(segment_count(slot), expected.size());
  const Packet before = super;
  for (std::uint32_t i = segmenter.count(); i-- > 0;) {
    ASSERT_EQ(emitted(segmenter, i), expected[i]) << "segment " << i;
  }
  ASSERT_EQ(super, before) << "changed its input";
}

TEST(Segmenter, EqualsTheReferenceForEveryKindAndFamily) {
  SeededRng rng(1);
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    for (const TrainKind kind : {TrainKind::kTcp, TrainKind::kUdp}) {
      for (const std::uint32_t ip_options : {0U, 8U, 24U, 40U}) {
        Shape shape;
        shape.family = family;
        shape.kind = kind;
        shape.ip_option_bytes = ip_options;
        expect_like_reference(shape, rng);
      }
    }
  }
}

TEST(Segmenter, EqualsTheReferenceForOddAndShortLastSegments) {
  SeededRng rng(2);
  for (const TrainKind kind : {TrainKind::kTcp, TrainKind::kUdp}) {
    for (std::uint32_t body = 0; body < 400; ++body) {
      Shape shape;
      shape.kind = kind;
      shape.family = body % 2 == 0 ? Family::kIpv4 : Family::kIpv6;
      shape.tcp_option_bytes = body % 11 * 4;
      shape.segment_bytes = static_cast<std::uint16_t>(1 + rng.below(130));
      shape.body_bytes = body;
      expect_like_reference(shape, rng);
    }
  }
}

TEST(Segmenter, EqualsTheReferenceForRandomTrains) {
  SeededRng rng(3);
  for (int round = 0; round < 300; ++round) {
    Shape shape;
    shape.family = rng.below(2) == 0 ? Family::kIpv4 : Family::kIpv6;
    shape.kind = rng.below(2) == 0 ? TrainKind::kTcp : TrainKind::kUdp;
    shape.tcp_option_bytes = static_cast<std::uint32_t>(rng.below(11) * 4);
    shape.body_bytes = static_cast<std::uint32_t>(rng.below(65'000));
    shape.segment_bytes = static_cast<std::uint16_t>(64 + rng.below(9000));
    shape.flags = static_cast<std::uint8_t>(rng.next_u32() & ~(kSyn | 4U));
    shape.sequence = rng.next_u32();
    shape.identification = static_cast<std::uint16_t>(rng.next_u32());
    expect_like_reference(shape, rng);
  }
}

TEST(Segmenter, UdpChecksumZeroIsSentAsAllOnes) {
  // Choose the last two payload bytes so that the sum becomes ffff and the checksum zero.
  SeededRng rng(4);
  Shape shape;
  shape.kind = TrainKind::kUdp;
  shape.body_bytes = shape.segment_bytes = 100;
  Packet super = super_packet(shape, rng);
  put16(super, super.size() - 2, 0);
  const Packet without = reference_segments(shape, super)[0];
  put16(super, super.size() - 2, get16(without, shape.checksum_at()));
  Segmenter segmenter;
  ASSERT_TRUE(segmenter.start(slot_of(shape, super)));
  EXPECT_EQ(get16(emitted(segmenter, 0), shape.checksum_at()), 0xffff);
}

TEST(Segmenter, TcpFlagsAndSequencesAreWhereTheyBelong) {
  SeededRng rng(5);
  Shape shape;
  shape.body_bytes = 3 * 1448;
  Packet super = super_packet(shape, rng);
  Segmenter segmenter;
  ASSERT_TRUE(segmenter.start(slot_of(shape, super)));
  ASSERT_EQ(segmenter.count(), 3U);
  const std::size_t tcp = shape.ip_bytes();
  EXPECT_EQ(emitted(segmenter, 0)[tcp + 13], kAck | kCwr);
  EXPECT_EQ(emitted(segmenter, 1)[tcp + 13], kAck);
  EXPECT_EQ(emitted(segmenter, 2)[tcp + 13], kAck | kPsh | kFin);
  EXPECT_EQ(get32(emitted(segmenter, 2), tcp + 4), shape.sequence + 2896);
  EXPECT_EQ(get16(emitted(segmenter, 2), 4), 0);  // fffe, ffff, 0000
}

TEST(Segmenter, CompletesASinglePartialPacket) {
  SeededRng rng(6);
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    for (const TrainKind kind : {TrainKind::kTcp, TrainKind::kUdp}) {
      for (std::uint32_t body = 0; body < 200; ++body) {
        Shape shape;
        shape.family = family;
        shape.kind = kind;
        shape.body_bytes = body;
        Packet packet = super_packet(shape, rng);
        Slot slot = slot_of(shape, packet);
        slot.train = TrainKind::kNone;
        slot.segment_bytes = slot.header_bytes = 0;
        Segmenter segmenter;
        ASSERT_TRUE(segmenter.start(slot));
        ASSERT_EQ(segmenter.count(), 1U);
        const Packet out = emitted(segmenter, 0);
        ASSERT_EQ(out.size(), packet.size());
        const std::size_t transport = shape.ip_bytes();
        const std::uint32_t pseudo = pseudo_header_sum(shape, out, out.size() - transport);
        ASSERT_EQ(naive_sum(out, transport, out.size(), pseudo), 0xffffU);
        put16(packet, shape.checksum_at(), get16(out, shape.checksum_at()));
        ASSERT_EQ(out, packet) << "changed more than the checksum";
      }
    }
  }
}

TEST(Segmenter, CopiesASinglePacketAsItIs) {
  SeededRng rng(7);
  Packet packet(77);
  rng.fill(packet);
  Slot slot;
  slot.data = packet.data();
  slot.length = 77;
  Segmenter segmenter;
  ASSERT_TRUE(segmenter.start(slot));
  EXPECT_EQ(emitted(segmenter, 0), packet);
}

TEST(Segmenter, RefusesAPartialChecksumOutsideThePacket) {
  Packet packet(60);
  Slot slot;
  slot.data = packet.data();
  slot.length = 60;
  slot.checksum = ChecksumState::kPartial;
  slot.checksum_start = 20;
  slot.checksum_offset = 38;
  EXPECT_TRUE(segmentable(slot));
  slot.checksum_offset = 39;
  EXPECT_FALSE(segmentable(slot));
  slot.checksum_start = 65'535;
  slot.checksum_offset = 65'535;
  EXPECT_FALSE(segmentable(slot));
  slot.length = 1;
  slot.checksum_start = slot.checksum_offset = 0;
  EXPECT_FALSE(segmentable(slot));
}

class RefusedTrain : public testing::Test {
 protected:
  RefusedTrain() : packet_(super_packet(shape_, rng_)), slot_(slot_of(shape_, packet_)) {}

  SeededRng rng_{8};
  Shape shape_;
  Packet packet_;
  Slot slot_;
};

TEST_F(RefusedTrain, IsTakenBeforeItIsSpoilt) {
  EXPECT_TRUE(segmentable(slot_));
}
TEST_F(RefusedTrain, NoSegmentLength) {
  slot_.segment_bytes = 0;
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, HeaderLongerThanTheSlot) {
  slot_.length = slot_.header_bytes - 1U;
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, HeaderLengthThatTheHeadersContradict) {
  for (unsigned header = 0; header < 300; ++header) {
    slot_.header_bytes = static_cast<std::uint16_t>(header);
    EXPECT_EQ(segmentable(slot_), header == shape_.header_bytes()) << header;
  }
}
TEST_F(RefusedTrain, DatagramRun) {
  slot_.train = TrainKind::kDatagrams;
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, OtherProtocol) {
  packet_[9] = 17;
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, OtherVersion) {
  packet_[0] = 0x55;
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, ShortIhl) {
  packet_[0] = 0x44;
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, Fragment) {
  put16(packet_, 6, 0x2000);
  EXPECT_FALSE(segmentable(slot_));
  put16(packet_, 6, 0x0001);
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, DataOffsetThatDisagrees) {
  packet_[shape_.ip_bytes() + 12] = 0x70;
  EXPECT_FALSE(segmentable(slot_));
  packet_[shape_.ip_bytes() + 12] = 0xf0;
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, ChecksumElsewhere) {
  slot_.checksum_start = 24;
  EXPECT_FALSE(segmentable(slot_));
  slot_.checksum_start = 20;
  slot_.checksum_offset = 6;
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, SynOfSeveralSegments) {
  packet_[shape_.ip_bytes() + 13] = kSyn;
  EXPECT_FALSE(segmentable(slot_));
  slot_.segment_bytes = 20'000;
  EXPECT_TRUE(segmentable(slot_));
}
TEST_F(RefusedTrain, TooManySegments) {
  slot_.segment_bytes = 7;
  EXPECT_FALSE(segmentable(slot_));
  slot_.segment_bytes = 8;
  EXPECT_EQ(segment_count(slot_), 1250U);
  EXPECT_TRUE(segmentable(slot_));
}
TEST_F(RefusedTrain, SegmentPastTheIpLimit) {
  shape_.body_bytes = 70'000;
  shape_.segment_bytes = 65'483;
  packet_ = super_packet(shape_, rng_);
  EXPECT_TRUE(segmentable(slot_of(shape_, packet_)));
  shape_.segment_bytes = 65'484;
  EXPECT_FALSE(segmentable(slot_of(shape_, packet_)));
}
TEST_F(RefusedTrain, Ipv6Fragment) {
  shape_.family = Family::kIpv6;
  shape_.ip_option_bytes = 8;
  packet_ = super_packet(shape_, rng_);
  slot_ = slot_of(shape_, packet_);
  EXPECT_TRUE(segmentable(slot_));
  packet_[6] = 44;
  EXPECT_FALSE(segmentable(slot_));
}
TEST_F(RefusedTrain, Ipv6RoutingHeaderWithHopsLeft) {
  shape_.family = Family::kIpv6;
  shape_.ip_option_bytes = 24;
  packet_ = super_packet(shape_, rng_);
  slot_ = slot_of(shape_, packet_);
  packet_[6] = 43;
  packet_[43] = 1;
  EXPECT_FALSE(segmentable(slot_));
  packet_[43] = 0;
  EXPECT_TRUE(segmentable(slot_));
}

}  // namespace
}  // namespace ringway
