// A port that costs next to nothing, so that what is measured is the worker between two of them.
// What is offered is received either as from a kernel, just copied into a buffer of the port (the
// copying is not the worker's: its time is known and can be subtracted), or as from a device, where
// it lies. What is sent is counted, now and then a sample of it is kept, and its buffer goes home
// at once, as after a send to a socket.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "bench/measure.hpp"
#include "dataplane/buffer_pool.hpp"
#include "dataplane/io/port.hpp"
#include "dataplane/stage_clock.hpp"

namespace ringway::bench {

// What differs from one offered slot to the next. The buffer holds one reference for the slot.
struct Parcel {
  std::uint8_t* data;
  std::uint32_t length;
  std::uint32_t buffer;
  const net::Endpoint* remote;
};

enum class Arrival : std::uint8_t {
  kCopied,   // a TUN device's or a socket's: hot in the caches
  kInPlace,  // memory that a device wrote: in no cache when there is much of it
};

class BenchPort final : public io::Port {
 public:
  struct Sent {
    std::uint64_t packets = 0;  // a train counts its segments
    std::uint64_t bytes = 0;
    std::vector<std::vector<std::uint8_t>> samples;  // packets, in the order of sending
  };

  // As large as any kernel port's buffers, and enough of them for a vector.
  static constexpr std::uint32_t kBuffers = 512;
  // From a round's first sample to the next round's: reaches every remainder of a prime interval.
  static constexpr std::uint64_t kSamplePhase = 389;

  // burst: slots that one rx_burst brings at most.
  BenchPort(const io::PortCapabilities& capabilities, Arrival arrival, std::size_t burst)
      : capabilities_(capabilities),
        pool_(kBuffers, kKernelBufferBytes),
        arrival_(arrival),
        burst_(burst) {}
  ~BenchPort() override = default;
  BenchPort(const BenchPort&) = delete;
  BenchPort& operator=(const BenchPort&) = delete;

  // To be received next, in order; each is `like` apart from what its parcel says. The parcels must
  // stay until then.
  void offer(std::span<const Parcel> parcels, const Slot& like) {
    offered_ = parcels;
    like_ = like;
  }
  [[nodiscard]] bool exhausted() const { return offered_.empty(); }

  // From now on every so manyth packet is kept, others than the last time. No memory is allocated
  // while sending.
  void keep_samples(std::uint64_t interval, std::uint64_t packets, std::size_t packet_bytes) {
    interval_ = interval;
    until_sample_ = ++sampled_rounds_ * kSamplePhase % interval;
    sent_ = {};
    sent_.samples.resize(packets / interval + 1);
    for (auto& sample : sent_.samples)
      sample.reserve(packet_bytes);
    sample_count_ = 0;
  }
  // Since keep_samples().
  [[nodiscard]] std::uint64_t packets_sent() const { return sent_.packets; }
  [[nodiscard]] const Sent& sent() {
    sent_.samples.resize(sample_count_);
    return sent_;
  }
  [[nodiscard]] BufferPool& pool() { return pool_; }
  // Null, as at first: nothing is timed. The copying is no stage's.
  void set_stage_clock(StageClock* clock) { stage_clock_ = clock; }
  // Spent in copying what arrives, since construction.
  [[nodiscard]] std::uint64_t copy_cycles() const { return copy_cycles_; }

  [[nodiscard]] std::size_t rx_burst(std::span<Slot> out) override {
    std::size_t count = std::min({out.size(), burst_, offered_.size()});
    if (arrival_ == Arrival::kCopied) {
      const std::uint64_t start = tsc();
      count = copy_in(out.first(count));
      // Or the last of the copying would be taken for the worker's.
      __builtin_ia32_lfence();
      const std::uint64_t cycles = tsc() - start;
      copy_cycles_ += cycles;
      if (stage_clock_ != nullptr) stage_clock_->leave_out(cycles);
    } else {
      for (std::size_t i = 0; i < count; ++i)
        out[i] = slot_of(offered_[i]);
    }
    offered_ = offered_.subspan(count);
    return count;
  }

  std::size_t tx_burst(std::span<Slot> slots) override {
    // Summed here first: members would be written and read back for each packet, 5 cycles.
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    for (const Slot& slot : slots) {
      const std::uint32_t segments = segment_count(slot);
      packets += segments;
      bytes += slot.length;
      for (; until_sample_ < segments; until_sample_ += interval_)
        keep(slot, static_cast<std::uint32_t>(until_sample_));
      until_sample_ -= segments;
      BufferPool::release(slot);
    }
    sent_.packets += packets;
    sent_.bytes += bytes;
    return 0;
  }

  [[nodiscard]] std::size_t alloc_burst(std::span<Slot> out) override {
    std::size_t allocated = 0;
    while (allocated < out.size() && pool_.allocate(out[allocated]))
      ++allocated;
    return allocated;
  }

  [[nodiscard]] const io::PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] int wake_fd() const override { return -1; }
  [[nodiscard]] std::string describe() const override { return "memory, for measurements"; }

 private:
  [[nodiscard]] Slot slot_of(const Parcel& parcel) const {
    Slot slot = like_;
    slot.data = parcel.data;
    slot.length = parcel.length;
    slot.buffer = parcel.buffer;
    slot.remote = *parcel.remote;
    return slot;
  }

  [[nodiscard]] std::size_t copy_in(std::span<Slot> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const Slot original = slot_of(offered_[i]);
      Slot buffer;
      if (!pool_.allocate(buffer)) return i;
      std::memcpy(buffer.data, original.data, original.length);
      out[i] = original;
      out[i].data = buffer.data;
      out[i].headroom = buffer.headroom;
      out[i].tailroom = buffer.tailroom - original.length;
      out[i].buffer = buffer.buffer;
      out[i].home = buffer.home;
      BufferPool::release(original);
    }
    return out.size();
  }

  void keep(const Slot& slot, std::uint32_t segment) {
    if (sample_count_ == sent_.samples.size()) return;
    const std::uint32_t stride =
        slot.train == TrainKind::kNone ? slot.length : std::uint32_t{slot.segment_bytes};
    const std::uint32_t at = segment * stride;
    sent_.samples[sample_count_++].assign(slot.data + at,
                                          slot.data + at + std::min(stride, slot.length - at));
  }

  io::PortCapabilities capabilities_;
  BufferPool pool_;
  Arrival arrival_;
  std::size_t burst_;
  std::uint64_t copy_cycles_ = 0;
  std::span<const Parcel> offered_;
  Slot like_;
  Sent sent_;
  std::uint64_t interval_ = 1;
  std::uint64_t until_sample_ = UINT64_MAX;  // packets to pass before the next sample
  std::size_t sample_count_ = 0;
  std::uint64_t sampled_rounds_ = 0;
  StageClock* stage_clock_ = nullptr;
};

}  // namespace ringway::bench
