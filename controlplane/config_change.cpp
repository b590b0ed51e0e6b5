// How a configuration changes while the node runs: by a reload (diff) or by an edit of one peer.
#include <algorithm>
#include <unordered_map>

#include "controlplane/config.hpp"
#include "controlplane/keys.hpp"

namespace ringway::control {
namespace {

PeerConfig merge(const Config& config, const PeerConfig* existing, const PeerEdit& edit) {
  PeerConfig peer;
  peer.limits = config.gateway.subscriber_limits;
  if (existing != nullptr) peer = *existing;
  peer.name = edit.name;
  if (edit.public_key) peer.public_key = *edit.public_key;
  if (edit.preshared_key) peer.preshared_key = *edit.preshared_key;
  if (edit.endpoint) peer.endpoint = edit.endpoint;
  if (edit.allowed_ips) peer.allowed_ips = *edit.allowed_ips;
  if (edit.persistent_keepalive_s) peer.persistent_keepalive_s = *edit.persistent_keepalive_s;
  if (edit.type && *edit.type != peer.type) {
    peer.type = *edit.type;
    peer.suite = default_suite(peer.type);
  }
  if (edit.suite) peer.suite = *edit.suite;
  if (edit.up_mbps) peer.limits.up_mbps = *edit.up_mbps;
  if (edit.down_mbps) peer.limits.down_mbps = *edit.down_mbps;
  return peer;
}

Result<void> check_against_others(const Config& config, const PeerConfig& peer) {
  for (const PeerConfig& other : config.peers) {
    if (other.name == peer.name) continue;
    if (other.public_key == peer.public_key) {
      return failure("peer '" + peer.name + "' has the same public key as peer '" + other.name +
                     "'");
    }
    for (const net::Prefix& prefix : peer.allowed_ips) {
      if (std::ranges::find(other.allowed_ips, prefix) == other.allowed_ips.end()) continue;
      return failure(
          prefix.to_string() + " is in the allowed IPs of peer '" + other.name + "' already",
          "take it from that peer first");
    }
  }
  return {};
}

class RestartList {
 public:
  explicit RestartList(std::vector<std::string>& list) : list_(list) {}

  void compare(std::string_view key, std::string_view before, std::string_view now) {
    if (before == now) return;
    const auto shown = [](std::string_view value) {
      return value.empty() ? std::string("unset") : std::string(value);
    };
    list_.push_back(std::string(key) + ": " + shown(before) + " -> " + shown(now));
  }
  void compare(std::string_view key, std::uint32_t before, std::uint32_t now) {
    compare(key, std::to_string(before), std::to_string(now));
  }
  void compare(std::string_view key, bool before, bool now) {
    compare(key, std::string_view(before ? "true" : "false"),
            std::string_view(now ? "true" : "false"));
  }

