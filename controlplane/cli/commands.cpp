#include "controlplane/cli/commands.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "controlplane/cli/launch.hpp"
#include "controlplane/cli/nat.hpp"
#include "controlplane/cli/show.hpp"
#include "controlplane/cli/ssh_session.hpp"
#include "controlplane/config.hpp"
#include "controlplane/host/host_setup.hpp"
#include "controlplane/json_codec.hpp"
#include "controlplane/keys.hpp"
#include "controlplane/local_api.hpp"
#include "controlplane/version.hpp"

namespace ringway::control::cli {
namespace {

constexpr std::chrono::seconds kStopTimeout{30};
constexpr const char* kLogDirectory = "/var/log/ringway/";

int fail(const Error& error) {
  std::cerr << "ringway: " << error.text() << '\n';
  return kFailed;
}

int fail(const ConfigProblems& problems) {
  std::cerr << problems.text() << '\n';
  return kFailed;
}

Palette terminal_palette() {
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::strcmp(terminal, "dumb") == 0;
  return Palette(::isatty(STDOUT_FILENO) == 1 && !dumb && std::getenv("NO_COLOR") == nullptr);
}

void print(const Json& json) {
  std::cout << json_codec::dump(json, 2) << '\n';
}

Json object(std::initializer_list<std::pair<const char*, Json>> members) {
  Json json = Json::object();
  for (const auto& [name, value] : members)
    json[name] = value;
  return json;
}

Result<LocalApiClient> connect(const TargetOptions& options) {
  return find_target(options).and_then([](const Target& target) {
    return LocalApiClient::connect(target.socket, target.interface);
  });
}

Result<NodeStatus> status_of(const Target& target) {
  return LocalApiClient::connect(target.socket, target.interface).and_then([](LocalApiClient api) {
    return api.status();
  });
}

// Fetches the status and prints it, by `render` or as JSON.
template <typename Render>
int print_status(const CommonOptions& options, Render&& render) {
  const auto status = find_target(options.target).and_then(status_of);
  if (!status) return fail(status.error());
  if (options.json) {
    print(status_to_json(*status));
  } else {
    std::cout << render(*status, terminal_palette());
  }
  return kDone;
}

std::string absolute(const std::string& path) {
  std::error_code error;
  const auto whole = std::filesystem::absolute(path, error);
  return error ? path : whole.lexically_normal().string();
}

// --- up ---

// A full tunnel would take away the route by which this SSH session's packets leave.
Result<void> spare_ssh_session(const Config& config) {
  const auto client = config.edge.full_tunnel ? ssh_client() : std::nullopt;
  if (!client || is_on_link(*client)) return {};
  return failure("the full tunnel would cut this SSH session from " + client->to_string(),
                 "start it all the same with: ringway up --yes");
}

Result<std::int64_t> start_node(const Config& config, const std::string& log_file) {
  const std::string& name = config.interface.name;
  if (auto running = LocalApiClient::connect(config.api.socket, name)) {
    return failure("ringwayd is running for interface " + name + " already (pid " +
                       std::to_string(running->server_pid()) + ")",
                   "see: ringway status --interface " + name);
  }
  return find_daemon().and_then([&](const std::string& daemon) {
    return launch_daemon({daemon, absolute(config.path), log_file});
  });
}

// Empty after it has said what is wrong.
std::optional<Config> config_to_start(const std::string& file_or_name, bool cut_ssh_session) {
  auto config = load_config_or_problems(config_path(file_or_name));
  if (!config) {
    (void)fail(config.error());
    return std::nullopt;
  }
  if (!cut_ssh_session) {
    if (const auto spared = spare_ssh_session(*config); !spared) {
      (void)fail(spared.error());
      return std::nullopt;
    }
  }
  return std::move(*config);
}

int start_and_tell(const Config& config, bool json) {
  const std::string& name = config.interface.name;
  const std::string log_file = kLogDirectory + name + ".log";
  const auto pid = start_node(config, log_file);
  if (!pid) return fail(pid.error());
  if (json) {
    print(object({{"interface", name}, {"pid", *pid}, {"log", log_file}}));
  } else {
    std::cout << name << " is up (pid " << *pid << ", log " << log_file << ")\n";
  }
  return kDone;
}

// --- down ---

// Returns once its process is gone.
Result<void> stop_node(LocalApiClient& api, StopKind kind) {
  const std::int64_t pid = api.server_pid();
  if (auto asked = api.stop(kind); !asked) return asked;
  return wait_for_end(pid, kStopTimeout);
}

// What a node that crashed left set: an edge's full tunnel stays closed until then. `no_answer` is
// what there is to say where nothing was left.
int take_back_left_over(const Target& target, const Error& no_answer) {
  const auto taken_back = HostSetup::take_back_left_over(target.state_directory);
  if (!taken_back) return fail(taken_back.error());
  if (!*taken_back) return fail(no_answer);
  std::cout << target.interface << " was not running; what it had left is taken back\n";
  return kDone;
}

// --- show ---

Result<std::vector<Target>> shown_targets(const TargetOptions& options, const std::string& what) {
  const bool all = what.empty() || what == "all";
  if (all && options.interface.empty() && options.socket.empty()) return running_nodes();
  TargetOptions chosen = options;
  if (!all) chosen.interface = what;
  return find_target(chosen).map([](const Target& target) { return std::vector{target}; });
}

int show_interfaces(bool json) {
  Json names = Json::array();
  std::string text;
  for (const Target& node : running_nodes()) {
    names.push_back(node.interface);
    text += (text.empty() ? "" : " ") + node.interface;
  }
  if (json) {
    print(names);
  } else if (!text.empty()) {
    std::cout << text << '\n';
  }
  return kDone;
}

Result<Json> show_json(const NodeStatus& status, const std::string& field) {
  return field.empty() ? Result<Json>(status_to_json(status)) : field_to_json(status, field);
}

// --- peer set ---

template <typename Value>
Result<void> read_into(std::optional<Value>& out, Result<Value> parsed) {
  if (!parsed) return tl::unexpected(parsed.error());
  out = std::move(*parsed);
  return {};
}

// A whole number up to `high`; 0 where the text is "off".
template <typename Integer>
Result<Integer> parse_or_off(const std::string& text, const std::string& what, Integer high) {
  if (text == "off") return Integer{0};
  Integer number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc{} && rest == end && number <= high) return number;
  return failure("'" + text + "' is not a " + what,
                 "expected 0 to " + std::to_string(high) + " or off");
}

Result<std::uint16_t> parse_keepalive(const std::string& text) {
  return parse_or_off<std::uint16_t>(text, "keepalive interval", UINT16_MAX);
}
Result<std::uint32_t> parse_limit(const std::string& text) {
  return parse_or_off<std::uint32_t>(text, "bandwidth limit in Mbit/s", kMaxLimitMbps);
}

Result<std::vector<net::Prefix>> parse_prefixes(const std::vector<std::string>& texts) {
  std::vector<net::Prefix> prefixes;
  for (const std::string& text : texts) {
    if (text.empty()) continue;
    const auto prefix = net::Prefix::parse(text);
    if (!prefix) return tl::unexpected(prefix.error());
    if (!std::ranges::count(prefixes, *prefix)) prefixes.push_back(*prefix);
  }
  return prefixes;
}

Result<PeerEdit> parse_edit(const PeerSetOptions& options) {
  PeerEdit edit;
  edit.name = options.name;
  Result<void> read;
  const auto next = [&](const auto& text, auto& out, auto parse) {
    if (read && text) read = read_into(out, parse(*text));
  };
  next(options.public_key, edit.public_key, parse_public_key);
  next(options.preshared_key_file, edit.preshared_key, read_preshared_key_file);
  next(options.endpoint, edit.endpoint, PeerEndpoint::parse);
  next(options.allowed_ips, edit.allowed_ips, parse_prefixes);
  next(options.persistent_keepalive, edit.persistent_keepalive_s, parse_keepalive);
  next(options.type, edit.type, parse_peer_type);
  next(options.suite, edit.suite, parse_suite);
  next(options.up_mbps, edit.up_mbps, parse_limit);
  next(options.down_mbps, edit.down_mbps, parse_limit);
  if (!read) return tl::unexpected(read.error());
  if (options.no_preshared_key) edit.preshared_key = tunnel::PresharedKey();
  return edit;
}

Result<void> set_peer(LocalApiClient& api, const PeerEdit& edit) {
  const auto status = api.status();
  if (!status) return tl::unexpected(status.error());
  const bool known = std::ranges::count(status->peers, edit.name, &PeerStatus::name) != 0;
  return known ? api.change_peer(edit) : api.add_peer(edit);
}

// --- nat ---

Result<WhoQuestion> parse_question(const WhoOptions& options) {
  WhoQuestion question;
  question.port = options.port;
  const auto address = net::IpAddress::parse(options.address);
  if (!address) return tl::unexpected(address.error());
  question.address = *address;
  if (options.protocol) {
    const auto protocol = parse_protocol(*options.protocol);
    if (!protocol) return tl::unexpected(protocol.error());
    question.protocol = *protocol;
  }
  if (options.at) {
    const auto at = parse_time(*options.at);
    if (!at) return tl::unexpected(at.error());
    question.at = *at;
  }
  return question;
}

// A log and what logrotate has left beside it in plain text, oldest first.
std::vector<std::string> with_rotated(const std::string& path) {
  std::vector<std::string> files = {path};
  std::error_code error;
  for (unsigned number = 1; std::filesystem::exists(path + "." + std::to_string(number), error);
       ++number) {
    files.insert(files.begin(), path + "." + std::to_string(number));
  }
  return files;
}

Result<WhoAnswer> find_holders(const CommonOptions& options, const WhoQuestion& question,
                               std::vector<std::string> log_files) {
  if (question.at && !log_files.empty()) return who_had(question, log_files, {});
  auto api = connect(options.target);
  if (!api) return tl::unexpected(api.error());
  if (log_files.empty()) {
    const auto status = api->status();
    if (!status) return tl::unexpected(status.error());
    if (!status->gateway.nat_log.empty()) log_files = with_rotated(status->gateway.nat_log);
  }
  if (question.at) {
    if (!log_files.empty()) return who_had(question, log_files, {});
    return failure("the node keeps no log of its NAT: nobody knows who had a port before now",
                   "set gateway.nat_log");
  }
  MappingQuery query;
  query.external = net::Endpoint{question.address, question.port};
  if (question.protocol != 0) query.protocol = protocol_text(question.protocol);
  const auto live = api->mappings(query);
  if (!live) return tl::unexpected(live.error());
  return who_had(question, log_files, *live);
}

// --- reload ---

void print_names(const char* what, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    std::cout << what << name << '\n';
}

// --- keys ---

// As wg does: the key is written all the same.
void warn_of_open_file() {
  struct stat info {};
  if (::fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 077U) != 0) {
    std::cerr << "ringway: warning: others may read the file that this key goes to (use: umask "
                 "077)\n";
  }
}

