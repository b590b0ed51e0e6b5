// A fixed set of equal buffers, allocated at start, owned by one worker thread. LIFO, so that the
// buffers in use stay in cache. The stride from one buffer to the next is an odd number of cache
// lines: with a power of two, the first lines of all buffers would fall into one cache set. A pool
// may also stand over memory that is somebody else's, with the stride that this prescribes (UMEM).
// A buffer is shared by as many slots as refer to it and goes home with the last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "dataplane/packet.hpp"

namespace ringway {

// Before the first byte of a fresh slot: room for a vnet_hdr, an Ethernet and an outer header.
inline constexpr std::uint32_t kDefaultHeadroom = 128;
// The largest UDP payload over IPv4 rounded up, and room for a tag past it.
inline constexpr std::uint32_t kKernelBufferBytes = 65536 + 256;

class BufferPool {
 public:
  // buffer_bytes: usable bytes of a buffer, headroom included. Memory is reserved, not touched.
  BufferPool(std::uint32_t buffer_count, std::uint32_t buffer_bytes,
             std::uint32_t headroom = kDefaultHeadroom);
  // Over memory that outlives the pool: one buffer each stride_bytes, which it fills.
  BufferPool(Bytes memory, std::uint32_t stride_bytes, std::uint32_t headroom);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // An empty slot with the pool's headroom; false when none is free.
  [[nodiscard]] bool allocate(Slot& slot) {
    if (free_.empty()) return false;
    const std::uint32_t index = free_.back();
    free_.pop_back();
    DCHECK(references_[index] == 0);
    references_[index] = 1;
    slot = Slot{};
    slot.data = memory_ + static_cast<std::size_t>(index) * stride_bytes_ + headroom_;
    slot.headroom = headroom_;
    slot.tailroom = buffer_bytes_ - headroom_;
    slot.buffer = index;
    slot.home = this;
    ++allocated_;
    return true;
  }
  // One more slot refers to the buffer of `slot`.
  static void retain(const Slot& slot) { ++slot.home->references_[slot.buffer]; }
  // Whether no other slot refers to the buffer of `slot`.
  [[nodiscard]] static bool is_sole(const Slot& slot) {
    return slot.home->references_[slot.buffer] == 1;
  }
  // The slot is done with. Its buffer goes home when no other slot refers to it.
  static void release(const Slot& slot) {
    BufferPool& pool = *slot.home;
    DCHECK(pool.references_[slot.buffer] > 0);
    if (--pool.references_[slot.buffer] == 0) {
      pool.free_.push_back(slot.buffer);
      ++pool.freed_;
    }
  }

  // Does `data` point into a buffer of this pool?
  [[nodiscard]] bool owns(const std::uint8_t* data) const {
    return data >= memory_ && data < memory_ + stride_bytes_ * capacity_;
  }
  [[nodiscard]] std::uint32_t buffer_at(const std::uint8_t* data) const {
    DCHECK(owns(data));
    return static_cast<std::uint32_t>(static_cast<std::size_t>(data - memory_) / stride_bytes_);
  }
  // The slot of an allocated buffer of this pool, into which a device wrote `length` bytes at
  // `data`.
  [[nodiscard]] Slot slot_at(std::uint8_t* data, std::uint32_t length) {
    Slot slot;
    slot.buffer = buffer_at(data);
    DCHECK(references_[slot.buffer] > 0);
    const std::uint8_t* const start = memory_ + slot.buffer * stride_bytes_;
    slot.data = data;
    slot.length = length;
    slot.headroom = static_cast<std::uint32_t>(data - start);
    DCHECK(slot.headroom + length <= buffer_bytes_);
    slot.tailroom = buffer_bytes_ - slot.headroom - length;
    slot.home = this;
    return slot;
  }

  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
  [[nodiscard]] std::uint32_t available() const { return static_cast<std::uint32_t>(free_.size()); }
  // allocated() == freed() + held(), always; held() == 0 when every slot was released.
  [[nodiscard]] std::uint64_t allocated() const { return allocated_; }
  [[nodiscard]] std::uint64_t freed() const { return freed_; }
  [[nodiscard]] std::uint32_t held() const { return capacity_ - available(); }

 private:
  friend class BorrowedPool;
  // As another thread sees the buffers of `lender`: the same memory, counts of its own, none free.
  explicit BufferPool(const BufferPool& lender, std::nullptr_t);
  void fill_free_list();

  std::uint32_t capacity_;
  std::uint32_t buffer_bytes_;
  std::uint32_t headroom_;
  std::size_t stride_bytes_;
  std::uint8_t* memory_ = nullptr;
  std::size_t memory_bytes_ = 0;  // to give back; 0: not ours
  std::vector<std::uint32_t> free_;
  std::vector<std::uint16_t> references_;
  std::uint64_t allocated_ = 0;
  std::uint64_t freed_ = 0;
};

}  // namespace ringway
