// Reads the configuration file: TOML to Config, with every deviation reported where it stands. Each
// section has a function that reads its keys in the order in which packaging/ringway.toml.example
// documents them; what several peers must not share is checked at the end.
#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "base/ids.hpp"
#include "base/toml_values.hpp"
#include "controlplane/config.hpp"
#include "controlplane/config_schema.hpp"
#include "controlplane/keys.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"

namespace ringway::control {
namespace {

// Of a worker: a few dozen packets, and 2 GiB.
constexpr std::int64_t kLeastXdpFrames = 256;
constexpr std::int64_t kMostXdpFrames = 1 << 20;
constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un less the terminator

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// Where a value would stand and what stands there.
struct Field {
  std::string name;  // "interface.mtu"
  const toml::node* node = nullptr;
  toml::source_position section;

  [[nodiscard]] explicit operator bool() const { return node != nullptr; }
  [[nodiscard]] toml::source_position position() const {
    return node != nullptr ? node->source().begin : section;
  }
};

// A section of the file; absent ones have no table and no fields.
struct Section {
  std::string name;
  const toml::table* table = nullptr;
  bool malformed = false;  // there, but no section; reported already

  [[nodiscard]] Field field(std::string_view key) const {
    Field field{name + "." + std::string(key), nullptr, {}};
    if (table == nullptr) return field;
    field.node = table->get(key);
    field.section = table->source().begin;
    return field;
  }
};

// A peer as read, with what the checks across peers need.
struct ReadPeer {
  PeerConfig config;
  Section section;
  bool has_key = false;
};

class Reader {
 public:
  Reader(const std::string& path, const ConfigHost& host) : host_(host) {
    problems_.path = path;
    config_.path = path;
  }

  tl::expected<Config, ConfigProblems> read(std::string_view text);

 private:
  void read_sections(const toml::table& root);
  void read_interface(const Section& section);
  void read_worker(const Section& section);
  void read_worker_cpus(const Field& field);
  void read_edge(const Section& section);
  void read_gateway(const Section& section);
  void read_gateway_io(const Section& section);
  void expect_interface(const Field& field, const std::string& name);
  void read_api(const Section& section);
  void read_metrics(const Section& section);
  void read_log(const Section& section);
  void read_state(const Section& section);
  void read_peers(const toml::table& root);
  void read_peer(ReadPeer& peer);
  void read_peer_keys(ReadPeer& peer);
  void check_peers_together();
  void check_peer_allowed_ips(const ReadPeer& peer,
                              std::map<net::Prefix, const ReadPeer*>& taken_by);
  void check_full_tunnel(const Field& field);

  Section section(const toml::table& root, std::string_view name);
  void check_keys(const toml::table& table, const SectionSchema& schema);

  std::optional<std::string> text(const Field& field, std::string_view expected);
  template <typename Value>
  void boolean(const Field& field, Value& out);
  template <typename Integer>
  bool integer(const Field& field, std::int64_t low, std::int64_t high, Integer& out);
  void limit(const Field& field, std::uint32_t& mbps) { integer(field, 0, kMaxLimitMbps, mbps); }
  template <typename Choice>
  void choice(const Field& field, std::span<const std::pair<std::string_view, Choice>> choices,
              Choice& out);
  template <typename Handle>
  void texts(const Field& field, std::string_view expected, Handle&& handle);
  std::optional<std::string> absolute_path(const Field& field);
  std::string beside_config(const std::string& file) const;

  void problem(toml::source_position at, std::string message) {
    std::ranges::replace_if(message, is_control, '?');
    all_.push_back({at.line, at.column, std::move(message)});
  }
  void unexpected(const Field& field, std::string_view expected) {
    problem(field.position(), field.name + ": found " + describe(*field.node) + ", expected " +
                                  std::string(expected));
  }
  void error(const Field& field, const Error& error) {
    problem(field.position(), field.name + ": " + error.text());
  }
  void missing(const Field& field, std::string_view expected) {
    problem(field.position(), field.name + ": missing, expected " + std::string(expected));
  }