void print_secret(std::span<const std::uint8_t, tunnel::kKeyBytes> key) {
  warn_of_open_file();
  std::string text = key_to_text(key);
  std::cout << text << std::endl;
  secure_wipe(text.data(), text.size());
}

}  // namespace

int run_up(const std::string& file_or_name, bool cut_ssh_session, bool json) {
  const auto config = config_to_start(file_or_name, cut_ssh_session);
  return config ? start_and_tell(*config, json) : kFailed;
}

int run_restart(const std::string& file_or_name, bool cut_ssh_session, bool json) {
  const auto config = config_to_start(file_or_name, cut_ssh_session);
  if (!config) return kFailed;
  if (auto api = LocalApiClient::connect(config->api.socket, config->interface.name)) {
    if (const auto ended = stop_node(*api, StopKind::kForRestart); !ended) {
      return fail(ended.error());
    }
  }
  return start_and_tell(*config, json);
}

int run_down(const CommonOptions& options, const std::string& file_or_name) {
  const auto target = find_target(options.target, file_or_name);
  if (!target) return fail(target.error());
  auto api = LocalApiClient::connect(target->socket, target->interface);
  if (!api) {
    const bool is_gone = !is_api_alive(target->socket);
    return is_gone ? take_back_left_over(*target, api.error()) : fail(api.error());
  }
  if (const auto ended = stop_node(*api, StopKind::kTakeBack); !ended) return fail(ended.error());
  std::cout << target->interface << " is down\n";
  return kDone;
}

