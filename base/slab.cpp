#include "base/slab.hpp"

#include <cstdint>
#include <new>

#include <sys/mman.h>

#include "base/check.hpp"

namespace ringway {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
constexpr std::size_t kLineBytes = 64;

// A huge page must lie on a boundary of its size, and mappings need not.
std::byte* map_huge_page() {
  void* const memory = ::mmap(nullptr, 2 * kHugePageBytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  auto* const begin = static_cast<std::byte*>(memory);
  const std::size_t before =
      (kHugePageBytes - reinterpret_cast<std::uintptr_t>(begin) % kHugePageBytes) % kHugePageBytes;
  if (before > 0) CHECK(::munmap(begin, before) == 0);
  CHECK(::munmap(begin + before + kHugePageBytes, kHugePageBytes - before) == 0);
  return begin + before;
}

}  // namespace

Slab::Slab(std::size_t object_bytes)
    : stride_bytes_(((object_bytes + kLineBytes - 1) / kLineBytes | 1) * kLineBytes) {
  CHECK(object_bytes > 0 && stride_bytes_ <= kHugePageBytes);
}

void* Slab::allocate() {
  const std::lock_guard lock(mutex_);
  if (free_ != nullptr) {
    Free* const object = free_;
    free_ = object->next;
    return object;
  }
  if (fresh_objects_ == 0) add_slab();
  --fresh_objects_;
  std::byte* const object = fresh_;
  fresh_ += stride_bytes_;
  return object;
}

void Slab::release(void* object) {
  if (object == nullptr) return;
  const std::lock_guard lock(mutex_);
  free_ = new (object) Free{free_};
}

void Slab::add_slab() {
  fresh_ = map_huge_page();
  fresh_objects_ = kHugePageBytes / stride_bytes_;
  // A kernel without transparent huge pages refuses; small pages do as well, only slower.
  if (!first_) (void)::madvise(fresh_, kHugePageBytes, MADV_HUGEPAGE);
  first_ = false;
}

}  // namespace ringway
