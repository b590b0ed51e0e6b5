#include "dataplane/io/xsk_port.hpp"

#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/net/ethernet.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/udp.hpp"
#include "dataplane/borrowed_pool.hpp"
#include "dataplane/io/tun_vnet.hpp"
#include "tests/unit/xsk_lab.hpp"

namespace ringway::io {
namespace {

class XskPortTest : public XskLab {};

// A UDP socket of the kernel's at h0, connected to the port's address.
class KernelSocket {
 public:
  explicit KernelSocket(bool v6) : fd_(::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in6 to6{};
    to6.sin6_family = AF_INET6;
    to6.sin6_port = htons(kTunnelPort);
    ::inet_pton(AF_INET6, "2001:db8::2", &to6.sin6_addr);
    sockaddr_in to4{};
    to4.sin_family = AF_INET;
    to4.sin_port = htons(kTunnelPort);
    ::inet_pton(AF_INET, "192.0.2.2", &to4.sin_addr);
    EXPECT_EQ(v6 ? ::connect(fd_, reinterpret_cast<sockaddr*>(&to6), sizeof to6)
                 : ::connect(fd_, reinterpret_cast<sockaddr*>(&to4), sizeof to4),
              0);
  }
  ~KernelSocket() { ::close(fd_); }
  KernelSocket(const KernelSocket&) = delete;
  KernelSocket& operator=(const KernelSocket&) = delete;

  void send(const std::string& text) const {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()))
        << std::strerror(errno);
  }
  [[nodiscard]] std::string receive() const {
    pollfd wait{fd_, POLLIN, 0};
    if (::poll(&wait, 1, 1000) <= 0) return "nothing";
    std::array<char, 2048> bytes{};
    const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
    return {bytes.data(), static_cast<std::size_t>(got < 0 ? 0 : got)};
  }

 private:
  int fd_;
};

// Sends a UDP frame back where it came from: addresses and ports change places, so the checksum
// stays what it was, partial or not.
void turn_around(Slot& slot) {
  const auto swap = [&](std::size_t a, std::size_t b, std::size_t bytes) {
    std::swap_ranges(slot.data + a, slot.data + a + bytes, slot.data + b);
  };
  swap(0, 6, 6);
  const bool v6 = slot.data[14] >> 4 == 6;
  const std::size_t udp = v6 ? 54 : 34;
  swap(v6 ? 22 : 26, v6 ? 38 : 30, v6 ? 16 : 4);
  swap(udp, udp + 2, 2);
}

TEST_F(XskPortTest, TalksToASocketOfTheKernel) {
  auto port = open_port(0);
  for (const bool v6 : {false, true}) {
    const KernelSocket kernel(v6);
    kernel.send("from the kernel");
    auto slots = receive(*port, 1);
    ASSERT_EQ(slots.size(), 1U) << port->describe();
    EXPECT_EQ(slots[0].headroom, kXdpHeadroom);
    EXPECT_EQ(slots[0].checksum, ChecksumState::kPartial);
    expect_account(*port, 1);
    turn_around(slots[0]);
    EXPECT_EQ(port->tx_burst(slots), 0U);
    EXPECT_EQ(kernel.receive(), "from the kernel");
  }
  EXPECT_TRUE(eventually([&] {
    port->reclaim();
    return port->frames().total() == port->frames().fill;
  }));
  EXPECT_EQ(port->tx_in_place(), 2U);
  EXPECT_EQ(port->counters().rx_packets.value(), 2U);
  EXPECT_EQ(port->counters().tx_packets.value(), 2U);
  expect_account(*port, 0);
}

TEST_F(XskPortTest, SaysHowItWorks) {
  auto port = open_port(0);
  EXPECT_EQ(port->describe().find("af_xdp g0 queue 0: native, copy (zero-copy: "), 0U)
      << port->describe();
  EXPECT_FALSE(port->zero_copy());
  EXPECT_FALSE(port->received_checksums_are_complete());
  EXPECT_EQ(port->capabilities().mtu, 1500);
  EXPECT_FALSE(port->capabilities().datagram_trains_tx);
}