int run_status(const CommonOptions& options) {
  return print_status(options, render_status);
}

int run_peers(const CommonOptions& options) {
  return print_status(options, render_peers);
}

int run_show(const CommonOptions& options, const std::string& what, const std::string& field) {
  if (what == "interfaces") return show_interfaces(options.json);
  if (!field.empty() && !std::ranges::count(show_fields(), field)) {
    fail(field_to_json({}, field).error());
    return kMisused;
  }
  const auto targets = shown_targets(options.target, what);
  if (!targets) return fail(targets.error());
  const bool several = what.empty() || what == "all";
  Json all = Json::object();
  std::string text;
  for (const Target& target : *targets) {
    const auto status = status_of(target);
    if (!status) return fail(status.error());
    all[status->interface] = show_json(*status, field).value();
    if (!text.empty() && field.empty()) text += '\n';
    text += field.empty() ? render_show(*status, terminal_palette())
                          : render_field(*status, field, what == "all").value();
  }
  if (!options.json) {
    std::cout << text;
  } else if (several || all.empty()) {
    print(all);
  } else {
    print(all.front());
  }
  return kDone;
}

int run_nat(const CommonOptions& options, const NatOptions& nat) {
  MappingQuery query;
  query.subscriber = nat.subscriber;
  query.protocol = nat.protocol;
  auto mappings =
      connect(options.target).and_then([&](LocalApiClient api) { return api.mappings(query); });
  if (!mappings) return fail(mappings.error());
  if (options.json) {
    print(mappings_to_json(*mappings));
  } else {
    std::cout << render_mappings(std::move(*mappings), terminal_palette());
  }
  return kDone;
}

