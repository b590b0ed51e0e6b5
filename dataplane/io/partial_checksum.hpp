// Finds checksums that a local sender left to its device: they hold the sum of the pseudo-header
// only. Virtual devices (veth, virtio, TUN) hand such packets over as they are, and what the kernel
// knows of them does not come along to AF_XDP. Updated incrementally, such a checksum would stay
// wrong for ever; marked kPartial, it is completed by whoever sends the packet.
#pragma once

#include "dataplane/packet.hpp"

namespace ringway::io {

// Looks at the TCP or UDP checksum of an Ethernet frame (at most two VLAN tags) and, where it is
// its own pseudo-header's sum, marks the slot kPartial. A complete checksum looks like that once in
// 65,536: completing it gives the right one again. Where padding follows the packet, the checksum
// is completed at once.
void mark_partial_checksum(Slot& frame);

}  // namespace ringway::io
