// ringway-bench: what this machine can do with the parts of Ringway. A subcommand is a pair of
// files (NAME_bench.hpp, .cpp) with an options struct and run_NAME_bench(), and here one
// add_NAME() that declares its options and is listed in kSubcommands.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/crypto_bench.hpp"

namespace ringway::bench {
namespace {

// Runs after the whole command line was understood; gives the program's exit status.
using Run = std::function<int()>;

constexpr const char* kDescription =
    "Measures the parts of Ringway on this machine.\n\n"
    "Cycles are those of the time stamp counter, which ticks at a constant rate whatever the core\n"
    "does. Each subcommand runs what it compares in turn, in many short rounds, and reports "
    "medians,\n"
    "so that a busy neighbour disturbs all alike. For figures to quote, leave the machine in "
    "peace.";

constexpr const char* kExitStatus =
    "\nExit status: 0 when measured, 1 when something failed, above 100 for a command line that "
    "is not\nunderstood. Each subcommand has its own --help.";

constexpr const char* kCryptoManual =
    "\n"
    "The encryption of data messages: cycles a message and Gbit/s of payload, sealing and "
    "opening,\n"
    "through CryptoBatch (what workers call) beside the raw loops of ipsec-mb and OpenSSL (what "
    "the\n"
    "machine can do at best). The ratio is what Ringway adds. CryptoBatch chooses an engine for "
    "each\n"
    "suite and size by a measurement of its own; the second line says which it chose.\n\n"
    "Examples:\n"
    "  ringway-bench crypto                          both suites, the usual sizes\n"
    "  ringway-bench crypto --size 64 1420 --suite aes256gcm\n"
    "  ringway-bench crypto --keys 10000 --core 1    sessions whose keys are out of the caches\n"
    "  ringway-bench crypto --json > crypto.json";

// A range that stands in the help text only where the option's own words put it.
template <typename T>
CLI::Validator between(T low, T high) {
  return CLI::Range(low, high).description("");
}

std::vector<tunnel::Suite> suites_named(const std::vector<std::string>& names) {
  std::vector<tunnel::Suite> suites;
  for (const tunnel::Suite suite : {tunnel::Suite::kAes256Gcm, tunnel::Suite::kChaCha20Poly1305}) {
    if (std::ranges::count(names, tunnel::suite_name(suite)) > 0) suites.push_back(suite);
  }
  return suites;
}

Run add_crypto(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("crypto", "Encryption of data messages, by suite and size");
  command->footer(kCryptoManual);
  const auto options = std::make_shared<CryptoBenchOptions>();
  command->add_option("--size", options->payload_bytes, "Payload sizes in bytes, 1 to 65535")
      ->check(between(1, 65535))
      ->type_name("BYTES")
      ->capture_default_str();
  command
      ->add_option_function<std::vector<std::string>>(
          "--suite", [options](const auto& names) { options->suites = suites_named(names); },
          "Cipher suites: aes256gcm, chacha20poly1305")
      ->check(CLI::IsMember({"aes256gcm", "chacha20poly1305"}).description(""))
      ->type_name("SUITE")
      ->default_str("both");
  command->add_option("--batch", options->batch, "Messages a call, 1 to 64")
      ->check(between(1, 64))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--keys", options->keys,
                   "Sessions that the messages belong to, in turn, 1 to 100000")
      ->check(between(1, 100'000))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "How long to measure in all")
      ->check(between(0.1, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--core", options->core, "Stay on this core")->type_name("CORE");
  command->add_flag("--json", options->json, "One JSON object on standard output, not a table");
  return [options] { return run_crypto_bench(*options); };
}

struct Subcommand {
  const char* name;
  Run (*add)(CLI::App&);
};
constexpr Subcommand kSubcommands[] = {
    {"crypto", add_crypto},
};

int run(int argc, char** argv) {
  CLI::App app(kDescription, "ringway-bench");
  app.footer(kExitStatus);
  app.require_subcommand(1);
  app.get_formatter()->column_width(28);
  std::map<std::string, Run> runs;
  for (const Subcommand& subcommand : kSubcommands) {
    runs[subcommand.name] = subcommand.add(app);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  const int status = runs.at(app.get_subcommands().front()->get_name())();
  if (std::fflush(stdout) != 0) {
    std::perror("ringway-bench: writing the results");
    return 1;
  }
  return status;
}

}  // namespace
}  // namespace ringway::bench

int main(int argc, char** argv) {
  return ringway::bench::run(argc, argv);
}
