#include "controlplane/host/interface_facts.hpp"

#include <sys/utsname.h>

#include <gmock/gmock.h>

#include "tests/unit/host_lab.hpp"

namespace ringway::control {
namespace {

using ::testing::UnorderedElementsAre;

class InterfaceFactsTest : public HostLab {};

// The family's xdp-features are there since Linux 6.3.
bool kernel_tells_features() {
  utsname name{};
  int major = 0;
  int minor = 0;
  return ::uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 3));
}

TEST_F(InterfaceFactsTest, DriversHaveTheNamesOfEthtool) {
  run_well("ip link add br9 type bridge");
  EXPECT_EQ(driver_of("e0"), "veth");
  EXPECT_EQ(driver_of("rw0"), "tun");
  EXPECT_EQ(driver_of("br9"), "bridge");
  EXPECT_EQ(driver_of("gone"), "");
  EXPECT_EQ(driver_of("a-name-that-is-too-long"), "");
}

TEST_F(InterfaceFactsTest, VethHasNoZeroCopy) {
  const std::optional<bool> expected =
      kernel_tells_features() ? std::optional(false) : std::nullopt;
  EXPECT_EQ(has_xdp_zero_copy("e0"), expected);
  EXPECT_EQ(has_xdp_zero_copy("gone"), std::nullopt);
}

TEST_F(InterfaceFactsTest, LinkLocalAddressesAreNoneToBeReachedBy) {
  run_well("for i in e0 e1 lan0 lan1 rw0; do ip addr flush dev $i; ip link set $i up; done");
  run_well("ip addr add 169.254.7.7/16 dev e1; ip addr add fe80::7/64 dev lan1 nodad");
  EXPECT_THAT(addressed_interfaces().value(), UnorderedElementsAre());
  run_well("ip addr add 192.0.2.7/24 dev e0; ip addr add 2001:db8::7/64 dev lan0 nodad");
  EXPECT_THAT(addressed_interfaces().value(), UnorderedElementsAre("e0", "lan0"));
}

}  // namespace
}  // namespace ringway::control
