#include "dataplane/io/tun_merge.hpp"

#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "dataplane/io/partial_checksum.hpp"
#include "tests/unit/inner_packets.hpp"

namespace ringway::io {
namespace {

constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kFin = 0x01;

// One write as the kernel gets it.
struct Written {
  VnetHeader vnet;
  std::size_t segments;
  PacketBytes bytes;
};

class TunMergeTest : public ::testing::Test {
 protected:
  std::vector<Written> merge(std::vector<PacketBytes> packets,
                             const std::function<void(Slot&, std::size_t)>& change = {}) {
    std::vector<Slot> slots;
    for (PacketBytes& packet : packets) {
      Slot slot;
      slot.data = packet.data();
      slot.length = static_cast<std::uint32_t>(packet.size());
      if (change) change(slot, slots.size());
      slots.push_back(slot);
    }
    std::vector<Written> result;
    for (const TunWrite& write : merger_.plan(slots)) {
      std::array<iovec, TunMerger::kMaxSegments> pieces;
      const std::size_t count = merger_.gather(write, slots, pieces);
      Written written{write.vnet, write.segments, {}};
      for (std::size_t i = 0; i < count; ++i) {
        const auto* from = static_cast<const std::uint8_t*>(pieces[i].iov_base);
        written.bytes.insert(written.bytes.end(), from, from + pieces[i].iov_len);
      }
      EXPECT_EQ(written.bytes.size(), write.bytes);
      EXPECT_TRUE(write.writable);
      result.push_back(std::move(written));
    }
    return result;
  }

  static std::vector<PacketBytes> cut_all(const std::vector<Written>& written) {
    std::vector<PacketBytes> packets;
    for (const Written& one : written) {
      for (PacketBytes& packet : cut_up(one.vnet, one.bytes))
        packets.push_back(std::move(packet));
    }
    return packets;
  }

  // `count` equal packets that continue each other.
  static std::vector<PacketSpec> train(PacketSpec first, std::size_t count,
                                       std::size_t payload_bytes) {
    std::vector<PacketSpec> specs;
    for (std::size_t i = 0; i < count; ++i) {
      first.payload = make_payload(payload_bytes, static_cast<std::uint32_t>(i));
      specs.push_back(first);
      first.sequence += static_cast<std::uint32_t>(payload_bytes);
      ++first.identification;
    }
    return specs;
  }
  static std::vector<PacketBytes> build(const std::vector<PacketSpec>& specs) {
    std::vector<PacketBytes> packets;
    for (const PacketSpec& spec : specs)
      packets.push_back(build_packet(spec));
    return packets;
  }

  void expect_merged(const std::vector<PacketSpec>& specs) {
    const auto packets = build(specs);
    const auto written = merge(packets);
    ASSERT_EQ(written.size(), 1U);
    EXPECT_EQ(written[0].segments, specs.size());
    EXPECT_EQ(cut_all(written), packets);
  }
  // Nothing is merged and every packet leaves untouched.
  void expect_apart(const std::vector<PacketBytes>& packets) {
    const auto written = merge(packets);
    ASSERT_EQ(written.size(), packets.size());
    for (std::size_t i = 0; i < packets.size(); ++i) {
      EXPECT_EQ(written[i].bytes, packets[i]);
      EXPECT_EQ(written[i].vnet.flags, 0);
      EXPECT_EQ(written[i].vnet.gso_type, VnetHeader::kGsoNone);
    }
  }
  // Two packets that would merge, had `change` not changed the second.
  void expect_refused(const PacketSpec& base, const std::function<void(PacketSpec&)>& change) {
    auto specs = train(base, 2, 500);
    expect_merged(specs);
    change(specs[1]);
    expect_apart(build(specs));
  }

