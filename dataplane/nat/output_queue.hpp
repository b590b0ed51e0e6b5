// Packets that the NAT makes or had kept, until the worker takes them with poll_output(): a bounded
// ring of buffers. What finds it full is dropped by who made it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/lazy_array.hpp"
#include "dataplane/nat/nat.hpp"

namespace ringway::nat {

class OutputQueue {
 public:
  static constexpr std::size_t kCapacity = 512;

  // `packet_bytes`: of the longest packet.
  explicit OutputQueue(std::size_t packet_bytes)
      : packet_bytes_(packet_bytes), buffers_(kCapacity * packet_bytes), heads_(kCapacity) {}

  [[nodiscard]] std::size_t room() const { return kCapacity - count_; }
  // The next packet's buffer; only where there is room. It joins the queue with push().
  [[nodiscard]] Bytes buffer() {
    return {&buffers_[(first_ + count_) % kCapacity * packet_bytes_], packet_bytes_};
  }
  // subscriber: whose; none: of the NAT's own
  void push_to_internet(std::size_t bytes, PeerId subscriber = PeerId::none()) {
    push(bytes, {.to_internet = true, .subscriber = subscriber});
  }
  void push_to_host(std::size_t bytes) { push(bytes, {.to_host = true}); }
  void push_to_subscriber(PeerId subscriber, std::size_t bytes) {
    push(bytes, {.subscriber = subscriber});
  }
  void push_to_shard(WorkerId shard, bool hairpin, std::size_t bytes) {
    push(bytes, {.to_shard = true, .shard = shard, .hairpin = hairpin});
  }

  [[nodiscard]] bool poll(Output& output) {
    if (count_ == 0) return false;
    output = heads_[first_];
    first_ = (first_ + 1) % kCapacity;
    --count_;
    return true;
  }

 private:
  void push(std::size_t bytes, Output&& head) {
    head.packet = ConstBytes(buffer()).first(bytes);
    heads_[(first_ + count_++) % kCapacity] = head;
  }

  std::size_t packet_bytes_;
  LazyArray<std::uint8_t> buffers_;
  std::vector<Output> heads_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace ringway::nat
