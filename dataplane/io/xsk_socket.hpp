// One AF_XDP socket on one queue of a device: opening it the best way there is, its four rings, and
// the system calls that wake its device. Knows nothing of who owns which frame; that is XskPort's.
// Sources: Linux Documentation/networking/af_xdp.rst, net/xdp/xsk.c; libxdp's xsk.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <xdp/xsk.h>

#include "base/result.hpp"
#include "dataplane/io/umem.hpp"

namespace ringway::io {

inline constexpr std::uint32_t kDefaultXskRing = 1024;

struct XskOptions {
  std::string device{};
  std::uint32_t queue = 0;
  // Of each of the four rings; a power of two. Small ones stay in cache; those of a queue that is
  // looked at rarely must hold what comes meanwhile.
  std::uint32_t ring_entries = kDefaultXskRing;
  // How the steering program is attached (XdpAttachment), and why not natively. Below a generic one
  // there is no zero-copy.
  bool native = true;
  std::string generic_reason{};
  bool zero_copy = true;  // try it
  // Frames that the device's NAPI may handle in one of our system calls; 0: its interrupts work by
  // themselves. With it, one core does both, and a worker must poll always (SO_PREFER_BUSY_POLL).
  // Interrupts stay off meanwhile where the device's napi_defer_hard_irqs and gro_flush_timeout are
  // set.
  std::uint32_t busy_poll_budget = 0;
  // May the checksums of received packets be partial? By default as the device's driver is known.
  enum class Checksums : std::uint8_t { kByDriver, kComplete, kMaybePartial };
  Checksums checksums = Checksums::kByDriver;
  // How long to try while the queue is still another socket's: one that was closed just now is
  // taken off by the kernel in its own time.
  std::uint32_t busy_wait_ms = 1000;
};

inline constexpr std::uint32_t kMinXskRing = 64;
inline constexpr std::uint32_t kMaxXskRing = 4096;

class XskSocket {
 public:
  // Control thread: may wait for busy_wait_ms. Zero-copy if it can be had, else copy.
  [[nodiscard]] static Result<std::unique_ptr<XskSocket>> open(const Umem& umem,
                                                               const XskOptions& options);
  ~XskSocket();
  XskSocket(const XskSocket&) = delete;
  XskSocket& operator=(const XskSocket&) = delete;

  // Closes before the destructor does. True: the kernel has let go of every frame. False: a
  // zero-copy device did not within a second, and may still write into frames.
  bool close();

  [[nodiscard]] int fd() const { return xsk_socket__fd(socket_); }
  [[nodiscard]] bool zero_copy() const { return zero_copy_; }
  // "native, copy (zero-copy: Operation not supported)"
  [[nodiscard]] const std::string& how() const { return how_; }
  [[nodiscard]] bool busy_polling() const { return busy_polling_; }

  // Lets the device take frames from the fill ring, or its NAPI run. Costs a system call only where
  // one is needed.
  void wake_receiver();
  // Lets the device send what is in the transmit ring; in copy mode it is sent when this returns.
  // Returns how many frames the device refused: they are done with, and gone.
  std::uint32_t wake_sender();

  [[nodiscard]] xdp_statistics statistics() const;

  xsk_ring_prod fill{};
  xsk_ring_cons completion{};
  xsk_ring_cons rx{};
  xsk_ring_prod tx{};

 private:
  XskSocket() = default;
  [[nodiscard]] int bind(const Umem& umem, const XskOptions& options, bool zero_copy);
  void release();
  void set_busy_polling(std::uint32_t budget);
  void widen_send_budget(std::uint32_t entries) const;

  xsk_umem* umem_ = nullptr;
  xsk_socket* socket_ = nullptr;
  std::string device_;
  std::uint32_t queue_ = 0;
  bool zero_copy_ = false;
  bool busy_polling_ = false;
  std::string how_;
};

// Frames in a ring: handed over by one side, not yet taken by the other.
template <typename Ring>
[[nodiscard]] inline std::uint32_t ring_level(const Ring& ring) {
  return __atomic_load_n(ring.producer, __ATOMIC_ACQUIRE) -
         __atomic_load_n(ring.consumer, __ATOMIC_ACQUIRE);
}

}  // namespace ringway::io