  TunMerger merger_{TunMergeOptions{}};
};

std::vector<PacketSpec> four_kinds() {
  std::vector<PacketSpec> kinds(4);
  kinds[1].v6 = true;
  kinds[2].udp = true;
  kinds[3].v6 = kinds[3].udp = true;
  return kinds;
}

TEST_F(TunMergeTest, TrainBecomesOneSuperPacket) {
  for (const PacketSpec& kind : four_kinds()) {
    for (const std::size_t payload : {1U, 63U, 1360U}) {
      for (const std::size_t count : {2U, 3U, 45U})
        expect_merged(train(kind, count, payload));
    }
  }
}

TEST_F(TunMergeTest, HeaderNamesTheSuperPacket) {
  const auto written = merge(build(train(PacketSpec{.v6 = true}, 3, 1000)));
  ASSERT_EQ(written.size(), 1U);
  const VnetHeader& vnet = written[0].vnet;
  EXPECT_EQ(vnet.flags, VnetHeader::kNeedsChecksum);
  EXPECT_EQ(vnet.gso_type, VnetHeader::kGsoTcp6);
  EXPECT_EQ(vnet.header_bytes, 60);
  EXPECT_EQ(vnet.segment_bytes, 1000);
  EXPECT_EQ(vnet.checksum_start, 40);
  EXPECT_EQ(vnet.checksum_offset, 16);
  EXPECT_EQ(written[0].bytes.size(), 3060U);
}

TEST_F(TunMergeTest, ShorterPacketEndsTheTrain) {
  for (const PacketSpec& kind : four_kinds()) {
    auto specs = train(kind, 4, 900);
    specs[2].payload.resize(899);
    specs[3].sequence -= 1;
    const auto packets = build(specs);
    const auto written = merge(packets);
    ASSERT_EQ(written.size(), 2U);
    EXPECT_EQ(written[0].segments, 3U);
    EXPECT_EQ(cut_all(written), packets);
  }
}

TEST_F(TunMergeTest, LongerPacketBeginsAnother) {
  for (const PacketSpec& kind : four_kinds()) {
    auto specs = train(kind, 2, 900);
    specs[1].payload = make_payload(901, 9);
    expect_apart(build(specs));
  }
}

TEST_F(TunMergeTest, PushAndFinEndTheTrainAndStayOnItsLastSegment) {
  for (const std::uint8_t flag : {kPsh, kFin}) {
    auto specs = train(PacketSpec{}, 5, 900);
    specs[2].flags = kAck | flag;
    const auto packets = build(specs);
    const auto written = merge(packets);
    ASSERT_EQ(written.size(), 2U);
    EXPECT_EQ(written[0].segments, 3U);
    EXPECT_EQ(written[1].segments, 2U);
    EXPECT_EQ(cut_all(written), packets);
  }
}

TEST_F(TunMergeTest, PushOnTheFirstPacketKeepsItAlone) {
  auto specs = train(PacketSpec{}, 3, 900);
  specs[0].flags = kAck | kPsh;
  const auto packets = build(specs);
  const auto written = merge(packets);
  ASSERT_EQ(written.size(), 2U);
  EXPECT_EQ(written[0].segments, 1U);
  EXPECT_EQ(cut_all(written), packets);
}

TEST_F(TunMergeTest, DifferentTcpHeadersAreRefused) {
  PacketSpec base;
  base.tcp_options = {1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7};
  for (const bool v6 : {false, true}) {
    base.v6 = v6;
    expect_refused(base, [](PacketSpec& spec) { ++spec.sequence; });
    expect_refused(base, [](PacketSpec& spec) { --spec.sequence; });
    expect_refused(base, [](PacketSpec& spec) { ++spec.acknowledgment; });
    expect_refused(base, [](PacketSpec& spec) { ++spec.window; });
    expect_refused(base, [](PacketSpec& spec) { spec.tcp_options[11] = 8; });
    expect_refused(base, [](PacketSpec& spec) { spec.tcp_options.clear(); });
    for (const unsigned flag : {0x02U, 0x04U, 0x20U, 0x40U, 0x80U}) {
      expect_refused(
          base, [flag](PacketSpec& spec) { spec.flags = static_cast<std::uint8_t>(kAck | flag); });
    }
    expect_refused(base, [](PacketSpec& spec) { spec.flags = 0; });
  }
}

TEST_F(TunMergeTest, DifferentIpHeadersAreRefused) {
  for (const PacketSpec& kind : four_kinds()) {
    expect_refused(kind, [](PacketSpec& spec) { ++spec.ttl; });
    expect_refused(kind, [](PacketSpec& spec) { spec.tos = 3; });
    expect_refused(kind, [](PacketSpec& spec) { ++spec.flow; });
    if (kind.v6) {
      expect_refused(kind, [](PacketSpec& spec) { spec.flow_label = 5; });
    } else {
      expect_refused(kind, [](PacketSpec& spec) { spec.fragment_word = 0; });
      expect_refused(kind, [](PacketSpec& spec) { spec.fragment_word = 0xc000; });
    }
  }
}

TEST_F(TunMergeTest, IdentificationsMustBeConsecutiveWithoutDontFragment) {
  for (const bool udp : {false, true}) {
    PacketSpec base{.udp = udp, .identification = 0xffff, .fragment_word = 0};
    expect_merged(train(base, 3, 500));
    expect_refused(base, [](PacketSpec& spec) { ++spec.identification; });
    auto same = train(base, 2, 500);
    same[1].identification = same[0].identification;
    expect_apart(build(same));
    same[0].fragment_word = same[1].fragment_word = 0x4000;
    EXPECT_EQ(merge(build(same)).size(), 1U) << "with DF the identification means nothing";
  }
}

TEST_F(TunMergeTest, FragmentsAreRefusedAndEndEveryFlow) {
  for (const std::uint16_t word : {std::uint16_t{0x2000}, std::uint16_t{0x0001}}) {
    auto specs = train(PacketSpec{.udp = true}, 3, 496);
    specs[1].fragment_word = word;
    expect_apart(build(specs));
  }
}

TEST_F(TunMergeTest, OptionsAndExtensionHeadersEndEveryFlow) {
  auto specs = train(PacketSpec{}, 2, 500);
  PacketBytes with_options = build_packet(specs[0]);
  with_options.insert(with_options.begin() + 20, {1, 1, 1, 0});
  with_options[0] = 0x46;
  expect_apart({build_packet(specs[0]), with_options, build_packet(specs[1])});

  auto specs6 = train(PacketSpec{.v6 = true, .udp = true}, 2, 500);
  PacketBytes extended = build_packet(specs6[0]);
  extended.insert(extended.begin() + 40, {17, 0, 1, 4, 0, 0, 0, 0});
  extended[6] = 60;
  expect_apart({build_packet(specs6[0]), extended, build_packet(specs6[1])});
}

TEST_F(TunMergeTest, PureAcknowledgmentsAreNotMerged) {
  expect_apart(build(train(PacketSpec{}, 4, 0)));
  auto specs = train(PacketSpec{}, 3, 100);
  specs[1].payload.clear();
  specs[2].sequence = specs[1].sequence;
  expect_apart(build(specs));
}

TEST_F(TunMergeTest, CorruptPacketIsNeverLaundered) {
  for (const PacketSpec& kind : four_kinds()) {
    const auto clean = build(train(kind, 4, 700));
    for (std::size_t bad = 0; bad < clean.size(); ++bad) {
      auto packets = clean;
      packets[bad][400] ^= 0x10;
      const auto written = merge(packets);
      std::size_t bad_seen = 0;
      for (const Written& one : written) {
        if (one.segments == 1 && one.bytes == packets[bad]) ++bad_seen;
      }
      EXPECT_EQ(bad_seen, 1U);
      EXPECT_EQ(cut_all(written), packets);
    }
    if (kind.v6) continue;
    auto packets = clean;
    packets[1][10] ^= 0x10;
    EXPECT_EQ(merge(packets)[1].bytes, packets[1]) << "IPv4 header checksum";
  }
}

TEST_F(TunMergeTest, VerifiedChecksumsAreNotSummedAgain) {
  // A wrong sum under kVerified is merged: proof that nobody looked.
  auto packets = build(train(PacketSpec{.udp = true}, 3, 700));
  packets[1][400] ^= 0x10;
  const auto written =
      merge(packets, [](Slot& slot, std::size_t) { slot.checksum = ChecksumState::kVerified; });
  EXPECT_EQ(written.size(), 1U);
}

TEST_F(TunMergeTest, UdpWithoutChecksumIsLeftAlone) {
  for (const bool v6 : {false, true}) {
    auto packets = build(train(PacketSpec{.v6 = v6, .udp = true}, 3, 700));
    for (PacketBytes& packet : packets) {
      packet[v6 ? 46 : 26] = 0;
      packet[v6 ? 47 : 27] = 0;
    }
    expect_apart(packets);
  }
}

TEST_F(TunMergeTest, LengthsThatDisagreeAreLeftAlone) {
  for (const PacketSpec& kind : four_kinds()) {
    auto packets = build(train(kind, 3, 700));
    for (PacketBytes& packet : packets)
      packet.insert(packet.end(), {0, 0, 0, 0});
    expect_apart(packets);
  }
  auto packets = build(train(PacketSpec{.udp = true}, 3, 700));
  for (PacketBytes& packet : packets)
    packet[25] -= 2;
  expect_apart(packets);
}

TEST_F(TunMergeTest, TruncatedHeadersAreLeftAlone) {
  for (const PacketSpec& kind : four_kinds()) {
    auto specs = train(kind, 2, 100);
    specs[0].tcp_options = specs[1].tcp_options = {1, 1, 1, 0};
    const auto whole = build(specs);
    for (std::size_t length = 1; length < whole[0].size(); ++length) {
      auto packets = whole;
      packets[0].resize(length);
      packets[1].resize(length);
      expect_apart(packets);
    }
  }
}

TEST_F(TunMergeTest, SuperPacketStaysBelow64KiB) {
  for (const PacketSpec& kind : four_kinds()) {
    auto specs = train(kind, 50, 1400);
    const auto packets = build(specs);
    const auto written = merge(packets);
    ASSERT_EQ(written.size(), 2U);
    EXPECT_LE(written[0].bytes.size(), 65535U);
    EXPECT_GT(written[0].bytes.size(), 65535U - 1400U);
    EXPECT_EQ(cut_all(written), packets);
  }
}

TEST_F(TunMergeTest, SuperPacketHasAtMost64Segments) {
  const auto packets = build(train(PacketSpec{.udp = true}, 200, 10));
  const auto written = merge(packets);
  ASSERT_EQ(written.size(), 4U);
  EXPECT_EQ(written[0].segments, 64U);
  EXPECT_EQ(written[3].segments, 8U);
  EXPECT_EQ(cut_all(written), packets);
}

TEST_F(TunMergeTest, InterleavedFlowsAreMergedEachByItself) {
  std::vector<PacketBytes> packets;
  std::vector<std::vector<PacketSpec>> flows;
  for (std::uint8_t flow = 0; flow < 6; ++flow) {
    PacketSpec base{.v6 = flow % 2 != 0, .udp = flow % 3 == 0};
    base.flow = flow;
    flows.push_back(train(base, 10, 400));
  }
  for (std::size_t i = 0; i < 10; ++i) {
    for (const auto& flow : flows)
      packets.push_back(build_packet(flow[i]));
  }
  const auto written = merge(packets);
  ASSERT_EQ(written.size(), 6U);
  for (std::size_t flow = 0; flow < 6; ++flow) {
    EXPECT_EQ(cut_up(written[flow].vnet, written[flow].bytes), build(flows[flow]));
  }
}

TEST_F(TunMergeTest, IcmpDoesNotInterruptAFlow) {
  auto specs = train(PacketSpec{}, 2, 500);
  PacketBytes ping = build_packet(specs[0]);
  ping[9] = 1;
  EXPECT_EQ(merge({build_packet(specs[0]), ping, build_packet(specs[1])}).size(), 2U);
}

TEST_F(TunMergeTest, ReorderedPacketsAreNotPutInOrder) {
  auto specs = train(PacketSpec{}, 4, 500);
  std::swap(specs[1], specs[2]);
  const auto packets = build(specs);
  EXPECT_EQ(cut_all(merge(packets)), packets);
}

TEST_F(TunMergeTest, OptionsSwitchEachKindOff) {
  merger_ = TunMerger(TunMergeOptions{.tcp = false, .udp = true});
  expect_apart(build(train(PacketSpec{}, 3, 500)));
  expect_merged(train(PacketSpec{.udp = true}, 3, 500));
  merger_ = TunMerger(TunMergeOptions{.tcp = true, .udp = false});
  expect_apart(build(train(PacketSpec{.udp = true}, 3, 500)));
  expect_merged(train(PacketSpec{}, 3, 500));
}

TEST_F(TunMergeTest, TrainAndPartialChecksumGoOnAsTheyAreAndEndTheirFlow) {
  const auto packets = build(train(PacketSpec{}, 3, 500));
  const auto written = merge(packets, [](Slot& slot, std::size_t index) {
    if (index != 1) return;
    slot.checksum = ChecksumState::kPartial;
    slot.checksum_start = 20;
    slot.checksum_offset = 16;
    slot.train = TrainKind::kTcp;
    slot.header_bytes = 40;
    slot.segment_bytes = 100;
  });
  ASSERT_EQ(written.size(), 3U);
  EXPECT_EQ(written[1].vnet.gso_type, VnetHeader::kGsoTcp4);
  EXPECT_EQ(written[1].vnet.segment_bytes, 100);
  EXPECT_EQ(written[1].vnet.flags, VnetHeader::kNeedsChecksum);
  EXPECT_EQ(written[1].bytes, packets[1]);
}

TEST_F(TunMergeTest, TrainWithACompleteChecksumIsNotWritable) {
  PacketBytes packet = build_packet(train(PacketSpec{}, 1, 500)[0]);
  Slot slot;
  slot.data = packet.data();
  slot.length = static_cast<std::uint32_t>(packet.size());
  slot.train = TrainKind::kTcp;
  slot.header_bytes = 40;
  slot.segment_bytes = 100;
  const auto plan = merger_.plan({&slot, 1});
  ASSERT_EQ(plan.size(), 1U);
  EXPECT_FALSE(plan[0].writable);
}

// Random bursts of many flows, most packets continuing their flow and some not. Whatever was
// merged, cut up again every flow has the packets it had, in their order.
class RandomFlows {
 public:
  explicit RandomFlows(std::uint64_t seed) : rng_(seed) {
    for (std::uint8_t flow = 0; flow < 12; ++flow) {
      PacketSpec spec;
      spec.flow = flow;
      spec.v6 = rng_.below(2) == 0;
      spec.udp = rng_.below(3) == 0;
      spec.sequence = rng_.next_u32();
      spec.identification = static_cast<std::uint16_t>(rng_.below(65536));
      spec.fragment_word = rng_.below(2) == 0 ? 0x4000 : 0;
      if (rng_.below(2) == 0) spec.tcp_options = {1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7};
      flows_.push_back(spec);
      sizes_.push_back(1 + rng_.below(1400));
    }
  }

