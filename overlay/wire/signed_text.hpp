// What a signature covers: a domain, so that it means nothing elsewhere, the group, which is not on
// the wire, and the part of the message that is signed.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "overlay/wire/limits.hpp"
#include "overlay/wire/routed_message.hpp"

namespace ringway::overlay::wire {

class SignedText {
 public:
  static constexpr std::size_t kMaxDomainBytes = 32;

  SignedText(std::string_view domain, const GroupId& group, ConstBytes signed_part) {
    CHECK(domain.size() <= kMaxDomainBytes && signed_part.size() <= kMaxMessageBytes);
    std::uint8_t* to = std::copy(domain.begin(), domain.end(), bytes_.data());
    to = std::copy(group.begin(), group.end(), to);
    to = std::copy(signed_part.begin(), signed_part.end(), to);
    size_ = static_cast<std::size_t>(to - bytes_.data());
  }
  [[nodiscard]] ConstBytes view() const { return {bytes_.data(), size_}; }

 private:
  std::size_t size_;
  std::array<std::uint8_t, kMaxDomainBytes + std::tuple_size_v<GroupId> + kMaxMessageBytes> bytes_;
};

}  // namespace ringway::overlay::wire
