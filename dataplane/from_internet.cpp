#include "dataplane/from_internet.hpp"

#include "base/net/inner_packet.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/to_internet.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {

std::size_t from_internet(WorkerState& worker, Instant now) {
  if (worker.internet == nullptr) return 0;
  Scratch<Slot, kBurstSlots> burst;
  const std::size_t received =
      worker.internet->port.rx_burst({burst.data(), burst.size()});  // 1 receive
  if (received == 0) return 0;
  Scratch<nat::Packet, kBurstSlots> packets;
  std::size_t count = 0;
  for (std::size_t i = 0; i < received; ++i) {
    net::InnerPacket packet;
    if (burst[i].truncated || !net::parse_inner_packet({burst[i].data, burst[i].length}, packet)) {
      worker.drop(DropReason::kNatMalformed);
      BufferPool::release(burst[i]);
      continue;
    }
    // What a device delivers may end in padding.
    burst[i].length = packet.total_bytes;
    packets[count] = {burst[i].data, packet.total_bytes, PeerId::none()};
    burst[count++] = burst[i];
  }
  worker.internet->nat.inbound({packets.data(), count}, now);  // 2 translate
  TunnelBatch inside(worker, now);
  for (std::size_t i = 0; i < count; ++i) {
    switch (packets[i].verdict) {
      case nat::Verdict::kForward:
        inside.add(burst[i], packets[i].subscriber);  // 3 send
        continue;
      case nat::Verdict::kDrop:
        worker.drop(drop_reason(packets[i].drop));
        break;
      case nat::Verdict::kNotOurs:
        worker.drop(DropReason::kNatNoMapping);
        break;
      case nat::Verdict::kHeld:
      case nat::Verdict::kHairpin:
        break;
    }
    BufferPool::release(burst[i]);
  }
  inside.flush();
  send_nat_outputs(worker, now);
  return received;
}

}  // namespace ringway
