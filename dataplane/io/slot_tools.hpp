// What several do with slots: count what is in them, move them to another buffer, and cut a run of
// datagrams into its datagrams without copying.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "dataplane/buffer_pool.hpp"
#include "dataplane/packet.hpp"

namespace ringway::io {

struct BurstSize {
  std::uint64_t datagrams = 0;
  std::uint64_t bytes = 0;
};
[[nodiscard]] inline BurstSize burst_size(std::span<const Slot> slots) {
  BurstSize size;
  for (const Slot& slot : slots) {
    size.datagrams += segment_count(slot);
    size.bytes += slot.length;
  }
  return size;
}

inline void release_all(std::span<const Slot> slots) {
  for (const Slot& slot : slots)
    BufferPool::release(slot);
}

// Moves a slot into the buffer of `fresh`, as allocated, and releases its own. False, and both as
// they were, when the buffer is too small.
[[nodiscard]] inline bool move_to_buffer(Slot& slot, const Slot& fresh) {
  if (fresh.tailroom < slot.length) return false;
  std::memcpy(fresh.data, slot.data, slot.length);
  BufferPool::release(slot);
  slot.data = fresh.data;
  slot.headroom = fresh.headroom;
  slot.tailroom = fresh.tailroom - slot.length;
  slot.buffer = fresh.buffer;
  slot.home = fresh.home;
  return true;
}

// Datagram `index` of a kDatagrams slot as a slot of its own over the same bytes. Room before and
// after it only where no neighbour lies. Does not retain.
[[nodiscard]] inline Slot datagram_at(const Slot& run, std::uint32_t index) {
  const std::uint32_t count = segment_count(run);
  const std::uint32_t offset = index * run.segment_bytes;
  Slot part = run;
  part.train = TrainKind::kNone;
  part.segment_bytes = 0;
  part.data = run.data + offset;
  part.length = index + 1 == count ? run.length - offset : run.segment_bytes;
  part.headroom = index == 0 ? run.headroom : 0;
  part.tailroom = index + 1 == count ? run.tailroom : 0;
  return part;
}

// Gives each datagram of a slot to `take`, which owns it from then on; any slot but a run of
// datagrams is given as it is. The parts of a run share its buffer.
template <typename Take>
inline void split_datagrams(const Slot& slot, Take&& take) {
  const std::uint32_t count = slot.train == TrainKind::kDatagrams ? segment_count(slot) : 1;
  if (count == 1) return take(slot.train == TrainKind::kDatagrams ? datagram_at(slot, 0) : slot);
  // All of the buffer's new owners are registered before the first may let go of it.
  for (std::uint32_t i = 1; i < count; ++i)
    BufferPool::retain(slot);
  for (std::uint32_t i = 0; i < count; ++i)
    take(datagram_at(slot, i));
}

}  // namespace ringway::io
