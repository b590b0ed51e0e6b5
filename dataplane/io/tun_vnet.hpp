// The header before every packet of a TUN with IFF_VNET_HDR: what the kernel tells us of a packet's
// checksum and segmentation, and we tell it. linux/virtio_net.h has the same structure but does not
// compile as C++. Source: Virtual I/O Device (VIRTIO) 1.2, section 5.1.6, in the host's byte order
// as TUN has it.
#pragma once

#include <cstdint>

#include "dataplane/packet.hpp"

namespace ringway::io {

struct VnetHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;  // of flags: the sum is the pseudo-header's

  static constexpr std::uint8_t kGsoNone = 0;  // of gso_type
  static constexpr std::uint8_t kGsoTcp4 = 1;
  static constexpr std::uint8_t kGsoTcp6 = 4;
  static constexpr std::uint8_t kGsoUdp = 5;     // datagrams (USO), not fragments (UFO, 3)
  static constexpr std::uint8_t kGsoEcn = 0x80;  // beside a TCP type: the first segment has CWR

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t header_bytes = 0;    // IP and transport; a hint that the kernel does not keep to
  std::uint16_t segment_bytes = 0;   // payload of a segment
  std::uint16_t checksum_start = 0;  // of the packet; kNeedsChecksum
  std::uint16_t checksum_offset = 0;
};
static_assert(sizeof(VnetHeader) == 10);

// Puts what the header says of the packet in `slot` (data and length set) into the slot's train and
// checksum fields. Headers are measured in the packet, not believed. False when header and packet
// contradict each other: such a packet must be dropped.
[[nodiscard]] bool decode_vnet(const VnetHeader& header, Slot& slot);

// The header under which to write a slot: one packet, or a train whose checksum is kPartial. False
// for a train that is not.
[[nodiscard]] bool encode_vnet(const Slot& slot, VnetHeader& header);

}  // namespace ringway::io
