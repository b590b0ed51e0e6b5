#include "dataplane/io/tun_merge.hpp"

#include <cstring>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/net/checksum.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/tcp.hpp"
#include "base/net/udp.hpp"

namespace ringway::io {
namespace {

using net::Ip4View;
using net::Ip6View;
using net::TcpView;
using net::UdpView;

constexpr std::size_t kUrgentPointerAt = 18;
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kFragmentBits = 0x3fff;  // offset, and "more fragments"
// What may differ between segments, because segmentation puts it on the last one only.
constexpr std::uint8_t kTcpLastOnly = net::kTcpPsh | net::kTcpFin;
// What segmentation cannot repeat, or not as it was.
constexpr std::uint8_t kTcpUnmergeable = net::kTcpSyn | net::kTcpRst | net::kTcpUrg | net::kTcpCwr;

template <typename T>
bool equal_at(const std::uint8_t* a, const std::uint8_t* b, std::size_t at) {
  return load_le<T>(a + at) == load_le<T>(b + at);
}

std::uint64_t pseudo_header_sum(const std::uint8_t* ip, std::uint8_t version, std::uint8_t protocol,
                                std::uint32_t length) {
  if (version == 4) {
    return net::pseudo_header_sum_v4(ip + Ip4View::kSourceAt, ip + Ip4View::kDestinationAt,
                                     protocol, length);
  }
  return net::pseudo_header_sum_v6(ip + Ip6View::kSourceAt, ip + Ip6View::kDestinationAt, protocol,
                                   length);
}

// IPv4: type of service, fragment word (DF and the reserved bit), TTL. IPv6: traffic class, flow
// label, hop limit.
bool same_ip_header(const std::uint8_t* a, const std::uint8_t* b, std::uint8_t version) {
  if (version == 4) {
    return a[1] == b[1] && equal_at<std::uint16_t>(a, b, Ip4View::kFragmentAt) &&
           a[Ip4View::kTtlAt] == b[Ip4View::kTtlAt];
  }
  return equal_at<std::uint32_t>(a, b, 0) && a[Ip6View::kHopLimitAt] == b[Ip6View::kHopLimitAt];
}

// Everything but sequence number, checksum and what only the last segment may have.
bool same_tcp_header(const std::uint8_t* a, const std::uint8_t* b, std::size_t header_bytes) {
  return equal_at<std::uint32_t>(a, b, TcpView::kAcknowledgmentAt) &&
         a[TcpView::kDataOffsetAt] == b[TcpView::kDataOffsetAt] &&
         ((a[TcpView::kFlagsAt] ^ b[TcpView::kFlagsAt]) & ~kTcpLastOnly) == 0 &&
         equal_at<std::uint16_t>(a, b, TcpView::kWindowAt) &&
         std::memcmp(a + kUrgentPointerAt, b + kUrgentPointerAt, header_bytes - kUrgentPointerAt) ==
             0;
}

}  // namespace

std::span<const TunWrite> TunMerger::plan(std::span<Slot> slots) {
  CHECK(slots.size() <= kMaxSlots);
  write_count_ = 0;
  for (std::size_t i = 0; i < slots.size(); ++i)
    add(static_cast<std::uint16_t>(i), slots);
  close_all(slots);
  return {writes_.data(), write_count_};
}

void TunMerger::add(std::uint16_t index, std::span<Slot> slots) {
  const Slot& slot = slots[index];
  Packet packet;
  switch (parse(slot, packet)) {
    case Kind::kOther:
      begin_write(index, slot);
      return;
    case Kind::kOpaque:
      close_all(slots);
      begin_write(index, slot);
      return;
    case Kind::kFlow:
      break;
  }
  const bool mergeable = packet.mergeable && wanted(packet);
  if (Open* const flow = find_open(packet.flow); flow != nullptr) {
    if (mergeable && try_append(*flow, index, slots, packet)) return;
    close(*flow, slots);
  }
  const std::uint16_t write = begin_write(index, slot);
  if (mergeable && !packet.ends_train) open(write, slot, packet, slots);
}

std::uint16_t TunMerger::begin_write(std::uint16_t index, const Slot& slot) {
  TunWrite& write = writes_[write_count_];
  write = TunWrite{};
  write.writable = encode_vnet(slot, write.vnet);
  write.first = index;
  write.last = index;
  write.bytes = slot.length;
  return static_cast<std::uint16_t>(write_count_++);
}

bool TunMerger::wanted(const Packet& packet) const {
  return packet.flow.protocol == net::kProtocolTcp ? options_.tcp : options_.udp;
}

TunMerger::Kind TunMerger::parse(const Slot& slot, Packet& packet) {
  if (slot.length >= Ip4View::kMinHeaderBytes && slot.data[0] == 0x45) {
    return parse_v4(slot, packet);
  }
  if (slot.length >= Ip6View::kHeaderBytes && slot.data[0] >> 4 == 6) return parse_v6(slot, packet);
  return Kind::kOpaque;  // options among others: the same flow may come without them
}

TunMerger::Kind TunMerger::parse_v4(const Slot& slot, Packet& packet) {
  const std::uint8_t* const ip = slot.data;
  if ((load_be<std::uint16_t>(ip + Ip4View::kFragmentAt) & kFragmentBits) != 0) {
    return Kind::kOpaque;
  }
  packet.flow.version = 4;
  packet.flow.protocol = ip[Ip4View::kProtocolAt];
  packet.flow.addresses[0] = load_le<std::uint64_t>(ip + Ip4View::kSourceAt);
  packet.transport_at = Ip4View::kMinHeaderBytes;
  packet.mergeable = load_be<std::uint16_t>(ip + Ip4View::kTotalLengthAt) == slot.length;
  return parse_transport(slot, packet);
}

TunMerger::Kind TunMerger::parse_v6(const Slot& slot, Packet& packet) {
  const std::uint8_t* const ip = slot.data;
  packet.flow.version = 6;
  packet.flow.protocol = ip[Ip6View::kNextHeaderAt];
  for (std::size_t i = 0; i < 4; ++i) {
    packet.flow.addresses[i] = load_le<std::uint64_t>(ip + Ip6View::kSourceAt + 8 * i);
  }
  packet.transport_at = Ip6View::kHeaderBytes;
  packet.mergeable = load_be<std::uint16_t>(ip + Ip6View::kPayloadLengthAt) +
                         std::uint32_t{Ip6View::kHeaderBytes} ==
                     slot.length;
  return parse_transport(slot, packet);
}

TunMerger::Kind TunMerger::parse_transport(const Slot& slot, Packet& packet) {
  const std::uint8_t protocol = packet.flow.protocol;
  const bool udp = protocol == net::kProtocolUdp;
  if (!udp && protocol != net::kProtocolTcp) {
    // Behind an IPv6 extension header anything may follow.
    const bool other = packet.flow.version == 4 || protocol == net::kProtocolIcmpv6;
    return other ? Kind::kOther : Kind::kOpaque;
  }
  const std::size_t least = udp ? UdpView::kHeaderBytes : TcpView::kMinHeaderBytes;
  if (slot.length < packet.transport_at + least) return Kind::kOpaque;
  packet.flow.ports = load_le<std::uint32_t>(slot.data + packet.transport_at);
  // A train, or one whose checksum is not there yet, goes on as it is.
  if (slot.train != TrainKind::kNone || slot.checksum == ChecksumState::kPartial) {
    packet.mergeable = false;
  }
  if (!packet.mergeable) return Kind::kFlow;
  if (udp) {
    parse_udp(slot, packet);
  } else {
    parse_tcp(slot, packet);
  }
  return Kind::kFlow;
}

void TunMerger::parse_tcp(const Slot& slot, Packet& packet) {
  const std::uint8_t* const tcp = slot.data + packet.transport_at;
  const std::size_t header = packet.transport_at + (tcp[TcpView::kDataOffsetAt] >> 4) * 4U;
  const std::uint8_t flags = tcp[TcpView::kFlagsAt];
  // A bare acknowledgment is not merged: each one counts.
  packet.mergeable = header >= packet.transport_at + TcpView::kMinHeaderBytes &&
                     header < slot.length && (flags & net::kTcpAck) != 0 &&
                     (flags & kTcpUnmergeable) == 0;
  if (!packet.mergeable) return;
  packet.header_bytes = static_cast<std::uint16_t>(header);
  packet.payload_bytes = slot.length - packet.header_bytes;
  packet.ends_train = (flags & kTcpLastOnly) != 0;
}

void TunMerger::parse_udp(const Slot& slot, Packet& packet) {
  const std::uint8_t* const udp = slot.data + packet.transport_at;
  packet.header_bytes = static_cast<std::uint16_t>(packet.transport_at + UdpView::kHeaderBytes);
  packet.payload_bytes = slot.length - packet.header_bytes;
  // Without a checksum nothing vouches for the bytes, and segmentation would add one.
  packet.mergeable =
      packet.payload_bytes != 0 &&
      load_be<std::uint16_t>(udp + UdpView::kLengthAt) == slot.length - packet.transport_at &&
      load_le<std::uint16_t>(udp + UdpView::kChecksumAt) != 0;
}

TunMerger::Open* TunMerger::find_open(const FlowKey& flow) {
  for (Open& open : open_) {
    if (open.in_use && open.head.flow == flow) return &open;
  }
  return nullptr;
}

void TunMerger::open(std::uint16_t write, const Slot& slot, const Packet& packet,
                     std::span<Slot> slots) {
  Open* place = &open_[next_victim_];
  for (Open& open : open_) {
    if (!open.in_use) place = &open;
  }
  if (place->in_use) {
    next_victim_ = (next_victim_ + 1) % kMaxOpen;
    close(*place, slots);
  }
  *place = Open{};
  place->head = packet;
  place->write = write;
  place->in_use = true;
  if (packet.flow.version == 4) {
    place->next_identification = static_cast<std::uint16_t>(
        load_be<std::uint16_t>(slot.data + Ip4View::kIdentificationAt) + 1);
  }
  if (packet.flow.protocol == net::kProtocolTcp) {
    place->next_sequence =
        load_be<std::uint32_t>(slot.data + packet.transport_at + TcpView::kSequenceAt) +
        packet.payload_bytes;
  }
}

// Whether the headers continue the super-packet, so that cutting it up gives this packet again.
bool TunMerger::may_append(const Open& open, const Slot& head, const Slot& slot,
                           const Packet& packet) const {
  const TunWrite& write = writes_[open.write];
  if (packet.header_bytes != open.head.header_bytes ||
      packet.payload_bytes > open.head.payload_bytes || write.segments >= kMaxSegments ||
      write.bytes + packet.payload_bytes > kMaxPacketBytes) {
    return false;
  }
  if (!same_ip_header(head.data, slot.data, packet.flow.version)) return false;
  if (packet.flow.version == 4) {
    const bool dont_fragment =
        (load_be<std::uint16_t>(slot.data + Ip4View::kFragmentAt) & kDontFragment) != 0;
    const auto identification = load_be<std::uint16_t>(slot.data + Ip4View::kIdentificationAt);
    if (!dont_fragment && identification != open.next_identification) return false;
  }
  if (packet.flow.protocol == net::kProtocolUdp) return true;
  const std::uint8_t* const tcp = slot.data + packet.transport_at;
  return load_be<std::uint32_t>(tcp + TcpView::kSequenceAt) == open.next_sequence &&
         same_tcp_header(head.data + packet.transport_at, tcp,
                         packet.header_bytes - std::size_t{packet.transport_at});
}

bool TunMerger::checksums_right(const Slot& slot, const Packet& packet) {
  if (packet.flow.version == 4 &&
      net::checksum_fold(net::checksum_sum({slot.data, packet.transport_at})) != 0xffff) {
    return false;
  }
  if (slot.checksum == ChecksumState::kVerified) return true;
  const std::uint32_t length = slot.length - packet.transport_at;
  const std::uint64_t pseudo =
      pseudo_header_sum(slot.data, packet.flow.version, packet.flow.protocol, length);
  return net::checksum_fold(net::checksum_sum({slot.data + packet.transport_at, length}, pseudo)) ==
         0xffff;
}

bool TunMerger::try_append(Open& open, std::uint16_t index, std::span<Slot> slots,
                           const Packet& packet) {
  TunWrite& write = writes_[open.write];
  const Slot& head = slots[write.first];
  const Slot& slot = slots[index];
  if (!may_append(open, head, slot, packet)) return false;
  // From here on the kernel is told to trust the checksums, so they are looked at first.
  if (!open.head_verified && !checksums_right(head, open.head)) return false;
  open.head_verified = true;
  if (!checksums_right(slot, packet)) return false;

  next_slot_[write.last] = index;
  write.last = index;
  write.bytes += packet.payload_bytes;
  ++write.segments;
  open.next_sequence += packet.payload_bytes;
  ++open.next_identification;
  if (packet.ends_train || packet.payload_bytes < open.head.payload_bytes) close(open, slots);
  return true;
}

void TunMerger::close(Open& open, std::span<Slot> slots) {
  open.in_use = false;
  TunWrite& write = writes_[open.write];
  if (write.segments == 1) return;
  const Packet& packet = open.head;
  Slot& head = slots[write.first];
  const bool udp = packet.flow.protocol == net::kProtocolUdp;
  const bool v4 = packet.flow.version == 4;
  std::uint8_t* const ip = head.data;
  std::uint8_t* const transport = ip + packet.transport_at;
  const std::uint32_t transport_bytes = write.bytes - packet.transport_at;
  if (v4) {
    store_be(ip + Ip4View::kTotalLengthAt, static_cast<std::uint16_t>(write.bytes));
    store_le(ip + Ip4View::kChecksumAt, std::uint16_t{0});
    store_le(ip + Ip4View::kChecksumAt,
             net::checksum_finish(net::checksum_sum({ip, packet.transport_at})));
  } else {
    store_be(ip + Ip6View::kPayloadLengthAt, static_cast<std::uint16_t>(transport_bytes));
  }
  if (udp) {
    store_be(transport + UdpView::kLengthAt, static_cast<std::uint16_t>(transport_bytes));
  } else {
    const std::uint8_t last = slots[write.last].data[packet.transport_at + TcpView::kFlagsAt];
    transport[TcpView::kFlagsAt] |= static_cast<std::uint8_t>(last & kTcpLastOnly);
  }
  const std::size_t field = udp ? UdpView::kChecksumAt : TcpView::kChecksumAt;
  store_le(transport + field, net::checksum_fold(pseudo_header_sum(
                                  ip, packet.flow.version, packet.flow.protocol, transport_bytes)));
  write.header_bytes = packet.header_bytes;
  write.vnet.flags = VnetHeader::kNeedsChecksum;
  const std::uint8_t tcp_type = v4 ? VnetHeader::kGsoTcp4 : VnetHeader::kGsoTcp6;
  write.vnet.gso_type = udp ? VnetHeader::kGsoUdp : tcp_type;
  write.vnet.header_bytes = packet.header_bytes;
  write.vnet.segment_bytes = static_cast<std::uint16_t>(packet.payload_bytes);
  write.vnet.checksum_start = packet.transport_at;
  write.vnet.checksum_offset = static_cast<std::uint16_t>(field);
}

void TunMerger::close_all(std::span<Slot> slots) {
  for (Open& open : open_) {
    if (open.in_use) close(open, slots);
  }
}

std::size_t TunMerger::gather(const TunWrite& write, std::span<const Slot> slots,
                              std::span<iovec> pieces) const {
  std::size_t count = 0;
  std::uint16_t index = write.first;
  pieces[count++] = {slots[index].data, slots[index].length};
  while (index != write.last) {
    index = next_slot_[index];
    const Slot& slot = slots[index];
    pieces[count++] = {slot.data + write.header_bytes,
                       std::size_t{slot.length} - write.header_bytes};
  }
  return count;
}

}  // namespace ringway::io
