#include "dataplane/io/tun_port.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "dataplane/segmenter.hpp"
#include "tests/unit/inner_packets.hpp"
#include "tests/unit/kernel_ports.hpp"

namespace ringway::io {
namespace {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) { EXPECT_GE(fd, 0) << std::strerror(errno); }
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

struct Address {
  explicit Address(const std::string& text, std::uint16_t port = 0) {
    v6 = text.find(':') != std::string::npos;
    if (v6) {
      in6.sin6_family = AF_INET6;
      in6.sin6_port = htons(port);
      EXPECT_EQ(::inet_pton(AF_INET6, text.c_str(), &in6.sin6_addr), 1);
    } else {
      in4.sin_family = AF_INET;
      in4.sin_port = htons(port);
      EXPECT_EQ(::inet_pton(AF_INET, text.c_str(), &in4.sin_addr), 1);
    }
  }
  [[nodiscard]] sockaddr* get() {
    return v6 ? reinterpret_cast<sockaddr*>(&in6) : reinterpret_cast<sockaddr*>(&in4);
  }
  [[nodiscard]] socklen_t size() const { return v6 ? sizeof in6 : sizeof in4; }
  [[nodiscard]] int family() const { return v6 ? AF_INET6 : AF_INET; }

  bool v6 = false;
  sockaddr_in in4{};
  sockaddr_in6 in6{};
};

// Two hosts, each a namespace with a TUN; the test carries packets from one TUN to the other.
class TunPairTest : public ::testing::Test {
 protected:
  enum class Carry { kAsTheyCome, kCutUp };

  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(left_space_.ok() && right_space_.ok()) << "no network namespace could be made";
  }

  void connect(const TunOptions& options = {}) {
    left_ = open_in(left_space_, options, "198.51.100.1/24", "2001:db8::1/64");
    right_ = open_in(right_space_, options, "198.51.100.2/24", "2001:db8::2/64");
  }

  static std::unique_ptr<TunPort> open_in(const PrivateNamespace& space, const TunOptions& options,
                                          const std::string& v4, const std::string& v6) {
    space.enter();
    auto port = TunPort::open(options);
    EXPECT_TRUE(port.has_value()) << (port ? "" : port.error().text());
    const std::string& name = (*port)->name();
    EXPECT_TRUE(run_command("ip addr add " + v4 + " dev " + name + " && ip addr add " + v6 +
                            " dev " + name + " nodad && ip link set " + name + " up"));
    // Without detection of duplicates too, the kernel declares an address usable from a queue of
    // work that others' namespaces can hold up; until then it drops what comes for it.
    EXPECT_TRUE(eventually([&] {
      return run_command("test -z \"$(ip -6 addr show dev " + name + " to " + v6 + " tentative)\"");
    }));
    return std::move(*port);
  }

  void pump() {
    pump_one(*left_, *right_);
    pump_one(*right_, *left_);
  }

  void pump_one(TunPort& from, TunPort& to) {
    std::array<Slot, 64> burst;
    const std::size_t count = from.rx_burst(burst);
    if (count == 0) return;
    for (std::size_t i = 0; i < count; ++i) {
      if (burst[i].train != TrainKind::kNone) ++trains_;
    }
    if (carry_ == Carry::kAsTheyCome) {
      dropped_ += to.tx_burst({burst.data(), count});
      return;
    }
    std::vector<Slot> packets;
    for (std::size_t i = 0; i < count; ++i) {
      cut(burst[i], to, packets);
      BufferPool::release(burst[i]);
    }
    dropped_ += to.tx_burst(packets);
  }

  // The segments of a slot as single packets, all in one buffer of the egress.
  static void cut(const Slot& slot, TunPort& egress, std::vector<Slot>& packets) {
    Segmenter segmenter;
    ASSERT_TRUE(segmenter.start(slot));
    Slot buffer;
    for (std::uint32_t i = 0; i < segmenter.count(); ++i) {
      if (buffer.home == nullptr || buffer.tailroom < segmenter.packet_bytes(i)) {
        if (buffer.home != nullptr) BufferPool::release(buffer);
        ASSERT_EQ(egress.alloc_burst({&buffer, 1}), 1U);
      }
      Slot packet = buffer;
      BufferPool::retain(packet);
      packet.length = segmenter.emit(i, packet.data);
      packets.push_back(packet);
      buffer.data += packet.length;
      buffer.tailroom -= packet.length;
    }
    BufferPool::release(buffer);
  }

