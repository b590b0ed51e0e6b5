// A checked view of a UDP datagram (RFC 768): the bytes of an IP payload, header and data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/net/checksum.hpp"

namespace ringway::net {

class UdpView {
 public:
  static constexpr std::size_t kHeaderBytes = 8;

  static constexpr std::size_t kLengthAt = 4;
  static constexpr std::size_t kChecksumAt = 6;

  // The view ends where the UDP length says, which is at most where `bytes` end. A length of zero
  // (a jumbogram's, RFC 2675) has no view.
  [[nodiscard]] static std::optional<UdpView> parse(ConstBytes bytes) {
    if (bytes.size() < kHeaderBytes) return std::nullopt;
    const std::size_t length = load_be<std::uint16_t>(bytes.data() + kLengthAt);
    if (length < kHeaderBytes || length > bytes.size()) return std::nullopt;
    return UdpView(bytes.first(length));
  }

  [[nodiscard]] std::uint16_t source_port() const {
    return load_be<std::uint16_t>(datagram_.data());
  }
  [[nodiscard]] std::uint16_t destination_port() const {
    return load_be<std::uint16_t>(datagram_.data() + 2);
  }
  [[nodiscard]] std::uint16_t total_bytes() const {
    return static_cast<std::uint16_t>(datagram_.size());
  }
  // In memory order, as net/checksum.hpp has it; zero means "none", which only IPv4 allows.
  [[nodiscard]] std::uint16_t checksum() const {
    return load_le<std::uint16_t>(datagram_.data() + kChecksumAt);
  }
  [[nodiscard]] bool has_checksum() const { return checksum() != 0; }
  [[nodiscard]] bool checksum_valid(std::uint64_t pseudo_header_sum) const {
    return checksum_fold(checksum_sum(datagram_, pseudo_header_sum)) == 0xffff;
  }
  [[nodiscard]] ConstBytes payload() const { return datagram_.subspan(kHeaderBytes); }

 private:
  explicit UdpView(ConstBytes datagram) : datagram_(datagram) {}
  ConstBytes datagram_;
};

// Writes UdpView::kHeaderBytes bytes, the checksum field zero. `length`: header and payload.
inline void emit_udp(std::uint8_t* to, std::uint16_t source_port, std::uint16_t destination_port,
                     std::uint16_t length) {
  store_be(to, source_port);
  store_be(to + 2, destination_port);
  store_be(to + UdpView::kLengthAt, length);
  store_be(to + UdpView::kChecksumAt, std::uint16_t{0});
}

}  // namespace ringway::net
