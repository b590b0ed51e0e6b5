// How long the inner packets of ringway-bench pipeline are: all alike, or a mixture in fixed
// proportions and in no order.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace ringway::bench {

class PacketSizes {
 public:
  struct Share {
    std::uint32_t bytes;
    std::uint32_t parts;  // of total_parts()
  };

  // All alike.
  explicit PacketSizes(std::uint32_t bytes);
  // The mixture that forwarding tests know as simple IMIX: of twelve packets seven of 40, four of
  // 576 and one of 1,500 bytes, here inner ones.
  [[nodiscard]] static PacketSizes imix();

  [[nodiscard]] std::uint32_t of(std::uint64_t packet_number) const;
  [[nodiscard]] std::span<const Share> shares() const { return {shares_.data(), count_}; }
  [[nodiscard]] std::uint32_t total_parts() const { return total_parts_; }
  [[nodiscard]] std::uint32_t longest() const { return shares_[count_ - 1].bytes; }
  [[nodiscard]] double mean() const;
  // "imix", or the bytes.
  [[nodiscard]] std::string name() const;

 private:
  static constexpr std::size_t kMostShares = 3;
  PacketSizes(std::initializer_list<Share> shares);

  std::array<Share, kMostShares> shares_{};  // the longest last
  std::size_t count_ = 0;
  std::uint32_t total_parts_ = 0;
};

}  // namespace ringway::bench
