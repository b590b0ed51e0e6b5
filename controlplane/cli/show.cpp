#include "controlplane/cli/show.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>

#include <nlohmann/json.hpp>

#include "controlplane/keys.hpp"

namespace ringway::control::cli {
namespace {

template <typename List>
std::string joined(const List& list, std::string_view separator) {
  std::string text;
  for (const auto& element : list) {
    if (!text.empty()) text += separator;
    text += element.to_string();
  }
  return text;
}

std::string hex_mark(std::uint32_t mark) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "0x%x", mark);
  return text.data();
}

std::string endpoint_text(const PeerStatus& peer) {
  return peer.endpoint ? peer.endpoint->to_string() : "(none)";
}

// Newest handshake first, as wg sorts them; those without one last, in the file's order.
std::vector<const PeerStatus*> by_handshake(const NodeStatus& status) {
  std::vector<const PeerStatus*> peers;
  for (const PeerStatus& peer : status.peers)
    peers.push_back(&peer);
  std::ranges::stable_sort(peers, std::greater<>(), &PeerStatus::latest_handshake_unix_s);
  return peers;
}

class Lines {
 public:
  explicit Lines(const Palette& palette) : palette_(palette) {}
  void line(std::string_view name, const std::string& value) {
    text += "  " + palette_.bold(std::string(name) + ":") + " " + value + "\n";
  }
  std::string text;

 private:
  const Palette& palette_;
};

std::string handshake_age(const PeerStatus& peer, const Palette& palette) {
  if (*peer.latest_handshake_age_s == 0) return "Now";
  return duration_text(*peer.latest_handshake_age_s, palette) + " ago";
}

std::string limit_text(std::uint32_t mbps) {
  return mbps == 0 ? "none" : std::to_string(mbps) + " Mbit/s";
}

std::string show_peer(const PeerStatus& peer, const Palette& palette) {
  Lines lines(palette);
  lines.text = "\n" + palette.yellow(palette.bold("peer")) + ": " +
               palette.yellow(key_to_text(peer.public_key)) + "\n";
  lines.line("name", peer.name);
  if (peer.preshared_key) lines.line("preshared key", "(hidden)");
  if (peer.endpoint) lines.line("endpoint", peer.endpoint->to_string());
  lines.line("allowed ips", peer.allowed_ips.empty() ? "(none)" : joined(peer.allowed_ips, ", "));
  if (peer.type == PeerType::kRingway) {
    lines.line("cipher suite", std::string(tunnel::suite_name(peer.suite)));
  }
  if (peer.latest_handshake_age_s) {
    lines.line("latest handshake", handshake_age(peer, palette));
  }
  if (peer.rx_bytes != 0 || peer.tx_bytes != 0) {
    lines.line("transfer", bytes_text(peer.rx_bytes, palette) + " received, " +
                               bytes_text(peer.tx_bytes, palette) + " sent");
  }
  if (peer.up_mbps != 0 || peer.down_mbps != 0) {
    lines.line("limits", limit_text(peer.up_mbps) + " up, " + limit_text(peer.down_mbps) + " down");
  }
  if (peer.persistent_keepalive_s != 0) {
    lines.line("persistent keepalive",
               "every " + duration_text(peer.persistent_keepalive_s, palette));
  }
  return lines.text;
}

// --- fields ---

std::string keepalive_text(const PeerStatus& peer) {
  return peer.persistent_keepalive_s == 0 ? "off" : std::to_string(peer.persistent_keepalive_s);
}
std::string allowed_ips_text(const PeerStatus& peer, std::string_view separator) {
  return peer.allowed_ips.empty() ? "(none)" : joined(peer.allowed_ips, separator);
}
std::string preshared_key_text(const PeerStatus& peer) {
  return peer.preshared_key ? "(hidden)" : "(none)";
}
std::string transfer_text(const PeerStatus& peer) {
  return std::to_string(peer.rx_bytes) + "\t" + std::to_string(peer.tx_bytes);
}
std::string mark_text(const NodeStatus& status) {
  return status.fwmark == 0 ? "off" : hex_mark(status.fwmark);
}

