// A port whose wire is memory, for tests, simulations and benchmarks: what is injected is received,
// what is sent can be taken out, and two linked ports are each other's wire. No system call, unless
// a wake-up descriptor is asked for.
//
// Threads: as any port, it belongs to one. With one exception for tests of sleeping: inject() and
// take_sent() may be called by one other thread, as long as the buffers that travel belong to pools
// that nobody uses meanwhile. Linked ports belong to the same thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/spsc_ring.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/port.hpp"

namespace ringway::io {

struct MemoryPortConfig {
  std::string name = "memory";
  PortCapabilities capabilities{};
  std::size_t queue_slots = 1024;  // of each direction; a power of two
  std::uint32_t buffer_count = 1024;
  std::uint32_t buffer_bytes = 2048;
  bool wake_fd = false;  // an eventfd that is readable while something can be received
  // Where a linked peer sees our datagrams come from; with port 0 addresses are passed on
  // untouched.
  net::Endpoint address{};
};

class MemoryPort final : public Port {
 public:
  explicit MemoryPort(const MemoryPortConfig& config);
  // Releases what waits in the queues. Of a linked pair, the first to go also empties the other's
  // receive queue, where its own buffers may be.
  ~MemoryPort() override;
  MemoryPort(const MemoryPort&) = delete;
  MemoryPort& operator=(const MemoryPort&) = delete;

  // From now on what one sends the other receives. A run of datagrams is cut where the receiver
  // does not declare runs. What the receiver has no room for is lost, silently, as on a wire.
  static void link(MemoryPort& a, MemoryPort& b);

  // The next thing to be received. False, and the caller still owns the slot, when the queue is
  // full.
  [[nodiscard]] bool inject(const Slot& slot);
  // The same with a copy in a buffer of our own. False also when no buffer is free or it is too
  // small.
  [[nodiscard]] bool inject_copy(ConstBytes bytes, const net::Endpoint& remote = {});
  // What was sent, oldest first; the caller owns it. Nothing while linked.
  [[nodiscard]] std::size_t take_sent(std::span<Slot> out);

  [[nodiscard]] std::size_t waiting() const { return rx_.size(); }  // slots to be received
  [[nodiscard]] std::size_t sent() const { return sent_.size(); }   // slots to be taken
  [[nodiscard]] std::uint64_t lost() const {
    return lost_;
  }  // datagrams a linked peer had no room for
  [[nodiscard]] BufferPool& pool() { return pool_; }

  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override;
  std::size_t tx_burst(std::span<Slot> slots) override;
  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override;
  [[nodiscard]] const PortCapabilities& capabilities() const override {
    return config_.capabilities;
  }
  [[nodiscard]] int wake_fd() const override { return wake_fd_; }
  [[nodiscard]] TxQueue tx_queue() const override;
  [[nodiscard]] std::string describe() const override;

 private:
  void carry_to_peer(const Slot& slot);
  void signal() const;
  void clear_signal() const;
  static void drain(SpscRing<Slot>& ring);

  MemoryPortConfig config_;
  BufferPool pool_;
  SpscRing<Slot> rx_;
  SpscRing<Slot> sent_;
  MemoryPort* peer_ = nullptr;
  std::uint64_t lost_ = 0;
  int wake_fd_ = -1;
};

}  // namespace ringway::io
