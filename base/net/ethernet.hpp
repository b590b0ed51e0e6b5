// Ethernet II frames: a checked view that looks behind up to two VLAN tags, and what writes a
// header (IEEE 802.3 clause 3, 802.1Q clause 9). Frames stand without their check sequence.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/bytes.hpp"

namespace ringway::net {

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100;         // 802.1Q customer tag
inline constexpr std::uint16_t kEtherTypeServiceVlan = 0x88a8;  // 802.1ad service tag
// Smaller numbers in the type field are an 802.3 length: another kind of frame.
inline constexpr std::uint16_t kMinEtherType = 0x0600;
inline constexpr std::size_t kMacBytes = 6;

struct MacAddress {
  std::array<std::uint8_t, kMacBytes> bytes{};

  [[nodiscard]] static MacAddress from(const std::uint8_t* six_bytes) {
    MacAddress address;
    std::memcpy(address.bytes.data(), six_bytes, kMacBytes);
    return address;
  }
  [[nodiscard]] bool is_group() const { return (bytes[0] & 1) != 0; }  // multicast or broadcast
  auto operator<=>(const MacAddress&) const = default;
};

struct VlanTag {
  std::uint16_t protocol = 0;  // the tag's EtherType; 0: no tag
  std::uint16_t control = 0;   // priority (3 bits), drop eligible (1), VLAN number (12)

  [[nodiscard]] std::uint16_t id() const { return control & 0x0fff; }
  [[nodiscard]] bool present() const { return protocol != 0; }
  auto operator<=>(const VlanTag&) const = default;
};

class EthernetView {
 public:
  static constexpr std::size_t kHeaderBytes = 14;  // without tags
  static constexpr std::size_t kTagBytes = 4;
  static constexpr unsigned kMaxTags = 2;

  // Empty for a frame that ends within its header, is no Ethernet II frame, or has a third tag.
  [[nodiscard]] static std::optional<EthernetView> parse(ConstBytes frame) {
    for (unsigned tags = 0; tags <= kMaxTags; ++tags) {
      const std::size_t header = kHeaderBytes + tags * kTagBytes;
      if (frame.size() < header) return std::nullopt;
      const auto type = load_be<std::uint16_t>(frame.data() + header - 2);
      if (is_tag(type)) continue;
      if (type < kMinEtherType) return std::nullopt;
      return EthernetView(frame, tags);
    }
    return std::nullopt;
  }

  [[nodiscard]] const std::uint8_t* destination() const { return frame_.data(); }
  [[nodiscard]] const std::uint8_t* source() const { return frame_.data() + kMacBytes; }
  // The outer tag is number 0.
  [[nodiscard]] unsigned tag_count() const { return tags_; }
  [[nodiscard]] VlanTag tag(unsigned number) const {
    const std::uint8_t* at = frame_.data() + 2 * kMacBytes + number * kTagBytes;
    return {load_be<std::uint16_t>(at), load_be<std::uint16_t>(at + 2)};
  }
  // Behind the tags.
  [[nodiscard]] std::uint16_t ether_type() const {
    return load_be<std::uint16_t>(frame_.data() + header_bytes() - 2);
  }
  [[nodiscard]] std::size_t header_bytes() const { return kHeaderBytes + tags_ * kTagBytes; }
  // Up to the frame's end: short frames carry padding that only the IP length tells apart.
  [[nodiscard]] ConstBytes payload() const { return frame_.subspan(header_bytes()); }

 private:
  EthernetView(ConstBytes frame, unsigned tags) : frame_(frame), tags_(tags) {}
  [[nodiscard]] static bool is_tag(std::uint16_t type) {
    return type == kEtherTypeVlan || type == kEtherTypeServiceVlan;
  }

  ConstBytes frame_;
  unsigned tags_;
};

// Writes EthernetView::kHeaderBytes bytes. destination, source: kMacBytes each.
inline void emit_ethernet(std::uint8_t* to, const std::uint8_t* destination,
                          const std::uint8_t* source, std::uint16_t ether_type) {
  std::memcpy(to, destination, kMacBytes);
  std::memcpy(to + kMacBytes, source, kMacBytes);
  store_be(to + 2 * kMacBytes, ether_type);
}

// The same with a tag, which need not be present; returns how many bytes it wrote.
inline std::size_t emit_ethernet(std::uint8_t* to, const std::uint8_t* destination,
                                 const std::uint8_t* source, VlanTag tag,
                                 std::uint16_t ether_type) {
  if (!tag.present()) {
    emit_ethernet(to, destination, source, ether_type);
    return EthernetView::kHeaderBytes;
  }
  emit_ethernet(to, destination, source, tag.protocol);
  store_be(to + EthernetView::kHeaderBytes, tag.control);
  store_be(to + EthernetView::kHeaderBytes + 2, ether_type);
  return EthernetView::kHeaderBytes + EthernetView::kTagBytes;
}

}  // namespace ringway::net
