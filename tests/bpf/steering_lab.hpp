// A loaded and configured steering program in a network namespace of the test's own, with an AF_XDP
// socket at queue 0 of `lo`, where BPF_PROG_TEST_RUN lets frames come from.
//
//   192.0.2.1, 2001:db8::1   tunnel port 51820, the NAT's 20000 to 29999
//   192.0.2.2, 2001:db8::2   tunnel ports 51820 and 443, no NAT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/bpf/steering.hpp"
#include "tests/bpf/frame_builder.hpp"
#include "tests/unit/kernel_ports.hpp"

namespace ringway::bpf_test {

// As linux/bpf.h numbers them.
inline constexpr std::uint32_t kPass = 2;
inline constexpr std::uint32_t kRedirect = 4;

struct Judgement {
  std::uint32_t verdict = 0;
  std::string counter;  // the one that moved; empty unless exactly one did, by one
};

class LoopbackSocket;

class SteeringLab : public ::testing::Test {
 protected:
  SteeringLab();
  ~SteeringLab() override;
  void SetUp() override;
  [[nodiscard]] virtual control::SteeringMode mode() const {
    return control::SteeringMode::kOwnAddresses;
  }

  [[nodiscard]] static std::vector<control::SteeredAddress> addresses();
  [[nodiscard]] Judgement run(const Frame& frame);
  // As if it had come by `lo`; the counter that moved.
  [[nodiscard]] std::string give_back(const Frame& frame);
  [[nodiscard]] control::Steering& steering() { return *steering_; }
  [[nodiscard]] int socket_fd() const;

 private:
  [[nodiscard]] std::string counter_since(
      const std::vector<control::SteeringCounter>& before) const;

  io::PrivateNamespace space_;
  std::unique_ptr<control::Steering> steering_;
  std::unique_ptr<LoopbackSocket> socket_;
};

}  // namespace ringway::bpf_test
