// A snapshot of a running node, for people, metrics and `--json`: plain values, filled by the
// control thread, turned into JSON and back. The names in JSON are the names of the members here
// and stay stable; a reader ignores names that it does not know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "controlplane/config.hpp"
#include "dataplane/drop_reasons.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::io {
class Port;
}

namespace ringway::control {

// Objects keep the order in which they were filled.
using Json = nlohmann::ordered_json;

enum class NodeState : std::uint8_t { kStarting, kRunning, kStopping };
// "starting", "running", "stopping"
[[nodiscard]] std::string_view node_state_name(NodeState state);

enum class FullTunnelState : std::uint8_t { kOff, kStarting, kActive, kBlocked };
// "off", "starting", "active", "blocked": closed, nothing leaves but the node's own packets
[[nodiscard]] std::string_view full_tunnel_state_name(FullTunnelState state);

enum class SessionState : std::uint8_t { kNone, kHandshaking, kEstablished, kExpired };
// "none", "handshaking", "established", "expired"
[[nodiscard]] std::string_view session_state_name(SessionState state);

// In JSON an object: {"label": count, ...}.
struct LabelledCount {
  std::string label;
  std::uint64_t count = 0;
  bool operator==(const LabelledCount&) const = default;
};

struct FullTunnelStatus {
  FullTunnelState state = FullTunnelState::kOff;
  std::string peer;    // the one that carries it
  std::string detail;  // one line for a person, or empty
  bool operator==(const FullTunnelStatus&) const = default;
};

struct GatewayStatus {
  bool enabled = false;
  bool masquerade = false;
  std::string interface;  // towards the Internet
  std::string io;         // in use: "kernel" or "af_xdp"
  std::string io_reason;
  std::string xdp_mode;        // with af_xdp: "native", "generic"; "off": a program was taken off
  std::string nat;             // "kernel", "ringway"; empty without masquerading
  std::uint64_t mappings = 0;  // live, of our own NAT
  std::uint64_t blocks_in_use = 0;  // of external ports
  std::uint64_t blocks_total = 0;
  std::uint64_t block_events_lost = 0;  // missing in the log
  std::string nat_log;                  // path; empty: none
  bool operator==(const GatewayStatus&) const = default;
};

// Packets are datagrams: a train counts its segments. Bytes as in io::PortCounters.
struct PortStatus {
  std::string name;  // "inner", "outer", an interface; behind it "/" and a number, if several
  std::string description;  // "tun ringway0: vnet_hdr, TSO4, TSO6"
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t rx_bursts = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t tx_bursts = 0;
  std::uint64_t tx_dropped = 0;
  // Of AF_XDP: every reason of bpf/shared.h for which a packet came here or went to the kernel.
  std::vector<LabelledCount> steering{};
  std::vector<LabelledCount> ring_losses{};  // likewise, what the kernel lost at the port's rings
  bool operator==(const PortStatus&) const = default;
};

struct WorkerStatus {
  std::string poll;              // "adaptive", "busy"
  std::optional<unsigned> cpu;   // pinned there
  std::string cpus;              // where the kernel may run it: "0-3,6"
  std::string crypto;            // engines: "aes256gcm: ipsec-mb (AVX512); ..."
  std::uint64_t loops = 0;       // turns of the worker's loop
  std::uint64_t idle_loops = 0;  // of these, without a packet
  std::uint64_t sleeps = 0;      // waits in epoll
  std::uint64_t packets_sealed = 0;
  std::uint64_t packets_opened = 0;
  std::uint64_t handed_over = 0;  // to other workers, whose they were; trains as one
  bool operator==(const WorkerStatus&) const = default;
};

struct PeerStatus {
  std::string name;
  tunnel::PublicKey public_key{};
  bool preshared_key = false;  // there is one
  std::optional<net::Endpoint> endpoint;
  std::vector<net::Prefix> allowed_ips;
  PeerType type = PeerType::kWireguard;
  tunnel::Suite suite = tunnel::Suite::kChaCha20Poly1305;
  std::uint16_t persistent_keepalive_s = 0;  // 0: off
  std::uint32_t up_mbps = 0;                 // bandwidth limits; 0: none
  std::uint32_t down_mbps = 0;
  SessionState session = SessionState::kNone;
  std::uint64_t latest_handshake_unix_s = 0;            // 0: never
  std::optional<std::uint64_t> latest_handshake_age_s;  // unset: never
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;  // outer, as wg counts them
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;
  bool operator==(const PeerStatus&) const = default;
};

struct NodeStatus {
  std::string version;
  std::int64_t pid = 0;
  std::string config;  // path of the file
  std::string interface;
  std::vector<InterfaceAddress> addresses;
  std::uint16_t mtu = 0;
  tunnel::PublicKey public_key{};
  std::uint16_t listen_port = 0;  // as bound
  std::uint32_t fwmark = 0;       // 0: none
  NodeState state = NodeState::kStarting;
  std::uint64_t since_unix_s = 0;  // start of the node
  std::uint64_t uptime_s = 0;
  FullTunnelStatus full_tunnel;
  GatewayStatus gateway;
  std::vector<PortStatus> ports;
  std::vector<WorkerStatus> workers;
  std::vector<LabelledCount> drops;       // every reason of dataplane/drop_reasons.hpp
  std::vector<LabelledCount> handshakes;  // by verdict
  std::vector<PeerStatus> peers;
  bool operator==(const NodeStatus&) const = default;
};

// What the configuration says already: everything but counters, states and times.
[[nodiscard]] NodeStatus status_from_config(const Config& config);
[[nodiscard]] PeerStatus status_from_config(const PeerConfig& peer);
[[nodiscard]] PortStatus port_status(std::string name, const io::Port& port);
// One count for each reason, in their order; several workers' counters add up.
void add_drops(std::vector<LabelledCount>& drops, const DropCounters& counters);

[[nodiscard]] Json status_to_json(const NodeStatus& status);
[[nodiscard]] Json status_to_json(const PeerStatus& status);
// Names that are missing keep their defaults; a value of the wrong kind is an error that names it.
[[nodiscard]] Result<NodeStatus> status_from_json(const Json& json);

}  // namespace ringway::control
