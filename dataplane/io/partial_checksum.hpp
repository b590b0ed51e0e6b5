// Checksums that a local sender left to its device: they hold the sum of the pseudo-header only.
// Virtual devices (veth, virtio, TUN) hand such packets over as they are. A TUN says so in its
// header (tun_vnet.hpp); to AF_XDP what the kernel knows does not come along, so they are found by
// their value. Updated incrementally, such a checksum would stay wrong for ever; marked kPartial,
// it is completed by whoever sends the packet to where nobody else would.
#pragma once

#include "dataplane/packet.hpp"

namespace ringway::io {

// Looks at the TCP or UDP checksum of an Ethernet frame (at most two VLAN tags) and, where it is
// its own pseudo-header's sum, marks the slot kPartial. A complete checksum looks like that once in
// 65,536: completing it gives the right one again. Where padding follows the packet, the checksum
// is completed at once.
void mark_partial_checksum(Slot& frame);

// Completes a kPartial checksum in the packet or frame itself. False when the slot's offsets lie
// outside of it.
[[nodiscard]] bool complete_checksum(Slot& slot);

}  // namespace ringway::io