  void transfer_tcp(const std::string& to, std::size_t bytes);

  void expect_all_home() {
    for (TunPort* port : {left_.get(), right_.get()}) {
      EXPECT_EQ(port->pool().held(), port->prepared_buffers());
      EXPECT_EQ(port->pool().allocated(), port->pool().freed() + port->pool().held());
      EXPECT_EQ(port->rx_malformed(), 0U);
    }
  }

  PrivateNamespace left_space_;
  PrivateNamespace right_space_;
  std::unique_ptr<TunPort> left_;
  std::unique_ptr<TunPort> right_;
  Carry carry_ = Carry::kAsTheyCome;
  std::size_t trains_ = 0;
  std::size_t dropped_ = 0;
};

std::uint8_t pattern(std::size_t at) {
  return static_cast<std::uint8_t>(at * 131 + (at >> 11));
}

// What a sending socket does: as much as it takes, of the pattern.
void send_pattern(int fd, std::size_t& sent, std::size_t total) {
  std::array<std::uint8_t, 65536> chunk;
  while (sent < total) {
    const std::size_t size = std::min(chunk.size(), total - sent);
    for (std::size_t i = 0; i < size; ++i)
      chunk[i] = pattern(sent + i);
    const ssize_t taken = ::send(fd, chunk.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (taken <= 0) return;
    sent += static_cast<std::size_t>(taken);
  }
}

void receive_pattern(int fd, std::size_t& received, std::size_t& wrong) {
  std::array<std::uint8_t, 65536> chunk;
  for (;;) {
    const ssize_t got = ::recv(fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got <= 0) return;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i)
      wrong += chunk[i] != pattern(received + i);
    received += static_cast<std::size_t>(got);
  }
}

void TunPairTest::transfer_tcp(const std::string& to, std::size_t bytes) {
  Address address(to, 5001);
  right_space_.enter();
  const Socket listener(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK, 0));
  ASSERT_EQ(::bind(listener.get(), address.get(), address.size()), 0) << std::strerror(errno);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  left_space_.enter();
  const Socket sender(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK, 0));
  ASSERT_EQ(::connect(sender.get(), address.get(), address.size()), -1);
  ASSERT_EQ(errno, EINPROGRESS);
  int accepted = -1;
  ASSERT_TRUE(eventually([&] {
    pump();
    accepted = ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK);
    return accepted >= 0;
  }));
  const Socket receiver(accepted);
  std::size_t sent = 0;
  std::size_t received = 0;
  std::size_t wrong = 0;
  EXPECT_TRUE(eventually(
      [&] {
        send_pattern(sender.get(), sent, bytes);
        pump();
        receive_pattern(receiver.get(), received, wrong);
        return received == bytes;
      },
      30))
      << received << " of " << bytes;
  EXPECT_EQ(wrong, 0U);
}

TEST_F(TunPairTest, TcpTravelsInSuperPackets) {
  connect();
  ASSERT_TRUE(left_->capabilities().tcp_trains_rx);
  for (const char* to : {"198.51.100.2", "2001:db8::2"}) {
    trains_ = 0;
    transfer_tcp(to, 8U << 20);
    EXPECT_GT(trains_, 100U) << to;
  }
  EXPECT_EQ(dropped_, 0U);
  expect_all_home();
}

