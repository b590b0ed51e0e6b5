#include "tests/unit/xsk_lab.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.hpp"
#include "base/net/ethernet.hpp"
#include "base/net/ip4.hpp"
#include "base/net/udp.hpp"
#include "dataplane/io/tun_vnet.hpp"

namespace ringway::io {
namespace {

// One queue an end; addresses and neighbours fixed; nothing that the kernel says by itself.
constexpr const char* kDevices = R"(
set -e
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
for n in 0 1; do
  ip link add h$n address 02:00:00:00:0$n:01 numtxqueues 1 numrxqueues 1 type veth \
    peer name g$n address 02:00:00:00:0$n:02 numtxqueues 1 numrxqueues 1
  ip link set g$n up
  ip link set h$n up
done
echo 0 > /proc/sys/net/ipv6/conf/h0/disable_ipv6
ip addr add 192.0.2.1/24 dev h0
ip addr add 2001:db8::1/64 dev h0 nodad
ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev h0 nud permanent
ip neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev h0 nud permanent
)";

constexpr std::size_t kHeaders = 14 + 20 + 8;

}  // namespace

void XskLab::SetUp() {
  if (::geteuid() != 0)
    GTEST_SKIP() << "needs root: makes a network namespace, loads a BPF program";
  ASSERT_TRUE(space_.ok()) << "no network namespace could be made";
  ASSERT_TRUE(run_command(std::string("sh -c '") + kDevices + "'"));
  auto umem = Umem::create({.frames = kFrames});
  ASSERT_TRUE(umem) << umem.error().text();
  umem_ = std::move(*umem);
  const auto pool = umem_->make_pool(kFrames / 2);
  ASSERT_TRUE(pool);
  pool_ = *pool;
  std::vector<control::SteeredAddress> addresses;
  for (const char* text : {"192.0.2.2", "2001:db8::2"})
    addresses.push_back({*net::IpAddress::parse(text), {kTunnelPort}, 0, 0});
  for (const char* device : {"g0", "g1"}) {
    auto steering = control::Steering::load();
    ASSERT_TRUE(steering) << steering.error().text();
    ASSERT_TRUE((*steering)->configure(addresses));
    const auto attached = (*steering)->attach(device);
    ASSERT_TRUE(attached) << attached.error().text();
    steering_.push_back(std::move(*steering));
  }
}

void XskLab::steer_generically() {
  for (const unsigned number : {0U, 1U}) {
    steering_[number]->detach();
    const auto attached =
        steering_[number]->attach("g" + std::to_string(number), {.allow_native = false});
    ASSERT_TRUE(attached) << attached.error().text();
  }
}

std::unique_ptr<XskPort> XskLab::open_port(unsigned number, XskOptions options) {
  options.device = "g" + std::to_string(number);
  auto port = XskPort::open(*umem_, *pool_, options);
  EXPECT_TRUE(port) << port.error().text();
  if (!port) return nullptr;
  const auto added = steering_[number]->add_socket(0, (*port)->socket_fd());
  EXPECT_TRUE(added) << added.error().text();
  return std::move(*port);
}

void XskLab::expect_account(const XskPort& port, std::uint32_t slots) {
  EXPECT_EQ(pool_->held(), port.frames().total() + slots);
  EXPECT_EQ(pool_->allocated(), pool_->freed() + pool_->held());
}

Wire::Wire(const std::string& device)
    : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_IP))) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
  CHECK(fd_ >= 0 && ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

Wire::~Wire() {
  ::close(fd_);
}

void Wire::send(const FrameBytes& frame) const {
  ASSERT_EQ(::send(fd_, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()))
      << std::strerror(errno);
}

FrameBytes Wire::receive() const {
  std::array<std::uint8_t, 4096> bytes{};
  for (;;) {
    pollfd wait{fd_, POLLIN, 0};
    if (::poll(&wait, 1, 500) <= 0) return {};
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const ssize_t got =
        ::recvfrom(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got <= 0) return {};
    if (from.sll_pkttype == PACKET_OUTGOING) continue;  // what send() sent
    return {bytes.begin(), bytes.begin() + got};
  }
}

FrameBytes udp_frame(std::size_t bytes, std::uint8_t mark) {
  CHECK(bytes >= kHeaders);
  FrameBytes frame(bytes, mark);
  const FrameBytes to = {2, 0, 0, 0, 0, 2};
  const FrameBytes from = {2, 0, 0, 0, 0, 1};
  net::emit_ethernet(frame.data(), to.data(), from.data(), net::kEtherTypeIpv4);
  std::uint8_t* const ip = frame.data() + 14;
  const FrameBytes header = {0x45, 0, 0,   0, 0, 1, 0x40, 0, 64, 17,
                             0,    0, 192, 0, 2, 1, 192,  0, 2,  2};
  std::memcpy(ip, header.data(), header.size());
  store_be(ip + 2, static_cast<std::uint16_t>(bytes - 14));
  auto view = net::Ip4MutableView::parse({ip, bytes - 14});
  CHECK(view.has_value());
  view->recompute_checksum();
  std::uint8_t* const udp = ip + 20;
  net::emit_udp(udp, 40000, kTunnelPort, static_cast<std::uint16_t>(bytes - 34));
  const std::uint64_t sum = net::checksum_sum({udp, bytes - 34}, view->pseudo_header_sum());
  store_le(udp + 6, net::checksum_finish_udp(sum));
  return frame;
}

Slot slot_with(BufferPool& pool, const FrameBytes& bytes) {
  Slot slot;
  CHECK(pool.allocate(slot) && bytes.size() <= slot.tailroom);
  std::copy(bytes.begin(), bytes.end(), slot.data);
  slot.length = static_cast<std::uint32_t>(bytes.size());
  slot.tailroom -= slot.length;
  return slot;
}

}  // namespace ringway::io