  const ConfigHost& host_;
  Config config_;
  std::vector<ReadPeer> peers_;
  std::vector<ConfigProblem> all_;
  ConfigProblems problems_;
};

// --- single values ---

std::optional<std::string> Reader::text(const Field& field, std::string_view expected) {
  if (!field) return std::nullopt;
  const auto* value = field.node->as_string();
  if (value == nullptr) {
    unexpected(field, expected);
    return std::nullopt;
  }
  return value->get();
}

template <typename Value>
void Reader::boolean(const Field& field, Value& out) {
  if (!field) return;
  if (const auto* value = field.node->as_boolean()) {
    out = value->get();
  } else {
    unexpected(field, "true or false");
  }
}

template <typename Integer>
bool Reader::integer(const Field& field, std::int64_t low, std::int64_t high, Integer& out) {
  if (!field) return false;
  const auto* value = field.node->as_integer();
  if (value == nullptr || value->get() < low || value->get() > high) {
    unexpected(field, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    return false;
  }
  out = static_cast<Integer>(value->get());
  return true;
}

template <typename Choice>
void Reader::choice(const Field& field,
                    std::span<const std::pair<std::string_view, Choice>> choices, Choice& out) {
  if (!field) return;
  const auto* value = field.node->as_string();
  std::string expected;
  for (const auto& [name, meaning] : choices) {
    if (value != nullptr && value->get() == name) {
      out = meaning;
      return;
    }
    expected += (expected.empty() ? "\"" : " or \"") + std::string(name) + "\"";
  }
  unexpected(field, expected);
}

// Calls handle(text, field of the element) for each text of a list.
template <typename Handle>
void Reader::texts(const Field& field, std::string_view expected, Handle&& handle) {
  if (!field) return;
  const auto* list = field.node->as_array();
  if (list == nullptr) {
    unexpected(field, expected);
    return;
  }
  for (const toml::node& element : *list) {
    const Field one{field.name, &element, field.section};
    if (const auto value = text(one, expected)) handle(*value, one);
  }
}

std::optional<std::string> Reader::absolute_path(const Field& field) {
  auto path = text(field, "an absolute path");
  if (path && (path->empty() || path->front() != '/' || path->find('\0') != std::string::npos)) {
    unexpected(field, "an absolute path");
    return std::nullopt;
  }
  return path;
}

std::string Reader::beside_config(const std::string& file) const {
  const std::size_t slash = config_.path.rfind('/');
  if (file.starts_with('/') || slash == std::string::npos) return file;
  return config_.path.substr(0, slash + 1) + file;
}

// --- sections ---

Section Reader::section(const toml::table& root, std::string_view name) {
  const toml::node* node = root.get(name);
  if (node == nullptr) return {std::string(name), nullptr};
  const auto* table = node->as_table();
  if (table == nullptr) {
    problem(node->source().begin, std::string(name) + ": found " + describe(*node) +
                                      ", expected a section [" + std::string(name) + "]");
    return {std::string(name), nullptr, true};
  }
  check_keys(*table, *find_section(name));
  return {std::string(name), table};
}

void Reader::check_keys(const toml::table& table, const SectionSchema& schema) {
  for (const auto& [key, value] : table) {
    if (!std::ranges::count(schema.keys, key.str())) {
      problem(key.source().begin, std::string(schema.name) + "." + shown(key.str()) +
                                      ": unknown key" + suggest_key(schema, key.str()));
    }
  }
}

void Reader::read_interface(const Section& section) {
  if (section.malformed) return;
  InterfaceConfig& interface = config_.interface;
  const Field name = section.field("name");
  if (const auto value = text(name, "an interface name")) {
    interface.name = *value;
    if (!is_interface_name(*value)) {
      unexpected(name, "an interface name of 1 to 15 letters, digits, '_', '.' or '-'");
    }
  }
  const Field key_file = section.field("private_key_file");
  static constexpr std::string_view expected_file = "the path of a file with the private key";
  if (!key_file) {
    missing(key_file, expected_file);
  } else if (const auto file = text(key_file, expected_file)) {
    interface.private_key_file = beside_config(*file);
    if (auto key = host_.read_private_key(interface.private_key_file); !key) {
      error(key_file, key.error());
    } else if (auto public_key = derive_public_key(*key); !public_key) {
      error(key_file, public_key.error());
    } else {
      interface.private_key = *key;
      interface.public_key = *public_key;
    }
  }
  interface.listen_port = config_.gateway.enabled ? kDefaultListenPort : 0;
  integer(section.field("listen_port"), 0, 65535, interface.listen_port);
  static constexpr std::string_view expected_addresses =
      R"(a list of addresses like ["10.77.0.2/24", "fd77::2/64"])";
  texts(section.field("addresses"), expected_addresses,
        [&](const std::string& value, const Field& field) {
          const auto address = InterfaceAddress::parse(shown(value));
          if (!address) {
            error(field, address.error());
          } else if (std::ranges::count(interface.addresses, *address)) {
            unexpected(field, "each address once");
          } else {
            interface.addresses.push_back(*address);
          }
        });
  integer(section.field("mtu"), kMinMtu, kMaxMtu, interface.mtu);
  integer(section.field("fwmark"), 0, UINT32_MAX, interface.fwmark);
}

void Reader::read_worker(const Section& section) {
  static constexpr std::pair<std::string_view, PollMode> modes[] = {
      {"adaptive", PollMode::kAdaptive}, {"busy", PollMode::kBusy}};
  choice<PollMode>(section.field("poll"), modes, config_.worker.poll);
  integer(section.field("count"), 1, kMaxWorkers, config_.worker.count);
  read_worker_cpus(section.field("cpu"));
}

// A number where there is one worker, a list of one for each where there are several.
void Reader::read_worker_cpus(const Field& field) {
  if (!field) return;
  WorkerConfig& worker = config_.worker;
  const auto read = [&](const Field& one) {
    unsigned cpu = 0;
    if (!integer(one, 0, std::int64_t{host_.cpu_count} - 1, cpu)) return;
    if (std::ranges::count(worker.cpus, cpu) > 0) return unexpected(one, "each CPU once");
    worker.cpus.push_back(cpu);
  };
  const auto* list = field.node->as_array();
  if (list == nullptr) {
    read(field);
  } else {
    for (const toml::node& element : *list)
      read({field.name, &element, field.section});
  }
  const std::size_t given = list == nullptr ? 1 : list->size();
  if (given == worker.count) return;
  problem(field.position(), field.name + ": found " + std::to_string(given) +
                                " for worker.count = " + std::to_string(worker.count) +
                                ", expected a CPU for each worker");
}

void Reader::read_edge(const Section& section) {
  boolean(section.field("full_tunnel"), config_.edge.full_tunnel);
}

void Reader::read_gateway(const Section& section) {
  GatewayConfig& gateway = config_.gateway;
  gateway.enabled = section.table != nullptr;
  boolean(section.field("masquerade"), gateway.masquerade);
  const Field interface = section.field("interface");
  const auto name = text(interface, "the name of an interface");
  if (name && !name->empty()) {
    gateway.interface = *name;
    expect_interface(interface, *name);
  }
  read_gateway_io(section);
  const Field nat_log = section.field("nat_log");
  gateway.nat_log = absolute_path(nat_log).value_or("");
  if (!gateway.nat_log.empty() && gateway.io != GatewayIo::kAfXdp) {
    problem(nat_log.position(),
            "gateway.nat_log: needs gateway.io = \"af_xdp\": the kernel's NAT keeps no log");
  }
  limit(section.field("subscriber_up_mbps"), gateway.subscriber_limits.up_mbps);
  limit(section.field("subscriber_down_mbps"), gateway.subscriber_limits.down_mbps);
}

void Reader::read_gateway_io(const Section& section) {
  GatewayConfig& gateway = config_.gateway;
  static constexpr std::pair<std::string_view, GatewayIo> kinds[] = {
      {"auto", GatewayIo::kAuto}, {"kernel", GatewayIo::kKernel}, {"af_xdp", GatewayIo::kAfXdp}};
  const Field io = section.field("io");
  choice<GatewayIo>(io, kinds, gateway.io);
  const Field interfaces = section.field("xdp_interfaces");
  texts(interfaces, R"(a list of interfaces like ["eth0"])",
        [&](const std::string& name, const Field& field) {
          expect_interface(field, name);
          if (std::ranges::count(gateway.xdp_interfaces, name) > 0) {
            unexpected(field, "each interface once");
          }
          gateway.xdp_interfaces.push_back(name);
        });
  const Field frames = section.field("xdp_frames");
  integer(frames, kLeastXdpFrames, kMostXdpFrames, gateway.xdp_frames);
  if (frames && gateway.io == GatewayIo::kKernel) {
    problem(frames.position(), "gateway.xdp_frames: gateway.io = \"kernel\" has none");
  }
  constexpr std::size_t kMost = forwarding::EthernetLink::kMaxInterfaces;
  if (gateway.xdp_interfaces.size() > kMost) {
    problem(interfaces.position(),
            "gateway.xdp_interfaces: at most " + std::to_string(kMost) + " interfaces");
  }
  if (gateway.io != GatewayIo::kAfXdp) {
    if (interfaces) {
      problem(interfaces.position(), "gateway.xdp_interfaces: needs gateway.io = \"af_xdp\"");
    }
    if (gateway.io == GatewayIo::kAuto && !gateway.interface.empty()) {
      gateway.xdp_interfaces = {gateway.interface};  // should AF_XDP be chosen
    }
    return;
  }
  if (!gateway.masquerade)
    problem(io.position(), "gateway.io: af_xdp needs gateway.masquerade = true");
  if (gateway.interface.empty() && gateway.xdp_interfaces.size() == 1) {
    gateway.interface = gateway.xdp_interfaces.front();
  }
  if (gateway.interface.empty()) {
    problem(io.position(),
            "gateway.io: af_xdp needs gateway.interface, the one towards the Internet");
    return;
  }
  if (gateway.xdp_interfaces.empty()) gateway.xdp_interfaces = {gateway.interface};
  if (std::ranges::count(gateway.xdp_interfaces, gateway.interface) == 0) {
    problem(io.position(), "gateway.interface: '" + shown(gateway.interface) +
                               "' is not among gateway.xdp_interfaces");
  }
}

void Reader::expect_interface(const Field& field, const std::string& name) {
  if (!is_interface_name(name) || !host_.interface_exists(name)) {
    unexpected(field, "an interface that exists (see: ip link)");
  }
}

void Reader::read_api(const Section& section) {
  ApiConfig& api = config_.api;
  const Field socket = section.field("socket");
  if (const auto path = absolute_path(socket)) {
    api.socket = *path;
    if (path->size() > kMaxSocketPath) {
      unexpected(socket, "a path of at most " + std::to_string(kMaxSocketPath) + " characters");
    }
  } else {
    api.socket = default_api_socket(config_.interface.name);
  }
  const Field group = section.field("group");
  const auto name = text(group, "the name of a group");
  if (!name || name->empty()) return;
  api.group = *name;
  if (!host_.group_exists(*name)) unexpected(group, "a group that exists (see: getent group)");
}

void Reader::read_metrics(const Section& section) {
  const Field listen = section.field("listen");
  static constexpr std::string_view expected =
      R"(a loopback address and port like "127.0.0.1:9586" or "[::1]:9586")";
  const auto value = text(listen, expected);
  if (!value || value->empty()) return;
  const auto endpoint = net::Endpoint::parse(*value);
  const bool loopback =
      endpoint && (net::Prefix::parse("127.0.0.0/8")->contains(endpoint->address) ||
                   net::Prefix::parse("::1/128")->contains(endpoint->address));
  if (!loopback) {
    unexpected(listen, expected);
  } else {
    config_.metrics.listen = *endpoint;
  }
}

void Reader::read_log(const Section& section) {
  static constexpr std::pair<std::string_view, LogLevel> levels[] = {{"trace", LogLevel::kTrace},
                                                                     {"debug", LogLevel::kDebug},
                                                                     {"info", LogLevel::kInfo},
                                                                     {"warn", LogLevel::kWarn},
                                                                     {"error", LogLevel::kError}};
  choice<LogLevel>(section.field("level"), levels, config_.log.level);
  static constexpr std::pair<std::string_view, LogFormat> formats[] = {
      {"auto", LogFormat::kAuto},
      {"text", LogFormat::kText},
      {"journal", LogFormat::kJournal},
      {"json", LogFormat::kJson}};
  choice<LogFormat>(section.field("format"), formats, config_.log.format);
}

void Reader::read_state(const Section& section) {
  config_.state.directory = absolute_path(section.field("directory"))
                                .value_or(default_state_directory(config_.interface.name));
}

// --- peers ---

void Reader::read_peers(const toml::table& root) {
  const toml::node* node = root.get("peer");
  if (node == nullptr) return;
  const auto* list = node->as_array();
  const bool tables = list != nullptr && std::ranges::all_of(*list, [](const toml::node& element) {
                        return element.is_table();
                      });
  if (!tables) {
    problem(node->source().begin, "peer: found " + describe(*node) +
                                      ", expected sections [[peer]], in two pairs of brackets");
    return;
  }
  if (list->size() > kMaxPeers) {
    problem(node->source().begin, "peer: found " + std::to_string(list->size()) +
                                      " peers, expected at most " + std::to_string(kMaxPeers));
    return;
  }
  peers_.reserve(list->size());
  for (const toml::node& element : *list) {
    const toml::table& table = *element.as_table();
    check_keys(table, *find_section("peer"));
    ReadPeer& peer = peers_.emplace_back();
    peer.section = {"peer", &table};
    read_peer(peer);
  }
}

void Reader::read_peer(ReadPeer& peer) {
  const Section& section = peer.section;
  const Field name = section.field("name");
  static constexpr std::string_view expected_name =
      "a name of 1 to 63 letters, digits, '_', '.' or '-'";
  if (!name) {
    missing(name, expected_name);
  } else if (const auto value = text(name, expected_name)) {
    peer.config.name = *value;
    if (!is_peer_name(*value)) unexpected(name, expected_name);
  }
  read_peer_keys(peer);

  const Field endpoint = section.field("endpoint");
  if (const auto value = text(endpoint, "an endpoint like \"192.0.2.1:51820\"")) {
    if (auto parsed = PeerEndpoint::parse(shown(*value))) {
      peer.config.endpoint = *parsed;
    } else {
      error(endpoint, parsed.error());
    }
  }
  std::vector<net::Prefix>& allowed_ips = peer.config.allowed_ips;
  texts(section.field("allowed_ips"), R"(a list of prefixes like ["10.77.0.0/24", "fd77::/64"])",
        [&](const std::string& value, const Field& field) {
          const auto prefix = net::Prefix::parse(shown(value));
          if (!prefix) {
            error(field, prefix.error());
          } else if (std::ranges::count(allowed_ips, *prefix) == 0) {
            allowed_ips.push_back(*prefix);
          }
        });
  integer(section.field("persistent_keepalive_s"), 0, 65535, peer.config.persistent_keepalive_s);

  static constexpr std::pair<std::string_view, PeerType> types[] = {
      {"wireguard", PeerType::kWireguard}, {"ringway", PeerType::kRingway}};
  choice<PeerType>(section.field("type"), types, peer.config.type);
  peer.config.suite = default_suite(peer.config.type);
  static constexpr std::pair<std::string_view, tunnel::Suite> suites[] = {
      {"chacha20poly1305", tunnel::Suite::kChaCha20Poly1305},
      {"aes256gcm", tunnel::Suite::kAes256Gcm}};
  const Field suite = section.field("suite");
  choice<tunnel::Suite>(suite, suites, peer.config.suite);
  if (const auto contradiction = peer_contradiction(peer.config)) {
    problem(suite.position(), suite.name + ": " + *contradiction);
  }
  peer.config.limits = config_.gateway.subscriber_limits;
  limit(section.field("up_mbps"), peer.config.limits.up_mbps);
  limit(section.field("down_mbps"), peer.config.limits.down_mbps);
}

void Reader::read_peer_keys(ReadPeer& peer) {
  const Section& section = peer.section;
  const Field public_key = section.field("public_key");
  static constexpr std::string_view expected_key = "the peer's public key: 44 characters of base64";
  if (!public_key) {
    missing(public_key, expected_key);
  } else if (const auto value = text(public_key, expected_key)) {
    const auto key = parse_public_key(*value);
    if (!key) {
      unexpected(public_key, expected_key);
    } else if (is_low_order(*key)) {
      unexpected(public_key, "a key that `ringway pubkey` or `wg pubkey` made");
    } else {
      peer.config.public_key = *key;
      peer.has_key = true;
    }
  }

  const Field file = section.field("preshared_key_file");
  if (const auto path = text(file, "the path of a file with the preshared key")) {
    if (auto key = host_.read_preshared_key(beside_config(*path))) {
      peer.config.preshared_key = *key;
    } else {
      error(file, key.error());
    }
  }
  const Field in_place = section.field("preshared_key");
  if (!in_place) return;
  const auto* value = in_place.node->as_string();
  const auto key = value == nullptr ? failure("") : parse_preshared_key(value->get());
  if (file) {
    problem(in_place.position(),
            "peer.preshared_key: found beside preshared_key_file, expected "
            "one of the two");
  } else if (!key) {
    problem(in_place.position(), "peer.preshared_key: found " + describe_secret(*in_place.node) +
                                     ", expected 44 characters of base64");
  } else if (!host_.file_is_private) {
    problem(in_place.position(),
            "peer.preshared_key: found in a file that group or others may "
            "read, expected preshared_key_file instead (or run: chmod 600 " +
                config_.path + ")");
  } else {
    peer.config.preshared_key = *key;
  }
}

// --- what must fit together ---

void Reader::check_peers_together() {
  std::map<std::string, const ReadPeer*> names;
  std::map<tunnel::PublicKey, const ReadPeer*> keys;
  std::map<net::Prefix, const ReadPeer*> prefixes;
  for (const ReadPeer& peer : peers_) {
    const Field name = peer.section.field("name");
    if (!peer.config.name.empty() && !names.emplace(peer.config.name, &peer).second) {
      unexpected(name, "a name that no other peer has");
    }
    if (peer.has_key) {
      const Field key = peer.section.field("public_key");
      const auto [holder, is_new] = keys.emplace(peer.config.public_key, &peer);
      if (!is_new) {
        problem(key.position(), key.name + ": peers '" + shown(holder->second->config.name) +
                                    "' and '" + shown(peer.config.name) + "' have the same key");
      } else if (peer.config.public_key == config_.interface.public_key) {
        problem(key.position(), key.name + ": found this node's own public key at peer '" +
                                    shown(peer.config.name) + "', expected the peer's");
      }
    }
    check_peer_allowed_ips(peer, prefixes);
  }
}

void Reader::check_peer_allowed_ips(const ReadPeer& peer,
                                    std::map<net::Prefix, const ReadPeer*>& taken_by) {
  const Field field = peer.section.field("allowed_ips");
  for (const net::Prefix& prefix : peer.config.allowed_ips) {
    const auto [holder, is_new] = taken_by.emplace(prefix, &peer);
    if (is_new) continue;
    problem(field.position(), field.name + ": " + prefix.to_string() + " belongs to peer '" +
                                  shown(holder->second->config.name) + "' and to peer '" +
                                  shown(peer.config.name) + "', expected one of them");
  }
}

void Reader::check_full_tunnel(const Field& field) {
  if (!config_.edge.full_tunnel) return;
  const auto is_default = [](const net::Prefix& prefix) { return prefix.length == 0; };
  const auto exit = std::ranges::find_if(peers_, [&](const ReadPeer& peer) {
    return std::ranges::any_of(peer.config.allowed_ips, is_default);
  });
  if (exit == peers_.end()) {
    problem(field.position(), field.name +
                                  ": found true, expected a peer with 0.0.0.0/0 or ::/0 "
                                  "in its allowed_ips to carry it");
  } else if (!exit->config.endpoint && !exit->section.field("endpoint")) {
    problem(field.position(), field.name + ": the peer that carries it, '" +
                                  shown(exit->config.name) + "', has no endpoint");
  }
  if (config_.interface.addresses.empty()) {
    problem(field.position(), field.name +
                                  ": found true, expected an address of the tunnel in "
                                  "interface.addresses");
  }
  if (config_.interface.fwmark == 0) {
    problem(field.position(), field.name +
                                  ": found true with interface.fwmark = 0, expected a "
                                  "mark to tell the node's own packets by");
  }
  if (config_.gateway.masquerade) {
    problem(field.position(), field.name +
                                  ": found true beside gateway.masquerade, expected one "
                                  "of the two");
  }
}

// --- the file ---

void Reader::read_sections(const toml::table& root) {
  for (const auto& [key, value] : root) {
    if (find_section(key.str()) == nullptr) {
      problem(key.source().begin,
              shown(key.str()) + ": unknown section" + suggest_section(key.str()));
    }
  }
  // The gateway first: it decides a default of the interface; the interface's name decides others.
  const Section edge = section(root, "edge");
  read_gateway(section(root, "gateway"));
  read_interface(section(root, "interface"));
  read_worker(section(root, "worker"));
  read_edge(edge);
  read_api(section(root, "api"));
  read_metrics(section(root, "metrics"));
  read_log(section(root, "log"));
  read_state(section(root, "state"));
  read_peers(root);
  check_peers_together();
  check_full_tunnel(edge.field("full_tunnel"));
}

tl::expected<Config, ConfigProblems> Reader::read(std::string_view text) {
  const toml::parse_result parsed = toml::parse(text);
  if (parsed) {
    read_sections(parsed.table());
  } else {
    const toml::parse_error& error = parsed.error();
    problem(error.source().begin, "not TOML: " + std::string(error.description()));
  }
  if (all_.empty()) {
    for (ReadPeer& peer : peers_)
      config_.peers.push_back(std::move(peer.config));
    return std::move(config_);
  }
  std::ranges::stable_sort(all_, {}, [](const ConfigProblem& problem) {
    return std::pair(problem.line, problem.column);
  });
  if (all_.size() > kMaxReportedProblems) {
    problems_.omitted = all_.size() - kMaxReportedProblems;
    all_.resize(kMaxReportedProblems);
  }
  problems_.list = std::move(all_);
  return tl::unexpected(std::move(problems_));
}

}  // namespace

tl::expected<Config, ConfigProblems> parse_config(std::string_view text, const std::string& path,
                                                  const ConfigHost& host) {
  return Reader(path, host).read(text);
}

}  // namespace ringway::control