TEST_F(TunPairTest, TcpSegmentsAreMergedAgain) {
  connect();
  carry_ = Carry::kCutUp;
  for (const char* to : {"198.51.100.2", "2001:db8::2"}) {
    const std::uint64_t merged = right_->tx_merged();
    const std::uint64_t packets = right_->counters().tx_packets.value();
    transfer_tcp(to, 8U << 20);
    EXPECT_GT(right_->tx_merged(), merged + 100) << to;
    EXPECT_GT(right_->counters().tx_packets.value(), packets + (8U << 20) / 1420);
  }
  EXPECT_EQ(dropped_, 0U);
  expect_all_home();
}

TEST_F(TunPairTest, TcpWorksWithoutOffloads) {
  TunOptions options;
  options.offloads = false;
  connect(options);
  EXPECT_FALSE(left_->capabilities().tcp_trains_rx);
  EXPECT_FALSE(left_->capabilities().udp_trains_tx);
  transfer_tcp("198.51.100.2", 2U << 20);
  transfer_tcp("2001:db8::2", 2U << 20);
  EXPECT_EQ(trains_, 0U);
  EXPECT_EQ(right_->tx_merged(), 0U);
  expect_all_home();
}

TEST_F(TunPairTest, TcpFromOffloadsToNoneAndBack) {
  TunOptions without;
  without.offloads = false;
  left_ = open_in(left_space_, {}, "198.51.100.1/24", "2001:db8::1/64");
  right_ = open_in(right_space_, without, "198.51.100.2/24", "2001:db8::2/64");
  carry_ = Carry::kCutUp;
  transfer_tcp("198.51.100.2", 2U << 20);
  transfer_tcp("2001:db8::2", 2U << 20);
  EXPECT_GT(trains_, 0U);
  expect_all_home();
}

// Datagrams sent with UDP_SEGMENT arrive as datagrams, however they travelled.
class UdpOverTun : public TunPairTest {
 protected:
  void transfer_udp(const std::string& to, std::size_t datagram_bytes, std::size_t count) {
    Address address(to, 5002);
    right_space_.enter();
    const Socket receiver(::socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK, 0));
    ASSERT_EQ(::bind(receiver.get(), address.get(), address.size()), 0);
    left_space_.enter();
    const Socket sender(::socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK, 0));
    const int segment = static_cast<int>(datagram_bytes);
    ASSERT_EQ(::setsockopt(sender.get(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
    PacketBytes sent(datagram_bytes * count - datagram_bytes / 2);
    for (std::size_t i = 0; i < sent.size(); ++i)
      sent[i] = pattern(i);
    ASSERT_EQ(::sendto(sender.get(), sent.data(), sent.size(), 0, address.get(), address.size()),
              static_cast<ssize_t>(sent.size()))
        << std::strerror(errno);
    PacketBytes received;
    std::size_t datagrams = 0;
    EXPECT_TRUE(eventually([&] {
      pump();
      std::array<std::uint8_t, 65536> buffer;
      for (;;) {
        const ssize_t got = ::recv(receiver.get(), buffer.data(), buffer.size(), 0);
        if (got < 0) break;
        received.insert(received.end(), buffer.begin(), buffer.begin() + got);
        ++datagrams;
      }
      return datagrams >= count;
    }));
    EXPECT_EQ(datagrams, count);
    EXPECT_TRUE(received == sent);
  }
};

TEST_F(UdpOverTun, TravelsInTrainsWhereTheKernelHasThem) {
  connect();
  if (!left_->capabilities().udp_trains_rx) GTEST_SKIP() << "kernel without USO";
  for (const char* to : {"198.51.100.2", "2001:db8::2"}) {
    for (const std::size_t bytes : {64U, 1000U, 1372U}) {
      trains_ = 0;
      transfer_udp(to, bytes, 40);
      EXPECT_EQ(trains_, 1U) << to << " " << bytes;
    }
  }
  EXPECT_EQ(dropped_, 0U);
  expect_all_home();
}

TEST_F(UdpOverTun, DatagramsAreMergedAgain) {
  connect();
  if (!left_->capabilities().udp_trains_tx) GTEST_SKIP() << "kernel without USO";
  carry_ = Carry::kCutUp;
  for (const char* to : {"198.51.100.2", "2001:db8::2"}) {
    for (const std::size_t bytes : {64U, 1000U, 1372U}) {
      const std::uint64_t merged = right_->tx_merged();
      transfer_udp(to, bytes, 40);
      EXPECT_EQ(right_->tx_merged(), merged + 1) << to << " " << bytes;
    }
  }
  EXPECT_EQ(dropped_, 0U);
  expect_all_home();
}

TEST_F(UdpOverTun, TravelsOneByOneWithoutUso) {
  TunOptions options;
  options.udp_offload = false;
  connect(options);
  EXPECT_TRUE(left_->capabilities().tcp_trains_rx);
  EXPECT_FALSE(left_->capabilities().udp_trains_rx);
  transfer_udp("198.51.100.2", 1000, 40);
  transfer_udp("2001:db8::2", 1000, 40);
  EXPECT_EQ(trains_, 0U);
  expect_all_home();
}

// --- One device ----------------------------------------------------------------------------------

class TunPortTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(namespace_.ok()) << "no network namespace could be made";
  }
  PrivateNamespace namespace_;
};

