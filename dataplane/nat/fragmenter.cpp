#include "dataplane/nat/fragmenter.hpp"

#include <cstring>

#include "base/check.hpp"

namespace ringway::nat {

using net::Ip4MutableView;
using net::Ip4View;

namespace {

constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint32_t kOffsetUnit = 8;

[[nodiscard]] constexpr std::uint32_t whole_units(std::uint32_t bytes) {
  return bytes / kOffsetUnit * kOffsetUnit;
}

}  // namespace

bool Fragmenter::start(ConstBytes packet, std::uint16_t mtu) {
  const auto ip = Ip4View::parse(packet);
  if (!ip || ip->dont_fragment() || mtu < kMinMtu) return false;
  first_header_ = ip->header();
  first_header_bytes_ = static_cast<std::uint32_t>(ip->header_bytes());
  data_ = ip->payload();
  fragment_word_ = load_be<std::uint16_t>(packet.data() + Ip4View::kFragmentAt);
  const auto bytes = static_cast<std::uint32_t>(data_.size());
  if (ip->fragment_offset_bytes() + bytes > UINT16_MAX) return false;
  count_ = 1;
  first_data_bytes_ = bytes;
  if (ip->total_bytes() <= mtu) return true;
  if (!make_later_header()) return false;
  first_data_bytes_ = whole_units(mtu - first_header_bytes_);
  later_data_bytes_ = whole_units(mtu - later_header_bytes_);
  count_ += (bytes - first_data_bytes_ + later_data_bytes_ - 1) / later_data_bytes_;
  return true;
}

bool Fragmenter::make_later_header() {
  std::memcpy(later_header_.data(), first_header_.data(), Ip4View::kMinHeaderBytes);
  std::size_t to = Ip4View::kMinHeaderBytes;
  const ConstBytes options = first_header_.subspan(to);
  for (std::size_t at = 0; at < options.size();) {
    const std::uint8_t option = options[at];
    if (option == net::kIp4OptionEnd) break;
    std::size_t length = 1;
    if (option != net::kIp4OptionNoOperation) {
      if (options.size() - at < 2) return false;
      length = options[at + 1];
      if (length < 2 || length > options.size() - at) return false;
    }
    if ((option & net::kIp4OptionCopied) != 0) {
      std::memcpy(later_header_.data() + to, options.data() + at, length);
      to += length;
    }
    at += length;
  }
  while (to % 4 != 0)
    later_header_[to++] = net::kIp4OptionEnd;
  later_header_bytes_ = static_cast<std::uint32_t>(to);
  later_header_[0] = static_cast<std::uint8_t>(0x40 | to / 4);
  return true;
}

std::uint32_t Fragmenter::emit(std::uint32_t index, std::uint8_t* dst) const {
  DCHECK(index < count_);
  const std::uint32_t header = index == 0 ? first_header_bytes_ : later_header_bytes_;
  const std::uint32_t bytes = packet_bytes(index);
  std::memcpy(dst, index == 0 ? first_header_.data() : later_header_.data(), header);
  std::memcpy(dst + header, data_.data() + data_offset(index), data_bytes(index));
  // More fragments follow all but the last, which is as final as the packet was. The offset stays
  // within its 13 bits, because start() has looked at the end.
  auto word = static_cast<std::uint16_t>(fragment_word_ + data_offset(index) / kOffsetUnit);
  if (index + 1 != count_) word |= kMoreFragments;
  store_be(dst + Ip4View::kFragmentAt, word);
  store_be(dst + Ip4View::kTotalLengthAt, static_cast<std::uint16_t>(bytes));
  auto ip = Ip4MutableView::parse({dst, bytes});
  DCHECK(ip);
  ip->recompute_checksum();
  return bytes;
}

}  // namespace ringway::nat
