#include "controlplane/gateway_io.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace ringway::control {
namespace {

// Asked of kernels before 6.3, which do not tell: drivers that answer XDP_SETUP_XSK_POOL in Linux
// 6.2's drivers/net/ethernet, by the names that they give to ethtool.
constexpr std::array<std::string_view, 8> kZeroCopyDrivers = {
    "fsl_dpaa2_eth", "i40e", "ice", "igc", "ixgbe", "mlx5_core", "nfp", "st_gmac"};

// Its zero-copy (since Linux 6.11) ends at the host, which copies; and with an XDP program it takes
// single packets where it would take the neighbours' TCP by trains.
constexpr std::string_view kVirtualMachineDriver = "virtio_net";

bool has_zero_copy(const GatewayIoFacts& facts) {
  return facts.zero_copy.value_or(std::ranges::find(kZeroCopyDrivers, facts.driver) !=
                                  kZeroCopyDrivers.end());
}

GatewayIoChoice kernel_because(std::string reason) {
  return {GatewayIo::kKernel, std::move(reason)};
}

// Interfaces that AF_XDP would leave out though packets for them may come: all but the one that it
// takes over and the tunnel's own.
std::string left_out(const Config& config, const GatewayIoFacts& facts) {
  std::string names;
  for (const std::string& name : facts.addressed) {
    if (name == config.gateway.interface || name == config.interface.name) continue;
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

}  // namespace

GatewayIoChoice choose_gateway_io(const Config& config, const GatewayIoFacts& facts) {
  const GatewayConfig& gateway = config.gateway;
  if (!gateway.masquerade) return kernel_because("it does not masquerade");
  if (config.edge.full_tunnel) {
    return kernel_because("with edge.full_tunnel packets leave by another tunnel");
  }
  if (gateway.interface.empty()) return kernel_because("AF_XDP needs gateway.interface");
  if (const std::string others = left_out(config, facts); !others.empty()) {
    return kernel_because("AF_XDP would carry packets of " + gateway.interface +
                          " only, and there are addresses on " + others + " too");
  }
  const std::string device =
      gateway.interface + " (" + (facts.driver.empty() ? "no driver" : facts.driver) + ")";
  if (facts.driver == kVirtualMachineDriver) {
    return kernel_because(device + " gets whole TCP trains from its host by the kernel");
  }
  if (!has_zero_copy(facts)) return kernel_because(device + " has no AF_XDP zero-copy");
  return {GatewayIo::kAfXdp, device + " has AF_XDP zero-copy"};
}

Result<GatewayIoChoice> settle_gateway_io(const Config& config, const GatewayIoSteps& steps) {
  GatewayIoChoice choice{config.gateway.io, {}};
  const bool is_auto = config.gateway.io == GatewayIo::kAuto;
  if (is_auto) choice = choose_gateway_io(config, steps.read_facts());
  if (choice.io != GatewayIo::kAfXdp) return choice;
  if (auto opened = steps.open_af_xdp(); !opened) {
    if (!is_auto) return tl::unexpected(opened.error());
    return kernel_because("no AF_XDP: " + opened.error().text());
  }
  return choice;
}

}  // namespace ringway::control
