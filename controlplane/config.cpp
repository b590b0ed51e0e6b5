// The parts of the configuration that need neither TOML nor the host: texts of values, and the
// rules that a file and a run-time change share.
#include "controlplane/config.hpp"

#include <algorithm>
#include <charconv>

#include "controlplane/keys.hpp"

namespace ringway::control {
namespace {

constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ less the terminator
constexpr std::size_t kMaxPeerName = 63;
constexpr std::size_t kMaxHostName = 253;  // RFC 1035 section 2.3.4, in text
constexpr std::size_t kMaxHostLabel = 63;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_plain_name(std::string_view name, std::size_t longest) {
  if (name.empty() || name.size() > longest || name == "." || name == "..") return false;
  return std::ranges::all_of(
      name, [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_host_label(std::string_view label) {
  if (label.empty() || label.size() > kMaxHostLabel) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::ranges::all_of(
      label, [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; });
}

// A name of the DNS. Its last label is not a number, so that "192.0.2.300" is not taken for one.
bool is_host_name(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  if (name.empty() || name.size() > kMaxHostName) return false;
  for (;;) {
    const std::size_t dot = name.find('.');
    if (!is_host_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return !std::ranges::all_of(name, is_digit);
    name.remove_prefix(dot + 1);
  }
}

bool is_zero(const tunnel::PresharedKey& key) {
  return key == tunnel::PresharedKey();
}

}  // namespace

Result<InterfaceAddress> InterfaceAddress::parse(std::string_view text) {
  const auto network = net::Prefix::parse(text);
  const auto address = net::IpAddress::parse(text.substr(0, text.find('/')));
  if (!network || !address) {
    return failure("'" + std::string(text) + "' is not an interface address",
                   "expected something like 10.77.0.2/24 or fd77::2/64");
  }
  return InterfaceAddress{*address, network->length};
}

net::Prefix InterfaceAddress::network() const {
  return net::Prefix::parse(to_string()).value();
}

std::string InterfaceAddress::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

Result<PeerEndpoint> PeerEndpoint::parse(std::string_view text) {
  if (const auto literal = net::Endpoint::parse(text)) {
    return PeerEndpoint{literal->address.to_string(), literal->port};
  }
  const std::size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  if (colon != std::string_view::npos && is_host_name(host)) {
    // The port by the same rules as an address's.
    const auto port = net::Endpoint::parse("192.0.2.1" + std::string(text.substr(colon)));
    if (port) return PeerEndpoint{std::string(host), port->port};
  }
  return failure("'" + std::string(text) + "' is not an endpoint",
                 "expected something like 192.0.2.1:51820, [2001:db8::1]:51820 or "
                 "gateway.example.org:51820");
}

std::optional<net::Endpoint> PeerEndpoint::literal() const {
  const auto address = net::IpAddress::parse(host);
  if (!address) return std::nullopt;
  return net::Endpoint{*address, port};
}

std::string PeerEndpoint::to_string() const {
  const bool bracketed = host.find(':') != std::string::npos;
  return (bracketed ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string_view peer_type_name(PeerType type) {
  return type == PeerType::kRingway ? "ringway" : "wireguard";
}

Result<PeerType> parse_peer_type(std::string_view text) {
  if (text == "wireguard") return PeerType::kWireguard;
  if (text == "ringway") return PeerType::kRingway;
  return failure("'" + std::string(text) + "' is not a peer type", "expected wireguard or ringway");
}

Result<tunnel::Suite> parse_suite(std::string_view text) {
  for (const auto suite : {tunnel::Suite::kChaCha20Poly1305, tunnel::Suite::kAes256Gcm}) {
    if (text == tunnel::suite_name(suite)) return suite;
  }
  return failure("'" + std::string(text) + "' is not a cipher suite",
                 "expected chacha20poly1305 or aes256gcm");
}

tunnel::Suite default_suite(PeerType type) {
  return type == PeerType::kRingway ? tunnel::Suite::kAes256Gcm : tunnel::Suite::kChaCha20Poly1305;
}

bool PeerConfig::has_preshared_key() const {
  return !is_zero(preshared_key);
}

std::string_view poll_mode_name(PollMode mode) {
  return mode == PollMode::kBusy ? "busy" : "adaptive";
}

std::string_view gateway_io_name(GatewayIo io) {
  static constexpr std::string_view names[] = {"auto", "kernel", "af_xdp"};
  return names[static_cast<std::size_t>(io)];
}

std::string_view log_level_name(LogLevel level) {
  static constexpr std::string_view names[] = {"trace", "debug", "info", "warn", "error"};
  return names[static_cast<std::size_t>(level)];
}

std::string_view log_format_name(LogFormat format) {
  static constexpr std::string_view names[] = {"auto", "text", "journal", "json"};
  return names[static_cast<std::size_t>(format)];
}

const PeerConfig* Config::find_peer(std::string_view name) const {
  const auto found = std::ranges::find(peers, name, &PeerConfig::name);
  return found == peers.end() ? nullptr : &*found;
}

std::string default_api_socket(std::string_view interface) {
  return "/run/ringway/" + std::string(interface) + ".sock";
}

std::string default_state_directory(std::string_view interface) {
  return "/var/lib/ringway/" + std::string(interface);
}

bool is_interface_name(std::string_view name) {
  return is_plain_name(name, kMaxInterfaceName);
}
bool is_peer_name(std::string_view name) {
  return is_plain_name(name, kMaxPeerName);
}

std::string ConfigProblems::text() const {
  std::string text;
  for (const ConfigProblem& problem : list) {
    if (!text.empty()) text += '\n';
    text += path;
    if (problem.line != 0) {
      text += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
    }
    text += ": " + problem.message;
  }
  if (omitted != 0) {
    text += "\n" + path + ": and " + std::to_string(omitted) + " more";
  }
  return text;
}

}  // namespace ringway::control
