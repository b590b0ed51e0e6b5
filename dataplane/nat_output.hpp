// What the NAT made or had kept (nat::Output), in a buffer of the port by which it leaves. Worker
// thread.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/drop_reasons.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/packet.hpp"

namespace ringway {

// A buffer of `port` with a copy of `packet`; false, counted, where there is none or it is too
// small.
[[nodiscard]] inline bool copy_to_slot(io::Port& port, ConstBytes packet, Slot& slot,
                                       DropCounters& drops) {
  if (port.alloc_burst({&slot, 1}) == 0) {
    drops.add(DropReason::kNoBuffer);
    return false;
  }
  if (packet.size() > slot.tailroom) {
    drops.add(DropReason::kTooBig);
    BufferPool::release(slot);
    return false;
  }
  std::memcpy(slot.data, packet.data(), packet.size());
  slot.length = static_cast<std::uint32_t>(packet.size());
  slot.tailroom -= slot.length;
  return true;
}

}  // namespace ringway
