// A checked view of an Ethernet II header (IEEE 802.3, without VLAN tags).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/bytes.hpp"

namespace ringway::net {

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;
inline constexpr std::size_t kMacBytes = 6;

class EthView {
 public:
  static constexpr std::size_t kHeaderBytes = 14;

  // The frame without its check sequence. Empty when shorter than a header.
  [[nodiscard]] static std::optional<EthView> parse(ConstBytes frame) {
    if (frame.size() < kHeaderBytes) return std::nullopt;
    return EthView(frame);
  }

  [[nodiscard]] const std::uint8_t* destination() const { return frame_.data(); }
  [[nodiscard]] const std::uint8_t* source() const { return frame_.data() + kMacBytes; }
  [[nodiscard]] std::uint16_t ether_type() const {
    return load_be<std::uint16_t>(frame_.data() + 2 * kMacBytes);
  }
  // Up to the frame's end: short frames carry padding that only the IP length tells apart.
  [[nodiscard]] ConstBytes payload() const { return frame_.subspan(kHeaderBytes); }

 private:
  explicit EthView(ConstBytes frame) : frame_(frame) {}
  ConstBytes frame_;
};

// Writes EthView::kHeaderBytes bytes. destination, source: kMacBytes each.
inline void emit_eth(std::uint8_t* to, const std::uint8_t* destination, const std::uint8_t* source,
                     std::uint16_t ether_type) {
  std::memcpy(to, destination, kMacBytes);
  std::memcpy(to + kMacBytes, source, kMacBytes);
  store_be(to + 2 * kMacBytes, ether_type);
}

}  // namespace ringway::net