std::string dump_node(const NodeStatus& status) {
  return "(hidden)\t" + key_to_text(status.public_key) + "\t" + std::to_string(status.listen_port) +
         "\t" + mark_text(status);
}
std::string dump_peer(const PeerStatus& peer) {
  return key_to_text(peer.public_key) + "\t" + preshared_key_text(peer) + "\t" +
         endpoint_text(peer) + "\t" + allowed_ips_text(peer, ",") + "\t" +
         std::to_string(peer.latest_handshake_unix_s) + "\t" + transfer_text(peer) + "\t" +
         keepalive_text(peer);
}

// A field of the node, of each peer, or (dump) of both.
struct Field {
  std::string_view name;
  std::string (*of_node)(const NodeStatus&);
  std::string (*of_peer)(const PeerStatus&);
  std::vector<std::string_view> json_names;  // members of the node's or the peer's JSON
};

const std::vector<Field>& fields() {
  static const std::vector<Field> all = {
      {"public-key",
       [](const NodeStatus& s) { return key_to_text(s.public_key); },
       nullptr,
       {"public_key"}},
      {"private-key", [](const NodeStatus&) { return std::string("(hidden)"); }, nullptr, {}},
      {"listen-port",
       [](const NodeStatus& s) { return std::to_string(s.listen_port); },
       nullptr,
       {"listen_port"}},
      {"fwmark", mark_text, nullptr, {"fwmark"}},
      {"peers", nullptr, [](const PeerStatus& p) { return key_to_text(p.public_key); }, {"name"}},
      {"names",
       nullptr,
       [](const PeerStatus& p) { return key_to_text(p.public_key) + "\t" + p.name; },
       {"name"}},
      {"preshared-keys",
       nullptr,
       [](const PeerStatus& p) { return key_to_text(p.public_key) + "\t" + preshared_key_text(p); },
       {"preshared_key"}},
      {"endpoints",
       nullptr,
       [](const PeerStatus& p) { return key_to_text(p.public_key) + "\t" + endpoint_text(p); },
       {"endpoint"}},
      {"allowed-ips",
       nullptr,
       [](const PeerStatus& p) {
         return key_to_text(p.public_key) + "\t" + allowed_ips_text(p, " ");
       },
       {"allowed_ips"}},
      {"latest-handshakes",
       nullptr,
       [](const PeerStatus& p) {
         return key_to_text(p.public_key) + "\t" + std::to_string(p.latest_handshake_unix_s);
       },
       {"latest_handshake_unix_s"}},
      {"transfer",
       nullptr,
       [](const PeerStatus& p) { return key_to_text(p.public_key) + "\t" + transfer_text(p); },
       {"rx_bytes", "tx_bytes"}},
      {"persistent-keepalive",
       nullptr,
       [](const PeerStatus& p) { return key_to_text(p.public_key) + "\t" + keepalive_text(p); },
       {"persistent_keepalive_s"}},
      {"dump", dump_node, dump_peer, {}},
  };
  return all;
}

Result<const Field*> find_field(std::string_view name) {
  for (const Field& field : fields()) {
    if (field.name == name) return &field;
  }
  std::string known;
  for (const Field& field : fields()) {
    known += (known.empty() ? "" : ", ") + std::string(field.name);
  }
  return failure("there is no field '" + std::string(name) + "'", "one of: " + known);
}

// One member as it is, several as an object.
Json pick(const Json& from, const std::vector<std::string_view>& names) {
  if (names.size() == 1) return from.at(std::string(names[0]));
  Json object = Json::object();
  for (const std::string_view name : names)
    object[std::string(name)] = from.at(std::string(name));
  return object;
}

// --- status ---

