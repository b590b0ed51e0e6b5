#include "dataplane/io/tun_vnet.hpp"

#include "base/bytes.hpp"
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

// Where the transport header of an unfragmented packet begins; 0 when it has none of `protocol`.
// Length fields are not looked at: a super-packet's may not fit its length.
std::uint32_t transport_offset(const Slot& slot, std::uint8_t protocol) {
  const std::uint8_t* const ip = slot.data;
  if (slot.length >= Ip4View::kMinHeaderBytes && ip[0] >> 4 == 4) {
    const std::uint32_t header = (ip[0] & 0x0fU) * 4;
    const bool fragment = (load_be<std::uint16_t>(ip + Ip4View::kFragmentAt) & 0x3fff) != 0;
    const bool fits = header >= Ip4View::kMinHeaderBytes && header <= slot.length;
    return fits && !fragment && ip[Ip4View::kProtocolAt] == protocol ? header : 0;
  }
  if (slot.length >= Ip6View::kHeaderBytes && ip[0] >> 4 == 6) {
    const std::uint32_t looked_at = slot.length < UINT16_MAX ? slot.length : UINT16_MAX;
    const auto upper = net::ip6_upper_layer({ip, looked_at});
    return upper && !upper->fragment && upper->protocol == protocol ? upper->offset : 0U;
  }
  return 0;
}

bool decode_checksum(const VnetHeader& header, Slot& slot) {
  if ((header.flags & VnetHeader::kNeedsChecksum) == 0) return true;
  const std::uint32_t field = std::uint32_t{header.checksum_start} + header.checksum_offset;
  if (field + 2 > slot.length) return false;
  slot.checksum = ChecksumState::kPartial;
  slot.checksum_start = header.checksum_start;
  slot.checksum_offset = header.checksum_offset;
  return true;
}

// Family that the type names, or 0 for any.
int gso_family(std::uint8_t type) {
  if (type == VnetHeader::kGsoTcp4) return 4;
  return type == VnetHeader::kGsoTcp6 ? 6 : 0;
}

bool decode_train(std::uint8_t type, const VnetHeader& header, Slot& slot) {
  const bool udp = type == VnetHeader::kGsoUdp;
  const int family = gso_family(type);
  if (header.segment_bytes == 0 || slot.checksum != ChecksumState::kPartial) return false;
  if (slot.length == 0 || (family != 0 && slot.data[0] >> 4 != family)) return false;
  const std::uint32_t transport =
      transport_offset(slot, udp ? net::kProtocolUdp : net::kProtocolTcp);
  if (transport == 0 || transport != header.checksum_start) return false;
  std::uint32_t transport_bytes = UdpView::kHeaderBytes;
  if (!udp) {
    const auto tcp = TcpView::parse({slot.data + transport, slot.length - transport});
    if (!tcp) return false;
    transport_bytes = static_cast<std::uint32_t>(tcp->header_bytes());
  }
  const std::size_t field = udp ? UdpView::kChecksumAt : TcpView::kChecksumAt;
  const std::uint32_t headers = transport + transport_bytes;
  if (header.checksum_offset != field || headers >= slot.length) return false;
  if (slot.length - headers <= header.segment_bytes) return true;  // one packet after all
  slot.train = udp ? TrainKind::kUdp : TrainKind::kTcp;
  slot.segment_bytes = header.segment_bytes;
  slot.header_bytes = static_cast<std::uint16_t>(headers);
  return true;
}

}  // namespace

bool decode_vnet(const VnetHeader& header, Slot& slot) {
  if (!decode_checksum(header, slot)) return false;
  const auto type = static_cast<std::uint8_t>(header.gso_type & ~VnetHeader::kGsoEcn);
  switch (type) {
    case VnetHeader::kGsoNone:
      return true;
    case VnetHeader::kGsoTcp4:
    case VnetHeader::kGsoTcp6:
    case VnetHeader::kGsoUdp:
      return decode_train(type, header, slot);
    default:
      return false;
  }
}

bool encode_vnet(const Slot& slot, VnetHeader& header) {
  header = VnetHeader{};
  if (slot.checksum == ChecksumState::kPartial) {
    header.flags = VnetHeader::kNeedsChecksum;
    header.checksum_start = slot.checksum_start;
    header.checksum_offset = slot.checksum_offset;
  }
  if (slot.train == TrainKind::kNone) return true;
  if (slot.train == TrainKind::kDatagrams || slot.checksum != ChecksumState::kPartial ||
      slot.header_bytes > slot.length ||
      slot.checksum_start + TcpView::kFlagsAt >= slot.header_bytes + TcpView::kMinHeaderBytes) {
    return false;
  }
  header.header_bytes = slot.header_bytes;
  header.segment_bytes = slot.segment_bytes;
  if (slot.train == TrainKind::kUdp) {
    header.gso_type = VnetHeader::kGsoUdp;
    return true;
  }
  header.gso_type = slot.data[0] >> 4 == 4 ? VnetHeader::kGsoTcp4 : VnetHeader::kGsoTcp6;
  if ((slot.data[slot.checksum_start + TcpView::kFlagsAt] & net::kTcpCwr) != 0) {
    header.gso_type |= VnetHeader::kGsoEcn;
  }
  return true;
}

}  // namespace ringway::io