int run_nat_who(const CommonOptions& options, const WhoOptions& who) {
  const auto question = parse_question(who);
  if (!question) {
    fail(question.error());
    return kMisused;
  }
  const auto answer = find_holders(options, *question, who.log_files);
  if (!answer) return fail(answer.error());
  if (options.json) {
    print(who_to_json(*question, *answer));
  } else {
    std::cout << render_who(*question, *answer, terminal_palette());
  }
  return kDone;
}

int run_peer_set(const CommonOptions& options, const PeerSetOptions& peer) {
  const auto edit = parse_edit(peer);
  if (!edit) return fail(edit.error());
  auto api = connect(options.target);
  if (!api) return fail(api.error());
  const auto done = set_peer(*api, *edit);
  return done ? kDone : fail(done.error());
}

int run_peer_remove(const CommonOptions& options, const std::string& name) {
  auto api = connect(options.target);
  if (!api) return fail(api.error());
  const auto done = api->remove_peer(name);
  return done ? kDone : fail(done.error());
}

int run_reload(const CommonOptions& options) {
  auto api = connect(options.target);
  if (!api) return fail(api.error());
  const auto report = api->reload();
  if (!report) return fail(report.error());
  if (options.json) {
    print(object({{"added", report->added},
                  {"changed", report->changed},
                  {"removed", report->removed},
                  {"needs_restart", report->needs_restart}}));
    return kDone;
  }
  print_names("added peer ", report->added);
  print_names("changed peer ", report->changed);
  print_names("removed peer ", report->removed);
  print_names("takes effect at the next start only: ", report->needs_restart);
  if (*report == ReloadReport{}) std::cout << "nothing has changed\n";
  return kDone;
}

int run_metrics(const CommonOptions& options) {
  auto api = connect(options.target);
  if (!api) return fail(api.error());
  const auto text = api->metrics();
  if (!text) return fail(text.error());
  std::cout << *text;
  return kDone;
}

int run_check(const std::string& file_or_name, bool json) {
  const std::string path = config_path(file_or_name);
  const auto config = load_config_or_problems(path);
  if (json) {
    Json problems = Json::array();
    if (!config) {
      for (const ConfigProblem& problem : config.error().list) {
        problems.push_back(object(
            {{"line", problem.line}, {"column", problem.column}, {"message", problem.message}}));
      }
    }
    print(object({{"path", path},
                  {"ok", config.has_value()},
                  {"problems", problems},
                  {"omitted", config ? 0 : config.error().omitted}}));
    return config ? kDone : kFailed;
  }
  if (!config) return fail(config.error());
  const std::size_t peers = config->peers.size();
  std::cout << path << ": good: interface " << config->interface.name << ", " << peers
            << (peers == 1 ? " peer\n" : " peers\n");
  return kDone;
}

int run_genkey() {
  print_secret(generate_private_key().span());
  return kDone;
}

int run_genpsk() {
  print_secret(generate_preshared_key().span());
  return kDone;
}

int run_pubkey() {
  std::string text;
  std::getline(std::cin, text);
  const auto key = parse_private_key(text);
  secure_wipe(text.data(), text.size());
  if (!key) {
    return fail(
        {"standard input holds no private key", "for example: ringway pubkey < private.key"});
  }
  const auto public_key = derive_public_key(*key);
  if (!public_key) return fail(public_key.error());
  std::cout << key_to_text(*public_key) << '\n';
  return kDone;
}

int run_version(bool json) {
  if (json) {
    print(object({{"version", kVersion}, {"api", kApiVersion}}));
  } else {
    std::cout << "ringway " << kVersion << '\n';
  }
  return kDone;
}

}  // namespace ringway::control::cli
