#include "dataplane/io/udp_handshakes.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/udp_port_fixture.hpp"

namespace ringway::io {
namespace {

constexpr std::uint8_t kData = 4;

bool readable(int fd) {
  pollfd wanted{fd, POLLIN, 0};
  return ::poll(&wanted, 1, 0) == 1;
}

// A datagram of a type, told from others by a number.
Datagram message(std::uint8_t type, std::uint16_t number = 0, std::size_t bytes = 148) {
  Datagram datagram(bytes, type);
  store_be(datagram.data() + 1, number);
  return datagram;
}

class UdpPortHandshakes : public UdpPortTest, public ::testing::WithParamInterface<bool> {
 protected:
  // As the parameter says, dual-stack or IPv4 only.
  static UdpOptions parted() {
    UdpOptions options;
    options.kinds = UdpKinds{.data_type = kData};
    options.ipv6 = GetParam();
    return options;
  }
  static std::vector<const char*> loopbacks() {
    return GetParam() ? std::vector<const char*>{"127.0.0.1", "::1"}
                      : std::vector<const char*>{"127.0.0.1"};
  }
  std::unique_ptr<UdpPort> open_parted() {
    auto port = open(parted());
    EXPECT_NE(port->handshakes(), nullptr);
    return port;
  }

  static std::vector<Slot> burst_of(UdpPort& port, std::size_t slots = 64) {
    std::vector<Slot> burst(slots);
    burst.resize(port.rx_burst(burst));
    return burst;
  }
  // How many of each type the port has received, in order of their numbers, until it was asked in
  // vain several times.
  static std::pair<std::size_t, std::size_t> drain(UdpPort& port) {
    std::size_t data = 0;
    std::size_t handshakes = 0;
    for (int in_vain = 0; in_vain < 6;) {
      const std::vector<Slot> burst = burst_of(port);
      in_vain = burst.empty() ? in_vain + 1 : 0;
      for (const Datagram& datagram : datagrams_of(burst)) {
        std::size_t& count = datagram[0] == kData ? data : handshakes;
        EXPECT_GE(load_be<std::uint16_t>(datagram.data() + 1), count);
        ++count;
      }
      release_all(burst);
    }
    return {data, handshakes};
  }