TEST_F(TunPortTest, SaysWhatItIs) {
  TunOptions options;
  options.name = "rwtest";
  options.mtu = 1380;
  const auto port = TunPort::open(options);
  ASSERT_TRUE(port.has_value()) << port.error().text();
  EXPECT_EQ((*port)->name(), "rwtest");
  EXPECT_EQ((*port)->capabilities().mtu, 1380);
  EXPECT_GT((*port)->interface_index(), 1U);
  EXPECT_EQ((*port)->describe().rfind("tun rwtest: vnet_hdr, TSO4, TSO6", 0), 0U);
  EXPECT_TRUE(run_command("ip link show dev rwtest | grep -q 'mtu 1380.*qlen 1000'"));
}

TEST_F(TunPortTest, DeviceGoesWithThePort) {
  {
    const auto port = TunPort::open({});
    ASSERT_TRUE(port.has_value());
    EXPECT_EQ((*port)->name(), "ringway0");
  }
  EXPECT_TRUE(run_command("! ip link show dev ringway0 2>/dev/null"));
}

TEST_F(TunPortTest, LimitsSuperPacketsWhenAsked) {
  TunOptions options;
  options.name = "rwtest";
  options.limit_super_packets = true;
  const auto port = TunPort::open(options);
  ASSERT_TRUE(port.has_value()) << port.error().text();
  EXPECT_EQ(max_super_packet_segments(1420), 45U);
  EXPECT_EQ(max_super_packet_segments(576), 64U);
  EXPECT_EQ(max_super_packet_segments(65535), 1U);
  EXPECT_TRUE(run_command("ip -d link show dev rwtest | grep -q 'gso_max_segs 45 '"));
}

TEST_F(TunPortTest, NameInUseIsAClearError) {
  TunOptions options;
  options.name = "rwtest";
  const auto first = TunPort::open(options);
  ASSERT_TRUE(first.has_value());
  const auto second = TunPort::open(options);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().text().find("'rwtest'"), std::string::npos);
  EXPECT_NE(second.error().text().find("in use"), std::string::npos);
  options.name = "lo";
  const auto loopback = TunPort::open(options);
  ASSERT_FALSE(loopback.has_value());
  EXPECT_NE(loopback.error().text().find("another kind"), std::string::npos);
}

TEST_F(TunPortTest, QueuesShareOneDeviceThatNobodyElseCanJoin) {
  TunOptions options;
  options.name = "rwtest%d";
  options.mtu = 1300;
  const auto queues = TunPort::open_queues(options, 3);
  ASSERT_TRUE(queues) << queues.error().text();
  ASSERT_EQ(queues->size(), 3U);
  for (const auto& queue : *queues) {
    EXPECT_EQ(queue->name(), "rwtest0");
    EXPECT_EQ(queue->capabilities().mtu, 1300);
  }
  EXPECT_TRUE(run_command("ip link show dev rwtest0 | grep -q 'mtu 1300'"));
  options.name = "rwtest0";
  const auto second = TunPort::open_queues(options, 2);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().text().find("in use"), std::string::npos);
  EXPECT_FALSE(TunPort::open(options).has_value());
}

