#include "dataplane/io/tun_port.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dataplane/io/partial_checksum.hpp"
#include "dataplane/io/tun_device.hpp"
#include "dataplane/io/tun_vnet.hpp"
#include "dataplane/io/udp_port.hpp"

namespace ringway::io {
namespace {

constexpr const char* kTunDevice = "/dev/net/tun";
// What one rx_burst brings at most, roughly: half of a second-level cache, so that the worker finds
// in cache what it encrypts.
constexpr std::size_t kBurstBytes = 512U << 10;
// What a data message adds to an inner packet of full size: header, counter and tag.
constexpr std::uint32_t kSealedGrowthBytes = 32;
// linux/if_tun.h of Debian 12 is older than these (Linux 6.2).
constexpr unsigned kTunUso4 = 0x20;
constexpr unsigned kTunUso6 = 0x40;

static_assert(kDefaultHeadroom >= sizeof(VnetHeader));

Result<int> open_tun_device() {
  const int fd = ::open(kTunDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0) return fd;
  const int error = errno;
  std::string remedy;
  if (error == ENOENT || error == ENODEV || error == ENXIO) {
    remedy = "load the module with 'modprobe tun'; in a container, pass the device in";
  } else if (error == EACCES || error == EPERM) {
    remedy = "needs root or CAP_NET_ADMIN and access to the device";
  }
  return system_failure(std::string("opening ") + kTunDevice, error, remedy);
}

std::string attach_remedy(int error) {
  switch (error) {
    case EPERM:
      return "needs CAP_NET_ADMIN";
    case EBUSY:
      return "the name is in use; stop the program that has it or choose another name";
    case EINVAL:
      return "the name is not valid or belongs to an interface of another kind";
    default:
      return {};
  }
}

}  // namespace

std::uint32_t max_super_packet_segments(std::uint16_t mtu) {
  return std::clamp(UdpPort::kMaxTrainBytes / (mtu + kSealedGrowthBytes), 1U,
                    UdpPort::kMaxSegments);
}

Result<std::unique_ptr<TunPort>> TunPort::open(const TunOptions& options) {
  auto queues = open_queues(options, 1);
  if (!queues) return tl::unexpected(queues.error());
  return std::move(queues->front());
}

Result<std::vector<std::unique_ptr<TunPort>>> TunPort::open_queues(const TunOptions& options,
                                                                   std::size_t count) {
  if (options.name.empty() || options.name.size() >= IFNAMSIZ) {
    return failure("interface name '" + options.name + "' is not valid",
                   "use 1 to " + std::to_string(IFNAMSIZ - 1) + " characters");
  }
  std::vector<std::unique_ptr<TunPort>> queues;
  TunOptions own = options;
  for (std::size_t i = 0; i < count; ++i) {
    // The first one makes the device: one that is there is another program's.
    const int flags = count == 1 ? 0 : i == 0 ? IFF_MULTI_QUEUE | IFF_TUN_EXCL : IFF_MULTI_QUEUE;
    auto queue = make(own, flags);
    if (!queue) return tl::unexpected(queue.error());
    own.name = (*queue)->name();
    queues.push_back(std::move(*queue));
  }
  if (auto done = queues.front()->configure_device(options); !done) {
    return tl::unexpected(done.error());
  }
  return queues;
}

Result<std::unique_ptr<TunPort>> TunPort::make(const TunOptions& options, int queue_flags) {
  auto fd = open_tun_device();
  if (!fd) return tl::unexpected(fd.error());
  std::unique_ptr<TunPort> port(new TunPort(*fd, options));
  if (auto done = port->attach(options, queue_flags); !done) return tl::unexpected(done.error());
  port->enable_offloads(options);
  return port;
}

TunPort::TunPort(int fd, const TunOptions& options)
    : fd_(fd), pool_(options.pool_buffers, kKernelBufferBytes) {}

TunPort::~TunPort() {
  if (spare_.home != nullptr) BufferPool::release(spare_);
  ::close(fd_);
}

Result<void> TunPort::attach(const TunOptions& options, int queue_flags) {
  ifreq request{};
  std::strncpy(request.ifr_name, options.name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | queue_flags);
  vnet_ = options.offloads && ::ioctl(fd_, TUNSETIFF, &request) == 0;
  if (!vnet_) {
    request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | queue_flags);
    if (::ioctl(fd_, TUNSETIFF, &request) != 0) {
      const int error = errno;
      return system_failure("making TUN device '" + options.name + "'", error,
                            attach_remedy(error));
    }
  }
  name_ = request.ifr_name;
  interface_index_ = ::if_nametoindex(name_.c_str());
  return {};
}

// ECN segmentation is not asked for: without it the kernel keeps packets with CWR single, which is
// rare and saves every train from being a special case.
void TunPort::enable_offloads(const TunOptions& options) {
  constexpr unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  const auto set = [this](unsigned offloads) {
    return ::ioctl(fd_, TUNSETOFFLOAD, static_cast<unsigned long>(offloads)) == 0;
  };
  if (vnet_) {
    udp_offload_ = options.udp_offload && set(tcp | kTunUso4 | kTunUso6);
    tcp_offload_ = udp_offload_ || set(tcp);
  }
  capabilities_.tcp_trains_rx = capabilities_.tcp_trains_tx = tcp_offload_;
  capabilities_.udp_trains_rx = capabilities_.udp_trains_tx = udp_offload_;
  capabilities_.mtu = options.mtu;
  merger_ = std::make_unique<TunMerger>(TunMergeOptions{.tcp = tcp_offload_, .udp = udp_offload_});
}