  PacketBytes next() {
    const std::size_t flow = rng_.below(rng_.below(4) == 0 ? flows_.size() : 3);
    PacketSpec& spec = flows_[flow];
    spec.payload = make_payload(sizes_[flow], rng_.next_u32());
    spec.flags = kAck;
    disturb(spec);
    PacketBytes packet = build_packet(spec);
    spec.sequence += static_cast<std::uint32_t>(spec.payload.size());
    ++spec.identification;
    spec.fragment_word &= 0x4000;
    if (rng_.below(40) == 0) damage(packet, spec.v6);
    return packet;
  }

 private:
  // One bit anywhere but in what names the flow: that would make it another flow's packet.
  void damage(PacketBytes& packet, bool v6) {
    const std::size_t protocol_at = v6 ? 6 : 9;
    const std::size_t names_from = v6 ? 8 : 12;
    const std::size_t names_to = v6 ? 44 : 24;
    std::size_t at = 0;
    do {
      at = rng_.below(packet.size());
    } while (at == 0 || at == protocol_at || (at >= names_from && at < names_to));
    packet[at] ^= 1;
  }

  void disturb(PacketSpec& spec) {
    switch (rng_.below(60)) {
      case 0:
        spec.flags |= kPsh;
        break;
      case 1:
        spec.flags |= kFin;
        break;
      case 2:
        spec.flags |= 0x80;
        break;
      case 3:
        spec.flags |= 0x40;
        break;
      case 4:
        ++spec.acknowledgment;
        break;
      case 5:
        spec.sequence += 7;
        break;
      case 6:
        spec.sequence -= 1;
        break;
      case 7:
        ++spec.ttl;
        break;
      case 8:
        spec.tos ^= 1;
        break;
      case 9:
        ++spec.window;
        break;
      case 10:
        spec.payload.resize(rng_.below(spec.payload.size() + 1));
        break;
      case 11:
        spec.payload.resize(spec.payload.size() + rng_.below(50));
        break;
      case 12:
        spec.identification += 5;
        break;
      case 13:
        if (!spec.v6) spec.fragment_word = 0x2000;
        break;
      case 14:
        spec.flow_label ^= 1;
        break;
      default:
        break;
    }
  }

