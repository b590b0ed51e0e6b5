#include "base/lazy_array.hpp"

#include <sys/mman.h>

namespace ringway::detail {

// Below this a huge page would be mostly empty.
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

void* map_zeroed(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  // A kernel without transparent huge pages refuses; small pages do as well, only slower.
  if (bytes >= 2 * kHugePageBytes) (void)::madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

void unmap_zeroed(void* memory, std::size_t bytes) {
  if (memory != nullptr) CHECK(::munmap(memory, bytes) == 0);
}

}  // namespace ringway::detail
