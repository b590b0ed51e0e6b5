#include "controlplane/gateway_io.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringway::control {
namespace {

using ::testing::HasSubstr;

Config auto_gateway() {
  Config config;
  config.interface.name = "ringway0";
  config.gateway.enabled = true;
  config.gateway.masquerade = true;
  config.gateway.interface = "eth0";
  return config;
}

GatewayIoFacts one_card(const std::string& driver, std::optional<bool> zero_copy) {
  return {driver, zero_copy, {"eth0"}};
}

struct Case {
  const char* name;
  Config config;
  GatewayIoFacts facts;
  GatewayIo io;
  const char* reason;  // part of it
};

std::vector<Case> cases() {
  const Config usual = auto_gateway();
  Config plain = usual;
  plain.gateway.masquerade = false;
  Config edge = usual;
  edge.edge.full_tunnel = true;
  Config unnamed = usual;
  unnamed.gateway.interface.clear();
  const GatewayIoFacts card = one_card("ice", true);
  GatewayIoFacts tunnel_too = card;
  tunnel_too.addressed = {"eth0", "ringway0"};
  GatewayIoFacts two_more = card;
  two_more.addressed = {"eth0", "eth1", "ringway0", "docker0"};
  return {
      {"KernelSaysZeroCopy", usual, card, GatewayIo::kAfXdp, "eth0 (ice) has AF_XDP zero-copy"},
      {"KernelSaysSoOfAnUnknownDriver", usual, one_card("new", true), GatewayIo::kAfXdp, "(new)"},
      {"OwnTunnelIsNoOtherInterface", usual, tunnel_too, GatewayIo::kAfXdp, "eth0"},
      {"OldKernelKnownDriver", usual, one_card("ixgbe", std::nullopt), GatewayIo::kAfXdp, "ixgbe"},
      {"OldKernelOtherDriver", usual, one_card("e1000e", std::nullopt), GatewayIo::kKernel,
       "eth0 (e1000e) has no AF_XDP zero-copy"},
      {"KernelsWordBeatsTheList", usual, one_card("ice", false), GatewayIo::kKernel, "zero-copy"},
      {"Veth", usual, one_card("veth", false), GatewayIo::kKernel, "eth0 (veth)"},
      {"VethOfAnOldKernel", usual, one_card("veth", std::nullopt), GatewayIo::kKernel, "(veth)"},
      {"Bond", usual, one_card("bonding", false), GatewayIo::kKernel, "eth0 (bonding)"},
      {"Bridge", usual, one_card("bridge", false), GatewayIo::kKernel, "eth0 (bridge)"},
      {"Vlan", usual, one_card("802.1Q VLAN Support", false), GatewayIo::kKernel, "VLAN"},
      {"NoDriver", usual, one_card("", std::nullopt), GatewayIo::kKernel, "eth0 (no driver)"},
      {"VirtualMachine", usual, one_card("virtio_net", true), GatewayIo::kKernel, "trains"},
      {"SeveralInterfaces", usual, two_more, GatewayIo::kKernel, "addresses on eth1, docker0 too"},
      {"NoMasquerade", plain, card, GatewayIo::kKernel, "masquerade"},
      {"FullTunnel", edge, card, GatewayIo::kKernel, "edge.full_tunnel"},
      {"NoInterfaceNamed", unnamed, card, GatewayIo::kKernel, "gateway.interface"},
  };
}

class GatewayIoChoices : public ::testing::TestWithParam<Case> {};

TEST_P(GatewayIoChoices, SayWhy) {
  const GatewayIoChoice choice = choose_gateway_io(GetParam().config, GetParam().facts);
  EXPECT_EQ(choice.io, GetParam().io) << choice.reason;
  EXPECT_THAT(choice.reason, HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(Table, GatewayIoChoices, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

// What was asked of the host while it was settled.
struct Host {
  GatewayIoFacts facts = one_card("ice", true);
  Result<void> af_xdp{};
  int asked = 0;
  int opened = 0;

  Result<GatewayIoChoice> settle(GatewayIo io) {
    Config config = auto_gateway();
    config.gateway.io = io;
    return settle_gateway_io(config, {[this] {
                                        ++asked;
                                        return facts;
                                      },
                                      [this] {
                                        ++opened;
                                        return af_xdp;
                                      }});
  }
};

TEST(GatewayIo, WhatIsConfiguredNeedsNoReason) {
  Host host;
  EXPECT_EQ(host.settle(GatewayIo::kKernel)->io, GatewayIo::kKernel);
  EXPECT_EQ(host.opened, 0);
  const auto choice = host.settle(GatewayIo::kAfXdp);
  EXPECT_EQ(choice->io, GatewayIo::kAfXdp);
  EXPECT_EQ(choice->reason, "");
  EXPECT_EQ(host.opened, 1);
  EXPECT_EQ(host.asked, 0);
}

TEST(GatewayIo, AutoOpensAfXdpOnlyWhereItIsChosen) {
  Host host;
  EXPECT_EQ(host.settle(GatewayIo::kAuto)->io, GatewayIo::kAfXdp);
  EXPECT_EQ(host.opened, 1);
  host.facts = one_card("veth", false);
  EXPECT_EQ(host.settle(GatewayIo::kAuto)->io, GatewayIo::kKernel);
  EXPECT_EQ(host.opened, 1);
}

TEST(GatewayIo, AutoTakesTheKernelWhereAfXdpCannotBeHad) {
  for (const char* obstacle :
       {"Address family not supported by protocol", "needs CAP_BPF and CAP_NET_ADMIN",
        "raise the limit of locked memory", "eth0 has 8 receive queues"}) {
    Host host;
    host.af_xdp = failure("opening AF_XDP on eth0", obstacle);
    const auto choice = host.settle(GatewayIo::kAuto);
    ASSERT_TRUE(choice) << choice.error().text();
    EXPECT_EQ(choice->io, GatewayIo::kKernel);
    EXPECT_THAT(choice->reason, HasSubstr(obstacle));
    const auto demanded = host.settle(GatewayIo::kAfXdp);
    ASSERT_FALSE(demanded);
    EXPECT_EQ(demanded.error().remedy, obstacle);
  }
}

}  // namespace
}  // namespace ringway::control
