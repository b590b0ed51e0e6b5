#include "dataplane/io/xsk_port.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/net/ethernet.hpp"
#include "dataplane/io/partial_checksum.hpp"

namespace ringway::io {
namespace {

constexpr std::uint32_t kMaxTagBytes = 8;  // two VLAN tags
constexpr std::uint32_t kFrameOverhead = net::EthernetView::kHeaderBytes + kMaxTagBytes;
constexpr std::uint32_t kReadAhead = 6;     // frames; see prefetch_headers
constexpr std::uint32_t kSendingShare = 4;  // of a pool, the part that is not given to the device
// Drivers whose packets come from a stack on the same machine, which leaves checksums to a device
// that is none.
constexpr std::array<std::string_view, 4> kPartialDrivers = {"veth", "virtio_net", "tun", "netkit"};

// What the kernel wrote on another core is fetched while the frames before it are looked at. A
// forwarder that is kept busy by TCP spent 3.2 % of its time waiting for the first byte of each,
// and spends 1.4 % on both the prefetching and the look (docs/BENCHMARKS.md).
void prefetch_headers(const std::uint8_t* frame) {
  __builtin_prefetch(frame);
  __builtin_prefetch(frame + 64);
}

Result<std::uint16_t> device_mtu(int fd, const std::string& device) {
  ifreq request{};
  std::strncpy(request.ifr_name, device.c_str(), IFNAMSIZ - 1);
  if (::ioctl(fd, SIOCGIFMTU, &request) != 0) {
    return system_failure("asking for the MTU of " + device, errno);
  }
  return static_cast<std::uint16_t>(std::min(request.ifr_mtu, 65535));
}

std::string device_driver(int fd, const std::string& device) {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  std::strncpy(request.ifr_name, device.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&info);
  if (::ioctl(fd, SIOCETHTOOL, &request) != 0) return {};
  return info.driver;
}

std::uint8_t* start_of(const Umem& umem, std::uint32_t frame) {
  return umem.at(std::uint64_t{frame} * umem.frame_bytes());
}

bool checksums_are_complete(XskOptions::Checksums option, const std::string& driver) {
  if (option != XskOptions::Checksums::kByDriver) {
    return option == XskOptions::Checksums::kComplete;
  }
  return std::find(kPartialDrivers.begin(), kPartialDrivers.end(), driver) == kPartialDrivers.end();
}

}  // namespace

Result<std::unique_ptr<XskPort>> XskPort::open(const Umem& umem, BufferPool& pool,
                                               const XskOptions& options) {
  if (options.device.size() >= IFNAMSIZ || ::if_nametoindex(options.device.c_str()) == 0) {
    return failure("there is no interface '" + options.device + "'");
  }
  const int query = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const auto mtu = device_mtu(query, options.device);
  const std::string driver = device_driver(query, options.device);
  ::close(query);
  if (!mtu) return tl::unexpected(mtu.error());
  const std::uint32_t max_frame = *mtu + kFrameOverhead;
  if (max_frame > umem.frame_bytes() - kXdpHeadroom) {
    return failure("frames of " + std::to_string(umem.frame_bytes()) +
                       " bytes do not hold the MTU " + std::to_string(*mtu) + " of " +
                       options.device,
                   "lower the MTU or use larger frames; " +
                       std::to_string(4096 - kXdpHeadroom - kFrameOverhead) + " is the most");
  }
  auto socket = XskSocket::open(umem, options);
  if (!socket) return tl::unexpected(socket.error());
  std::unique_ptr<XskPort> port(new XskPort(umem, pool, std::move(*socket)));
  port->name_ = options.device + " queue " + std::to_string(options.queue);
  port->capabilities_.mtu = *mtu;
  port->max_frame_bytes_ = max_frame;
  port->checksums_complete_ = checksums_are_complete(options.checksums, driver);
  port->refill();
  return port;
}

XskPort::XskPort(const Umem& umem, BufferPool& pool, std::unique_ptr<XskSocket> socket)
    : umem_(umem),
      pool_(pool),
      socket_(std::move(socket)),
      receiving_(umem.frame_count()),
      sending_(umem.frame_count()) {}

// Frames of a device that does not let go of them stay taken: it may still write into them.
XskPort::~XskPort() {
  if (!socket_->close()) return;
  for (std::uint32_t frame = 0; frame < umem_.frame_count(); ++frame) {
    if (receiving_[frame] != 0) BufferPool::release(pool_.slot_at(start_of(umem_, frame), 0));
    while (sending_[frame].slots != 0)
      release_sent(frame);
  }
}

void XskPort::release_sent(std::uint32_t frame) {
  Sending& sent = sending_[frame];
  --sent.slots;
  BufferPool::release(sent.home->slot_at(start_of(umem_, frame), 0));
}

// --- Receiving ---------------------------------------------------------------------------------

std::size_t XskPort::rx_burst(std::span<Slot> out) {
  std::uint32_t at = 0;
  const std::uint32_t count =
      xsk_ring_cons__peek(&socket_->rx, static_cast<std::uint32_t>(out.size()), &at);
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i + kReadAhead < count) {
      prefetch_headers(umem_.at(xsk_ring_cons__rx_desc(&socket_->rx, at + i + kReadAhead)->addr));
    }
    const xdp_desc& descriptor = *xsk_ring_cons__rx_desc(&socket_->rx, at + i);
    receiving_[umem_.frame_of(descriptor.addr)] = 0;
    out[i] = pool_.slot_at(umem_.at(descriptor.addr), descriptor.len);
    if (!checksums_complete_) mark_partial_checksum(out[i]);
    bytes += descriptor.len;
  }
  if (count != 0) {
    xsk_ring_cons__release(&socket_->rx, count);
    receiving_count_ -= count;
    counters_.rx_packets.add(count);
    counters_.rx_bytes.add(bytes);
    counters_.rx_bursts.increment();
  }
  refill();
  if (count < out.size()) socket_->wake_receiver();
  return count;
}

