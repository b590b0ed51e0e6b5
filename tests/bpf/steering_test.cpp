// The loader: attaching, falling back, and going away.
#include "controlplane/bpf/steering.hpp"

#include <net/if.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bpf/steering_lab.hpp"

namespace ringway::bpf_test {
namespace {

using control::Steering;
using control::XdpMode;

std::uint32_t attached_program(const std::string& device) {
  std::uint32_t id = 0;
  const auto index = static_cast<int>(::if_nametoindex(device.c_str()));
  EXPECT_EQ(bpf_xdp_query_id(index, 0, &id), 0);
  return id;
}

// As `bpftool link detach` does it: our descriptor stays, the program goes.
void detach_by_force(const std::string& device) {
  const unsigned index = ::if_nametoindex(device.c_str());
  std::uint32_t id = 0;
  while (bpf_link_get_next_id(id, &id) == 0) {
    const int fd = bpf_link_get_fd_by_id(id);
    bpf_link_info info{};
    std::uint32_t size = sizeof info;
    const bool ours = fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
                      info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == index;
    if (ours) {
      EXPECT_EQ(bpf_link_detach(fd), 0);
    }
    if (fd >= 0) ::close(fd);
  }
}

class SteeringTest : public SteeringLab {
 protected:
  void SetUp() override {
    SteeringLab::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_TRUE(
        io::run_command("ip link add v0 type veth peer name v1 && ip link set v0 up && "
                        "ip link set v1 up"));
  }
};

TEST_F(SteeringTest, AttachesNativelyWhereTheDriverCan) {
  const auto attached = steering().attach("v0");
  ASSERT_TRUE(attached) << attached.error().text();
  EXPECT_EQ(steering().attachment()->mode(), XdpMode::kNative);
  EXPECT_EQ(steering().attachment()->reason(), "");
  EXPECT_NE(attached_program("v0"), 0U);
  steering().detach();
  EXPECT_EQ(attached_program("v0"), 0U);
}

TEST_F(SteeringTest, FallsBackToGenericAndSaysWhy) {
  const auto attached = steering().attach("lo");  // has no XDP in its driver
  ASSERT_TRUE(attached) << attached.error().text();
  EXPECT_EQ(steering().attachment()->mode(), XdpMode::kGeneric);
  EXPECT_NE(steering().attachment()->reason().find("native mode: "), std::string::npos)
      << steering().attachment()->reason();
}

TEST_F(SteeringTest, GenericCanBeAskedForAndRefused) {
  ASSERT_TRUE(steering().attach("v0", {.allow_native = false}));
  EXPECT_EQ(steering().attachment()->mode(), XdpMode::kGeneric);
  EXPECT_EQ(steering().attachment()->reason(), "native mode is switched off");
  EXPECT_FALSE(steering().attach("lo", {.allow_generic = false}));
}

TEST_F(SteeringTest, NamesTheProgramThatIsThere) {
  auto other = Steering::load();
  ASSERT_TRUE(other);
  ASSERT_TRUE((*other)->attach("v0"));
  for (const bool native : {true, false}) {
    const auto refused = steering().attach("v0", {.allow_native = native});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("'rw_steer' (number "), std::string::npos)
        << refused.error().text();
  }
  other->reset();
  EXPECT_TRUE(steering().attach("v0"));
}

TEST_F(SteeringTest, NamesAnUnknownDevice) {
  const auto refused = steering().attach("nowhere0");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "there is no interface 'nowhere0'");
}

TEST_F(SteeringTest, TellsWhenTheProgramIsNotInPlaceAnyMore) {
  ASSERT_TRUE(steering().attach("v0"));
  EXPECT_TRUE(steering().attachment()->in_place());
  detach_by_force("v0");
  EXPECT_EQ(attached_program("v0"), 0U);
  EXPECT_FALSE(steering().attachment()->in_place());
  steering().detach();
  ASSERT_TRUE(steering().attach("v0"));
  EXPECT_TRUE(steering().attachment()->in_place());
  ASSERT_TRUE(io::run_command("ip link del v0"));
  EXPECT_FALSE(steering().attachment()->in_place());
}

TEST_F(SteeringTest, TheProgramGoesWithTheProcess) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto own = Steering::load();
    const bool attached = own && (*own)->attach("v0") && attached_program("v0") != 0;
    ::_exit(attached ? 0 : 1);  // nothing is destroyed
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(io::eventually([] { return attached_program("v0") == 0; }));
}

TEST_F(SteeringTest, RefusesWhatCannotBeSteered) {
  control::SteeredAddress address{*net::IpAddress::parse("192.0.2.1"), {}, 0, 0};
  address.tunnel_ports.assign(Steering::kMaxTunnelPorts + 1, 1);
  EXPECT_FALSE(steering().configure({&address, 1}));
  address.tunnel_ports.clear();
  address.nat_first = 2;
  address.nat_last = 1;
  EXPECT_FALSE(steering().configure({&address, 1}));
  const std::vector<control::SteeredAddress> many(Steering::kMaxAddresses + 1);
  EXPECT_FALSE(steering().configure(many));
  EXPECT_FALSE(steering().add_socket(Steering::kMaxQueues, socket_fd()));
  EXPECT_FALSE(steering().add_socket(1, 0));  // not a socket
}

}  // namespace
}  // namespace ringway::bpf_test
