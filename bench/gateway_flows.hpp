// The flows of a gateway's traffic for ringway-bench pipeline: which subscriber and port each one
// has inside, and what the NAT made of it outside, learned from what came out and held against it
// ever after.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "dataplane/nat/nat.hpp"
#include "dataplane/tunnel/allowed_ips.hpp"

namespace ringway::bench {

struct FlowCounts {
  std::uint32_t flows = 1;  // that live for the whole run
  std::uint32_t subscribers = 1;
  std::uint32_t round_packets = 1;  // packets of a round are numbered from a multiple of this
  double new_share = 0;             // of packets, from 0 to 1: each opens a flow of its own
};

class GatewayFlows {
 public:
  static constexpr std::uint32_t kMaxFlows = 4'000'000;
  // All of a subscriber's flows leave by one address, whose ports come in blocks.
  static constexpr double kMostFlowsASubscriber = 60'000;
  static constexpr std::uint16_t kServerPort = 443;
  static constexpr std::uint32_t kServerAddress = 0xcb00'710a;  // 203.0.113.10

  // How long a flow lives that was opened in a round, and its port rests afterwards.
  static constexpr Duration kNewFlowLife = Duration::seconds(1);

  // Flows are dealt out to the subscribers in turn. Each of `workers` has as many of all.
  GatewayFlows(const FlowCounts& counts, std::uint32_t worker, std::uint32_t workers);

  // The worker's NAT, with room for all flows, and as many external addresses as their ports need.
  [[nodiscard]] nat::Config nat_config() const;
  // Of all workers.
  [[nodiscard]] std::vector<tunnel::AllowedIp> allowed_ips() const;

  // That live for the whole run.
  [[nodiscard]] std::uint32_t count() const { return flows_; }
  [[nodiscard]] bool opens_flow(std::uint64_t packet_number) const;
  // Every flow equally often and in no order; what a round's packets open comes behind them.
  [[nodiscard]] std::uint32_t flow_of(std::uint64_t packet_number) const;
  [[nodiscard]] std::uint32_t subscriber_of(std::uint32_t flow) const {
    return flow % subscribers_;
  }
  [[nodiscard]] std::uint32_t inner_address(std::uint32_t flow) const;
  [[nodiscard]] std::uint16_t inner_port(std::uint32_t flow) const;

  // What a flow looks like outside. Fails when it looked different before, or when another flow
  // has that address and port.
  [[nodiscard]] Result<void> learn(std::uint32_t flow, std::uint32_t address, std::uint16_t port);
  // What was opened in the last round has ended.
  void forget_new();
  [[nodiscard]] bool known(std::uint32_t flow) const { return external_[flow] != 0; }
  [[nodiscard]] std::uint32_t external_address(std::uint32_t flow) const {
    return static_cast<std::uint32_t>(external_[flow] >> 16);
  }
  [[nodiscard]] std::uint16_t external_port(std::uint32_t flow) const {
    return static_cast<std::uint16_t>(external_[flow]);
  }

 private:
  std::uint32_t flows_;
  std::uint32_t subscribers_;
  std::uint32_t worker_;
  std::uint32_t workers_;
  std::uint32_t round_packets_;
  std::uint64_t new_below_;  // of 2^32: where a packet opens a flow
  std::uint32_t all_flows_;  // those of a round included
  std::uint32_t addresses_a_subscriber_;
  std::vector<std::uint64_t> external_;                        // by flow: address << 16 | port
  std::unordered_map<std::uint64_t, std::uint32_t> owner_of_;  // of an external address and port
};

}  // namespace ringway::bench