TEST_F(XskPortTest, WorksBelowAGenericProgram) {
  steer_generically();
  auto port = open_port(0, {.native = false, .generic_reason = "native mode: not supported"});
  EXPECT_NE(port->describe().find("generic (native mode: not supported), copy"), std::string::npos)
      << port->describe();
  const KernelSocket kernel(false);
  kernel.send("generic");
  auto slots = receive(*port, 1);
  ASSERT_EQ(slots.size(), 1U);
  turn_around(slots[0]);
  EXPECT_EQ(port->tx_burst(slots), 0U);
  EXPECT_EQ(kernel.receive(), "generic");
  port->reclaim();
  expect_account(*port, 0);
}

TEST_F(XskPortTest, CarriesFramesOfEveryLength) {
  auto port = open_port(0);
  const Wire wire("h0");
  for (std::size_t bytes = 42; bytes <= 1514; ++bytes) {
    const FrameBytes frame = udp_frame(bytes, static_cast<std::uint8_t>(bytes));
    wire.send(frame);
    auto slots = receive(*port, 1);
    ASSERT_EQ(slots.size(), 1U) << bytes;
    ASSERT_EQ(slot_bytes(slots[0]), frame) << bytes;
    ASSERT_NE(slots[0].checksum, ChecksumState::kPartial);
    ASSERT_EQ(port->tx_burst(slots), 0U) << bytes;
    ASSERT_EQ(wire.receive(), frame) << bytes;
    port->reclaim();
  }
  expect_account(*port, 0);
}

TEST_F(XskPortTest, RefusesFramesThatNoDeviceTakes) {
  auto port = open_port(0);
  BufferPool kernel_pool(4, kKernelBufferBytes);
  for (const std::size_t bytes : {0U, 13U, 1523U, 9000U}) {
    Slot slot = slot_with(kernel_pool, FrameBytes(bytes, 1));
    EXPECT_EQ(port->tx_burst({&slot, 1}), 1U) << bytes;
  }
  Slot train = slot_with(kernel_pool, udp_frame(1000));
  train.train = TrainKind::kDatagrams;
  train.segment_bytes = 100;
  EXPECT_EQ(port->tx_burst({&train, 1}), 10U);
  Slot cut_off = slot_with(kernel_pool, udp_frame(1000));
  cut_off.truncated = true;
  EXPECT_EQ(port->tx_burst({&cut_off, 1}), 1U);
  Slot nonsense = slot_with(kernel_pool, udp_frame(100));
  nonsense.checksum = ChecksumState::kPartial;
  nonsense.checksum_start = 99;
  nonsense.checksum_offset = 6;
  EXPECT_EQ(port->tx_burst({&nonsense, 1}), 1U);
  EXPECT_EQ(port->counters().tx_dropped.value(), 16U);
  EXPECT_EQ(port->counters().tx_packets.value(), 0U);
  EXPECT_EQ(kernel_pool.held(), 0U);
  expect_account(*port, 0);
}

TEST_F(XskPortTest, CompletesPartialChecksums) {
  auto port = open_port(0);
  const Wire wire("h0");
  for (const std::size_t bytes : {60U, 1001U}) {
    const FrameBytes right = udp_frame(bytes);
    FrameBytes partial = right;
    const auto ip = net::Ip4View::parse({partial.data() + 14, bytes - 14});
    ASSERT_TRUE(ip);
    store_le(partial.data() + 40, net::checksum_fold(ip->pseudo_header_sum()));
    wire.send(partial);
    auto slots = receive(*port, 1);
    ASSERT_EQ(slots.size(), 1U);
    EXPECT_EQ(slots[0].checksum, ChecksumState::kPartial);
    EXPECT_EQ(port->tx_burst(slots), 0U);
    EXPECT_EQ(wire.receive(), right);
    port->reclaim();
  }
  auto trusting = open_port(1, {.checksums = XskOptions::Checksums::kComplete});
  EXPECT_TRUE(trusting->received_checksums_are_complete());
}

