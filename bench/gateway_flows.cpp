#include "bench/gateway_flows.hpp"

#include <algorithm>
#include <array>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "bench/mixed.hpp"

namespace ringway::bench {
namespace {

constexpr std::uint32_t kFirstInnerAddress = 0xc612'0000;     // 198.18.0.0/15 (RFC 2544)
constexpr std::uint32_t kFirstExternalAddress = 0xc000'0201;  // 192.0.2.1
constexpr std::uint32_t kInnerPorts = 60'000;                 // of an inner address, 1024 and on
constexpr std::uint16_t kFirstInnerPort = 1024;
// Ports come in blocks, and a subscriber's last one is seldom full: leave half of them free.
constexpr std::uint32_t kFlowsAnExternalAddress = 30'000;
constexpr std::uint32_t kMaxExternalAddresses = 250;

net::IpAddress address_of(std::uint32_t number) {
  std::array<std::uint8_t, 4> bytes;
  store_be(bytes.data(), number);
  return net::IpAddress::v4(bytes.data());
}

// Of 2^32, so many packets open a flow.
std::uint64_t threshold_of(double share) {
  return static_cast<std::uint64_t>(share * 0x1p32);
}

}  // namespace

GatewayFlows::GatewayFlows(const FlowCounts& counts, std::uint32_t worker, std::uint32_t workers)
    : flows_(counts.flows),
      subscribers_(counts.subscribers),
      worker_(worker),
      workers_(workers),
      round_packets_(counts.round_packets),
      new_below_(threshold_of(counts.new_share)),
      all_flows_(flows_ + (new_below_ == 0 ? 0 : round_packets_)),
      addresses_a_subscriber_((all_flows_ / subscribers_) / kInnerPorts + 1),
      external_(all_flows_) {
  CHECK(flows_ >= 1 && flows_ <= kMaxFlows && subscribers_ >= 1);
  owner_of_.reserve(all_flows_);
}

nat::Config GatewayFlows::nat_config() const {
  nat::Config config;
  // A subscriber takes at least a block.
  const std::uint32_t ports =
      std::max(all_flows_, subscribers_ * config.block_ports) + subscribers_ * config.block_ports;
  const std::uint32_t addresses = ports / (kFlowsAnExternalAddress / workers_) + 1;
  CHECK(addresses <= kMaxExternalAddresses);
  for (std::uint32_t i = 0; i < addresses; ++i)
    config.external_addresses.push_back(address_of(kFirstExternalAddress + i));
  const std::uint32_t share = (UINT16_MAX + 1U - kFirstInnerPort) / workers_;
  for (std::uint32_t i = 0; i < workers_; ++i) {
    const auto first = static_cast<std::uint16_t>(kFirstInnerPort + i * share);
    const auto last = static_cast<std::uint16_t>(first + share - 1);
    if (i == worker_) {
      config.first_port = first;
      config.last_port = last;
    } else {
      config.other_shards.push_back({{static_cast<std::uint8_t>(i)}, first, last});
    }
  }
  config.max_mappings = std::max(all_flows_ + all_flows_ / 8, 1024U);
  // A flow that was opened in a round is gone before the next one, and its port can be had again.
  config.tcp_transitory_timeout = kNewFlowLife;
  config.port_rest = kNewFlowLife;
  config.max_ports_per_subscriber = UINT32_MAX;
  config.max_mappings_per_subscriber = UINT32_MAX;
  config.max_subscribers = std::max(workers_ * subscribers_, config.max_subscribers);
  config.inner_prefixes = {{address_of(kFirstInnerAddress), 15}};
  return config;
}

std::vector<tunnel::AllowedIp> GatewayFlows::allowed_ips() const {
  std::vector<tunnel::AllowedIp> entries;
  for (std::uint32_t subscriber = 0; subscriber < workers_ * subscribers_; ++subscriber) {
    for (std::uint32_t i = 0; i < addresses_a_subscriber_; ++i) {
      const std::uint32_t address = kFirstInnerAddress + subscriber * addresses_a_subscriber_ + i;
      entries.push_back({{address_of(address), 32}, {subscriber}});
    }
  }
  return entries;
}

bool GatewayFlows::opens_flow(std::uint64_t packet_number) const {
  // The high half: the low one chooses among the old flows.
  return mixed(packet_number + 1) >> 32 < new_below_;
}

std::uint32_t GatewayFlows::flow_of(std::uint64_t packet_number) const {
  if (opens_flow(packet_number)) {
    return flows_ + static_cast<std::uint32_t>(packet_number % round_packets_);
  }
  return static_cast<std::uint32_t>(mixed(packet_number + 1) % flows_);
}

std::uint32_t GatewayFlows::inner_address(std::uint32_t flow) const {
  const std::uint32_t of_subscriber = flow / subscribers_;
  const std::uint32_t subscriber = worker_ * subscribers_ + subscriber_of(flow);
  return kFirstInnerAddress + subscriber * addresses_a_subscriber_ + of_subscriber / kInnerPorts;
}

std::uint16_t GatewayFlows::inner_port(std::uint32_t flow) const {
  return static_cast<std::uint16_t>(kFirstInnerPort + flow / subscribers_ % kInnerPorts);
}

Result<void> GatewayFlows::learn(std::uint32_t flow, std::uint32_t address, std::uint16_t port) {
  const std::uint64_t external = std::uint64_t{address} << 16 | port;
  if (external_[flow] == external) return {};
  if (external_[flow] != 0) {
    return failure("wrong result: flow " + std::to_string(flow) + " changed its external port");
  }
  if (!owner_of_.emplace(external, flow).second) {
    return failure("wrong result: two flows have external port " + std::to_string(port));
  }
  external_[flow] = external;
  return {};
}

void GatewayFlows::forget_new() {
  for (std::uint32_t flow = flows_; flow < all_flows_; ++flow) {
    if (external_[flow] != 0) owner_of_.erase(external_[flow]);
    external_[flow] = 0;
  }
}

}  // namespace ringway::bench
