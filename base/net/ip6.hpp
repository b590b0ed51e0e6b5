// A checked view of an IPv6 packet (RFC 8200). A view exists only where version and payload length
// agree with the bytes given; it ends where the packet ends, whatever follows. Jumbograms (RFC
// 2675) have no view.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/net/checksum.hpp"

namespace ringway::net {

// Extension headers (IANA, "IPv6 Extension Header Types").
inline constexpr std::uint8_t kNextHopByHop = 0;
inline constexpr std::uint8_t kNextRouting = 43;
inline constexpr std::uint8_t kNextFragment = 44;
inline constexpr std::uint8_t kNextAuthentication = 51;
inline constexpr std::uint8_t kNextNone = 59;
inline constexpr std::uint8_t kNextDestinationOptions = 60;

// The fragment header: next header(1) reserved(1) offset and M(2) identification(4).
inline constexpr std::size_t kFragmentHeaderBytes = 8;
inline constexpr std::size_t kFragmentOffsetAt = 2;
inline constexpr std::size_t kFragmentIdentificationAt = 4;

class Ip6View {
 public:
  static constexpr std::size_t kHeaderBytes = 40;

  static constexpr std::size_t kPayloadLengthAt = 4;
  static constexpr std::size_t kNextHeaderAt = 6;
  static constexpr std::size_t kHopLimitAt = 7;
  static constexpr std::size_t kSourceAt = 8;
  static constexpr std::size_t kDestinationAt = 24;

  [[nodiscard]] static std::optional<Ip6View> parse(ConstBytes bytes) {
    if (!well_formed(bytes)) return std::nullopt;
    return Ip6View(bytes.data());
  }

  [[nodiscard]] std::uint8_t traffic_class() const {
    return static_cast<std::uint8_t>(load_be<std::uint16_t>(data_) >> 4);
  }
  [[nodiscard]] std::uint8_t ecn() const { return traffic_class() & 3; }
  [[nodiscard]] std::uint32_t flow_label() const {
    return load_be<std::uint32_t>(data_) & 0xf'ffff;
  }
  [[nodiscard]] std::uint16_t payload_bytes() const {
    return load_be<std::uint16_t>(data_ + kPayloadLengthAt);
  }
  [[nodiscard]] std::uint32_t total_bytes() const {
    return static_cast<std::uint32_t>(kHeaderBytes) + payload_bytes();
  }
  [[nodiscard]] std::uint8_t next_header() const { return data_[kNextHeaderAt]; }
  [[nodiscard]] std::uint8_t hop_limit() const { return data_[kHopLimitAt]; }
  // Sixteen bytes each.
  [[nodiscard]] const std::uint8_t* source() const { return data_ + kSourceAt; }
  [[nodiscard]] const std::uint8_t* destination() const { return data_ + kDestinationAt; }
  [[nodiscard]] IpAddress source_address() const { return IpAddress::v6(source()); }
  [[nodiscard]] IpAddress destination_address() const { return IpAddress::v6(destination()); }

  [[nodiscard]] ConstBytes packet() const { return {data_, total_bytes()}; }
  // Extension headers, if any, and what follows them.
  [[nodiscard]] ConstBytes payload() const { return packet().subspan(kHeaderBytes); }

 protected:
  explicit Ip6View(const std::uint8_t* data) : data_(data) {}

  [[nodiscard]] static bool well_formed(ConstBytes bytes) {
    if (bytes.size() < kHeaderBytes || bytes[0] >> 4 != 6) return false;
    const std::size_t payload = load_be<std::uint16_t>(bytes.data() + kPayloadLengthAt);
    if (payload == 0 && bytes[kNextHeaderAt] == kNextHopByHop) return false;  // a jumbogram's mark
    return kHeaderBytes + payload <= bytes.size();
  }

 private:
  const std::uint8_t* data_;
};

// The same, writable.
class Ip6MutableView : public Ip6View {
 public:
  [[nodiscard]] static std::optional<Ip6MutableView> parse(Bytes bytes) {
    if (!well_formed(bytes)) return std::nullopt;
    return Ip6MutableView(bytes.data());
  }

  void set_traffic_class(std::uint8_t value) {
    data_[0] = static_cast<std::uint8_t>((data_[0] & 0xf0) | (value >> 4));
    data_[1] = static_cast<std::uint8_t>((data_[1] & 0x0f) | (value << 4));
  }
  void set_hop_limit(std::uint8_t value) { data_[kHopLimitAt] = value; }
  // At most what parse() was given, less the header.
  void set_payload_bytes(std::uint16_t value) { store_be(data_ + kPayloadLengthAt, value); }
  [[nodiscard]] Bytes mutable_payload() { return {data_ + kHeaderBytes, payload_bytes()}; }

 private:
  explicit Ip6MutableView(std::uint8_t* data) : Ip6View(data), data_(data) {}
  std::uint8_t* data_;
};

// Where the extension headers end.
struct Ip6UpperLayer {
  std::uint8_t protocol = kNextNone;
  std::uint16_t offset = 0;       // from the start of the IPv6 header; at most the given bytes
  std::uint16_t fragment_at = 0;  // likewise, of the fragment header; 0 without one
  bool fragment = false;          // a fragment header was passed
  bool authenticated = false;     // an authentication header was passed: it covers the addresses
  bool rerouted = false;       // a routing header names further hops: the transport checksum covers
                               // another destination than the header's
  bool first_fragment = true;  // false: what stands at offset is not the start of the upper layer
};

// Walks the extension headers of a packet whose fixed header is complete (at least
// Ip6View::kHeaderBytes). Empty when one of them is cut off, when there are more than
// kMaxExtensionHeaders, or a second fragment header. `packet` ends where the packet ends; its
// length fields are not consulted.
inline constexpr unsigned kMaxExtensionHeaders = 8;
[[nodiscard]] inline std::optional<Ip6UpperLayer> ip6_upper_layer(ConstBytes packet) {
  Ip6UpperLayer found;
  std::size_t at = Ip6View::kHeaderBytes;
  if (packet.size() < at || packet.size() > UINT16_MAX) return std::nullopt;
  std::uint8_t next = packet[Ip6View::kNextHeaderAt];
  for (unsigned headers = 0; headers <= kMaxExtensionHeaders; ++headers) {
    const bool skippable = next == kNextHopByHop || next == kNextRouting || next == kNextFragment ||
                           next == kNextAuthentication || next == kNextDestinationOptions;
    if (!skippable || !found.first_fragment) {
      found.protocol = next;
      found.offset = static_cast<std::uint16_t>(at);
      return found;
    }
    if (packet.size() - at < 8) return std::nullopt;
    const std::uint8_t* const header = packet.data() + at;
    std::size_t length = (std::size_t{header[1]} + 1) * 8;
    if (next == kNextAuthentication) {
      length = (std::size_t{header[1]} + 2) * 4;  // RFC 4302
      found.authenticated = true;
    }
    if (next == kNextRouting && header[3] != 0) found.rerouted = true;  // Segments Left
    if (next == kNextFragment) {
      if (found.fragment) return std::nullopt;
      length = kFragmentHeaderBytes;
      found.fragment = true;
      found.fragment_at = static_cast<std::uint16_t>(at);
      found.first_fragment = (load_be<std::uint16_t>(header + 2) & 0xfff8) == 0;
    }
    if (length > packet.size() - at) return std::nullopt;
    next = header[0];
    at += length;
  }
  return std::nullopt;
}

}  // namespace ringway::net
