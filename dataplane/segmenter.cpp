#include "dataplane/segmenter.hpp"

#include <cstring>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/net/checksum.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/tcp.hpp"
#include "base/net/udp.hpp"

namespace ringway {

using net::Ip4View;
using net::Ip6View;
using net::TcpView;
using net::UdpView;

bool Segmenter::start(const Slot& slot) {
  data_ = slot.data;
  kind_ = slot.train;
  switch (slot.train) {
    case TrainKind::kNone:
      return start_single(slot);
    case TrainKind::kTcp:
    case TrainKind::kUdp:
      return start_train(slot);
    case TrainKind::kDatagrams:
      return false;
  }
  return false;
}

bool Segmenter::start_single(const Slot& slot) {
  header_bytes_ = 0;
  body_bytes_ = slot.length;
  segment_bytes_ = slot.length;
  count_ = 1;
  complete_checksum_ = slot.checksum == ChecksumState::kPartial;
  if (!complete_checksum_) return true;
  const std::uint32_t field = std::uint32_t{slot.checksum_start} + slot.checksum_offset;
  if (field + 2 > slot.length || field > UINT16_MAX) return false;
  transport_at_ = slot.checksum_start;
  checksum_at_ = static_cast<std::uint16_t>(field);
  return true;
}

bool Segmenter::start_train(const Slot& slot) {
  header_bytes_ = slot.header_bytes;
  segment_bytes_ = slot.segment_bytes;
  if (segment_bytes_ == 0 || header_bytes_ > slot.length || header_bytes_ > kMaxTrainHeaderBytes) {
    return false;
  }
  body_bytes_ = slot.length - header_bytes_;
  if (header_bytes_ + body_bytes(0) > UINT16_MAX) return false;
  count_ = segment_count(slot);
  if (count_ > kMaxTrainSegments) return false;
  if (!find_transport() || !check_transport(slot)) return false;
  prepare_template();
  return true;
}

// Family and transport offset from the IP header, of which only the first header_bytes_ bytes of
// the slot are looked at. The length fields are not: a super-packet's may be meaningless (it can be
// longer than they count), and every segment gets its own.
bool Segmenter::find_transport() {
  const std::uint8_t protocol = kind_ == TrainKind::kTcp ? net::kProtocolTcp : net::kProtocolUdp;
  if (header_bytes_ < Ip4View::kMinHeaderBytes) return false;
  if (data_[0] >> 4 == 4) {
    family_ = net::Family::kIpv4;
    transport_at_ = (data_[0] & 0x0fU) * 4;
    const bool fragment = (load_be<std::uint16_t>(data_ + Ip4View::kFragmentAt) & 0x3fff) != 0;
    return transport_at_ >= Ip4View::kMinHeaderBytes && transport_at_ <= header_bytes_ &&
           !fragment && data_[Ip4View::kProtocolAt] == protocol;
  }
  if (data_[0] >> 4 == 6) {
    family_ = net::Family::kIpv6;
    const auto upper = net::ip6_upper_layer({data_, header_bytes_});
    if (!upper || upper->fragment || upper->rerouted) return false;
    transport_at_ = upper->offset;
    return upper->protocol == protocol;
  }
  return false;
}

// The transport header must end exactly where the slot says the headers end.
bool Segmenter::check_transport(const Slot& slot) const {
  const std::uint32_t transport_bytes = header_bytes_ - transport_at_;
  std::uint32_t checksum_offset = UdpView::kChecksumAt;
  if (kind_ == TrainKind::kUdp) {
    if (transport_bytes != UdpView::kHeaderBytes) return false;
  } else {
    const auto tcp = TcpView::parse({data_ + transport_at_, transport_bytes});
    if (!tcp || tcp->header_bytes() != transport_bytes) return false;
    // A SYN or RST cannot be repeated on every segment.
    if (count_ > 1 && tcp->has(net::kTcpSyn | net::kTcpRst)) return false;
    checksum_offset = TcpView::kChecksumAt;
  }
  return slot.checksum != ChecksumState::kPartial ||
         (slot.checksum_start == transport_at_ && slot.checksum_offset == checksum_offset);
}

void Segmenter::prepare_template() {
  std::memcpy(template_.data(), data_, header_bytes_);
  std::uint8_t* const ip = template_.data();
  std::uint8_t* const transport = ip + transport_at_;
  std::uint8_t protocol = net::kProtocolUdp;
  if (kind_ == TrainKind::kTcp) {
    protocol = net::kProtocolTcp;
    sequence_ = load_be<std::uint32_t>(transport + TcpView::kSequenceAt);
    first_flags_ = transport[TcpView::kFlagsAt];
    checksum_at_ = static_cast<std::uint16_t>(transport_at_ + TcpView::kChecksumAt);
    store_le(transport + TcpView::kSequenceAt, std::uint32_t{0});
    transport[TcpView::kFlagsAt] = 0;
  } else {
    checksum_at_ = static_cast<std::uint16_t>(transport_at_ + UdpView::kChecksumAt);
    store_le(transport + UdpView::kLengthAt, std::uint16_t{0});
  }
  store_le(ip + checksum_at_, std::uint16_t{0});
  if (family_ == net::Family::kIpv4) {
    identification_ = load_be<std::uint16_t>(ip + Ip4View::kIdentificationAt);
    store_le(ip + Ip4View::kTotalLengthAt, std::uint16_t{0});
    store_le(ip + Ip4View::kIdentificationAt, std::uint16_t{0});
    store_le(ip + Ip4View::kChecksumAt, std::uint16_t{0});
    ip_sum_ = net::checksum_sum({ip, transport_at_});
    transport_sum_ = net::pseudo_header_sum_v4(ip + Ip4View::kSourceAt,
                                               ip + Ip4View::kDestinationAt, protocol, 0);
  } else {
    transport_sum_ = net::pseudo_header_sum_v6(ip + Ip6View::kSourceAt,
                                               ip + Ip6View::kDestinationAt, protocol, 0);
  }
  transport_sum_ = net::checksum_sum({transport, header_bytes_ - transport_at_}, transport_sum_);
}

std::uint32_t Segmenter::emit(std::uint32_t index, std::uint8_t* dst) const {
  DCHECK(index < count_);
  if (kind_ == TrainKind::kNone) return emit_single(dst);
  const std::uint32_t body = body_bytes(index);
  const std::uint32_t bytes = header_bytes_ + body;
  const std::uint32_t transport_bytes = bytes - transport_at_;
  std::memcpy(dst, template_.data(), header_bytes_);
  finish_ip(index, bytes, dst);

  std::uint64_t sum =
      net::checksum_add(transport_sum_, net::checksum_of_be32(transport_bytes));  // pseudo-header
  if (kind_ == TrainKind::kTcp) {
    sum = net::checksum_add(sum, finish_tcp(index, dst + transport_at_));
  } else {
    const auto length = static_cast<std::uint16_t>(transport_bytes);
    store_be(dst + transport_at_ + UdpView::kLengthAt, length);
    sum = net::checksum_add(sum, net::checksum_of_be16(length));
  }
  // The body begins at an even offset from the transport header: both headers are multiples of 4.
  const std::uint8_t* const from = data_ + header_bytes_ + std::size_t{index} * segment_bytes_;
  sum = net::copy_and_sum(dst + header_bytes_, from, body, sum);
  store_le(dst + checksum_at_,
           kind_ == TrainKind::kTcp ? net::checksum_finish(sum) : net::checksum_finish_udp(sum));
  return bytes;
}

void Segmenter::finish_ip(std::uint32_t index, std::uint32_t bytes, std::uint8_t* ip) const {
  if (family_ == net::Family::kIpv6) {
    store_be(ip + Ip6View::kPayloadLengthAt,
             static_cast<std::uint16_t>(bytes - Ip6View::kHeaderBytes));
    return;
  }
  const auto total = static_cast<std::uint16_t>(bytes);
  const auto identification = static_cast<std::uint16_t>(identification_ + index);
  store_be(ip + Ip4View::kTotalLengthAt, total);
  store_be(ip + Ip4View::kIdentificationAt, identification);
  const std::uint64_t changing =
      net::checksum_of_be16(total) + net::checksum_of_be16(identification);
  store_le(ip + Ip4View::kChecksumAt, net::checksum_finish(net::checksum_add(ip_sum_, changing)));
}

// Returns what the two fields add to the sum.
std::uint64_t Segmenter::finish_tcp(std::uint32_t index, std::uint8_t* tcp) const {
  const std::uint32_t sequence = sequence_ + index * segment_bytes_;
  std::uint8_t flags = first_flags_;
  if (index != 0) flags &= static_cast<std::uint8_t>(~net::kTcpCwr);
  if (index + 1 != count_) flags &= static_cast<std::uint8_t>(~(net::kTcpFin | net::kTcpPsh));
  store_be(tcp + TcpView::kSequenceAt, sequence);
  tcp[TcpView::kFlagsAt] = flags;
  // The flags are the low byte of their word.
  return net::checksum_of_be32(sequence) + net::checksum_of_be16(flags);
}

std::uint32_t Segmenter::emit_single(std::uint8_t* dst) const {
  if (!complete_checksum_) {
    std::memcpy(dst, data_, body_bytes_);
    return body_bytes_;
  }
  // The field holds the pseudo-header's sum and so adds it. A result of zero is sent as 0xffff,
  // which every checksum takes for the same and UDP needs.
  std::memcpy(dst, data_, transport_at_);
  const std::uint64_t sum =
      net::copy_and_sum(dst + transport_at_, data_ + transport_at_, body_bytes_ - transport_at_);
  store_le(dst + checksum_at_, net::checksum_finish_udp(sum));
  return body_bytes_;
}

bool segmentable(const Slot& slot) {
  Segmenter segmenter;
  return segmenter.start(slot);
}

}  // namespace ringway
