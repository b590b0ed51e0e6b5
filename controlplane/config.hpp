// What a node is told to be: the configuration file (TOML), read strictly into plain structs, its
// meaning checked, and the difference between two of them for a reload. packaging/
// ringway.toml.example documents every key. No other file of Ringway knows TOML.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "dataplane/rate_limit.hpp"
#include "dataplane/tunnel/messages.hpp"

namespace ringway::control {

inline constexpr std::uint16_t kDefaultListenPort = 51820;  // on gateways; as WireGuard's custom
inline constexpr std::uint16_t kDefaultMtu = 1420;          // 1500 less IPv6, UDP and the tunnel
inline constexpr std::uint16_t kMinMtu = 1280;              // RFC 8200 section 5
inline constexpr std::uint16_t kMaxMtu = 65535 - 40 - 8 - 32;
inline constexpr std::uint32_t kDefaultFwmark = 0x5257;  // "RW"
inline constexpr std::size_t kMaxConfigBytes = 16U << 20;
inline constexpr std::size_t kMaxPeers = 65536;
inline constexpr std::size_t kMaxReportedProblems = 10;

// An address of the tunnel interface and the length of the network it stands in.
struct InterfaceAddress {
  net::IpAddress address;
  std::uint8_t length = 0;

  // "10.77.0.2/24"; a bare address stands alone in its network.
  [[nodiscard]] static Result<InterfaceAddress> parse(std::string_view text);
  [[nodiscard]] net::Prefix network() const;
  [[nodiscard]] std::string to_string() const;
  bool operator==(const InterfaceAddress&) const = default;
};

// Where a peer is first looked for: an address, or a name that is still to be resolved.
struct PeerEndpoint {
  std::string host;  // a DNS name, or the text of an address, without brackets
  std::uint16_t port = 0;

  // "192.0.2.1:51820", "[2001:db8::1]:51820", "gateway.example.org:51820".
  [[nodiscard]] static Result<PeerEndpoint> parse(std::string_view text);
  // Set when the host is an address: nothing to resolve.
  [[nodiscard]] std::optional<net::Endpoint> literal() const;
  [[nodiscard]] std::string to_string() const;
  bool operator==(const PeerEndpoint&) const = default;
};

enum class PeerType : std::uint8_t { kWireguard, kRingway };
[[nodiscard]] std::string_view peer_type_name(PeerType type);
[[nodiscard]] Result<PeerType> parse_peer_type(std::string_view text);
[[nodiscard]] Result<tunnel::Suite> parse_suite(std::string_view text);
// Stock WireGuard peers have one suite; between Ringway nodes AES-256-GCM is the cheaper one.
[[nodiscard]] tunnel::Suite default_suite(PeerType type);

struct PeerConfig {
  std::string name;
  tunnel::PublicKey public_key{};
  tunnel::PresharedKey preshared_key;  // all zero where unset
  std::optional<PeerEndpoint> endpoint;
  std::vector<net::Prefix> allowed_ips;
  std::uint16_t persistent_keepalive_s = 0;  // 0: off
  PeerType type = PeerType::kWireguard;
  tunnel::Suite suite = tunnel::Suite::kChaCha20Poly1305;
  RateLimits limits;  // its own, or the gateway's for all subscribers

  [[nodiscard]] bool has_preshared_key() const;
  [[nodiscard]] bool is_ringway() const { return type == PeerType::kRingway; }
  bool operator==(const PeerConfig&) const = default;
};

struct InterfaceConfig {
  std::string name = "ringway0";
  std::string private_key_file;
  tunnel::PrivateKey private_key;
  tunnel::PublicKey public_key{};  // derived
  std::uint16_t listen_port = 0;   // 0: the kernel chooses
  std::vector<InterfaceAddress> addresses;
  std::uint16_t mtu = kDefaultMtu;
  std::uint32_t fwmark = kDefaultFwmark;  // 0: none
};

enum class PollMode : std::uint8_t { kAdaptive, kBusy };
[[nodiscard]] std::string_view poll_mode_name(PollMode mode);

struct WorkerConfig {
  std::size_t count = 1;
  PollMode poll = PollMode::kAdaptive;
  std::vector<unsigned> cpus;  // each worker's, pinned there; empty: not pinned
};

struct EdgeConfig {
  bool full_tunnel = false;
};

// What moves a gateway's packets between the tunnel and the Internet.
enum class GatewayIo : std::uint8_t {
  kAuto,    // the node decides and says why
  kKernel,  // TUN, the kernel's routing and nftables' masquerade
  kAfXdp,   // the worker itself: AF_XDP, its own NAT
};
[[nodiscard]] std::string_view gateway_io_name(GatewayIo io);

struct GatewayConfig {
  bool enabled = false;  // the section [gateway] is there
  bool masquerade = false;
  std::string interface;  // towards the Internet; empty: by the routing table
  GatewayIo io = GatewayIo::kAuto;
  std::vector<std::string> xdp_interfaces;  // that AF_XDP takes over; empty: `interface`
  std::uint32_t xdp_frames = 0;             // of each worker; 0: as its queues need
  std::string nat_log;                      // path; empty: none
  RateLimits subscriber_limits;             // of peers that name none
};

struct ApiConfig {
  std::string socket;  // default: default_api_socket(interface name)
  std::string group;   // empty: root only
};

struct MetricsConfig {
  std::optional<net::Endpoint> listen;  // loopback; unset: off
};

enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kAuto, kText, kJournal, kJson };
[[nodiscard]] std::string_view log_level_name(LogLevel level);
[[nodiscard]] std::string_view log_format_name(LogFormat format);

struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;  // kJournal under systemd, else kText
};

struct StateConfig {
  std::string directory;  // default: /var/lib/ringway/NAME
};

struct Config {
  std::string path;  // of the file it was read from
  InterfaceConfig interface;
  WorkerConfig worker;
  EdgeConfig edge;
  GatewayConfig gateway;
  std::vector<PeerConfig> peers;
  ApiConfig api;
  MetricsConfig metrics;
  LogConfig log;
  StateConfig state;

  [[nodiscard]] const PeerConfig* find_peer(std::string_view name) const;
};

[[nodiscard]] std::string default_api_socket(std::string_view interface);
[[nodiscard]] std::string default_state_directory(std::string_view interface);

// Letters, digits, '_', '.', '-'; 1 to 15 characters (IFNAMSIZ less the terminator).
[[nodiscard]] bool is_interface_name(std::string_view name);
// Letters, digits, '_', '.', '-'; 1 to 63 characters.
[[nodiscard]] bool is_peer_name(std::string_view name);

// One thing wrong with a configuration. Line and column count from 1; 0 where the whole file is
// meant. The message names the key, what was found and what was expected; never key material.
struct ConfigProblem {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string message;
};

struct ConfigProblems {
  std::string path;
  std::vector<ConfigProblem> list;  // in the order of the file, at most kMaxReportedProblems
  std::size_t omitted = 0;          // further ones

  // A line each: "PATH:LINE:COLUMN: MESSAGE".
  [[nodiscard]] std::string text() const;
};

// What reading a configuration asks of the host; a test or a fuzzer answers itself.
struct ConfigHost {
  std::function<Result<tunnel::PrivateKey>(const std::string& path)> read_private_key;
  std::function<Result<tunnel::PresharedKey>(const std::string& path)> read_preshared_key;
  std::function<bool(const std::string& name)> interface_exists;
  std::function<bool(const std::string& name)> group_exists;
  unsigned cpu_count = 1;
  bool file_is_private = false;  // mode of the configuration: closed to group and others

  [[nodiscard]] static ConfigHost system();
};

// `path` appears in messages, and relative key files are looked for beside it.
[[nodiscard]] tl::expected<Config, ConfigProblems> parse_config(std::string_view text,
                                                                const std::string& path,
                                                                const ConfigHost& host);

[[nodiscard]] tl::expected<Config, ConfigProblems> load_config_or_problems(const std::string& path);
// The same with the problems as one Error: a line each in its message.
[[nodiscard]] Result<Config> load_config(const std::string& path);

// Why the settings of one peer cannot stand together, or nothing.
[[nodiscard]] std::optional<std::string> peer_contradiction(const PeerConfig& peer);

// A change of one peer at run time. What is unset stays as it is; a new peer needs a public key.
struct PeerEdit {
  std::string name;
  std::optional<tunnel::PublicKey> public_key = {};
  std::optional<tunnel::PresharedKey> preshared_key = {};  // all zero: none from now on
  std::optional<PeerEndpoint> endpoint = {};
  std::optional<std::vector<net::Prefix>> allowed_ips = {};
  std::optional<std::uint16_t> persistent_keepalive_s = {};
  std::optional<PeerType> type = {};
  std::optional<tunnel::Suite> suite = {};
  std::optional<std::uint32_t> up_mbps = {};  // 0: no limit
  std::optional<std::uint32_t> down_mbps = {};
};

// The peer as it is after the edit, checked against the node and its other peers by the rules of
// the configuration file.
[[nodiscard]] Result<PeerConfig> apply_peer_edit(const Config& config, const PeerEdit& edit);

struct PeerChange {
  PeerConfig now;
  bool handshake = false;    // preshared key, type or suite: needs a new session
  bool endpoint = false;     // the configured one; a roamed one goes on
  bool allowed_ips = false;  // routes change
  bool keepalive = false;
  bool limits = false;
};

// What a reload has to do. A peer whose public key changed is removed and added. To be applied in
// the order removed, changed, added, so that prefixes and keys are free before they are taken.
struct ConfigDiff {
  std::vector<std::string> removed;  // names
  std::vector<PeerChange> changed;
  std::vector<PeerConfig> added;
  bool log_level = false;
  // Settings that take effect at the next start only: "interface.mtu: 1420 -> 1380".
  std::vector<std::string> needs_restart;

  [[nodiscard]] bool empty() const;
};

[[nodiscard]] ConfigDiff diff_config(const Config& old_config, const Config& new_config);

}  // namespace ringway::control