 private:
  std::vector<std::string>& list_;
};

std::string join_addresses(const std::vector<InterfaceAddress>& addresses) {
  std::string text;
  for (const InterfaceAddress& address : addresses) {
    text += (text.empty() ? "" : ", ") + address.to_string();
  }
  return text;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string join_numbers(const std::vector<unsigned>& numbers) {
  std::string text;
  for (const unsigned number : numbers)
    text += (text.empty() ? "" : ", ") + std::to_string(number);
  return text;
}

void compare_settings(const Config& before, const Config& now, RestartList restart) {
  const InterfaceConfig& a = before.interface;
  const InterfaceConfig& b = now.interface;
  restart.compare("interface.name", a.name, b.name);
  if (!(a.private_key == b.private_key)) {
    restart.compare("interface.private_key_file", key_to_text(a.public_key) + " (public key)",
                    key_to_text(b.public_key));
  }
  restart.compare("interface.listen_port", std::uint32_t{a.listen_port},
                  std::uint32_t{b.listen_port});
  restart.compare("interface.addresses", join_addresses(a.addresses), join_addresses(b.addresses));
  restart.compare("interface.mtu", std::uint32_t{a.mtu}, std::uint32_t{b.mtu});
  restart.compare("interface.fwmark", a.fwmark, b.fwmark);
  restart.compare("worker.count", static_cast<std::uint32_t>(before.worker.count),
                  static_cast<std::uint32_t>(now.worker.count));
  restart.compare("worker.poll", poll_mode_name(before.worker.poll),
                  poll_mode_name(now.worker.poll));
  restart.compare("worker.cpu", join_numbers(before.worker.cpus), join_numbers(now.worker.cpus));
  restart.compare("edge.full_tunnel", before.edge.full_tunnel, now.edge.full_tunnel);
  restart.compare("gateway.masquerade", before.gateway.masquerade, now.gateway.masquerade);
  restart.compare("gateway.interface", before.gateway.interface, now.gateway.interface);
  restart.compare("gateway.io", gateway_io_name(before.gateway.io),
                  gateway_io_name(now.gateway.io));
  restart.compare("gateway.xdp_interfaces", join(before.gateway.xdp_interfaces),
                  join(now.gateway.xdp_interfaces));
  restart.compare("gateway.xdp_frames", before.gateway.xdp_frames, now.gateway.xdp_frames);
  restart.compare("gateway.nat_log", before.gateway.nat_log, now.gateway.nat_log);
  restart.compare("api.socket", before.api.socket, now.api.socket);
  restart.compare("api.group", before.api.group, now.api.group);
  const auto listen = [](const MetricsConfig& metrics) {
    return metrics.listen ? metrics.listen->to_string() : std::string();
  };
  restart.compare("metrics.listen", listen(before.metrics), listen(now.metrics));
  restart.compare("log.format", log_format_name(before.log.format),
                  log_format_name(now.log.format));
  restart.compare("state.directory", before.state.directory, now.state.directory);
}

PeerChange compare_peer(const PeerConfig& before, const PeerConfig& now) {
  PeerChange change;
  change.now = now;
  change.handshake = !(before.preshared_key == now.preshared_key) || before.type != now.type ||
                     before.suite != now.suite;
  change.endpoint = before.endpoint != now.endpoint;
  change.allowed_ips = before.allowed_ips != now.allowed_ips;
  change.keepalive = before.persistent_keepalive_s != now.persistent_keepalive_s;
  change.limits = before.limits != now.limits;
  return change;
}

}  // namespace

std::optional<std::string> peer_contradiction(const PeerConfig& peer) {
  if (peer.type == PeerType::kWireguard && peer.suite != tunnel::Suite::kChaCha20Poly1305) {
    return "stock WireGuard knows only chacha20poly1305; aes256gcm needs type = \"ringway\" at "
           "both ends";
  }
  return std::nullopt;
}

Result<PeerConfig> apply_peer_edit(const Config& config, const PeerEdit& edit) {
  if (!is_peer_name(edit.name)) {
    return failure("'" + edit.name + "' is not a peer name",
                   "expected 1 to 63 letters, digits, '_', '.' or '-'");
  }
  const PeerConfig* existing = config.find_peer(edit.name);
  if (existing == nullptr && !edit.public_key) {
    return failure("there is no peer '" + edit.name + "'", "a new peer needs a public key");
  }
  if (existing == nullptr && config.peers.size() >= kMaxPeers) {
    return failure("there are " + std::to_string(kMaxPeers) + " peers already");
  }
  PeerConfig peer = merge(config, existing, edit);
  if (peer.public_key == config.interface.public_key) {
    return failure("the public key of peer '" + peer.name + "' is this node's own");
  }
  if (is_low_order(peer.public_key)) {
    return failure("the public key of peer '" + peer.name + "' is none that a peer can have");
  }
  if (const auto contradiction = peer_contradiction(peer)) {
    return failure("peer '" + peer.name + "': " + *contradiction);
  }
  if (peer.limits.up_mbps > kMaxLimitMbps || peer.limits.down_mbps > kMaxLimitMbps) {
    return failure("peer '" + peer.name + "': a bandwidth limit is out of range",
                   "expected 0 to " + std::to_string(kMaxLimitMbps) + " Mbit/s; 0 is none");
  }
  if (const auto allowed = check_against_others(config, peer); !allowed) {
    return tl::unexpected(allowed.error());
  }
  return peer;
}

bool ConfigDiff::empty() const {
  return removed.empty() && changed.empty() && added.empty() && !log_level && needs_restart.empty();
}

ConfigDiff diff_config(const Config& old_config, const Config& new_config) {
  ConfigDiff diff;
  std::unordered_map<std::string, const PeerConfig*> before;  // by name
  for (const PeerConfig& peer : old_config.peers)
    before.emplace(peer.name, &peer);
  for (const PeerConfig& peer : new_config.peers) {
    const auto found = before.find(peer.name);
    if (found == before.end() || found->second->public_key != peer.public_key) {
      diff.added.push_back(peer);
      continue;  // one with the old key stays in `before` and is removed
    }
    if (!(*found->second == peer)) diff.changed.push_back(compare_peer(*found->second, peer));
    before.erase(found);
  }
  for (const PeerConfig& peer : old_config.peers) {
    if (before.contains(peer.name)) diff.removed.push_back(peer.name);
  }
  diff.log_level = old_config.log.level != new_config.log.level;
  compare_settings(old_config, new_config, RestartList(diff.needs_restart));
  return diff;
}

}  // namespace ringway::control
