// A checked view of a TCP segment (RFC 9293): the bytes of an IP payload, header and data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/net/checksum.hpp"

namespace ringway::net {

// Bits of the flags byte.
inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpUrg = 0x20;
inline constexpr std::uint8_t kTcpEce = 0x40;
inline constexpr std::uint8_t kTcpCwr = 0x80;

class TcpView {
 public:
  static constexpr std::size_t kMinHeaderBytes = 20;
  static constexpr std::size_t kMaxHeaderBytes = 60;

  static constexpr std::size_t kSequenceAt = 4;
  static constexpr std::size_t kAcknowledgmentAt = 8;
  static constexpr std::size_t kDataOffsetAt = 12;
  static constexpr std::size_t kFlagsAt = 13;
  static constexpr std::size_t kWindowAt = 14;
  static constexpr std::size_t kChecksumAt = 16;

  // Kinds of options, and the length of one (RFC 9293 section 3.2).
  static constexpr std::uint8_t kOptionEnd = 0;
  static constexpr std::uint8_t kOptionNoOperation = 1;
  static constexpr std::uint8_t kOptionMss = 2;
  static constexpr std::uint8_t kOptionMssBytes = 4;

  // `segment` ends where the IP packet ends.
  [[nodiscard]] static std::optional<TcpView> parse(ConstBytes segment) {
    if (!well_formed(segment)) return std::nullopt;
    return TcpView(segment);
  }

  [[nodiscard]] std::uint16_t source_port() const { return load_be<std::uint16_t>(data()); }
  [[nodiscard]] std::uint16_t destination_port() const {
    return load_be<std::uint16_t>(data() + 2);
  }
  [[nodiscard]] std::uint32_t sequence() const {
    return load_be<std::uint32_t>(data() + kSequenceAt);
  }
  [[nodiscard]] std::uint32_t acknowledgment() const {
    return load_be<std::uint32_t>(data() + kAcknowledgmentAt);
  }
  [[nodiscard]] std::size_t header_bytes() const {
    return static_cast<std::size_t>(data()[kDataOffsetAt] >> 4) * 4;
  }
  [[nodiscard]] std::uint8_t flags() const { return data()[kFlagsAt]; }
  [[nodiscard]] bool has(std::uint8_t flag) const { return (flags() & flag) != 0; }
  [[nodiscard]] std::uint16_t window() const { return load_be<std::uint16_t>(data() + kWindowAt); }
  // In memory order, as net/checksum.hpp has it.
  [[nodiscard]] std::uint16_t checksum() const {
    return load_le<std::uint16_t>(data() + kChecksumAt);
  }
  [[nodiscard]] bool checksum_valid(std::uint64_t pseudo_header_sum) const {
    return checksum_fold(checksum_sum(segment_, pseudo_header_sum)) == 0xffff;
  }
  [[nodiscard]] ConstBytes options() const {
    return segment_.subspan(kMinHeaderBytes, header_bytes() - kMinHeaderBytes);
  }
  [[nodiscard]] ConstBytes payload() const { return segment_.subspan(header_bytes()); }
  // Offset of the two value bytes of the Maximum Segment Size option, from the start of the header;
  // empty when there is none or an option before it lies about its length.
  [[nodiscard]] std::optional<std::size_t> mss_value_offset() const {
    const std::size_t end = header_bytes();
    for (std::size_t at = kMinHeaderBytes; at < end;) {
      const std::uint8_t kind = data()[at];
      if (kind == kOptionEnd) return std::nullopt;
      if (kind == kOptionNoOperation) {
        ++at;
        continue;
      }
      if (end - at < 2) return std::nullopt;
      const std::uint8_t length = data()[at + 1];
      if (length < 2 || length > end - at) return std::nullopt;
      if (kind == kOptionMss)
        return length == kOptionMssBytes ? std::optional(at + 2) : std::nullopt;
      at += length;
    }
    return std::nullopt;
  }

 protected:
  explicit TcpView(ConstBytes segment) : segment_(segment) {}

  [[nodiscard]] static bool well_formed(ConstBytes segment) {
    if (segment.size() < kMinHeaderBytes) return false;
    const std::size_t header = static_cast<std::size_t>(segment[kDataOffsetAt] >> 4) * 4;
    return header >= kMinHeaderBytes && header <= segment.size();
  }
  [[nodiscard]] const std::uint8_t* data() const { return segment_.data(); }

 private:
  ConstBytes segment_;
};

// The same, writable. The setter keeps a complete checksum right.
class TcpMutableView : public TcpView {
 public:
  [[nodiscard]] static std::optional<TcpMutableView> parse(Bytes segment) {
    if (!well_formed(segment)) return std::nullopt;
    return TcpMutableView(segment);
  }

  // value_offset: from mss_value_offset(). Options may be unaligned, so an odd offset swaps what
  // the value adds to the sum.
  void set_mss(std::size_t value_offset, std::uint16_t mss) {
    std::uint8_t* const value = data_ + value_offset;
    std::uint64_t before = load_le<std::uint16_t>(value);
    store_be(value, mss);
    std::uint64_t after = load_le<std::uint16_t>(value);
    if (value_offset % 2 != 0) {
      before = checksum_at_odd_offset(before);
      after = checksum_at_odd_offset(after);
    }
    store_le(data_ + kChecksumAt, checksum_update(checksum(), before, after));
  }

 private:
  explicit TcpMutableView(Bytes segment) : TcpView(segment), data_(segment.data()) {}
  std::uint8_t* data_;
};

}  // namespace ringway::net
