#include "bench/packet_sizes.hpp"

#include "base/check.hpp"
#include "bench/mixed.hpp"

namespace ringway::bench {

PacketSizes::PacketSizes(std::uint32_t bytes) : PacketSizes({{bytes, 1}}) {}

PacketSizes::PacketSizes(std::initializer_list<Share> shares) {
  CHECK(shares.size() >= 1 && shares.size() <= kMostShares);
  for (const Share& share : shares) {
    shares_[count_++] = share;
    total_parts_ += share.parts;
  }
}

PacketSizes PacketSizes::imix() {
  return PacketSizes({{40, 7}, {576, 4}, {1500, 1}});
}

std::uint32_t PacketSizes::of(std::uint64_t packet_number) const {
  if (count_ == 1) return shares_[0].bytes;
  // Another sequence than the one that chooses flows.
  std::uint64_t part = mixed(~packet_number) % total_parts_;
  std::size_t i = 0;
  for (; part >= shares_[i].parts; ++i)
    part -= shares_[i].parts;
  return shares_[i].bytes;
}

double PacketSizes::mean() const {
  double sum = 0;
  for (const Share& share : shares())
    sum += static_cast<double>(share.bytes) * share.parts;
  return sum / total_parts_;
}

std::string PacketSizes::name() const {
  return count_ == 1 ? std::to_string(longest()) : "imix";
}

}  // namespace ringway::bench