std::string full_tunnel_text(const FullTunnelStatus& tunnel, const Palette& palette) {
  const std::string name(full_tunnel_state_name(tunnel.state));
  std::string text = tunnel.state == FullTunnelState::kActive    ? palette.green(name)
                     : tunnel.state == FullTunnelState::kBlocked ? palette.red(name)
                                                                 : name;
  if (!tunnel.peer.empty()) text += " through " + tunnel.peer;
  if (!tunnel.detail.empty()) text += " (" + tunnel.detail + ")";
  return text;
}

std::string gateway_text(const GatewayStatus& gateway) {
  if (!gateway.masquerade) return "on, without masquerading";
  std::string text = "masquerading" + (gateway.interface.empty() ? "" : " to " + gateway.interface);
  if (gateway.io == "af_xdp") {
    text +=
        " by AF_XDP (" + gateway.xdp_mode + "), " + std::to_string(gateway.mappings) + " mappings";
  } else {
    text += " by the kernel";
  }
  if (!gateway.io_reason.empty()) text += " (" + gateway.io_reason + ")";
  return text;
}

std::string worker_text(const WorkerStatus& worker) {
  std::string text = worker.poll;
  if (!worker.cpus.empty()) text += ", CPU " + worker.cpus;
  text += ", " + std::to_string(worker.loops) + " loops, " + std::to_string(worker.packets_sealed) +
          " packets sealed, " + std::to_string(worker.packets_opened) + " opened, " +
          std::to_string(worker.handed_over) + " handed over";
  if (!worker.crypto.empty()) text += "; " + worker.crypto;
  return text;
}

std::string port_text(const PortStatus& port, const Palette& palette) {
  std::string text = port.description + "; " + bytes_text(port.rx_bytes, palette) + " received, " +
                     bytes_text(port.tx_bytes, palette) + " sent";
  if (port.tx_dropped != 0) text += ", " + std::to_string(port.tx_dropped) + " dropped";
  return text;
}

// "replayed 7, no_route 1"; what is zero is left out.
std::string counts_text(const std::vector<LabelledCount>& counts) {
  std::string text;
  for (const LabelledCount& count : counts) {
    if (count.count == 0) continue;
    text += (text.empty() ? "" : ", ") + count.label + " " + std::to_string(count.count);
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string render_table(const std::vector<std::vector<std::string>>& rows,
                         const Palette& palette) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    text += (&row == &rows.front() ? palette.bold(line) : line) + "\n";
  }
  return text;
}

std::string duration_text(std::uint64_t seconds, const Palette& palette) {
  struct Unit {
    const char* name;
    std::uint64_t seconds;
  };
  static constexpr Unit units[] = {{"year", std::uint64_t{365} * 86400},
                                   {"day", 86400},
                                   {"hour", 3600},
                                   {"minute", 60},
                                   {"second", 1}};
  std::string text;
  for (const Unit& unit : units) {
    const std::uint64_t count = seconds / unit.seconds;
    seconds %= unit.seconds;
    if (count == 0) continue;
    if (!text.empty()) text += ", ";
    text +=
        std::to_string(count) + " " + palette.cyan(unit.name + std::string(count == 1 ? "" : "s"));
  }
  return text.empty() ? "0 " + palette.cyan("seconds") : text;
}

