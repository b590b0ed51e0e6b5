// A port in virtual time: what the worker sends is handed to a function, what it shall receive is
// put in by hand. Datagrams only; trains are cut on the way out, so the simulation sees each
// message.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/port.hpp"

namespace ringway::sim {

struct Datagram {
  std::vector<std::uint8_t> bytes;
  net::Endpoint remote;  // tx: where to; rx: where from
};

class SimPort final : public io::Port {
 public:
  explicit SimPort(std::function<void(Datagram)> on_sent) : on_sent_(std::move(on_sent)) {
    capabilities_.datagram_trains_tx = true;
    capabilities_.max_train_segments = 64;
    capabilities_.mtu = 1420;
  }

  void inject(Datagram datagram) { waiting_.push_back(std::move(datagram)); }
  [[nodiscard]] const BufferPool& pool() const { return pool_; }

  std::size_t rx_burst(std::span<Slot> out) override {
    std::size_t count = 0;
    while (count < out.size() && !waiting_.empty() && pool_.allocate(out[count])) {
      const Datagram& datagram = waiting_.front();
      Slot& slot = out[count++];
      std::copy(datagram.bytes.begin(), datagram.bytes.end(), slot.data);
      slot.length = static_cast<std::uint32_t>(datagram.bytes.size());
      slot.tailroom -= slot.length;
      slot.remote = datagram.remote;
      waiting_.pop_front();
    }
    return count;
  }
  std::size_t tx_burst(std::span<Slot> slots) override {
    for (const Slot& slot : slots) {
      const std::uint32_t stride =
          slot.train == TrainKind::kDatagrams ? slot.segment_bytes : slot.length;
      for (std::uint32_t offset = 0; offset < slot.length; offset += stride) {
        const std::uint8_t* first = slot.data + offset;
        on_sent_({{first, first + std::min(stride, slot.length - offset)}, slot.remote});
      }
      BufferPool::release(slot);
    }
    return 0;
  }
  std::size_t alloc_burst(std::span<Slot> out) override {
    std::size_t count = 0;
    while (count < out.size() && pool_.allocate(out[count]))
      ++count;
    return count;
  }
  const io::PortCapabilities& capabilities() const override { return capabilities_; }
  int wake_fd() const override { return -1; }
  std::string describe() const override { return "simulated"; }

 private:
  std::function<void(Datagram)> on_sent_;
  io::PortCapabilities capabilities_;
  BufferPool pool_{512, kKernelBufferBytes};
  std::deque<Datagram> waiting_;
};

}  // namespace ringway::sim
