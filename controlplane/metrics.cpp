#include "controlplane/metrics.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/keys.hpp"

namespace ringway::control {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Backslash, quote and line end are escaped, as the format demands.
std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

class Text {
 public:
  // Starts a family; its samples follow.
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "ringway_" + std::string(name);
    text_ += "# HELP " + name_ + " " + std::string(help) + "\n";
    text_ += "# TYPE " + name_ + " " + std::string(type) + "\n";
  }
  void sample(const Labels& labels, const std::string& value) {
    text_ += name_;
    const char* before = "{";
    for (const auto& [label, content] : labels) {
      text_ += before + std::string(label) + "=\"" + escaped(content) + "\"";
      before = ",";
    }
    text_ += (labels.empty() ? " " : "} ") + value + "\n";
  }
  void sample(const Labels& labels, std::uint64_t value) { sample(labels, std::to_string(value)); }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

// One family with a sample for each element of a list.
template <typename Element, typename LabelsOf>
void counters(Text& text, std::string_view name, std::string_view help,
              const std::vector<Element>& list, LabelsOf&& labels_of,
              std::uint64_t Element::*member) {
  text.family(name, "counter", help);
  for (const Element& element : list)
    text.sample(labels_of(element), element.*member);
}

void write_node(Text& text, const NodeStatus& status) {
  text.family("info", "gauge", "The node; always 1.");
  text.sample({{"version", status.version},
               {"interface", status.interface},
               {"public_key", key_to_text(status.public_key)}},
              1);
  text.family("up", "gauge", "1 while the node is running.");
  text.sample({}, status.state == NodeState::kRunning ? 1 : 0);
  text.family("start_time_seconds", "gauge", "Start of the node, Unix time.");
  text.sample({}, status.since_unix_s);
  text.family("full_tunnel_state", "gauge", "1 for the state that the full tunnel is in.");
  for (const auto state : {FullTunnelState::kOff, FullTunnelState::kStarting,
                           FullTunnelState::kActive, FullTunnelState::kBlocked}) {
    text.sample({{"state", std::string(full_tunnel_state_name(state))}},
                state == status.full_tunnel.state ? 1 : 0);
  }
}

void write_ports(Text& text, const std::vector<PortStatus>& ports) {
  const auto labels = [](const PortStatus& port) { return Labels{{"port", port.name}}; };
  counters(text, "port_rx_packets_total", "Datagrams received.", ports, labels,
           &PortStatus::rx_packets);
  counters(text, "port_rx_bytes_total", "Bytes received.", ports, labels, &PortStatus::rx_bytes);
  counters(text, "port_rx_bursts_total", "Receive calls that brought something.", ports, labels,
           &PortStatus::rx_bursts);
  counters(text, "port_tx_packets_total", "Datagrams sent.", ports, labels,
           &PortStatus::tx_packets);
  counters(text, "port_tx_bytes_total", "Bytes sent.", ports, labels, &PortStatus::tx_bytes);
  counters(text, "port_tx_bursts_total", "Send calls.", ports, labels, &PortStatus::tx_bursts);
  counters(text, "port_tx_dropped_total", "Datagrams that the device refused.", ports, labels,
           &PortStatus::tx_dropped);
  text.family("steered_packets_total", "counter",
              "Packets of an AF_XDP port's device, by why they came to it or went to the kernel.");
  for (const PortStatus& port : ports) {
    for (const LabelledCount& reason : port.steering)
      text.sample({{"port", port.name}, {"reason", reason.label}}, reason.count);
  }
  text.family("port_ring_losses_total", "counter",
              "What the kernel lost at an AF_XDP port's rings, by its own counters.");
  for (const PortStatus& port : ports) {
    for (const LabelledCount& reason : port.ring_losses)
      text.sample({{"port", port.name}, {"reason", reason.label}}, reason.count);
  }
}

void write_gateway(Text& text, const GatewayStatus& gateway) {
  if (gateway.nat != "ringway") return;
  text.family("nat_mappings", "gauge", "Live mappings of the NAT.");
  text.sample({}, gateway.mappings);
  text.family("nat_blocks_in_use", "gauge", "Port blocks that subscribers hold.");
  text.sample({}, gateway.blocks_in_use);
  text.family("nat_blocks", "gauge", "Port blocks that there are.");
  text.sample({}, gateway.blocks_total);
  text.family("nat_block_events_lost_total", "counter", "Port blocks missing in the NAT's log.");
  text.sample({}, gateway.block_events_lost);
}

void write_workers(Text& text, const std::vector<WorkerStatus>& workers) {
  // A worker's label is its place in the list.
  const auto labels = [&](const WorkerStatus& worker) {
    return Labels{{"worker", std::to_string(&worker - workers.data())}};
  };
  counters(text, "worker_loops_total", "Turns of the worker's loop.", workers, labels,
           &WorkerStatus::loops);
  counters(text, "worker_idle_loops_total", "Turns without a packet.", workers, labels,
           &WorkerStatus::idle_loops);
  counters(text, "worker_sleeps_total", "Waits for something to do.", workers, labels,
           &WorkerStatus::sleeps);
  counters(text, "worker_sealed_packets_total", "Packets encrypted.", workers, labels,
           &WorkerStatus::packets_sealed);
  counters(text, "worker_opened_packets_total", "Packets decrypted and accepted.", workers, labels,
           &WorkerStatus::packets_opened);
  counters(text, "worker_handed_over_total",
           "Packets and trains passed to the worker that they belong to.", workers, labels,
           &WorkerStatus::handed_over);
}

void write_counts(Text& text, const NodeStatus& status) {
  text.family("dropped_packets_total", "counter", "Packets not forwarded, by reason.");
  for (const LabelledCount& drop : status.drops)
    text.sample({{"reason", drop.label}}, drop.count);
  text.family("handshake_messages_total", "counter", "Handshake messages, by verdict.");
  for (const LabelledCount& verdict : status.handshakes) {
    text.sample({{"verdict", verdict.label}}, verdict.count);
  }
}

void write_peers(Text& text, const std::vector<PeerStatus>& peers) {
  const auto labels = [](const PeerStatus& peer) {
    return Labels{{"peer", peer.name}, {"public_key", key_to_text(peer.public_key)}};
  };
  text.family("peers", "gauge", "Configured peers.");
  text.sample({}, peers.size());
  counters(text, "peer_rx_bytes_total", "Bytes received from the peer.", peers, labels,
           &PeerStatus::rx_bytes);
  counters(text, "peer_tx_bytes_total", "Bytes sent to the peer.", peers, labels,
           &PeerStatus::tx_bytes);
  counters(text, "peer_rx_packets_total", "Packets received from the peer.", peers, labels,
           &PeerStatus::rx_packets);
  counters(text, "peer_tx_packets_total", "Packets sent to the peer.", peers, labels,
           &PeerStatus::tx_packets);
  text.family("peer_session_established", "gauge", "1 while there is a session with the peer.");
  for (const PeerStatus& peer : peers) {
    text.sample(labels(peer), peer.session == SessionState::kEstablished ? 1 : 0);
  }
  text.family("peer_latest_handshake_seconds", "gauge",
              "Latest handshake, Unix time; 0 when there was none.");
  for (const PeerStatus& peer : peers)
    text.sample(labels(peer), peer.latest_handshake_unix_s);
  text.family("peer_handshake_age_seconds", "gauge",
              "Time since the latest handshake; absent when there was none.");
  for (const PeerStatus& peer : peers) {
    if (peer.latest_handshake_age_s) text.sample(labels(peer), *peer.latest_handshake_age_s);
  }
}

}  // namespace

std::string metrics_text(const NodeStatus& status) {
  Text text;
  write_node(text, status);
  write_gateway(text, status.gateway);
  write_ports(text, status.ports);
  write_workers(text, status.workers);
  write_counts(text, status);
  write_peers(text, status.peers);
  return text.take();
}

}  // namespace ringway::control
