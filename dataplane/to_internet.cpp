#include "dataplane/to_internet.hpp"

#include <cstring>

#include "base/net/inner_packet.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/host_access.hpp"
#include "dataplane/scratch.hpp"
#include "dataplane/to_tunnel.hpp"

namespace ringway {
namespace {

enum class Way : std::uint8_t { kInternet, kHost, kSubscriber };

// A subscriber that speaks to another one by its port outside (a hairpin).
bool is_to_nat_port(const InternetSide& internet, const Slot& slot) {
  const auto port = destination_port({slot.data, slot.length});
  return port && *port >= internet.first_nat_port && *port <= internet.last_nat_port;
}

Way way_of(const InternetSide& internet, const Slot& slot) {
  net::Family family = net::Family::kIpv4;
  const std::uint8_t* destination = slot.data + net::Ip4View::kDestinationAt;
  if (slot.data[0] >> 4 == 6) {
    family = net::Family::kIpv6;
    destination = slot.data + net::Ip6View::kDestinationAt;
  }
  if (internet.host.contains(family, destination)) {
    return is_to_nat_port(internet, slot) ? Way::kInternet : Way::kHost;
  }
  return internet.inner.contains(family, destination) ? Way::kSubscriber : Way::kInternet;
}

void to_host(WorkerState& worker, Slot slot) {
  if (!may_reach_host({slot.data, slot.length})) {
    worker.drop(DropReason::kHostDenied);
    BufferPool::release(slot);
    return;
  }
  if (worker.inner.tx_burst({&slot, 1}) > 0) worker.drop(DropReason::kTxFailed);
}

void transmit(WorkerState& worker, std::span<Slot> slots) {
  if (slots.empty()) return;
  const std::size_t refused = worker.internet->port.tx_burst(slots);
  if (refused > 0) worker.drop(DropReason::kTxFailed, refused);
}

// A buffer of the Internet port with a copy of `packet`; false, counted, where there is none.
bool copy_to_slot(WorkerState& worker, ConstBytes packet, Slot& slot) {
  if (worker.internet->port.alloc_burst({&slot, 1}) == 0) {
    worker.drop(DropReason::kNoBuffer);
    return false;
  }
  if (packet.size() > slot.tailroom) {
    worker.drop(DropReason::kTooBig);
    BufferPool::release(slot);
    return false;
  }
  std::memcpy(slot.data, packet.data(), packet.size());
  slot.length = static_cast<std::uint32_t>(packet.size());
  slot.tailroom -= slot.length;
  return true;
}

}  // namespace

void to_internet(WorkerState& worker, std::span<Slot> slots, std::span<const PeerId> subscribers,
                 Instant now) {
  DCHECK(slots.size() <= kVectorSegments && slots.size() == subscribers.size());
  Scratch<nat::Packet, kVectorSegments> packets;
  TunnelBatch inside(worker, now);
  std::size_t count = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {  // 8 part
    switch (way_of(*worker.internet, slots[i])) {
      case Way::kInternet:
        packets[count] = {slots[i].data, slots[i].length, subscribers[i]};
        if (count != i) slots[count] = slots[i];
        ++count;
        break;
      case Way::kHost:
        to_host(worker, slots[i]);
        break;
      case Way::kSubscriber:
        inside.add_routed(slots[i]);
        break;
    }
  }
  worker.internet->nat.outbound({packets.data(), count}, now);  // 9 translate
  std::size_t forward = 0;
  for (std::size_t i = 0; i < count; ++i) {
    switch (packets[i].verdict) {
      case nat::Verdict::kForward:
        if (forward != i) slots[forward] = slots[i];
        ++forward;
        continue;
      case nat::Verdict::kHairpin:
        inside.add(slots[i], packets[i].subscriber);
        continue;
      case nat::Verdict::kDrop:
        worker.drop(drop_reason(packets[i].drop));
        break;
      case nat::Verdict::kHeld:
      case nat::Verdict::kNotOurs:
        break;
    }
    BufferPool::release(slots[i]);
  }
  transmit(worker, slots.first(forward));  // 10 transmit
  inside.flush();
  send_nat_outputs(worker, now);
}

void send_nat_outputs(WorkerState& worker, Instant now) {
  TunnelBatch inside(worker, now);
  nat::Output output;
  while (worker.internet->nat.poll_output(output)) {
    if (output.to_host) {  // a fragment that proved nobody's: there is no way back to the kernel
      worker.drop(DropReason::kNatNoMapping);
      continue;
    }
    Slot slot;
    if (!copy_to_slot(worker, output.packet, slot)) continue;
    if (output.to_internet) {
      transmit(worker, {&slot, 1});
    } else {
      inside.add(slot, output.subscriber);
    }
  }
  inside.flush();
}

}  // namespace ringway
