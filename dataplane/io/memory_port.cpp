#include "dataplane/io/memory_port.hpp"

#include <cstring>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.hpp"
#include "dataplane/io/slot_tools.hpp"

namespace ringway::io {

MemoryPort::MemoryPort(const MemoryPortConfig& config)
    : config_(config),
      pool_(config.buffer_count, config.buffer_bytes),
      rx_(config.queue_slots),
      sent_(config.queue_slots) {
  if (!config.wake_fd) return;
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  CHECK(wake_fd_ >= 0);
}

MemoryPort::~MemoryPort() {
  if (peer_ != nullptr) {
    drain(peer_->rx_);
    peer_->peer_ = nullptr;
  }
  drain(rx_);
  drain(sent_);
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

void MemoryPort::link(MemoryPort& a, MemoryPort& b) {
  CHECK(a.peer_ == nullptr && b.peer_ == nullptr && &a != &b);
  a.peer_ = &b;
  b.peer_ = &a;
}

bool MemoryPort::inject(const Slot& slot) {
  if (!rx_.try_push(Slot{slot})) return false;
  signal();
  return true;
}

bool MemoryPort::inject_copy(ConstBytes bytes, const net::Endpoint& remote) {
  Slot slot;
  if (!pool_.allocate(slot)) return false;
  if (bytes.size() > slot.tailroom) {
    BufferPool::release(slot);
    return false;
  }
  if (!bytes.empty()) std::memcpy(slot.data, bytes.data(), bytes.size());
  slot.length = static_cast<std::uint32_t>(bytes.size());
  slot.tailroom -= slot.length;
  slot.remote = remote;
  if (inject(slot)) return true;
  BufferPool::release(slot);
  return false;
}

std::size_t MemoryPort::take_sent(std::span<Slot> out) {
  std::size_t taken = 0;
  while (taken < out.size()) {
    const auto slot = sent_.try_pop();
    if (!slot) break;
    out[taken++] = *slot;
  }
  return taken;
}

std::size_t MemoryPort::rx_burst(std::span<Slot> out) {
  clear_signal();
  std::size_t received = 0;
  while (received < out.size()) {
    const auto slot = rx_.try_pop();
    if (!slot) break;
    out[received++] = *slot;
  }
  if (received == 0) return 0;
  if (!rx_.empty()) signal();
  const BurstSize size = burst_size(out.first(received));
  counters_.rx_packets.add(size.datagrams);
  counters_.rx_bytes.add(size.bytes);
  counters_.rx_bursts.increment();
  return received;
}

std::size_t MemoryPort::tx_burst(std::span<Slot> slots) {
  if (slots.empty()) return 0;
  std::size_t dropped = 0;
  for (Slot& slot : slots) {
    DCHECK(slot.train != TrainKind::kDatagrams || config_.capabilities.datagram_trains_tx);
    const std::uint32_t datagrams = segment_count(slot);
    const std::uint32_t bytes = slot.length;
    if (peer_ != nullptr) {
      carry_to_peer(slot);
    } else if (!sent_.try_push(Slot{slot})) {
      BufferPool::release(slot);
      dropped += datagrams;
      continue;
    }
    counters_.tx_packets.add(datagrams);
    counters_.tx_bytes.add(bytes);
  }
  counters_.tx_bursts.increment();
  counters_.tx_dropped.add(dropped);
  return dropped;
}

void MemoryPort::carry_to_peer(const Slot& slot) {
  const auto deliver = [this](Slot part) {
    if (config_.address.valid()) {
      part.remote = config_.address;
      part.local = peer_->config_.address.address;
    }
    if (peer_->inject(part)) return;
    lost_ += segment_count(part);
    BufferPool::release(part);
  };
  if (peer_->config_.capabilities.datagram_trains_rx) {
    deliver(slot);
  } else {
    split_datagrams(slot, deliver);
  }
}

std::size_t MemoryPort::alloc_burst(std::span<Slot> out) {
  std::size_t allocated = 0;
  while (allocated < out.size() && pool_.allocate(out[allocated]))
    ++allocated;
  return allocated;
}

// A linked peer takes everything at once.
TxQueue MemoryPort::tx_queue() const {
  if (peer_ != nullptr) return {};
  const auto queued = static_cast<std::uint32_t>(sent_.size());
  return {static_cast<std::uint32_t>(config_.queue_slots), queued, queued};
}

std::string MemoryPort::describe() const {
  return config_.name + ": memory, " + std::to_string(config_.queue_slots) + " slots" +
         (peer_ != nullptr ? ", linked to " + peer_->config_.name : "");
}

void MemoryPort::signal() const {
  if (wake_fd_ >= 0) (void)::eventfd_write(wake_fd_, 1);
}

// Before looking, so that whatever is pushed after the look signals again.
void MemoryPort::clear_signal() const {
  eventfd_t count = 0;
  if (wake_fd_ >= 0) (void)::eventfd_read(wake_fd_, &count);
}

void MemoryPort::drain(SpscRing<Slot>& ring) {
  while (const auto slot = ring.try_pop())
    BufferPool::release(*slot);
}

}  // namespace ringway::io
