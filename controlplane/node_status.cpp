#include "controlplane/node_status.hpp"

#include <nlohmann/json.hpp>

#include "controlplane/json_codec.hpp"
#include "dataplane/io/port.hpp"

namespace ringway::control {

template <typename Visit>
void visit_fields(Visit& visit, FullTunnelStatus& status) {
  visit("state", status.state);
  visit("peer", status.peer);
  visit("detail", status.detail);
}

template <typename Visit>
void visit_fields(Visit& visit, GatewayStatus& status) {
  visit("enabled", status.enabled);
  visit("masquerade", status.masquerade);
  visit("interface", status.interface);
  visit("io", status.io);
  visit("io_reason", status.io_reason);
  visit("xdp_mode", status.xdp_mode);
  visit("nat", status.nat);
  visit("mappings", status.mappings);
  visit("blocks_in_use", status.blocks_in_use);
  visit("blocks_total", status.blocks_total);
  visit("block_events_lost", status.block_events_lost);
  visit("nat_log", status.nat_log);
}

template <typename Visit>
void visit_fields(Visit& visit, PortStatus& status) {
  visit("name", status.name);
  visit("description", status.description);
  visit("rx_packets", status.rx_packets);
  visit("rx_bytes", status.rx_bytes);
  visit("rx_bursts", status.rx_bursts);
  visit("tx_packets", status.tx_packets);
  visit("tx_bytes", status.tx_bytes);
  visit("tx_bursts", status.tx_bursts);
  visit("tx_dropped", status.tx_dropped);
  visit("steering", status.steering);
  visit("ring_losses", status.ring_losses);
}

template <typename Visit>
void visit_fields(Visit& visit, WorkerStatus& status) {
  visit("poll", status.poll);
  visit("cpu", status.cpu);
  visit("cpus", status.cpus);
  visit("crypto", status.crypto);
  visit("loops", status.loops);
  visit("idle_loops", status.idle_loops);
  visit("sleeps", status.sleeps);
  visit("packets_sealed", status.packets_sealed);
  visit("packets_opened", status.packets_opened);
  visit("handed_over", status.handed_over);
}

template <typename Visit>
void visit_fields(Visit& visit, PeerStatus& status) {
  visit("name", status.name);
  visit("public_key", status.public_key);
  visit("preshared_key", status.preshared_key);
  visit("endpoint", status.endpoint);
  visit("allowed_ips", status.allowed_ips);
  visit("type", status.type);
  visit("suite", status.suite);
  visit("persistent_keepalive_s", status.persistent_keepalive_s);
  visit("up_mbps", status.up_mbps);
  visit("down_mbps", status.down_mbps);
  visit("session", status.session);
  visit("latest_handshake_unix_s", status.latest_handshake_unix_s);
  visit("latest_handshake_age_s", status.latest_handshake_age_s);
  visit("rx_packets", status.rx_packets);
  visit("rx_bytes", status.rx_bytes);
  visit("tx_packets", status.tx_packets);
  visit("tx_bytes", status.tx_bytes);
}

template <typename Visit>
void visit_fields(Visit& visit, NodeStatus& status) {
  visit("version", status.version);
  visit("pid", status.pid);
  visit("config", status.config);
  visit("interface", status.interface);
  visit("addresses", status.addresses);
  visit("mtu", status.mtu);
  visit("public_key", status.public_key);
  visit("listen_port", status.listen_port);
  visit("fwmark", status.fwmark);
  visit("state", status.state);
  visit("since_unix_s", status.since_unix_s);
  visit("uptime_s", status.uptime_s);
  visit("full_tunnel", status.full_tunnel);
  visit("gateway", status.gateway);
  visit("ports", status.ports);
  visit("workers", status.workers);
  visit("drops", status.drops);
  visit("handshakes", status.handshakes);
  visit("peers", status.peers);
}

std::string_view node_state_name(NodeState state) {
  static constexpr std::string_view names[] = {"starting", "running", "stopping"};
  return names[static_cast<std::size_t>(state)];
}

std::string_view full_tunnel_state_name(FullTunnelState state) {
  static constexpr std::string_view names[] = {"off", "starting", "active", "blocked"};
  return names[static_cast<std::size_t>(state)];
}

std::string_view session_state_name(SessionState state) {
  static constexpr std::string_view names[] = {"none", "handshaking", "established", "expired"};
  return names[static_cast<std::size_t>(state)];
}

NodeStatus status_from_config(const Config& config) {
  NodeStatus status;
  status.config = config.path;
  status.interface = config.interface.name;
  status.addresses = config.interface.addresses;
  status.mtu = config.interface.mtu;
  status.public_key = config.interface.public_key;
  status.listen_port = config.interface.listen_port;
  status.fwmark = config.interface.fwmark;
  status.gateway.enabled = config.gateway.enabled;
  status.gateway.masquerade = config.gateway.masquerade;
  status.gateway.interface = config.gateway.interface;
  for (const PeerConfig& peer : config.peers)
    status.peers.push_back(status_from_config(peer));
  return status;
}

PeerStatus status_from_config(const PeerConfig& peer) {
  PeerStatus status;
  status.name = peer.name;
  status.public_key = peer.public_key;
  status.preshared_key = peer.has_preshared_key();
  if (peer.endpoint) status.endpoint = peer.endpoint->literal();
  status.allowed_ips = peer.allowed_ips;
  status.type = peer.type;
  status.suite = peer.suite;
  status.persistent_keepalive_s = peer.persistent_keepalive_s;
  status.up_mbps = peer.limits.up_mbps;
  status.down_mbps = peer.limits.down_mbps;
  return status;
}

PortStatus port_status(std::string name, const io::Port& port) {
  const io::PortCounters& counters = port.counters();
  PortStatus status;
  status.name = std::move(name);
  status.description = port.describe();
  status.rx_packets = counters.rx_packets.value();
  status.rx_bytes = counters.rx_bytes.value();
  status.rx_bursts = counters.rx_bursts.value();
  status.tx_packets = counters.tx_packets.value();
  status.tx_bytes = counters.tx_bytes.value();
  status.tx_bursts = counters.tx_bursts.value();
  status.tx_dropped = counters.tx_dropped.value();
  return status;
}

void add_drops(std::vector<LabelledCount>& drops, const DropCounters& counters) {
  drops.resize(kDropReasonCount);
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    drops[i].label = kDropReasonTexts[i].label;
    drops[i].count += counters.value(static_cast<DropReason>(i));
  }
}

Json status_to_json(const NodeStatus& status) {
  return json_codec::encode(status);
}
Json status_to_json(const PeerStatus& status) {
  return json_codec::encode(status);
}

Result<NodeStatus> status_from_json(const Json& json) {
  return json_codec::decode_or_error<NodeStatus>(json, "status");
}

}  // namespace ringway::control
