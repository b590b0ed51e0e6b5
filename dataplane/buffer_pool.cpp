#include "dataplane/buffer_pool.hpp"

#include <sys/mman.h>

#include "base/spsc_ring.hpp"

namespace ringway {

BufferPool::BufferPool(std::uint32_t buffer_count, std::uint32_t buffer_bytes,
                       std::uint32_t headroom)
    : capacity_(buffer_count), buffer_bytes_(buffer_bytes), headroom_(headroom) {
  CHECK(buffer_count > 0 && headroom < buffer_bytes);
  const std::size_t lines = (buffer_bytes + kCacheLineBytes - 1) / kCacheLineBytes;
  stride_bytes_ = (lines | 1) * kCacheLineBytes;
  memory_bytes_ = stride_bytes_ * buffer_count;
  void* memory = ::mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  memory_ = static_cast<std::uint8_t*>(memory);
  fill_free_list();
}

BufferPool::BufferPool(Bytes memory, std::uint32_t stride_bytes, std::uint32_t headroom)
    : capacity_(static_cast<std::uint32_t>(memory.size() / stride_bytes)),
      buffer_bytes_(stride_bytes),
      headroom_(headroom),
      stride_bytes_(stride_bytes),
      memory_(memory.data()) {
  CHECK(capacity_ > 0 && headroom < stride_bytes);
  fill_free_list();
}

BufferPool::BufferPool(const BufferPool& lender, std::nullptr_t)
    : capacity_(lender.capacity_),
      buffer_bytes_(lender.buffer_bytes_),
      headroom_(lender.headroom_),
      stride_bytes_(lender.stride_bytes_),
      memory_(lender.memory_),
      references_(lender.capacity_) {
  free_.reserve(capacity_);
}

void BufferPool::fill_free_list() {
  references_.assign(capacity_, 0);
  free_.reserve(capacity_);
  for (std::uint32_t index = capacity_; index-- > 0;)
    free_.push_back(index);
}

BufferPool::~BufferPool() {
  if (memory_bytes_ != 0) ::munmap(memory_, memory_bytes_);
}

}  // namespace ringway
