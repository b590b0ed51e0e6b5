#include "dataplane/tunnel/allowed_ips.hpp"

namespace ringway::tunnel {

AllowedIps::AllowedIps(std::span<const AllowedIp> entries) : table_(entries, &AllowedIp::peer) {}

PeerId AllowedIps::lookup_v4(const std::uint8_t* address) const {
  return table_.lookup_v4(address);
}

PeerId AllowedIps::lookup_v6(const std::uint8_t* address) const {
  return table_.lookup_v6(address);
}

void AllowedIps::lookup_packets(std::span<const std::uint8_t* const> packets, net::PacketEnd end,
                                PeerId* peers) const {
  table_.lookup_packets(packets, end, peers);
}

}  // namespace ringway::tunnel
