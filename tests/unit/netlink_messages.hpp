// Netlink messages made by hand, byte by byte as linux/netlink.h lays them out, for parsers' tests.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.hpp"
#include "base/net/address.hpp"

namespace ringway::control {

class NetlinkMessage {
 public:
  template <typename Fixed>
  NetlinkMessage(std::uint16_t type, const Fixed& fixed, std::uint16_t flags = 0) {
    static_assert(std::is_trivially_copyable_v<Fixed>);
    bytes_.resize(kHeaderBytes);
    store_le(&bytes_[4], type);
    store_le(&bytes_[6], flags);
    append(&fixed, sizeof fixed);
  }

  NetlinkMessage& put(std::uint16_t type, ConstBytes value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + 4);
    store_le(&bytes_[at], static_cast<std::uint16_t>(4 + value.size()));
    store_le(&bytes_[at + 2], type);
    append(value.data(), value.size());
    return *this;
  }
  template <typename T>
  requires std::is_unsigned_v<T> NetlinkMessage& put(std::uint16_t type, T number) {
    std::uint8_t bytes[sizeof number];
    store_le(bytes, number);
    return put(type, ConstBytes(bytes));
  }
  NetlinkMessage& put(std::uint16_t type, const std::string& text) {
    return put(type,
               ConstBytes(reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1));
  }
  NetlinkMessage& put(std::uint16_t type, const net::IpAddress& address) {
    return put(type, address.view());
  }
  NetlinkMessage& put_address(std::uint16_t type, const std::string& address) {
    return put(type, *net::IpAddress::parse(address));
  }

  // The whole message, with its length.
  [[nodiscard]] std::vector<std::uint8_t> bytes() const {
    std::vector<std::uint8_t> whole = bytes_;
    store_le(whole.data(), static_cast<std::uint32_t>(whole.size()));
    return whole;
  }
  // What stands behind the header and the fixed part: a nest's value.
  template <typename Fixed>
  [[nodiscard]] std::vector<std::uint8_t> attributes() const {
    return {bytes_.begin() + kHeaderBytes + static_cast<std::ptrdiff_t>((sizeof(Fixed) + 3) & ~3UL),
            bytes_.end()};
  }

 private:
  static constexpr int kHeaderBytes = 16;
  void append(const void* data, std::size_t size) {
    const auto* from = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
    bytes_.resize((bytes_.size() + 3) & ~std::size_t{3});
  }
  std::vector<std::uint8_t> bytes_;
};

}  // namespace ringway::control