  static void expect_all_home(UdpPort& port) {
    UdpPortTest::expect_all_home(port);
    EXPECT_EQ(port.handshakes()->pool().held(), port.handshakes()->prepared_buffers());
  }
};

TEST_P(UdpPortHandshakes, FirstByteChoosesTheSocket) {
  auto a = open();
  auto b = open_parted();
  for (const char* address : loopbacks()) {
    const net::Endpoint to = endpoint(address, b->local_port());
    std::vector<Datagram> contents = {{}, {kData}, {1}, message(kData), message(kData, 0, 1500)};
    for (const int type : {0, 1, 2, 3, 5, 6, 0x84, 255})
      contents.push_back(message(static_cast<std::uint8_t>(type)));
    for (const Datagram& content : contents) {
      const bool data = !content.empty() && content[0] == kData;
      EXPECT_EQ(send(*a, {fill(*a, content, to)}), 0U);
      ASSERT_TRUE(eventually([&] {
        return readable(b->wake_fd()) || b->wants_polling() || readable(b->side_wake_fd());
      }));
      EXPECT_EQ(readable(b->wake_fd()), data) << address << ", " << content.size() << " bytes";
      const auto received = receive(*b, 1);
      ASSERT_EQ(received.size(), 1U);
      EXPECT_EQ(slot_bytes(received[0]), content);
      EXPECT_EQ(received[0].remote, endpoint(address, a->local_port()));
      EXPECT_EQ(received[0].local, net::IpAddress::parse(address).value());
      EXPECT_EQ(b->wants_polling(), !data);
      release_all(received);
      EXPECT_EQ(drain(*b), std::pair(std::size_t{0}, std::size_t{0}));
    }
  }
  expect_all_home(*b);
}

TEST_P(UdpPortHandshakes, AreWatchedUntilOneCameAndAgainWhenNoneCome) {
  auto a = open();
  auto b = open_parted();
  const net::Endpoint to = endpoint("127.0.0.1", b->local_port());
  for (int round = 0; round < 3; ++round) {
    EXPECT_FALSE(b->wants_polling());
    EXPECT_FALSE(readable(b->side_wake_fd()));
    EXPECT_EQ(send(*a, {fill(*a, message(1), to)}), 0U);
    ASSERT_TRUE(eventually([&] { return readable(b->side_wake_fd()); }));
    release_all(receive(*b, 1));
    EXPECT_TRUE(b->wants_polling());
    // More of them wake nobody, and are found by asking.
    for (int more = 0; more < 3; ++more) {
      EXPECT_EQ(send(*a, {fill(*a, message(1), to)}), 0U);
      EXPECT_FALSE(readable(b->side_wake_fd()));
      const auto received = receive(*b, 1);
      EXPECT_EQ(received.size(), 1U);
      release_all(received);
      EXPECT_TRUE(b->wants_polling());
    }
    EXPECT_EQ(drain(*b), std::pair(std::size_t{0}, std::size_t{0}));
  }
  // One that arrives just before the queue is watched again is told at once.
  EXPECT_EQ(send(*a, {fill(*a, message(1), to)}), 0U);
  EXPECT_TRUE(eventually([&] { return readable(b->side_wake_fd()); }));
  release_all(receive(*b, 1));
  expect_all_home(*b);
}

TEST_P(UdpPortHandshakes, NeitherKindKeepsTheOtherWaiting) {
  auto a = open();
  UdpOptions options = parted();
  options.receive_offload = false;  // a slot each
  auto b = open(options);
  const net::Endpoint to = endpoint("127.0.0.1", b->local_port());
  constexpr std::uint16_t kEach = 1000;
  for (const std::uint8_t type : {kData, std::uint8_t{1}}) {
    for (std::uint16_t i = 0; i < kEach; ++i)
      EXPECT_EQ(send(*a, {fill(*a, message(type, i), to)}), 0U);
  }
  std::size_t data = 0;
  std::size_t handshakes = 0;
  for (int call = 0; call < 10; ++call) {
    const auto burst = burst_of(*b);
    EXPECT_EQ(burst.size(), 64U);
    for (const Slot& slot : burst)
      ++(slot.data[0] == kData ? data : handshakes);
    release_all(burst);
  }
  EXPECT_GE(data, 4 * 64U);
  EXPECT_GE(handshakes, 64U) << "bursts full of data keep handshakes out";
  const auto rest = drain(*b);
  EXPECT_EQ(data + rest.first, kEach);
  EXPECT_EQ(handshakes + rest.second, kEach);
  expect_all_home(*b);
}

TEST_P(UdpPortHandshakes, AFloodOverflowsItsOwnQueueAlone) {
  auto a = open();
  auto b = open_parted();
  const net::Endpoint to = endpoint("127.0.0.1", b->local_port());
  constexpr std::uint16_t kFlood = 20'000;
  constexpr std::uint16_t kDatagrams = 500;
  for (std::uint16_t i = 0; i < kFlood; ++i) {
    EXPECT_EQ(send(*a, {fill(*a, message(1, i), to)}), 0U);
    if (i % (kFlood / kDatagrams) == 0) {
      EXPECT_EQ(
          send(*a, {fill(*a, message(kData, static_cast<std::uint16_t>(i / (kFlood / kDatagrams))),
                         to)}),
          0U);
    }
  }
  const auto [data, handshakes] = drain(*b);
  EXPECT_EQ(data, kDatagrams);
  EXPECT_GT(handshakes, 1000U) << "10 ms of 100,000 a second fit";
  EXPECT_LT(handshakes, kFlood);
  expect_all_home(*b);
}

TEST_P(UdpPortHandshakes, TrainsStayTrainsOnBothSockets) {
  auto b = open_parted();
  for (const char* address : loopbacks()) {
    const net::Endpoint to = endpoint(address, b->local_port());
    // The kernel's hash over addresses and ports must not matter.
    for (int source = 0; source < 16; ++source) {
      auto a = open();
      const Datagram data(std::size_t{45} * 1452 - 100, kData);
      const Datagram initiations(std::size_t{64} * 148, 1);
      EXPECT_EQ(send(*a, {fill_train(*a, data, 1452, to)}), 0U);
      EXPECT_EQ(send(*a, {fill_train(*a, initiations, 148, to)}), 0U);
      const auto received = receive(*b, 45 + 64);
      ASSERT_EQ(received.size(), 2U) << address;
      for (const Slot& slot : received) {
        EXPECT_FALSE(slot.truncated);
        EXPECT_EQ(slot.train, TrainKind::kDatagrams);
        EXPECT_EQ(slot_bytes(slot), slot.data[0] == kData ? data : initiations);
      }
      release_all(received);
    }
  }
  expect_all_home(*b);
}

TEST_P(UdpPortHandshakes, MarkIsSetOnBothSocketsAndAnswersLeaveFromThePort) {
  auto a = open();
  UdpOptions options = parted();
  options.mark = 0x5257;
  auto b = open(options);
  EXPECT_EQ(send(*b, {fill(*b, message(2), endpoint("127.0.0.1", a->local_port()))}), 0U);
  const auto received = receive(*a, 1);
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(received[0].remote.port, b->local_port());
  release_all(received);
}

TEST_P(UdpPortHandshakes, PortInUseIsAClearErrorWhoeverHasIt) {
  for (const bool first_parted : {false, true}) {
    for (const bool second_parted : {false, true}) {
      auto a = first_parted ? open_parted() : open();
      UdpOptions options = second_parted ? parted() : UdpOptions{};
      options.port = a->local_port();
      const auto second = UdpPort::open(options);
      ASSERT_FALSE(second.has_value());
      EXPECT_NE(second.error().text().find("another program"), std::string::npos);
    }
  }
  // One that would share it.
  const int stranger = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ASSERT_EQ(::setsockopt(stranger, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
  UdpSocketAddress address{};
  address.v6.sin6_family = AF_INET6;
  socklen_t length = sizeof address.v6;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(stranger, generic, length), 0);
  ASSERT_EQ(::getsockname(stranger, generic, &length), 0);
  UdpOptions options = parted();
  options.port = parse_remote(address).port;
  const auto second = UdpPort::open(options);
  EXPECT_FALSE(second.has_value());
  ::close(stranger);
}

// Messages as WireGuard has them: from the fifth byte on data has its receiver's index, a handshake
// its sender's.
class UdpPortGroup : public UdpPortHandshakes {
 protected:
  static constexpr std::size_t kWorkers = 3;
  static constexpr unsigned kSlotBits = 20;

  std::vector<std::unique_ptr<UdpPort>> open_group() {
    UdpOptions options;
    options.ipv6 = GetParam();
    options.kinds =
        UdpKinds{.data_type = kData, .number_at = 4, .worker_shift = kSlotBits, .any_at = 4};
    auto group = UdpPort::open_group(options, kWorkers);
    EXPECT_TRUE(group) << (group ? "" : group.error().text());
    return std::move(*group);
  }
  static Datagram with_index(std::uint8_t type, std::uint32_t index) {
    Datagram datagram(148, type);
    store_le(datagram.data() + 4, index);
    return datagram;
  }
  // At which of them it came out; kWorkers: at none.
  std::size_t arrival(UdpPort& from, const Datagram& datagram,
                      const std::vector<std::unique_ptr<UdpPort>>& group) {
    EXPECT_EQ(send(from, {fill(from, datagram, endpoint("127.0.0.1", group[0]->local_port()))}),
              0U);
    std::size_t at = kWorkers;
    (void)eventually([&] {
      for (std::size_t i = 0; i < kWorkers && at == kWorkers; ++i) {
        const auto burst = burst_of(*group[i]);
        if (!burst.empty()) at = i;
        release_all(burst);
      }
      return at != kWorkers;
    });
    return at;
  }
};

TEST_P(UdpPortGroup, DataComesToTheWorkerThatItsIndexNames) {
  auto sender = open();
  const auto group = open_group();
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
    EXPECT_EQ(group[worker]->local_port(), group[0]->local_port());
    for (const std::uint32_t slot : {0U, 1U, (1U << kSlotBits) - 1}) {
      for (const std::uint32_t random : {0U, 0x5aU, 0xffU}) {
        const std::uint32_t index = random << 24 | worker << kSlotBits | slot;
        EXPECT_EQ(arrival(*sender, with_index(kData, index), group), worker) << std::hex << index;
      }
    }
  }
  EXPECT_LT(arrival(*sender, with_index(kData, 15U << kSlotBits), group), kWorkers)
      << "there is no fifteenth worker";
  EXPECT_LT(arrival(*sender, {kData}, group), kWorkers);
}

TEST_P(UdpPortGroup, HandshakesComeToEveryWorker) {
  auto sender = open();
  const auto group = open_group();
  std::array<int, kWorkers> arrived{};
  for (std::uint32_t index = 0; index < 60; ++index) {
    const std::size_t at = arrival(*sender, with_index(1, index << 24), group);
    ASSERT_LT(at, kWorkers);
    ++arrived[at];
  }
  for (const int count : arrived)
    EXPECT_EQ(count, 20);
  EXPECT_LT(arrival(*sender, {1}, group), kWorkers);
}

TEST_P(UdpPortGroup, AnswersLeaveFromThePortWhoeverSendsThem) {
  auto peer = open();
  const auto group = open_group();
  for (const auto& port : group) {
    EXPECT_EQ(send(*port, {fill(*port, message(2), endpoint("127.0.0.1", peer->local_port()))}),
              0U);
    const auto received = receive(*peer, 1);
    ASSERT_EQ(received.size(), 1U);
    EXPECT_EQ(received[0].remote, endpoint("127.0.0.1", group[0]->local_port()));
    release_all(received);
  }
}

INSTANTIATE_TEST_SUITE_P(Sockets, UdpPortGroup, ::testing::Values(true, false),
                         [](const auto& dual) { return dual.param ? "DualStack" : "Ipv4Only"; });

INSTANTIATE_TEST_SUITE_P(Sockets, UdpPortHandshakes, ::testing::Values(true, false),
                         [](const auto& dual) { return dual.param ? "DualStack" : "Ipv4Only"; });

}  // namespace
}  // namespace ringway::io