TEST_F(XskPortTest, CarriesBurstsWithoutLoss) {
  auto port = open_port(0);
  const Wire wire("h0");
  for (int round = 0; round < 50; ++round) {
    for (unsigned i = 0; i < 100; ++i)
      wire.send(udp_frame(60 + i, static_cast<std::uint8_t>(i)));
    auto slots = receive(*port, 100);
    ASSERT_EQ(slots.size(), 100U) << round;
    ASSERT_EQ(port->tx_burst(slots), 0U);
    for (unsigned i = 0; i < 100; ++i)
      ASSERT_EQ(wire.receive(), udp_frame(60 + i, static_cast<std::uint8_t>(i))) << round;
    port->reclaim();
    ASSERT_EQ(pool().held(), port->frames().total());
  }
  EXPECT_EQ(port->counters().rx_packets.value(), 5000U);
  EXPECT_EQ(port->counters().tx_packets.value(), 5000U);
  EXPECT_EQ(port->statistics().rx_dropped, 0U);
  expect_account(*port, 0);
}

TEST_F(XskPortTest, CopiesForeignSlotsAndOnlyThose) {
  auto port = open_port(0);
  const Wire wire("h0");
  BufferPool kernel_pool(4, kKernelBufferBytes);
  const auto other_pool = umem().make_pool(16);
  ASSERT_TRUE(other_pool);
  std::array<Slot, 2> slots = {slot_with(kernel_pool, udp_frame(200, 1)),
                               slot_with(**other_pool, udp_frame(300, 2))};
  EXPECT_EQ(port->tx_burst(slots), 0U);
  EXPECT_EQ(port->tx_copied(), 1U);
  EXPECT_EQ(port->tx_in_place(), 1U);
  EXPECT_EQ(kernel_pool.held(), 0U);
  EXPECT_EQ(wire.receive(), udp_frame(200, 1));
  EXPECT_EQ(wire.receive(), udp_frame(300, 2));
  EXPECT_TRUE(eventually([&] {
    port->reclaim();
    return (*other_pool)->held() == 0;
  }));
  expect_account(*port, 0);
}

TEST_F(XskPortTest, FramesThatWereBorrowedGoHomeByTheBorrower) {
  const auto lender = umem().make_pool(16);
  ASSERT_TRUE(lender);
  BorrowedPool borrowed(**lender);
  auto port = open_port(0);
  const Wire wire("h0");
  Slot slot = slot_with(**lender, udp_frame(300, 2));
  borrowed.adopt(slot);
  EXPECT_EQ(port->tx_burst({&slot, 1}), 0U);
  EXPECT_EQ(wire.receive(), udp_frame(300, 2));
  EXPECT_TRUE(eventually([&] {
    port->reclaim();
    return borrowed.held() == 0;
  }));
  EXPECT_EQ(port->tx_in_place(), 1U);
  EXPECT_EQ((*lender)->held(), 1U) << "the lender itself takes it back";
  borrowed.return_home();
  borrowed.take_back();
  EXPECT_EQ((*lender)->held(), 0U);
  expect_account(*port, 0);
}

TEST_F(XskPortTest, SendsSlotsThatShareAFrame) {
  auto port = open_port(0);
  const Wire wire("h0");
  Slot first = slot_with(pool(), udp_frame(100, 1));
  Slot second = first;
  BufferPool::retain(second);
  second.data += 400;
  second.headroom += 400;
  second.tailroom -= 400;
  const FrameBytes frame = udp_frame(120, 2);
  std::memcpy(second.data, frame.data(), frame.size());
  second.length = static_cast<std::uint32_t>(frame.size());
  std::array<Slot, 2> slots = {first, second};
  EXPECT_EQ(port->tx_burst(slots), 0U);
  EXPECT_EQ(wire.receive(), udp_frame(100, 1));
  EXPECT_EQ(wire.receive(), frame);
  port->reclaim();
  expect_account(*port, 0);
}

TEST_F(XskPortTest, ForwardsBetweenDevicesWithoutCopying) {
  auto left = open_port(0, {.ring_entries = 256});
  auto right = open_port(1, {.ring_entries = 256});
  const Wire from("h0");
  const Wire to("h1");
  for (unsigned i = 0; i < 500; ++i) {
    const FrameBytes frame = udp_frame(60 + i, static_cast<std::uint8_t>(i));
    from.send(frame);
    auto slots = receive(*left, 1);
    ASSERT_EQ(slots.size(), 1U);
    ASSERT_EQ(right->tx_burst(slots), 0U);
    ASSERT_EQ(to.receive(), frame);
    right->reclaim();
  }
  EXPECT_EQ(right->tx_in_place(), 500U);
  EXPECT_EQ(right->tx_copied(), 0U);
  EXPECT_EQ(pool().held(), left->frames().total() + right->frames().total());
}

