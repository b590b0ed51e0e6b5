#include "dataplane/io/udp_receiver.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace ringway::io {
namespace {

// What one receive brings at most, roughly: half of a second-level cache, so that the worker finds
// in cache what it decrypts.
constexpr std::size_t kReceiveBurstBytes = 512U << 10;
// Pending socket errors that one receive clears; each system call reports one.
constexpr int kMaxPendingErrors = 8;

}  // namespace

UdpReceiver::UdpReceiver(int fd, BufferPool& pool) : fd_(fd), pool_(pool) {
  for (std::size_t i = 0; i < kMaxBatch; ++i) {
    msghdr& header = headers_[i].msg_hdr;
    header.msg_name = &addresses_[i];
    header.msg_iov = &pieces_[i];
    header.msg_iovlen = 1;
    header.msg_control = controls_[i].bytes;
  }
}

UdpReceiver::~UdpReceiver() {
  for (const Slot& slot : slots_) {
    if (slot.home != nullptr) BufferPool::release(slot);
  }
}

UdpReceiver::Totals UdpReceiver::receive(std::span<Slot> out) {
  Totals totals;
  int pending_errors = 0;
  while (totals.slots < out.size() && totals.bytes < kReceiveBurstBytes) {
    const std::size_t ready = prepare(std::min(out.size() - totals.slots, batch_));
    if (ready == 0) break;
    const int received =
        ::recvmmsg(fd_, headers_.data(), static_cast<unsigned>(ready), MSG_DONTWAIT, nullptr);
    if (received <= 0) {
      if (errno == EAGAIN || ++pending_errors > kMaxPendingErrors) break;
      continue;
    }
    const Totals batch = take(out.subspan(totals.slots, static_cast<std::size_t>(received)));
    totals += batch;
    adapt(batch);
    if (batch.slots < ready) break;
  }
  return totals;
}

std::uint32_t UdpReceiver::prepared_buffers() const {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(slots_, [](const Slot& slot) { return slot.home != nullptr; }));
}

// Makes [0, count) ready for a receive and returns how many of them could be.
std::size_t UdpReceiver::prepare(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (slots_[i].home == nullptr && !refill(i)) return i;
  }
  return count;
}

// A fresh buffer, the one most recently freed; with an empty pool, one from further back.
bool UdpReceiver::refill(std::size_t index) {
  if (!pool_.allocate(slots_[index])) {
    std::size_t last = slots_.size() - 1;
    while (last > index && slots_[last].home == nullptr)
      --last;
    if (last == index) return false;
    std::swap(slots_[index], slots_[last]);
  }
  pieces_[index] = {slots_[index].data, slots_[index].tailroom};
  rearm(index);
  return true;
}

// The kernel overwrote the lengths of address and control messages.
void UdpReceiver::rearm(std::size_t index) {
  msghdr& header = headers_[index].msg_hdr;
  header.msg_namelen = sizeof addresses_[index];
  header.msg_controllen = sizeof controls_[index].bytes;
}

// Hands out the first received messages.
UdpReceiver::Totals UdpReceiver::take(std::span<Slot> out) {
  Totals totals;
  totals.slots = out.size();
  for (std::size_t i = 0; i < out.size(); ++i) {
    take_one(i, out[i]);
    totals.bytes += out[i].length;
    totals.datagrams += segment_count(out[i]);
  }
  return totals;
}

void UdpReceiver::take_one(std::size_t index, Slot& out) {
  mmsghdr& received = headers_[index];
  out = slots_[index];
  slots_[index].home = nullptr;
  out.length = received.msg_len;
  out.tailroom -= received.msg_len;
  out.truncated = (received.msg_hdr.msg_flags & MSG_TRUNC) != 0;
  out.remote = parse_remote(addresses_[index]);
  parse_control(received.msg_hdr, out);
  if (out.segment_bytes == 0 || out.segment_bytes >= out.length) {
    out.train = TrainKind::kNone;
    out.segment_bytes = 0;
  }
}

// Chooses the next batch by the mean size of the last.
void UdpReceiver::adapt(const Totals& batch) {
  const std::size_t mean = batch.bytes / batch.slots + 1;
  batch_ = std::clamp(kReceiveBurstBytes / mean, kMinBatch, kMaxBatch);
}

}  // namespace ringway::io
