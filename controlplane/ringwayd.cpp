// ringwayd: the node's program. Reads the configuration, starts the node, answers the local API and
// signals, and takes everything back at the end. Exit status: 0 stopped on request, 1 an error
// (one line on standard error), 2 wrong usage.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "controlplane/asio_await.hpp"
#include "controlplane/local_api.hpp"
#include "controlplane/logging.hpp"
#include "controlplane/metrics.hpp"
#include "controlplane/node.hpp"
#include "controlplane/version.hpp"

namespace ringway::control {
namespace {

namespace asio = boost::asio;

// What a service manager sends where a start follows the stop (systemd: RestartKillSignal=).
constexpr int kStopForRestart = SIGUSR2;

struct Arguments {
  std::string config_path;
  bool check_only = false;
  int ready_fd = -1;
};

int fail(const Error& error) {
  std::fprintf(stderr, "ringwayd: %s\n", error.text().c_str());
  return 1;
}

void announce_ready(int fd) {
  if (fd < 0) return;
  static constexpr char kReady[] = "ready\n";
  (void)!::write(fd, kReady, sizeof kReady - 1);
  ::close(fd);
}

asio::awaitable<void> serve_signals(asio::io_context& io, Node& node) {
  asio::signal_set signals(io, SIGINT, SIGTERM, SIGHUP);
  signals.add(kStopForRestart);
  for (;;) {
    const auto [error, number] = co_await signals.async_wait(kAwait);
    if (error) co_return;
    if (number == kStopForRestart) {
      log_info("stopping for a restart");
      node.request_stop(StopKind::kForRestart);
      co_return;
    }
    if (number != SIGHUP) {
      log_info(number == SIGINT ? "interrupted: stopping" : "terminated: stopping");
      node.request_stop(StopKind::kTakeBack);
      co_return;
    }
    if (const auto reloaded = node.reload(); !reloaded) {
      log_error("not reloaded: " + reloaded.error().text());
    }
  }
}

int run(const Arguments& arguments) {
  const auto config = load_config(arguments.config_path);
  if (!config) {
    std::fprintf(stderr, "%s\n", config.error().text().c_str());
    return 1;
  }
  if (arguments.check_only) {
    std::printf("%s: good, %zu peers\n", arguments.config_path.c_str(), config->peers.size());
    return 0;
  }
  setup_logging(config->log);
  // Keys live in this process: no core dumps, no tracing by others.
  ::prctl(PR_SET_DUMPABLE, 0);

  asio::io_context io(1);
  auto node = Node::start(*config, io);
  if (!node) return fail(node.error());
  auto api =
      LocalApiServer::start(io, {.socket = config->api.socket, .group = config->api.group}, **node);
  if (!api) return fail(api.error());
  std::unique_ptr<MetricsServer> metrics;
  if (config->metrics.listen) {
    auto started = MetricsServer::start(io, {.listen = *config->metrics.listen},
                                        [&node] { return metrics_text((*node)->status()); });
    if (!started) return fail(started.error());
    metrics = std::move(*started);
  }
  asio::co_spawn(io, serve_signals(io, **node), end_on_exception);
  for (const std::string& warning : (*node)->warnings())
    log_warn(warning);
  log_info("ringwayd " + std::string(kVersion) + " is up: interface " + config->interface.name +
           ", " + std::to_string(config->peers.size()) + " peers");
  announce_ready(arguments.ready_fd);

  io.run();

  metrics.reset();
  api->reset();
  const auto stopped = (*node)->stop();
  if (!stopped) return fail(stopped.error());
  log_info("stopped");
  return 0;
}

int main_checked(int argc, char** argv) {
  CLI::App app{
      "The Ringway node: carries this machine's traffic through a WireGuard-compatible "
      "tunnel, or others' traffic to the Internet. `ringway up` starts it."};
  app.set_version_flag("--version", std::string("ringwayd ") + std::string(kVersion));
  Arguments arguments;
  bool foreground = true;
  app.add_option("--config", arguments.config_path, "Configuration file (TOML)")
      ->required()
      ->type_name("FILE");
  app.add_flag("--check", arguments.check_only, "Check the configuration and exit");
  app.add_flag("--foreground", foreground,
               "Stay in the foreground (always so; `ringway up` starts it in the background)");
  app.add_option("--ready-fd", arguments.ready_fd,
                 "File descriptor to write \"ready\" to when the node is up")
      ->type_name("N");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : 2;
  }
  return run(arguments);
}

}  // namespace
}  // namespace ringway::control

int main(int argc, char** argv) {
  // A reader of standard error or of the API that goes away must not end the node.
  std::signal(SIGPIPE, SIG_IGN);
  return ringway::control::main_checked(argc, argv);
}