// A device that is down: frames wait, then are dropped; when it is up again, the first go out.
TEST_F(XskPortTest, KeepsWhatTheRingHoldsWhileTheDeviceIsDown) {
  auto port = open_port(0, {.ring_entries = 256});
  const Wire wire("h0");
  ASSERT_TRUE(run_command("ip link set g0 down"));
  std::size_t dropped = 0;
  for (unsigned i = 0; i < 300; ++i) {
    Slot slot = slot_with(pool(), udp_frame(100, static_cast<std::uint8_t>(i)));
    dropped += port->tx_burst({&slot, 1});
  }
  EXPECT_EQ(dropped, 44U);
  EXPECT_EQ(port->counters().tx_dropped.value(), 44U);
  EXPECT_EQ(port->frames().tx, 256U);
  expect_account(*port, 0);
  ASSERT_TRUE(run_command("ip link set g0 up"));
  EXPECT_TRUE(eventually([&] {
    port->reclaim();
    return port->frames().tx == 0 && port->frames().completion == 0;
  }));
  for (unsigned i = 0; i < 256; ++i)
    ASSERT_EQ(wire.receive(), udp_frame(100, static_cast<std::uint8_t>(i)));
  wire.send(udp_frame(64));
  const auto slots = receive(*port, 1);
  ASSERT_EQ(slots.size(), 1U);
  release_all(slots);
  expect_account(*port, 0);
}

TEST_F(XskPortTest, AStarvedPoolCostsPacketsAndNoFrames) {
  const auto small = umem().make_pool(64);
  ASSERT_TRUE(small);
  auto opened = XskPort::open(umem(), **small, {.device = "g0", .ring_entries = 256});
  ASSERT_TRUE(opened) << opened.error().text();
  XskPort& port = **opened;
  ASSERT_TRUE(steering(0).add_socket(0, port.socket_fd()));
  const Wire wire("h0");
  for (unsigned i = 0; i < 100; ++i)
    wire.send(udp_frame(100));
  auto slots = receive(port, 48);
  ASSERT_EQ(slots.size(), 48U);
  EXPECT_EQ((*small)->available(), 16U);  // kept for sending
  slots.resize(64);
  EXPECT_EQ(port.alloc_burst(std::span(slots).subspan(48)), 16U);
  std::array<Slot, 1> none;
  EXPECT_EQ(port.rx_burst(none), 0U);
  EXPECT_GT(port.statistics().rx_fill_ring_empty_descs, 0U);
  // Nothing to copy into, and nothing to allocate.
  BufferPool kernel_pool(1, kKernelBufferBytes);
  Slot foreign = slot_with(kernel_pool, udp_frame(100));
  EXPECT_EQ(port.tx_burst({&foreign, 1}), 1U);
  EXPECT_EQ(kernel_pool.held(), 0U);
  Slot slot;
  EXPECT_EQ(port.alloc_burst({&slot, 1}), 0U);
  release_all(slots);
  EXPECT_EQ(port.rx_burst(none), 0U);  // gives the frames to the device
  wire.send(udp_frame(100));
  const auto again = receive(port, 1);
  ASSERT_EQ(again.size(), 1U);
  release_all(again);
  EXPECT_EQ((*small)->held(), port.frames().total());
}

TEST_F(XskPortTest, ManyForeignSlotsNeedFewFrames) {
  const auto small = umem().make_pool(128);
  ASSERT_TRUE(small);
  auto opened = XskPort::open(umem(), **small, {.device = "g0", .ring_entries = 64});
  ASSERT_TRUE(opened) << opened.error().text();
  BufferPool kernel_pool(512, 2048);
  std::vector<Slot> slots;
  for (unsigned i = 0; i < 512; ++i)
    slots.push_back(slot_with(kernel_pool, udp_frame(100)));
  EXPECT_EQ((*opened)->tx_burst(slots), 0U);
  EXPECT_EQ((*opened)->counters().tx_packets.value(), 512U);
  EXPECT_EQ(kernel_pool.held(), 0U);
}