// A pool that runs short costs packets, never frames. What the device has to receive into it gives
// back only when packets come, so it must not have all: the last quarter is kept for sending.
void XskPort::refill() {
  const std::uint32_t reserve = pool_.capacity() / kSendingShare;
  if (pool_.available() <= reserve) return;
  const std::uint32_t room = xsk_prod_nb_free(&socket_->fill, socket_->fill.size);
  const std::uint32_t count = std::min(room, pool_.available() - reserve);
  std::uint32_t at = 0;
  if (count == 0 || xsk_ring_prod__reserve(&socket_->fill, count, &at) == 0) return;
  for (std::uint32_t i = 0; i < count; ++i) {
    Slot slot;
    CHECK(pool_.allocate(slot));
    const std::uint64_t address = umem_.address_of(slot.data - slot.headroom);
    receiving_[umem_.frame_of(address)] = 1;
    *xsk_ring_prod__fill_addr(&socket_->fill, at + i) = address;
  }
  xsk_ring_prod__submit(&socket_->fill, count);
  receiving_count_ += count;
}

// --- Sending -----------------------------------------------------------------------------------

std::size_t XskPort::tx_burst(std::span<Slot> slots) {
  complete();
  const std::uint64_t dropped_before = counters_.tx_dropped.value();
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  for (Slot& slot : slots) {
    const std::uint32_t datagrams = segment_count(slot);
    if (!fit_to_send(slot) || !bring_into_umem(slot) || !put_into_ring(slot)) {
      BufferPool::release(slot);
      counters_.tx_dropped.add(datagrams);
      continue;
    }
    ++packets;
    bytes += slot.length;
  }
  send();
  if (packets != 0) {
    counters_.tx_packets.add(packets);
    counters_.tx_bytes.add(bytes);
    counters_.tx_bursts.increment();
  }
  return counters_.tx_dropped.value() - dropped_before;
}

// Gives the device what is in the ring.
void XskPort::send() {
  if (unsubmitted_ != 0) xsk_ring_prod__submit(&socket_->tx, unsubmitted_);
  unsubmitted_ = 0;
  counters_.tx_dropped.add(socket_->wake_sender());
}

// The kernel takes a descriptor that it does not like without ever giving the frame back, so
// nothing of the kind may reach the ring.
bool XskPort::fit_to_send(Slot& slot) {
  if (slot.train != TrainKind::kNone || slot.truncated) return false;
  if (slot.length < net::EthernetView::kHeaderBytes || slot.length > max_frame_bytes_) return false;
  return complete_checksum(slot);
}

// Afterwards the slot is a frame of the UMEM. False, and the slot as it was: no frame is free.
bool XskPort::bring_into_umem(Slot& slot) {
  if (umem_.contains(slot.data)) {
    tx_in_place_.increment();
    return true;
  }
  Slot copy;
  if (!pool_.allocate(copy)) {
    send_and_complete();
    if (!pool_.allocate(copy)) return false;
  }
  std::memcpy(copy.data, slot.data, slot.length);
  copy.length = slot.length;
  copy.tailroom -= slot.length;
  BufferPool::release(slot);
  slot = copy;
  tx_copied_.increment();
  return true;
}

bool XskPort::put_into_ring(const Slot& slot) {
  std::uint32_t at = 0;
  if (xsk_ring_prod__reserve(&socket_->tx, 1, &at) == 0) {
    send_and_complete();
    if (xsk_ring_prod__reserve(&socket_->tx, 1, &at) == 0) return false;
  }
  xdp_desc& descriptor = *xsk_ring_prod__tx_desc(&socket_->tx, at);
  descriptor = {umem_.address_of(slot.data), slot.length, 0};
  Sending& sending = sending_[umem_.frame_of(descriptor.addr)];
  sending.home = slot.home;
  ++sending.slots;
  ++sending_count_;
  ++unsubmitted_;
  return true;
}

void XskPort::send_and_complete() {
  send();
  complete();
}

void XskPort::complete() {
  std::uint32_t at = 0;
  const std::uint32_t count =
      xsk_ring_cons__peek(&socket_->completion, socket_->completion.size, &at);
  if (count == 0) return;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t address = *xsk_ring_cons__comp_addr(&socket_->completion, at + i);
    release_sent(umem_.frame_of(address));
  }
  xsk_ring_cons__release(&socket_->completion, count);
  sending_count_ -= count;
}

std::size_t XskPort::alloc_burst(std::span<Slot> out) {
  std::size_t count = 0;
  while (count < out.size() && pool_.allocate(out[count]))
    ++count;
  return count;
}

void XskPort::reclaim() {
  complete();
  if (ring_level(socket_->tx) != 0) send_and_complete();
}

TxQueue XskPort::tx_queue() const {
  return {socket_->tx.size, ring_level(socket_->tx), sending_count_};
}

// --- What it is --------------------------------------------------------------------------------

XskFrames XskPort::frames() const {
  XskFrames frames;
  frames.fill = ring_level(socket_->fill);
  frames.rx = ring_level(socket_->rx);
  frames.tx = ring_level(socket_->tx);
  frames.completion = ring_level(socket_->completion);
  const std::uint32_t listed = frames.total();
  frames.device = receiving_count_ + sending_count_ - listed;
  return frames;
}

std::string XskPort::describe() const {
  std::string text = "af_xdp " + name_ + ": " + socket_->how();
  text += ", rings of " + std::to_string(socket_->tx.size) + ", " + umem_.describe();
  if (!checksums_complete_) text += ", partial checksums expected";
  return text;
}

}  // namespace ringway::io
