// Any slot as a super-packet. The first ten bytes are its description, the rest its bytes:
//   kind and checksum state(1) zero(1) segment_bytes(2) header_bytes(2) checksum_start(2)
//   checksum_offset(2), little-endian
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/tcp.hpp"
#include "base/net/udp.hpp"
#include "dataplane/segmenter.hpp"

namespace {

using namespace ringway;

constexpr std::size_t kDescriptionBytes = 10;

Slot described(const std::uint8_t* description) {
  Slot slot;
  slot.train = static_cast<TrainKind>(description[0] & 3);
  slot.checksum = (description[0] & 4) != 0 ? ChecksumState::kPartial : ChecksumState::kUnknown;
  slot.segment_bytes = load_le<std::uint16_t>(description + 2);
  slot.header_bytes = load_le<std::uint16_t>(description + 4);
  slot.checksum_start = load_le<std::uint16_t>(description + 6);
  slot.checksum_offset = load_le<std::uint16_t>(description + 8);
  return slot;
}

void check_transport(ConstBytes payload, std::uint64_t pseudo_header_sum, TrainKind kind) {
  if (kind == TrainKind::kTcp) {
    const auto tcp = net::TcpView::parse(payload);
    CHECK(tcp && tcp->checksum_valid(pseudo_header_sum));
  } else {
    const auto udp = net::UdpView::parse(payload);
    CHECK(udp && udp->total_bytes() == payload.size());
    CHECK(udp->has_checksum() && udp->checksum_valid(pseudo_header_sum));
  }
}

// Every segment of a train is a whole packet with right lengths and checksums.
void check_segment(ConstBytes packet, TrainKind kind) {
  if (const auto ip4 = net::Ip4View::parse(packet)) {
    CHECK(ip4->total_bytes() == packet.size() && ip4->checksum_valid());
    check_transport(ip4->payload(), ip4->pseudo_header_sum(), kind);
    return;
  }
  const auto ip6 = net::Ip6View::parse(packet);
  CHECK(ip6 && ip6->total_bytes() == packet.size());
  const auto upper = net::ip6_upper_layer(packet);
  CHECK(upper);
  const ConstBytes payload = packet.subspan(upper->offset);
  const auto length = static_cast<std::uint32_t>(payload.size());
  check_transport(
      payload,
      net::pseudo_header_sum_v6(ip6->source(), ip6->destination(), upper->protocol, length), kind);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kDescriptionBytes) return 0;
  Slot slot = described(data);
  std::vector<std::uint8_t> exact(data + kDescriptionBytes, data + size);
  exact.reserve(1);  // a slot always has memory
  slot.data = exact.data();
  slot.length = static_cast<std::uint32_t>(exact.size());
  Segmenter segmenter;
  const bool taken = segmenter.start(slot);
  CHECK(taken == segmentable(slot));
  if (!taken) return 0;
  CHECK(segmenter.count() == segment_count(slot) && segmenter.count() <= kMaxTrainSegments);
  const bool train = slot.train != TrainKind::kNone;
  std::size_t bodies = 0;
  for (std::uint32_t i = 0; i < segmenter.count(); ++i) {
    std::vector<std::uint8_t> packet(segmenter.packet_bytes(i));
    packet.reserve(1);  // memory, even for a packet of no bytes
    CHECK(segmenter.emit(i, packet.data()) == packet.size());
    if (train) check_segment(packet, slot.train);
    bodies += packet.size() - (train ? slot.header_bytes : 0U);
  }
  CHECK(bodies + (train ? slot.header_bytes : 0U) == slot.length);
  return 0;
}
