// A checked view of an ICMP (RFC 792) or ICMPv6 (RFC 4443) message: the bytes of an IP payload. The
// two share their layout and differ in their numbers and in ICMPv6's pseudo-header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/net/checksum.hpp"

namespace ringway::net {

inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpUnreachable = 3;
inline constexpr std::uint8_t kIcmpEchoRequest = 8;
inline constexpr std::uint8_t kIcmpTimeExceeded = 11;
inline constexpr std::uint8_t kIcmpParameterProblem = 12;
inline constexpr std::uint8_t kIcmpTimestampRequest = 13;
inline constexpr std::uint8_t kIcmpTimestampReply = 14;
// Codes of kIcmpUnreachable (RFC 792, RFC 1191, RFC 1812 section 5.2.7.1).
inline constexpr std::uint8_t kIcmpCodeHostUnreachable = 1;
inline constexpr std::uint8_t kIcmpCodePortUnreachable = 3;
inline constexpr std::uint8_t kIcmpCodeFragmentationNeeded = 4;
inline constexpr std::uint8_t kIcmpCodeProhibited = 13;

inline constexpr std::uint8_t kIcmpv6Unreachable = 1;
inline constexpr std::uint8_t kIcmpv6PacketTooBig = 2;
inline constexpr std::uint8_t kIcmpv6TimeExceeded = 3;
inline constexpr std::uint8_t kIcmpv6ParameterProblem = 4;
inline constexpr std::uint8_t kIcmpv6EchoRequest = 128;
inline constexpr std::uint8_t kIcmpv6EchoReply = 129;
// Codes of kIcmpv6Unreachable.
inline constexpr std::uint8_t kIcmpv6CodeProhibited = 1;
inline constexpr std::uint8_t kIcmpv6CodeAddressUnreachable = 3;
inline constexpr std::uint8_t kIcmpv6CodePortUnreachable = 4;

class IcmpView {
 public:
  static constexpr std::size_t kHeaderBytes = 8;
  static constexpr std::size_t kChecksumAt = 2;
  static constexpr std::size_t kIdentifierAt = 4;

  // `message` ends where the IP packet ends.
  [[nodiscard]] static std::optional<IcmpView> parse(ConstBytes message) {
    if (message.size() < kHeaderBytes) return std::nullopt;
    return IcmpView(message);
  }

  [[nodiscard]] std::uint8_t type() const { return message_[0]; }
  [[nodiscard]] std::uint8_t code() const { return message_[1]; }
  // In memory order, as net/checksum.hpp has it.
  [[nodiscard]] std::uint16_t checksum() const {
    return load_le<std::uint16_t>(message_.data() + kChecksumAt);
  }
  // pseudo_header_sum: pseudo_header_sum_v6(..., kProtocolIcmpv6, size) for ICMPv6, 0 for ICMP.
  [[nodiscard]] bool checksum_valid(std::uint64_t pseudo_header_sum) const {
    return checksum_fold(checksum_sum(message_, pseudo_header_sum)) == 0xffff;
  }
  // Echo request and reply.
  [[nodiscard]] std::uint16_t identifier() const {
    return load_be<std::uint16_t>(message_.data() + kIdentifierAt);
  }
  [[nodiscard]] std::uint16_t sequence() const {
    return load_be<std::uint16_t>(message_.data() + 6);
  }
  // The MTU of the next hop: in the low half for Fragmentation Needed (RFC 1191), the whole word
  // for Packet Too Big.
  [[nodiscard]] std::uint16_t fragmentation_needed_mtu() const {
    return load_be<std::uint16_t>(message_.data() + 6);
  }
  [[nodiscard]] std::uint32_t packet_too_big_mtu() const {
    return load_be<std::uint32_t>(message_.data() + 4);
  }
  // After the eight bytes of the header: echo data, or the packet an error quotes.
  [[nodiscard]] ConstBytes body() const { return message_.subspan(kHeaderBytes); }

 private:
  explicit IcmpView(ConstBytes message) : message_(message) {}
  ConstBytes message_;
};

}  // namespace ringway::net