std::string bytes_text(std::uint64_t bytes, const Palette& palette) {
  if (bytes < 1024) return std::to_string(bytes) + " " + palette.cyan("B");
  static constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB"};
  auto amount = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (amount >= 1024 && unit + 1 < std::size(units)) {
    amount /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f ", amount);
  return text.data() + palette.cyan(units[unit]);
}

std::string render_show(const NodeStatus& status, const Palette& palette) {
  Lines lines(palette);
  lines.text =
      palette.green(palette.bold("interface")) + ": " + palette.green(status.interface) + "\n";
  lines.line("public key", key_to_text(status.public_key));
  lines.line("private key", "(hidden)");
  lines.line("listening port", std::to_string(status.listen_port));
  if (status.fwmark != 0) lines.line("fwmark", hex_mark(status.fwmark));
  for (const PeerStatus* peer : by_handshake(status))
    lines.text += show_peer(*peer, palette);
  return lines.text;
}

const std::vector<std::string>& show_fields() {
  static const std::vector<std::string> all_names = [] {
    std::vector<std::string> names;
    for (const Field& field : fields())
      names.emplace_back(field.name);
    return names;
  }();
  return all_names;
}

Result<std::string> render_field(const NodeStatus& status, std::string_view name,
                                 bool interface_first) {
  const auto field = find_field(name);
  if (!field) return tl::unexpected(field.error());
  const std::string before = interface_first ? status.interface + "\t" : "";
  std::string text;
  if ((*field)->of_node != nullptr) text += before + (*field)->of_node(status) + "\n";
  if ((*field)->of_peer != nullptr) {
    for (const PeerStatus& peer : status.peers)
      text += before + (*field)->of_peer(peer) + "\n";
  }
  return text;
}

Result<Json> field_to_json(const NodeStatus& status, std::string_view name) {
  const auto field = find_field(name);
  if (!field) return tl::unexpected(field.error());
  if (name == "dump") return status_to_json(status);
  if (name == "private-key") return Json(nullptr);
  if ((*field)->of_node != nullptr) return pick(status_to_json(status), (*field)->json_names);
  Json object = Json::object();
  for (const PeerStatus& peer : status.peers) {
    object[key_to_text(peer.public_key)] = pick(status_to_json(peer), (*field)->json_names);
  }
  return object;
}

std::string render_status(const NodeStatus& status, const Palette& palette) {
  const auto established =
      std::ranges::count(status.peers, SessionState::kEstablished, &PeerStatus::session);
  Lines lines(palette);
  lines.text = palette.green(palette.bold(status.interface)) + ": " +
               std::string(node_state_name(status.state)) + " for " +
               duration_text(status.uptime_s, palette) + " (ringwayd " + status.version + ", pid " +
               std::to_string(status.pid) + ")\n";
  lines.line("configuration", status.config);
  lines.line("addresses", status.addresses.empty() ? "(none)" : joined(status.addresses, ", "));
  lines.line("mtu", std::to_string(status.mtu));
  lines.line("public key", key_to_text(status.public_key));
  lines.line("listening port", std::to_string(status.listen_port));
  lines.line("full tunnel", full_tunnel_text(status.full_tunnel, palette));
  if (status.gateway.enabled) lines.line("gateway", gateway_text(status.gateway));
  lines.line("peers", std::to_string(status.peers.size()) + ", " + std::to_string(established) +
                          " with a session");
  for (std::size_t i = 0; i < status.workers.size(); ++i) {
    const bool several = status.workers.size() > 1;
    lines.line(several ? "worker " + std::to_string(i) : "worker", worker_text(status.workers[i]));
  }
  for (const PortStatus& port : status.ports) {
    lines.line(port.name + " port", port_text(port, palette));
    if (!port.steering.empty()) lines.line(port.name + " steering", counts_text(port.steering));
    if (!port.ring_losses.empty()) {
      lines.line(port.name + " ring losses", counts_text(port.ring_losses));
    }
  }
  lines.line("dropped packets", counts_text(status.drops));
  lines.line("handshakes", counts_text(status.handshakes));
  return lines.text;
}

std::string render_peers(const NodeStatus& status, const Palette& palette) {
  const Palette plain(false);  // cells are padded by their length
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "SESSION", "ENDPOINT", "LATEST HANDSHAKE", "RECEIVED", "SENT", "ALLOWED IPS"}};
  for (const PeerStatus& peer : status.peers) {
    rows.push_back({peer.name, std::string(session_state_name(peer.session)), endpoint_text(peer),
                    peer.latest_handshake_age_s ? handshake_age(peer, plain) : "never",
                    bytes_text(peer.rx_bytes, plain), bytes_text(peer.tx_bytes, plain),
                    allowed_ips_text(peer, ", ")});
  }
  return render_table(rows, palette);
}

}  // namespace ringway::control::cli
