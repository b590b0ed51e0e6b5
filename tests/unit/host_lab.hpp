// A host to change: a network namespace made by the test's own process, with a TUN `rw0`, a wire
// `e0` that has the default routes of both families, and rules, tables and settings that were there
// before. Needs root; without it every test fails and says so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/host/host_plan.hpp"

namespace ringway::control {

class HostLab : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Runs a shell command and returns what it prints, errors included.
  static std::string run(const std::string& command);
  // The same, and the command must succeed.
  static std::string run_well(const std::string& command);
  // Everything that Ringway could have changed: links, addresses, routes, rules, nftables,
  // settings. Waits until no address is tentative any more.
  static std::string snapshot();
  // Whether it is as then; names what differs, and not the rest.
  static ::testing::AssertionResult host_is(const std::string& snapshot_before);

  [[nodiscard]] HostPlan edge_plan() const;
  [[nodiscard]] HostPlan gateway_plan() const;
  [[nodiscard]] int tun() const { return tun_; }
  void make_tun();
  void remove_tun();

  // Runs `body` in a forked process, which must end by itself; returns the wait status.
  static int in_child(const std::function<void()>& body);

  std::filesystem::path state_directory_;

 private:
  static void wait_for_addresses();

  int tun_ = -1;
};

// Sees the IPv4 and IPv6 packets that leave by an interface, except neighbour discovery, multicast
// listener reports and router solicitations.
class Capture {
 public:
  explicit Capture(const std::string& interface);
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture();
  // Those that left since the last call; waits until 50 ms pass without one.
  std::vector<std::vector<std::uint8_t>> packets();

 private:
  int socket_;
};

// An inner packet as the tunnel would hand it to the TUN.
struct TestPacket {
  std::string source;
  std::string destination;
  std::uint8_t protocol = 17;  // UDP, or TCP (a SYN with MSS 1460), or ICMP / ICMPv6 (echo request)
  std::uint16_t source_port = 40000;
  std::uint16_t destination_port = 9;
};
std::vector<std::uint8_t> make_packet(const TestPacket& packet);

}  // namespace ringway::control
