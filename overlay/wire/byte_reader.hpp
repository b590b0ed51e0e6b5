// Reads the fields of a message, in network order. Reading beyond the end, or a count above its
// bound, makes the reader fail for good: a parser reads all its fields and asks once.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "overlay/contact.hpp"
#include "overlay/coordinates/coordinate.hpp"

namespace ringway::overlay::wire {

class ByteReader {
 public:
  explicit ByteReader(ConstBytes bytes) : bytes_(bytes) {}

  template <std::unsigned_integral T>
  [[nodiscard]] T number() {
    const ConstBytes field = take(sizeof(T));
    return field.empty() ? T{} : load_be<T>(field.data());
  }
  [[nodiscard]] NodeId node_id() {
    const ConstBytes field = take(NodeId::kBytes);
    return field.empty() ? NodeId{} : NodeId::from_bytes(field.data());
  }
  // In milliseconds since 1970.
  [[nodiscard]] WallTime wall_time() {
    const auto milliseconds = number<std::uint64_t>();
    if (milliseconds > static_cast<std::uint64_t>(INT64_MAX / 1'000'000)) fail();
    if (failed_) return {};
    return WallTime::from_unix_ns(static_cast<std::int64_t>(milliseconds) * 1'000'000);
  }
  [[nodiscard]] ConstBytes bytes(std::size_t count) { return take(count); }
  // So many as a length of two bytes says, refused above `most`.
  [[nodiscard]] ConstBytes sized_bytes(std::size_t most) {
    const std::size_t size = number<std::uint16_t>();
    if (size > most) fail();
    return take(size);
  }
  [[nodiscard]] ConstBytes rest() { return take(bytes_.size() - at_); }
  // A count of one byte, refused above `bound`.
  [[nodiscard]] std::size_t count(std::size_t bound) {
    const std::size_t value = number<std::uint8_t>();
    if (value > bound) fail();
    return failed_ ? 0 : value;
  }
  // x(2) y(2) height(2) error(1); one that is beyond any network is refused.
  [[nodiscard]] Coordinate coordinate();
  [[nodiscard]] Candidates candidates();
  [[nodiscard]] Contacts contacts();

  void fail() { failed_ = true; }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t position() const { return at_; }
  // Every field was there, and nothing behind the last one.
  [[nodiscard]] bool complete() const { return !failed_ && at_ == bytes_.size(); }

 private:
  [[nodiscard]] ConstBytes take(std::size_t count) {
    if (failed_ || bytes_.size() - at_ < count) {
      failed_ = true;
      return {};
    }
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }

  ConstBytes bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace ringway::overlay::wire