TEST_F(TunPortTest, NameTooLongIsAClearError) {
  TunOptions options;
  for (const char* name : {"", "sixteen-letters-"}) {
    options.name = name;
    const auto port = TunPort::open(options);
    ASSERT_FALSE(port.has_value());
    EXPECT_NE(port.error().text().find("not valid"), std::string::npos);
  }
}

TEST_F(TunPortTest, InterfaceThatIsDownDropsAndCounts) {
  const auto opened = TunPort::open({});
  ASSERT_TRUE(opened.has_value());
  TunPort& port = **opened;
  std::array<Slot, 3> slots;
  ASSERT_EQ(port.alloc_burst(slots), 3U);
  const PacketBytes packet = build_packet(PacketSpec{.udp = true, .payload = make_payload(50, 1)});
  for (Slot& slot : slots) {
    std::ranges::copy(packet, slot.data);
    slot.length = static_cast<std::uint32_t>(packet.size());
  }
  EXPECT_EQ(port.tx_burst(slots), 3U);
  EXPECT_EQ(port.counters().tx_dropped.value(), 3U);
  EXPECT_EQ(port.counters().tx_packets.value(), 0U);
  EXPECT_EQ(port.pool().held(), port.prepared_buffers());
}

TEST_F(TunPortTest, GarbageIsRefusedByTheKernelAndCounted) {
  const auto opened = TunPort::open({});
  ASSERT_TRUE(opened.has_value());
  TunPort& port = **opened;
  ASSERT_TRUE(run_command("ip link set " + port.name() + " up"));
  std::array<Slot, 2> slots;
  ASSERT_EQ(port.alloc_burst(slots), 2U);
  slots[0].data[0] = 0x90;
  slots[0].length = 1;
  slots[1].data[0] = 0x45;
  slots[1].length = 30;
  slots[1].train = TrainKind::kDatagrams;
  slots[1].segment_bytes = 10;
  EXPECT_EQ(port.tx_burst(slots), 4U);
  EXPECT_EQ(port.pool().held(), port.prepared_buffers());
}

TEST_F(TunPortTest, ExhaustedPoolHoldsBack) {
  TunOptions options;
  options.pool_buffers = 2;
  const auto opened = TunPort::open(options);
  ASSERT_TRUE(opened.has_value());
  TunPort& port = **opened;
  ASSERT_TRUE(run_command("ip addr add 198.51.100.1/24 dev " + port.name() + " && ip link set " +
                          port.name() + " up"));
  Address address("198.51.100.2", 9);
  const Socket sender(::socket(AF_INET, SOCK_DGRAM, 0));
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(::sendto(sender.get(), "x", 1, 0, address.get(), address.size()), 1);
  std::size_t total = 0;
  std::array<Slot, 16> burst;
  ASSERT_TRUE(eventually([&] {
    const std::size_t count = port.rx_burst(burst);
    EXPECT_LE(count, 2U);
    for (std::size_t i = 0; i < count; ++i) {
      if (burst[i].data[0] == 0x45 && burst[i].length == 29) ++total;
      BufferPool::release(burst[i]);
    }
    return total == 5;
  }));
  EXPECT_EQ(port.pool().held(), port.prepared_buffers());
}

TEST(TunPortOpen, WithoutCapabilityIsAClearError) {
  const PrivateNamespace space;
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(space.ok()) << "no network namespace could be made";
  // A child gives up its privileges and reports what it was told.
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::string text = "opened";
    if (::setgid(65534) == 0 && ::setuid(65534) == 0) {
      const auto port = TunPort::open({});
      if (!port) text = port.error().text();
    }
    (void)!::write(report[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(report[1]);
  char text[512] = {};
  EXPECT_GT(::read(report[0], text, sizeof text - 1), 0);
  ::close(report[0]);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_NE(std::string(text).find("CAP_NET_ADMIN"), std::string::npos) << text;
}

}  // namespace
}  // namespace ringway::io
