// Memory for objects of one kind of which a node may have thousands and finds another one for each
// packet: side by side on huge pages, where the heap would spread them over more pages than a
// processor remembers, and at an odd number of cache lines, so that the first lines of all do not
// fall into one cache set. The first slab is of small pages: whoever has few objects pays for those
// alone. Any thread; memory stays with the process.
#pragma once

#include <cstddef>
#include <mutex>
#include <new>

#include "base/check.hpp"

namespace ringway {

class Slab {
 public:
  // Of the objects, which are aligned to a cache line at most.
  explicit Slab(std::size_t object_bytes);
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // Aborts when there is no memory.
  [[nodiscard]] void* allocate();
  void release(void* object);

  [[nodiscard]] std::size_t stride_bytes() const { return stride_bytes_; }

 private:
  struct Free {
    Free* next;
  };
  void add_slab();

  const std::size_t stride_bytes_;
  std::mutex mutex_;
  Free* free_ = nullptr;  // what came back
  std::byte* fresh_ = nullptr;
  std::size_t fresh_objects_ = 0;  // from there on, never used
  bool first_ = true;
};

// What gives a class its slab: `class Peer : public InSlab<Peer>`. With AddressSanitizer objects
// are on the heap, where it sees what is used after its end.
template <typename T>
class InSlab {
 public:
  [[nodiscard]] static void* operator new(std::size_t bytes);
  static void operator delete(void* object);

 private:
  [[nodiscard]] static Slab& slab() {
    // Never destroyed: the last objects may outlive it.
    static Slab& shared = *new Slab(sizeof(T));
    return shared;
  }
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RINGWAY_SLABS 0
#endif
#endif
#ifndef RINGWAY_SLABS
#define RINGWAY_SLABS 1
#endif

template <typename T>
void* InSlab<T>::operator new(std::size_t bytes) {
#if RINGWAY_SLABS
  DCHECK(bytes == sizeof(T));
  return slab().allocate();
#else
  return ::operator new (bytes, std::align_val_t{alignof(T)});
#endif
}
template <typename T>
void InSlab<T>::operator delete(void* object) {
#if RINGWAY_SLABS
  slab().release(object);
#else
  ::operator delete (object, std::align_val_t{alignof(T)});
#endif
}

}  // namespace ringway
