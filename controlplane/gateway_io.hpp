// Which way a gateway's packets take, the kernel's or AF_XDP, and why: the rules of
// gateway.io = "auto". Given what is known of the host; asks nothing of it. Control thread, at
// start.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "controlplane/config.hpp"

namespace ringway::control {

// Of the host, as far as "auto" depends on it.
struct GatewayIoFacts {
  std::string driver;             // of gateway.interface, as ethtool names it; empty: it says none
  std::optional<bool> zero_copy;  // whether it has AF_XDP zero-copy; unset: the kernel cannot tell
  std::vector<std::string> addressed;  // interfaces that hold addresses, except the loopback's
};

struct GatewayIoChoice {
  GatewayIo io = GatewayIo::kKernel;  // never kAuto
  std::string reason;  // one line for a person; empty where the configuration says it
};

// Where AF_XDP is to be preferred, by the interface and by what else the gateway does.
[[nodiscard]] GatewayIoChoice choose_gateway_io(const Config& config, const GatewayIoFacts& facts);

struct GatewayIoSteps {
  std::function<GatewayIoFacts()> read_facts;  // asked with "auto" only
  std::function<Result<void>()> open_af_xdp;   // leaves nothing behind when it fails
};

// Decides, and opens AF_XDP where that is the choice. What it fails at is fatal where the
// configuration demands it; with "auto" it is the reason to take the kernel's way.
[[nodiscard]] Result<GatewayIoChoice> settle_gateway_io(const Config& config,
                                                        const GatewayIoSteps& steps);

}  // namespace ringway::control
