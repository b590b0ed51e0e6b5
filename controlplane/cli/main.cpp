// `ringway`: the command line of a node. This file knows the words; commands.cpp does the work.
#include <csignal>
#include <functional>

#include <CLI/CLI.hpp>

#include "controlplane/cli/commands.hpp"
#include "controlplane/cli/show.hpp"

namespace ringway::control::cli {
namespace {

constexpr const char* kFooter =
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n"
    "`ringway COMMAND --help` says more about each command.";

// Every option of every command, and the command that was chosen.
struct CommandLine {
  CommonOptions common;
  std::string file_or_name;
  std::string show_what;
  std::string show_field;
  PeerSetOptions peer;
  NatOptions nat;
  WhoOptions who;
  bool yes = false;
  std::function<int()> run;
};

void add_target(CLI::App& command, CommandLine& line) {
  command
      .add_option("-i,--interface", line.common.target.interface,
                  "The node with this interface; default: the one that runs")
      ->type_name("NAME");
  command
      .add_option("--socket", line.common.target.socket,
                  "The node with this API socket; default: /run/ringway/NAME.sock")
      ->type_name("PATH");
}

void add_json(CLI::App& command, CommandLine& line) {
  command.add_flag("--json", line.common.json, "Print JSON");
}

CLI::App& add_command(CLI::App& app, const char* name, const char* help, CommandLine& line,
                      std::function<int()> run) {
  CLI::App& command = *app.add_subcommand(name, help);
  command.callback([&line, run = std::move(run)] { line.run = run; });
  return command;
}

void add_start(CLI::App& command, CommandLine& line) {
  command
      .add_option("config", line.file_or_name,
                  "Configuration file, or NAME for /etc/ringway/NAME.toml; default: ringway0")
      ->type_name("CONFIG|NAME");
  command.add_flag("-y,--yes", line.yes, "Also where a full tunnel cuts this SSH session");
  add_json(command, line);
}

void add_running(CLI::App& app, CommandLine& line) {
  CLI::App& up = add_command(app, "up", "Start a node in the background", line, [&line] {
    return run_up(line.file_or_name, line.yes, line.common.json);
  });
  add_start(up, line);

  CLI::App& restart = add_command(
      app, "restart", "Stop a node and start it again; a full tunnel stays closed meanwhile", line,
      [&line] { return run_restart(line.file_or_name, line.yes, line.common.json); });
  add_start(restart, line);

  CLI::App& down = add_command(app, "down", "Stop a node and take back what it set, or left behind",
                               line, [&line] { return run_down(line.common, line.file_or_name); });
  down.add_option("config", line.file_or_name, "Its configuration file, or its name")
      ->type_name("CONFIG|NAME");
  add_target(down, line);

  CLI::App& reload =
      add_command(app, "reload", "Read the configuration again; sessions of unchanged peers go on",
                  line, [&line] { return run_reload(line.common); });
  add_target(reload, line);
  add_json(reload, line);

  CLI::App& check = add_command(app, "check", "Read a configuration and report what is wrong", line,
                                [&line] { return run_check(line.file_or_name, line.common.json); });
  check.add_option("config", line.file_or_name, "Configuration file, or its name")
      ->type_name("CONFIG|NAME");
  add_json(check, line);
}

void add_reading(CLI::App& app, CommandLine& line) {
  CLI::App& status = add_command(app, "status", "The node: state, tunnel, ports, drops", line,
                                 [&line] { return run_status(line.common); });
  add_target(status, line);
  add_json(status, line);

  CLI::App& show =
      add_command(app, "show", "Interfaces and peers, in the words of `wg show`", line,
                  [&line] { return run_show(line.common, line.show_what, line.show_field); });
  show.add_option("interface", line.show_what, "An interface, or: all, interfaces")
      ->type_name("INTERFACE");
  std::string fields = "One field:";
  for (const std::string& field : show_fields())
    fields += " " + field;
  show.add_option("field", line.show_field, fields)->type_name("FIELD");
  add_target(show, line);
  add_json(show, line);

  CLI::App& peers = add_command(app, "peers", "Peers, a line each", line,
                                [&line] { return run_peers(line.common); });
  add_target(peers, line);
  add_json(peers, line);

  CLI::App& metrics = add_command(app, "metrics", "Counters as Prometheus reads them", line,
                                  [&line] { return run_metrics(line.common); });
  add_target(metrics, line);
}

void add_nat(CLI::App& app, CommandLine& line) {
  CLI::App& nat = *app.add_subcommand("nat", "Live mappings of the gateway's own NAT");
  // The callback of a command runs after those of its subcommands.
  nat.callback([&nat, &line] {
    if (nat.get_subcommands().empty()) {
      line.run = [&line] { return run_nat(line.common, line.nat); };
    }
  });
  nat.add_option("--subscriber", line.nat.subscriber, "Only this peer's")->type_name("NAME");
  nat.add_option("--protocol", line.nat.protocol, "Only tcp, udp, icmp or icmpv6")
      ->type_name("PROTOCOL");
  add_target(nat, line);
  add_json(nat, line);

  CLI::App& who = add_command(nat, "who", "Who has an external port, or had it at a time", line,
                              [&line] { return run_nat_who(line.common, line.who); });
  who.add_option("address", line.who.address, "The external address")
      ->required()
      ->type_name("ADDRESS");
  who.add_option("port", line.who.port, "The external port, or query identifier")
      ->required()
      ->type_name("PORT");
  who.add_option("--at", line.who.at,
                 "When: 2026-11-21T11:35:08Z or with an offset, or Unix seconds; default: now. "
                 "Answered from the log of gateway.nat_log")
      ->type_name("TIME");
  who.add_option("--protocol", line.who.protocol, "tcp, udp, icmp or icmpv6; default: any")
      ->type_name("PROTOCOL");
  who.add_option("--log", line.who.log_files,
                 "Read these logs instead, oldest first; default: the node's, and what was rotated "
                 "to its name with .1, .2 and so on")
      ->type_name("FILE");
  add_target(who, line);
  add_json(who, line);
}

void add_peer(CLI::App& app, CommandLine& line) {
  CLI::App& peer = *app.add_subcommand(
      "peer", "Add, change or remove a peer while the node runs, until its next reload or start");
  peer.require_subcommand(1);
  PeerSetOptions& options = line.peer;
  CLI::App& set = add_command(peer, "set", "Add a peer, or change what is given of one", line,
                              [&line] { return run_peer_set(line.common, line.peer); });
  set.add_option("name", options.name, "The peer's name")->required()->type_name("NAME");
  set.add_option("--public-key", options.public_key, "Required for a new peer")->type_name("KEY");
  auto* preshared = set.add_option("--preshared-key-file", options.preshared_key_file,
                                   "File with the preshared key")
                        ->type_name("PATH");
  set.add_flag("--no-preshared-key", options.no_preshared_key, "Use none")->excludes(preshared);
  set.add_option("--endpoint", options.endpoint, "Where the peer listens")->type_name("HOST:PORT");
  set.add_option("--allowed-ips", options.allowed_ips,
                 "Inner prefixes, separated by commas; replaces those before")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("PREFIXES");
  set.add_option("--persistent-keepalive", options.persistent_keepalive, "Seconds, or off")
      ->type_name("SECONDS");
  set.add_option("--type", options.type, "wireguard or ringway")->type_name("TYPE");
  set.add_option("--suite", options.suite, "chacha20poly1305 or aes256gcm")->type_name("SUITE");
  set.add_option("--up-mbps", options.up_mbps, "Limit of what it sends, in Mbit/s, or off")
      ->type_name("RATE");
  set.add_option("--down-mbps", options.down_mbps, "Limit of what it is sent, in Mbit/s, or off")
      ->type_name("RATE");
  add_target(set, line);

  CLI::App& remove = add_command(peer, "remove", "Remove a peer and end its session", line,
                                 [&line] { return run_peer_remove(line.common, line.peer.name); });
  remove.add_option("name", options.name, "The peer's name")->required()->type_name("NAME");
  add_target(remove, line);
}

void add_keys(CLI::App& app, CommandLine& line) {
  add_command(app, "genkey", "Print a new private key", line, run_genkey);
  add_command(app, "pubkey", "Print the public key of the private key on standard input", line,
              run_pubkey);
  add_command(app, "genpsk", "Print a new preshared key", line, run_genpsk);
  CLI::App& version = add_command(app, "version", "Print the version", line,
                                  [&line] { return run_version(line.common.json); });
  add_json(version, line);
}

int run(int argc, char** argv) {
  CommandLine line;
  CLI::App app("Controls a Ringway node: a WireGuard-compatible VPN.", "ringway");
  app.require_subcommand(1);
  app.footer(kFooter);
  add_running(app, line);
  add_reading(app, line);
  add_nat(app, line);
  add_peer(app, line);
  add_keys(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kMisused;
  }
  return line.run();
}

}  // namespace
}  // namespace ringway::control::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `ringway show | head` ends quietly
  return ringway::control::cli::run(argc, argv);
}
