// Cuts an IPv4 packet that may be fragmented (DF clear) and is longer than the way out into
// fragments; what arrived as a fragment may be cut further. IPv6 is never cut on its way (RFC 8200
// section 5). Last on a packet's way through the NAT, on the slow path.
// Source: RFC 791 section 3.2 (the procedure, and which options every fragment carries).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/net/ip4.hpp"

namespace ringway::nat {

class Fragmenter {
 public:
  // Every link carries this much in one piece (RFC 791 section 3.2).
  static constexpr std::uint16_t kMinMtu = 68;

  // A packet whose bytes must stay until the last emit(). False, and no other member may be called,
  // for anything but a sound IPv4 packet with DF clear, and for an MTU below kMinMtu.
  [[nodiscard]] bool start(ConstBytes packet, std::uint16_t mtu);

  // 1 when the packet fits.
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t packet_bytes(std::uint32_t index) const {
    return (index == 0 ? first_header_bytes_ : later_header_bytes_) + data_bytes(index);
  }
  // Writes packet_bytes(index) bytes to dst, which must not overlap the packet, and returns how
  // many. Any order, any number of times.
  std::uint32_t emit(std::uint32_t index, std::uint8_t* dst) const;

 private:
  [[nodiscard]] bool make_later_header();
  // Where fragment `index` begins in data_.
  [[nodiscard]] std::uint32_t data_offset(std::uint32_t index) const {
    return index == 0 ? 0 : first_data_bytes_ + (index - 1) * later_data_bytes_;
  }
  [[nodiscard]] std::uint32_t data_bytes(std::uint32_t index) const {
    const std::uint32_t limit = index == 0 ? first_data_bytes_ : later_data_bytes_;
    const auto rest = static_cast<std::uint32_t>(data_.size()) - data_offset(index);
    return rest < limit ? rest : limit;
  }

  ConstBytes first_header_;
  ConstBytes data_;
  std::uint16_t fragment_word_ = 0;  // of the packet
  std::uint32_t first_header_bytes_ = 0;
  std::uint32_t later_header_bytes_ = 0;
  std::uint32_t first_data_bytes_ = 0;  // multiples of 8 unless all fits
  std::uint32_t later_data_bytes_ = 0;
  std::uint32_t count_ = 0;
  // With those options only that every fragment carries.
  std::array<std::uint8_t, net::Ip4View::kMaxHeaderBytes> later_header_{};
};

}  // namespace ringway::nat
