#include "dataplane/io/umem.hpp"

#include <bit>
#include <cerrno>

#include <sys/mman.h>

namespace ringway::io {
namespace {

constexpr std::size_t kHugePageBytes = 2U << 20;
constexpr std::uint32_t kMinFrameBytes = 2048;  // XDP_UMEM_MIN_CHUNK_SIZE
constexpr std::uint32_t kMaxFrameBytes = 4096;  // a page

void* map_memory(std::size_t bytes, int flags) {
  return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

}  // namespace

Result<std::unique_ptr<Umem>> Umem::create(const UmemOptions& options) {
  if (!std::has_single_bit(options.frame_bytes) || options.frame_bytes < kMinFrameBytes ||
      options.frame_bytes > kMaxFrameBytes) {
    return failure("frames of " + std::to_string(options.frame_bytes) + " bytes are not possible",
                   "use 2048 or 4096");
  }
  if (options.frames == 0) return failure("AF_XDP needs frames");
  std::size_t bytes = std::size_t{options.frames} * options.frame_bytes;
  if (options.huge_pages) {
    const std::size_t rounded = (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
    if (void* memory = map_memory(rounded, MAP_HUGETLB); memory != MAP_FAILED) {
      return std::unique_ptr<Umem>(
          new Umem(static_cast<std::uint8_t*>(memory), rounded, options.frame_bytes, true));
    }
  }
  // Frames of 2048 bytes in an odd number would end within a page.
  bytes = (bytes + kMaxFrameBytes - 1) / kMaxFrameBytes * kMaxFrameBytes;
  void* memory = map_memory(bytes, 0);
  if (memory == MAP_FAILED) {
    return system_failure("getting " + std::to_string(bytes >> 20) + " MiB for AF_XDP frames",
                          errno);
  }
  (void)::madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: fewer TLB misses
  return std::unique_ptr<Umem>(
      new Umem(static_cast<std::uint8_t*>(memory), bytes, options.frame_bytes, false));
}

Umem::Umem(std::uint8_t* memory, std::size_t bytes, std::uint32_t frame_bytes, bool huge_pages)
    : memory_(memory), memory_bytes_(bytes), frame_bytes_(frame_bytes), huge_pages_(huge_pages) {}

Umem::~Umem() {
  pools_.clear();
  ::munmap(memory_, memory_bytes_);
}

Result<BufferPool*> Umem::make_pool(std::uint32_t frames) {
  const std::uint32_t left = frame_count() - frames_given_;
  if (frames == 0 || frames > left) {
    return failure("a pool of " + std::to_string(frames) + " frames is wanted, " +
                   std::to_string(left) + " are left");
  }
  const Bytes part = memory().subspan(std::size_t{frames_given_} * frame_bytes_,
                                      std::size_t{frames} * frame_bytes_);
  frames_given_ += frames;
  pools_.push_back(std::make_unique<BufferPool>(part, frame_bytes_, kXdpHeadroom));
  return pools_.back().get();
}

std::string Umem::describe() const {
  return std::to_string(frame_count()) + " frames of " + std::to_string(frame_bytes_) + " bytes" +
         (huge_pages_ ? " in huge pages" : "");
}

}  // namespace ringway::io
