// The memory of all AF_XDP sockets of the process: one area, cut into equal frames, each worker
// with a pool over a part of it. A frame that came in at one socket can go out at any other without
// being copied. Control thread, before the workers start; what workers call is const.
//
// Each socket registers the area for itself (XDP_UMEM_REG). The kernel's XDP_SHARED_UMEM would tie
// all sockets to the first: to its mode (zero-copy for all or for none: xp_assign_dev_shared) and,
// since libxdp keeps the first socket open as long as the UMEM, to its queue, which could not be
// opened again before the last of them closes. Source: Linux net/xdp/xsk_buff_pool.c, xsk.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "dataplane/buffer_pool.hpp"

namespace ringway::io {

// What the kernel keeps before the packet in each frame it fills (XDP_PACKET_HEADROOM). It is ours
// again when the frame comes up: room for an outer header.
inline constexpr std::uint32_t kXdpHeadroom = 256;

struct UmemOptions {
  std::uint32_t frames = 8192;
  // A power of two, 2048 to 4096 (the kernel's limits for frames with a fixed place). Holds a frame
  // of frame_bytes - kXdpHeadroom.
  std::uint32_t frame_bytes = 2048;
  bool huge_pages = true;  // where the host has reserved any
};

class Umem {
 public:
  // Fails where there is no memory.
  [[nodiscard]] static Result<std::unique_ptr<Umem>> create(const UmemOptions& options);
  // After every socket and every slot is gone.
  ~Umem();
  Umem(const Umem&) = delete;
  Umem& operator=(const Umem&) = delete;

  // A pool over the next `frames` frames, for the ports of one worker; it lives as long as this.
  // Fails where fewer are left.
  [[nodiscard]] Result<BufferPool*> make_pool(std::uint32_t frames);

  [[nodiscard]] Bytes memory() const { return {memory_, memory_bytes_}; }
  [[nodiscard]] std::uint32_t frame_bytes() const { return frame_bytes_; }
  [[nodiscard]] std::uint32_t frame_count() const {
    return static_cast<std::uint32_t>(memory_bytes_ / frame_bytes_);
  }
  [[nodiscard]] bool contains(const std::uint8_t* data) const {
    return data >= memory_ && data < memory_ + memory_bytes_;
  }
  // As the kernel names a place in the area, and back.
  [[nodiscard]] std::uint64_t address_of(const std::uint8_t* data) const {
    return static_cast<std::uint64_t>(data - memory_);
  }
  [[nodiscard]] std::uint8_t* at(std::uint64_t address) const { return memory_ + address; }
  [[nodiscard]] std::uint32_t frame_of(std::uint64_t address) const {
    return static_cast<std::uint32_t>(address / frame_bytes_);
  }
  // "8192 frames of 2048 bytes in huge pages"
  [[nodiscard]] std::string describe() const;

 private:
  Umem(std::uint8_t* memory, std::size_t bytes, std::uint32_t frame_bytes, bool huge_pages);

  std::uint8_t* memory_;
  std::size_t memory_bytes_;
  std::uint32_t frame_bytes_;
  bool huge_pages_;
  std::uint32_t frames_given_ = 0;
  std::vector<std::unique_ptr<BufferPool>> pools_;
};

}  // namespace ringway::io
