#include "overlay/sim/reach.hpp"

#include <algorithm>

namespace ringway::overlay::sim {
namespace {

constexpr std::uint32_t kAll = 1'000'000;

// One number's own random one: the finisher of splitmix64 (Steele, Lea, Flood 2014).
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

void Reach::set_part(NodeIndex node, std::uint8_t part) {
  if (node >= parts_.size()) parts_.resize(node + 1);
  parts_[node] = part;
}

void Reach::set_deaf(NodeIndex to, NodeIndex from, bool deaf) {
  const std::pair pair{to, from};
  std::erase(deaf_, pair);
  if (deaf) deaf_.push_back(pair);
}

void Reach::set_nat(NodeIndex node, const NatBehaviour& behaviour) {
  if (node >= nats_.size()) nats_.resize(node + 1);
  nats_[node] = std::make_unique<Nat>(behaviour, seed_ ^ (std::uint64_t{node} + 1) << 20);
}

bool Reach::linkable(NodeIndex a, NodeIndex b) const {
  if (linkable_ppm_ >= kAll) return true;
  const auto [low, high] = std::minmax(a, b);
  return mixed(seed_ ^ ((std::uint64_t{high} << 32) | low)) % kAll < linkable_ppm_;
}

bool Reach::hears(NodeIndex to, NodeIndex from) const {
  return part_of(from) == part_of(to) && linkable(from, to) &&
         (deaf_.empty() ||
          std::find(deaf_.begin(), deaf_.end(), std::pair{to, from}) == deaf_.end());
}

std::uint16_t Reach::outbound(Instant now, NodeIndex from, NodeIndex to, std::uint16_t port) const {
  Nat* const own = nat(from);
  return own == nullptr ? kPort : own->outbound(now, {to, port});
}

bool Reach::inbound(Instant now, NodeIndex to, std::uint16_t port, NodeIndex from,
                    std::uint16_t from_port) const {
  const Nat* const own = nat(to);
  return own == nullptr ? port == kPort : own->inbound(now, port, {from, from_port});
}

}  // namespace ringway::overlay::sim
