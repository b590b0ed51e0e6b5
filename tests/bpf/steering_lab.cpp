#include "tests/bpf/steering_lab.hpp"

#include <cstdlib>

#include <net/if.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xdp/xsk.h>

#include "base/check.hpp"

namespace ringway::bpf_test {

class LoopbackSocket {
 public:
  LoopbackSocket() {
    constexpr std::size_t kBytes = 64 * 4096;
    memory_ = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory_ != MAP_FAILED);
    CHECK(xsk_umem__create(&umem_, memory_, kBytes, &fill_, &completion_, nullptr) == 0);
    xsk_socket_config config{};
    config.rx_size = 64;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
    config.bind_flags = XDP_COPY;
    CHECK(xsk_socket__create(&socket_, "lo", 0, umem_, &rx_, nullptr, &config) == 0);
  }
  ~LoopbackSocket() {
    xsk_socket__delete(socket_);
    xsk_umem__delete(umem_);
    ::munmap(memory_, 64 * 4096);
  }
  LoopbackSocket(const LoopbackSocket&) = delete;
  LoopbackSocket& operator=(const LoopbackSocket&) = delete;
  [[nodiscard]] int fd() const { return xsk_socket__fd(socket_); }

 private:
  void* memory_ = nullptr;
  xsk_umem* umem_ = nullptr;
  xsk_socket* socket_ = nullptr;
  xsk_ring_prod fill_{};
  xsk_ring_cons completion_{};
  xsk_ring_cons rx_{};
};

SteeringLab::SteeringLab() = default;
SteeringLab::~SteeringLab() = default;

void SteeringLab::SetUp() {
  if (::geteuid() != 0)
    GTEST_SKIP() << "needs root: loads a BPF program, makes a network namespace";
  ASSERT_TRUE(space_.ok()) << "no network namespace could be made";
  auto loaded = control::Steering::load(mode());
  ASSERT_TRUE(loaded) << loaded.error().text();
  steering_ = std::move(*loaded);
  const auto configured = steering_->configure(addresses());
  ASSERT_TRUE(configured) << configured.error().text();
  socket_ = std::make_unique<LoopbackSocket>();
  const auto added = steering_->add_socket(0, socket_->fd());
  ASSERT_TRUE(added) << added.error().text();
}

std::vector<control::SteeredAddress> SteeringLab::addresses() {
  std::vector<control::SteeredAddress> all;
  for (const char* text : {"192.0.2.1", "2001:db8::1"}) {
    all.push_back({*net::IpAddress::parse(text), {51820}, 20000, 29999});
  }
  for (const char* text : {"192.0.2.2", "2001:db8::2"}) {
    all.push_back({*net::IpAddress::parse(text), {51820, 443}, 0, 0});
  }
  return all;
}

int SteeringLab::socket_fd() const {
  return socket_->fd();
}

Judgement SteeringLab::run(const Frame& frame) {
  const auto before = steering_->counters();
  const auto trial = steering_->try_frame(frame, 1);
  EXPECT_TRUE(trial) << frame.size();
  return {trial ? trial->verdict : UINT32_MAX, counter_since(before)};
}

std::string SteeringLab::give_back(const Frame& frame) {
  const auto before = steering_->counters();
  const auto given = steering_->give_back(frame, ::if_nametoindex("lo"));
  EXPECT_TRUE(given) << given.error().text();
  return counter_since(before);
}

std::string SteeringLab::counter_since(const std::vector<control::SteeringCounter>& before) const {
  std::string counter;
  const auto after = steering_->counters();
  std::uint64_t moved = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const std::uint64_t by = after[i].packets - before[i].packets;
    moved += by;
    if (by == 1) counter = after[i].label;
  }
  return moved == 1 ? counter : std::string();
}

}  // namespace ringway::bpf_test