TEST_F(XskPortTest, ClosesAndOpensAgain) {
  const Wire wire("h0");
  std::vector<Slot> kept;
  for (int round = 0; round < 10; ++round) {
    auto port = open_port(0);
    ASSERT_NE(port, nullptr);
    wire.send(udp_frame(100));
    wire.send(udp_frame(100));
    auto slots = receive(*port, 2);
    ASSERT_EQ(slots.size(), 2U) << round;
    kept.push_back(slots[0]);
    EXPECT_EQ(port->tx_burst({&slots[1], 1}), 0U);
    EXPECT_EQ(pool().held(), port->frames().total() + kept.size());
  }
  EXPECT_EQ(pool().held(), kept.size());
  for (const Slot& slot : kept)
    EXPECT_EQ(slot_bytes(slot), udp_frame(100));
  release_all(kept);
  EXPECT_EQ(pool().held(), 0U);
  EXPECT_EQ(pool().allocated(), pool().freed());
}

TEST_F(XskPortTest, FramesComeHomeFromADeviceThatIsDownOrGone) {
  for (const char* command : {"ip link set g0 down", "ip link del g0"}) {
    auto port = open_port(0);
    ASSERT_NE(port, nullptr);
    ASSERT_TRUE(run_command(command));
    std::vector<Slot> slots;
    for (unsigned i = 0; i < 100; ++i)
      slots.push_back(slot_with(pool(), udp_frame(100)));
    (void)port->tx_burst(slots);
    std::array<Slot, 4> none;
    EXPECT_EQ(port->rx_burst(none), 0U);
    expect_account(*port, 0);
    port.reset();
    EXPECT_EQ(pool().held(), 0U) << command;
  }
}

TEST_F(XskPortTest, AQueueBelongsToOnePort) {
  auto port = open_port(0);
  const auto second = XskPort::open(umem(), pool(), {.device = "g0", .busy_wait_ms = 20});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text().find("another program has an AF_XDP socket"), std::string::npos)
      << second.error().text();
  expect_account(*port, 0);
}

TEST_F(XskPortTest, RefusesWhatCannotBeOpened) {
  EXPECT_EQ(XskPort::open(umem(), pool(), {.device = "nowhere0"}).error().message,
            "there is no interface 'nowhere0'");
  EXPECT_FALSE(XskPort::open(umem(), pool(), {.device = "g0", .queue = 7}));
  EXPECT_FALSE(XskPort::open(umem(), pool(), {.device = "g0", .ring_entries = 300}));
  EXPECT_FALSE(XskPort::open(umem(), pool(), {.device = "g0", .ring_entries = 1U << 20}));
  ASSERT_TRUE(set_interface_mtu("h1", 3000) && set_interface_mtu("g1", 3000));
  const auto refused = XskPort::open(umem(), pool(), {.device = "g1"});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("do not hold the MTU 3000"), std::string::npos);
  EXPECT_EQ(pool().held(), 0U);
}

TEST_F(XskPortTest, WakesWhoWaits) {
  auto port = open_port(0);
  pollfd wait{port->wake_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 0), 0);
  const Wire wire("h0");
  wire.send(udp_frame(100));
  ASSERT_EQ(::poll(&wait, 1, 1000), 1);
  std::array<Slot, 4> slots;
  ASSERT_EQ(port->rx_burst(slots), 1U);
  BufferPool::release(slots[0]);
  EXPECT_EQ(::poll(&wait, 1, 0), 0);
}

TEST_F(XskPortTest, PollsBusily) {
  auto port = open_port(0, {.busy_poll_budget = 64});
  EXPECT_NE(port->describe().find("), busy polling"), std::string::npos) << port->describe();
  const KernelSocket kernel(false);
  for (int i = 0; i < 20; ++i) {
    kernel.send("busy");
    auto slots = receive(*port, 1);
    ASSERT_EQ(slots.size(), 1U);
    turn_around(slots[0]);
    ASSERT_EQ(port->tx_burst(slots), 0U);
    ASSERT_EQ(kernel.receive(), "busy");
    port->reclaim();
  }
  expect_account(*port, 0);
}

}  // namespace
}  // namespace ringway::io
