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
  references_.assign(buffer_count, 0);
  free_.reserve(buffer_count);
  for (std::uint32_t index = buffer_count; index-- > 0;)
    free_.push_back(index);
}

BufferPool::~BufferPool() {
  ::munmap(memory_, memory_bytes_);
}

}  // namespace ringway