  SeededRng rng_;
  std::vector<PacketSpec> flows_;
  std::vector<std::size_t> sizes_;
};

using Flows = std::map<std::uint8_t, std::vector<PacketBytes>>;

Flows by_flow(std::vector<PacketBytes> packets) {
  Flows flows;
  for (PacketBytes& packet : packets) {
    const bool v6 = packet[0] >> 4 == 6;
    // With DF the identification is free, and so the header checksum.
    if (!v6 && (packet[6] & 0x40) != 0 && checksums_are_right(packet)) {
      packet[4] = packet[5] = 0;
      fix_checksums(packet);
    }
    flows[packet[v6 ? 23 : 15]].push_back(std::move(packet));
  }
  return flows;
}

TEST_F(TunMergeTest, RandomFlowsComeOutAsTheyWentIn) {
  std::size_t packets_in = 0;
  std::size_t writes_out = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    RandomFlows source(seed);
    std::vector<PacketBytes> packets;
    while (packets.size() < 200)
      packets.push_back(source.next());
    const auto written = merge(packets);
    packets_in += packets.size();
    writes_out += written.size();
    ASSERT_TRUE(by_flow(cut_all(written)) == by_flow(packets)) << "seed " << seed;
  }
  // And something was gained.
  EXPECT_LT(writes_out * 2, packets_in);
}

// --- vnet_hdr -----------------------------------------------------------------------------------

Slot slot_of(PacketBytes& packet) {
  Slot slot;
  slot.data = packet.data();
  slot.length = static_cast<std::uint32_t>(packet.size());
  return slot;
}

VnetHeader train_header(const PacketSpec& spec, std::uint16_t segment) {
  VnetHeader header;
  header.flags = VnetHeader::kNeedsChecksum;
  header.gso_type = spec.udp  ? VnetHeader::kGsoUdp
                    : spec.v6 ? VnetHeader::kGsoTcp6
                              : VnetHeader::kGsoTcp4;
  header.header_bytes = 999;  // the kernel's hint may be anything
  header.segment_bytes = segment;
  header.checksum_start = spec.v6 ? 40 : 20;
  header.checksum_offset = spec.udp ? 6 : 16;
  return header;
}

TEST(TunVnet, DecodesTrainsOfEveryKind) {
  for (PacketSpec spec : four_kinds()) {
    spec.tcp_options = {1, 1, 1, 0};
    spec.payload = make_payload(5000, 1);
    PacketBytes packet = build_packet(spec);
    Slot slot = slot_of(packet);
    ASSERT_TRUE(decode_vnet(train_header(spec, 1000), slot));
    EXPECT_EQ(slot.train, spec.udp ? TrainKind::kUdp : TrainKind::kTcp);
    EXPECT_EQ(slot.segment_bytes, 1000);
    EXPECT_EQ(slot.header_bytes, packet.size() - 5000);
    EXPECT_EQ(slot.checksum, ChecksumState::kPartial);
    EXPECT_EQ(slot.checksum_start, spec.v6 ? 40 : 20);
    EXPECT_EQ(segment_count(slot), 5U);
    VnetHeader again;
    ASSERT_TRUE(encode_vnet(slot, again));
    EXPECT_EQ(again.gso_type, train_header(spec, 1000).gso_type);
    EXPECT_EQ(again.header_bytes, slot.header_bytes);
    EXPECT_EQ(again.segment_bytes, 1000);
  }
}

TEST(TunVnet, TrainOfOneSegmentIsAPacket) {
  for (PacketSpec spec : four_kinds()) {
    spec.payload = make_payload(1000, 1);
    PacketBytes packet = build_packet(spec);
    Slot slot = slot_of(packet);
    ASSERT_TRUE(decode_vnet(train_header(spec, 1000), slot));
    EXPECT_EQ(slot.train, TrainKind::kNone);
    EXPECT_EQ(slot.checksum, ChecksumState::kPartial);
  }
}

TEST(TunVnet, RefusesWhatContradictsThePacket) {
  for (PacketSpec spec : four_kinds()) {
    spec.payload = make_payload(5000, 1);
    const VnetHeader good = train_header(spec, 1000);
    const auto refused = [&](const std::function<void(VnetHeader&, PacketBytes&)>& change) {
      VnetHeader header = good;
      PacketBytes packet = build_packet(spec);
      change(header, packet);
      Slot slot = slot_of(packet);
      return !decode_vnet(header, slot);
    };
    EXPECT_FALSE(refused([](VnetHeader&, PacketBytes&) {}));
    EXPECT_TRUE(refused([](VnetHeader& h, PacketBytes&) { h.segment_bytes = 0; }));
    EXPECT_TRUE(refused([](VnetHeader& h, PacketBytes&) { h.flags = 0; }));
    EXPECT_TRUE(refused([](VnetHeader& h, PacketBytes&) { h.gso_type = 3; }));
    EXPECT_TRUE(refused([](VnetHeader& h, PacketBytes&) { h.gso_type = 77; }));
    EXPECT_TRUE(refused([](VnetHeader& h, PacketBytes&) { ++h.checksum_start; }));
    EXPECT_TRUE(refused([](VnetHeader& h, PacketBytes&) { h.checksum_start = 60000; }));
    EXPECT_TRUE(refused([](VnetHeader& h, PacketBytes&) { h.checksum_offset ^= 2; }));
    EXPECT_TRUE(refused([](VnetHeader& h, PacketBytes&) { h.checksum_offset = 65535; }));
    EXPECT_TRUE(refused([](VnetHeader&, PacketBytes& p) { p[0] = 0x50; }));
    EXPECT_TRUE(refused([](VnetHeader&, PacketBytes& p) { p[p[0] >> 4 == 6 ? 6 : 9] = 1; }));
    EXPECT_TRUE(refused([](VnetHeader&, PacketBytes& p) { p.resize(28); }));
    if (!spec.udp) {
      EXPECT_TRUE(refused([&](VnetHeader&, PacketBytes& p) { p[spec.v6 ? 52 : 32] = 0x40; }));
    }
  }
}

TEST(TunVnet, TruncatedTrainsAreRefusedWithoutReadingPastThem) {
  for (PacketSpec spec : four_kinds()) {
    spec.payload = make_payload(20, 1);
    const PacketBytes whole = build_packet(spec);
    for (std::size_t length = 1; length < whole.size() - 20; ++length) {
      PacketBytes packet(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      packet.shrink_to_fit();
      Slot slot = slot_of(packet);
      EXPECT_FALSE(decode_vnet(train_header(spec, 10), slot)) << length;
    }
  }
}

TEST(TunVnet, CompletesAPartialChecksum) {
  for (PacketSpec spec : four_kinds()) {
    for (const std::size_t bytes : {0U, 1U, 64U, 1399U}) {
      spec.payload = make_payload(bytes, 1);
      const PacketBytes whole = build_packet(spec);
      PacketBytes packet = whole;
      const std::size_t start = spec.v6 ? 40 : 20;
      const std::size_t field = start + (spec.udp ? 6 : 16);
      // The pseudo-header's sum, as the kernel leaves it.
      std::uint32_t sum = (spec.udp ? 17U : 6U) + static_cast<std::uint32_t>(whole.size() - start);
      for (std::size_t at = spec.v6 ? 8 : 12; at < start; at += 2)
        sum += static_cast<std::uint32_t>(whole[at] << 8 | whole[at + 1]);
      sum = (sum & 0xffff) + (sum >> 16);
      packet[field] = static_cast<std::uint8_t>(sum >> 8);
      packet[field + 1] = static_cast<std::uint8_t>(sum);
      Slot slot = slot_of(packet);
      slot.checksum = ChecksumState::kPartial;
      slot.checksum_start = static_cast<std::uint16_t>(start);
      slot.checksum_offset = static_cast<std::uint16_t>(field - start);
      ASSERT_TRUE(complete_checksum(slot));
      EXPECT_EQ(packet, whole);
    }
  }
}

}  // namespace
}  // namespace ringway::io
