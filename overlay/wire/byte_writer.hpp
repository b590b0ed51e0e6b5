// Writes the fields of a message, in network order, into room that is large enough for any message.
// What our own code makes always fits: more is a bug.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/time.hpp"
#include "overlay/contact.hpp"
#include "overlay/coordinates/coordinate.hpp"
#include "overlay/wire/limits.hpp"

namespace ringway::overlay::wire {

class ByteWriter {
 public:
  template <std::unsigned_integral T>
  void number(T value) {
    store_be(room(sizeof value), value);
  }
  void byte(std::uint8_t value) { *room(1) = value; }
  void node_id(const NodeId& id) { id.to_bytes(room(NodeId::kBytes)); }
  void wall_time(WallTime time) { number(static_cast<std::uint64_t>(time.unix_ns() / 1'000'000)); }
  void bytes(ConstBytes from) {
    if (!from.empty()) std::memcpy(room(from.size()), from.data(), from.size());
  }
  // A length of two bytes before them.
  void sized_bytes(ConstBytes from) {
    number(static_cast<std::uint16_t>(from.size()));
    bytes(from);
  }
  void coordinate(const Coordinate& coordinate);
  void candidates(const Candidates& list);
  // As many as leave `reserved` bytes of the message; the count says how many they are.
  void contacts(const Contacts& list, std::size_t reserved = 0);

  [[nodiscard]] ConstBytes view() const { return {bytes_.data(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  [[nodiscard]] std::uint8_t* room(std::size_t count) {
    CHECK(bytes_.size() - size_ >= count);
    size_ += count;
    return bytes_.data() + size_ - count;
  }

  std::size_t size_ = 0;
  std::array<std::uint8_t, kMaxMessageBytes> bytes_;  // written as far as size_ says
};

[[nodiscard]] std::size_t encoded_bytes(const Candidates& list);

}  // namespace ringway::overlay::wire