Result<void> TunPort::configure_device(const TunOptions& options) {
  if (auto done = set_device_mtu(name_, options.mtu); !done) return done;
  if (auto done = set_device_tx_queue(name_, options.tx_queue_packets); !done) return done;
  if (!options.limit_super_packets || !tcp_offload_) return {};
  return set_device_gso_segments(interface_index_, max_super_packet_segments(options.mtu));
}

std::size_t TunPort::rx_burst(std::span<Slot> out) {
  std::size_t filled = 0;
  std::size_t bytes = 0;
  std::size_t packets = 0;
  while (filled < out.size() && bytes < kBurstBytes) {
    if (spare_.home == nullptr && !pool_.allocate(spare_)) break;
    Slot& slot = out[filled];
    slot = spare_;
    const Read result = read_one(slot);
    if (result == Read::kNothing) break;
    if (result == Read::kDropped) continue;
    spare_.home = nullptr;
    bytes += slot.length;
    packets += segment_count(slot);
    ++filled;
  }
  if (filled != 0) {
    counters_.rx_packets.add(packets);
    counters_.rx_bytes.add(bytes);
    counters_.rx_bursts.increment();
  }
  return filled;
}

// The vnet_hdr lands in the headroom, so that the packet begins where the slot's data does.
TunPort::Read TunPort::read_one(Slot& slot) {
  const std::size_t prefix = vnet_ ? sizeof(VnetHeader) : 0;
  const ssize_t got = ::read(fd_, slot.data - prefix, slot.tailroom + prefix);
  if (got < 0) return errno == EINTR ? Read::kDropped : Read::kNothing;
  if (static_cast<std::size_t>(got) <= prefix) {
    rx_malformed_.increment();
    return Read::kDropped;
  }
  slot.length = static_cast<std::uint32_t>(static_cast<std::size_t>(got) - prefix);
  slot.tailroom -= slot.length;
  if (!vnet_) return Read::kPacket;
  VnetHeader header;
  std::memcpy(&header, slot.data - prefix, sizeof header);
  if (decode_vnet(header, slot)) return Read::kPacket;
  rx_malformed_.increment();
  return Read::kDropped;
}

std::size_t TunPort::tx_burst(std::span<Slot> slots) {
  std::size_t dropped = 0;
  for (std::size_t at = 0; at < slots.size(); at += TunMerger::kMaxSlots) {
    write_all(slots.subspan(at, std::min(TunMerger::kMaxSlots, slots.size() - at)), dropped);
  }
  for (const Slot& slot : slots)
    BufferPool::release(slot);
  counters_.tx_dropped.add(dropped);
  return dropped;
}

void TunPort::write_all(std::span<Slot> slots, std::size_t& dropped) {
  std::size_t packets = 0;
  std::size_t bytes = 0;
  for (const TunWrite& write : merger_->plan(slots)) {
    const std::size_t count =
        write.segments > 1 ? write.segments : segment_count(slots[write.first]);
    if (!write_one(write, slots)) {
      dropped += count;
      continue;
    }
    packets += count;
    bytes += write.bytes;
    if (write.segments > 1) tx_merged_.increment();
  }
  if (packets == 0) return;
  counters_.tx_packets.add(packets);
  counters_.tx_bytes.add(bytes);
  counters_.tx_bursts.increment();
}

// False when the kernel refused it: interface down, no memory, not a packet it accepts.
bool TunPort::write_one(const TunWrite& write, std::span<Slot> slots) {
  if (!write.writable) return false;
  std::array<iovec, TunMerger::kMaxSegments + 1> pieces;  // NOLINT: filled below, not twice
  VnetHeader vnet = write.vnet;
  std::size_t count = 0;
  if (vnet_) {
    pieces[count++] = {&vnet, sizeof vnet};
  } else {
    Slot& slot = slots[write.first];
    if (slot.train != TrainKind::kNone || !complete_checksum(slot)) return false;
  }
  count += merger_->gather(write, slots, std::span(pieces).subspan(count));
  ssize_t written = 0;
  do {
    written = ::writev(fd_, pieces.data(), static_cast<int>(count));
  } while (written < 0 && errno == EINTR);
  return written >= 0;
}

std::size_t TunPort::alloc_burst(std::span<Slot> out) {
  std::size_t count = 0;
  while (count < out.size() && pool_.allocate(out[count]))
    ++count;
  return count;
}

std::string TunPort::describe() const {
  std::string text = "tun " + name_ + ": ";
  text += vnet_ ? "vnet_hdr" : "no offloads";
  if (tcp_offload_) text += ", TSO4, TSO6";
  if (udp_offload_) text += ", USO";
  return text;
}

}  // namespace ringway::io
