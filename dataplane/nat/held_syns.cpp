#include "dataplane/nat/held_syns.hpp"

#include <algorithm>

#include "dataplane/nat/remote_overflow.hpp"

namespace ringway::nat {

std::uint64_t HeldSyns::name_of(net::Family family, const OuterConnection& connection) const {
  const WideAddress remote = wide_address(family, connection.remote_address);
  const std::uint64_t words[] = {
      remote[0] | std::uint64_t{remote[1]} << 32, remote[2] | std::uint64_t{remote[3]} << 32,
      connection.remote_port | std::uint64_t{connection.external_address} << 16 |
          std::uint64_t{connection.external_port} << 32};
  return hash_(words) | 1;
}

void HeldSyns::hold(ConstBytes packet, const Flow& flow, const OuterConnection& connection,
                    Instant now) {
  if (count_ == kCapacity) return;
  HeldSyn& syn = ring_[(first_ + count_++) % kCapacity];
  syn.due = now + kPatience;
  syn.connection = name_of(flow.family, connection);
  syn.external_address = connection.external_address;
  syn.flow = flow;
  syn.bytes = static_cast<std::uint16_t>(std::min(packet.size(), syn.packet.size()));
  std::copy_n(packet.begin(), syn.bytes, syn.packet.begin());
}

void HeldSyns::forget(net::Family family, const OuterConnection& connection) {
  if (count_ == 0) return;
  const std::uint64_t name = name_of(family, connection);
  for (std::size_t i = 0; i < count_; ++i) {
    HeldSyn& syn = ring_[(first_ + i) % kCapacity];
    if (syn.connection == name) syn.connection = 0;
  }
}

const HeldSyn* HeldSyns::take_due(Instant now) {
  while (count_ > 0 && ring_[first_].due <= now) {
    const HeldSyn& syn = ring_[first_];
    first_ = (first_ + 1) % kCapacity;
    --count_;
    if (syn.connection != 0) return &syn;
  }
  return nullptr;
}

}  // namespace ringway::nat
