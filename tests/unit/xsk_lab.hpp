// Devices for the AF_XDP ports: a network namespace of the test's own with veth pairs hN - gN. The
// ports are at the gN; the kernel, with 192.0.2.1 and 2001:db8::1 at h0, is at the other end. The
// steering program of each gN takes UDP to 192.0.2.2 and 2001:db8::2 port 51820.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/bpf/steering.hpp"
#include "dataplane/io/xsk_port.hpp"
#include "tests/unit/kernel_ports.hpp"

namespace ringway::io {

using FrameBytes = std::vector<std::uint8_t>;

inline constexpr std::uint16_t kTunnelPort = 51820;

class XskLab : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kFrames = 2048;

  void SetUp() override;
  // Steers g<number> to the port that comes back.
  [[nodiscard]] std::unique_ptr<XskPort> open_port(unsigned number, XskOptions options = {});
  [[nodiscard]] BufferPool& pool() { return *pool_; }
  [[nodiscard]] Umem& umem() { return *umem_; }
  [[nodiscard]] control::Steering& steering(unsigned number) { return *steering_[number]; }
  // Attaches the programs anew, in generic mode.
  void steer_generically();
  // Frames are free, in a place that the port knows, or in `slots` slots of the test.
  void expect_account(const XskPort& port, std::uint32_t slots);

 private:
  PrivateNamespace space_;
  std::unique_ptr<Umem> umem_;
  BufferPool* pool_ = nullptr;
  std::vector<std::unique_ptr<control::Steering>> steering_;
};

// A raw socket at the kernel's end of a pair.
class Wire {
 public:
  explicit Wire(const std::string& device);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void send(const FrameBytes& frame) const;
  // The next frame of ours (udp_frame), empty after half a second without one.
  [[nodiscard]] FrameBytes receive() const;

 private:
  int fd_;
};

// A frame of `bytes` (at least 42) with UDP to 192.0.2.2, checksums right, `mark` in every byte of
// its payload.
[[nodiscard]] FrameBytes udp_frame(std::size_t bytes, std::uint8_t mark = 0x5a);
// A slot of `pool` with these bytes.
[[nodiscard]] Slot slot_with(BufferPool& pool, const FrameBytes& bytes);

}  // namespace ringway::io
