// A checked view of an IPv4 packet (RFC 791). A view exists only where version, IHL and total
// length agree with the bytes given; it ends where the packet ends, whatever follows. The header
// checksum is a separate question.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/net/checksum.hpp"

namespace ringway::net {

// Numbers of the Protocol and Next Header fields (IANA, "Protocol Numbers").
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;

// Options (RFC 791 section 3.1).
inline constexpr std::uint8_t kIp4OptionEnd = 0;
inline constexpr std::uint8_t kIp4OptionNoOperation = 1;
inline constexpr std::uint8_t kIp4OptionLooseSourceRoute = 131;
inline constexpr std::uint8_t kIp4OptionStrictSourceRoute = 137;
inline constexpr std::uint8_t kIp4OptionCopied = 0x80;  // goes into every fragment

class Ip4View {
 public:
  static constexpr std::size_t kMinHeaderBytes = 20;
  static constexpr std::size_t kMaxHeaderBytes = 60;

  static constexpr std::size_t kTotalLengthAt = 2;
  static constexpr std::size_t kIdentificationAt = 4;
  static constexpr std::size_t kFragmentAt = 6;
  static constexpr std::size_t kTtlAt = 8;
  static constexpr std::size_t kProtocolAt = 9;
  static constexpr std::size_t kChecksumAt = 10;
  static constexpr std::size_t kSourceAt = 12;
  static constexpr std::size_t kDestinationAt = 16;

  [[nodiscard]] static std::optional<Ip4View> parse(ConstBytes bytes) {
    if (!well_formed(bytes)) return std::nullopt;
    return Ip4View(bytes.data());
  }

  [[nodiscard]] std::size_t header_bytes() const { return std::size_t{data_[0] & 0x0fU} * 4; }
  [[nodiscard]] std::uint16_t total_bytes() const { return be16(kTotalLengthAt); }
  [[nodiscard]] std::uint8_t tos() const { return data_[1]; }
  [[nodiscard]] std::uint8_t ecn() const { return data_[1] & 3; }
  [[nodiscard]] std::uint16_t identification() const { return be16(kIdentificationAt); }
  [[nodiscard]] bool dont_fragment() const { return (be16(kFragmentAt) & 0x4000) != 0; }
  [[nodiscard]] bool more_fragments() const { return (be16(kFragmentAt) & 0x2000) != 0; }
  [[nodiscard]] std::uint32_t fragment_offset_bytes() const {
    return (be16(kFragmentAt) & 0x1fffU) * 8;
  }
  // True of every fragment, the first included.
  [[nodiscard]] bool is_fragment() const { return (be16(kFragmentAt) & 0x3fff) != 0; }
  [[nodiscard]] std::uint8_t ttl() const { return data_[kTtlAt]; }
  [[nodiscard]] std::uint8_t protocol() const { return data_[kProtocolAt]; }
  // In memory order, as net/checksum.hpp has it.
  [[nodiscard]] std::uint16_t checksum() const {
    return load_le<std::uint16_t>(data_ + kChecksumAt);
  }
  [[nodiscard]] bool checksum_valid() const {
    return checksum_fold(checksum_sum(header())) == 0xffff;
  }
  // Four bytes each.
  [[nodiscard]] const std::uint8_t* source() const { return data_ + kSourceAt; }
  [[nodiscard]] const std::uint8_t* destination() const { return data_ + kDestinationAt; }
  [[nodiscard]] IpAddress source_address() const { return IpAddress::v4(source()); }
  [[nodiscard]] IpAddress destination_address() const { return IpAddress::v4(destination()); }

  [[nodiscard]] ConstBytes packet() const { return {data_, total_bytes()}; }
  [[nodiscard]] ConstBytes header() const { return {data_, header_bytes()}; }
  [[nodiscard]] ConstBytes payload() const { return packet().subspan(header_bytes()); }
  // Of a transport checksum over payload(). Meaningless for a fragment.
  [[nodiscard]] std::uint64_t pseudo_header_sum() const {
    const auto length = static_cast<std::uint32_t>(total_bytes() - header_bytes());
    return pseudo_header_sum_v4(source(), destination(), protocol(), length);
  }

 protected:
  explicit Ip4View(const std::uint8_t* data) : data_(data) {}

  [[nodiscard]] static bool well_formed(ConstBytes bytes) {
    if (bytes.size() < kMinHeaderBytes || bytes[0] >> 4 != 4) return false;
    const std::size_t header = std::size_t{bytes[0] & 0x0fU} * 4;
    if (header < kMinHeaderBytes) return false;
    const std::size_t total = load_be<std::uint16_t>(bytes.data() + kTotalLengthAt);
    if (total < header) return false;
    return total <= bytes.size();
  }
  [[nodiscard]] std::uint16_t be16(std::size_t at) const {
    return load_be<std::uint16_t>(data_ + at);
  }

 private:
  const std::uint8_t* data_;
};

// The same, writable. Setters leave the checksum as it was unless they say otherwise.
class Ip4MutableView : public Ip4View {
 public:
  [[nodiscard]] static std::optional<Ip4MutableView> parse(Bytes bytes) {
    if (!well_formed(bytes)) return std::nullopt;
    return Ip4MutableView(bytes.data());
  }

  void set_identification(std::uint16_t value) { store_be(data_ + kIdentificationAt, value); }
  // Bytes from the start of the header: at least header_bytes(), at most what parse() was given.
  void set_total_bytes(std::uint16_t value) { store_be(data_ + kTotalLengthAt, value); }
  // These two keep the checksum right, incrementally (RFC 1624).
  void set_tos(std::uint8_t value) { set_byte_of_word(1, value); }
  void set_ttl(std::uint8_t value) { set_byte_of_word(kTtlAt, value); }
  void recompute_checksum() {
    store_le(data_ + kChecksumAt, std::uint16_t{0});
    store_le(data_ + kChecksumAt, checksum_finish(checksum_sum(header())));
  }
  [[nodiscard]] Bytes mutable_payload() {
    return {data_ + header_bytes(), total_bytes() - header_bytes()};
  }

 private:
  explicit Ip4MutableView(std::uint8_t* data) : Ip4View(data), data_(data) {}

  void set_byte_of_word(std::size_t at, std::uint8_t value) {
    std::uint8_t* const word = data_ + (at & ~std::size_t{1});
    const auto before = load_le<std::uint16_t>(word);
    data_[at] = value;
    const auto after = load_le<std::uint16_t>(word);
    store_le(data_ + kChecksumAt, checksum_update16(checksum(), before, after));
  }

  std::uint8_t* data_;
};

}  // namespace ringway::net
