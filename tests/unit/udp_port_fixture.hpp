// What the tests of UdpPort share: ports in a network namespace of their own, datagrams with a
// pattern, and the account of buffers.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "dataplane/io/udp_port.hpp"
#include "tests/unit/kernel_ports.hpp"

namespace ringway::io {

using Datagram = std::vector<std::uint8_t>;

inline net::Endpoint endpoint(const char* address, std::uint16_t port) {
  return {net::IpAddress::parse(address).value(), port};
}

inline Datagram make_datagram(std::size_t bytes, std::uint8_t seed) {
  Datagram datagram(bytes);
  std::iota(datagram.begin(), datagram.end(), seed);
  return datagram;
}

// The datagrams of a list of slots, trains taken apart.
inline std::vector<Datagram> datagrams_of(const std::vector<Slot>& slots) {
  std::vector<Datagram> datagrams;
  for (const Slot& slot : slots) {
    const std::uint32_t step = slot.train == TrainKind::kNone ? slot.length : slot.segment_bytes;
    std::uint32_t at = 0;
    do {
      const std::uint32_t end = std::min(at + step, slot.length);
      datagrams.emplace_back(slot.data + at, slot.data + end);
      at = end;
    } while (at < slot.length);
  }
  return datagrams;
}

// Every test runs in a namespace of its own: loopback's offloads and MTU are the test's to set.
class UdpPortTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(namespace_.ok()) << "no network namespace could be made";
  }

  std::unique_ptr<UdpPort> open(UdpOptions options = {}) {
    auto port = UdpPort::open(options);
    EXPECT_TRUE(port.has_value()) << (port ? "" : port.error().text());
    return std::move(*port);
  }

  static Slot fill(UdpPort& port, const Datagram& bytes, const net::Endpoint& remote) {
    Slot slot;
    EXPECT_EQ(port.alloc_burst({&slot, 1}), 1U);
    std::ranges::copy(bytes, slot.data);
    slot.length = static_cast<std::uint32_t>(bytes.size());
    slot.tailroom -= slot.length;
    slot.remote = remote;
    return slot;
  }
  static Slot fill_train(UdpPort& port, const Datagram& bytes, std::uint16_t segment_bytes,
                         const net::Endpoint& remote) {
    Slot slot = fill(port, bytes, remote);
    slot.train = TrainKind::kDatagrams;
    slot.segment_bytes = segment_bytes;
    return slot;
  }
  static std::size_t send(UdpPort& port, std::vector<Slot> slots) { return port.tx_burst(slots); }

  static void expect_all_home(UdpPort& port) {
    EXPECT_EQ(port.pool().held(), port.prepared_buffers());
    EXPECT_EQ(port.pool().allocated(), port.pool().freed() + port.pool().held());
  }

  PrivateNamespace namespace_;
};

}  // namespace ringway::io
