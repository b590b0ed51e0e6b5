// ringway-bench: what this machine can do with the parts of Ringway. A subcommand is a pair of
// files (NAME_bench.hpp, .cpp) with an options struct and run_NAME_bench(), and here one
// add_NAME() that declares its options and is listed in kSubcommands.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/crypto_bench.hpp"
#include "bench/forward_bench.hpp"
#include "bench/handshake_bench.hpp"
#include "bench/lookup_bench.hpp"
#include "bench/nat_bench.hpp"
#include "bench/pipeline_bench.hpp"
#include "bench/steering_bench.hpp"

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

constexpr const char* kSteeringManual =
    "\n"
    "The XDP program that sends Ringway's packets past the kernel, run by the kernel\n"
    "(BPF_PROG_RUN) over one frame 20,000 times a call: what it costs to tell ours from the\n"
    "kernel's. No device is touched; there are no AF_XDP sockets, so that the way into one is not\n"
    "in it. Needs root.\n\n"
    "Example:\n"
    "  ringway-bench steering --core 1 --json";

constexpr const char* kPipelineManual =
    "\n"
    "The worker that ringway runs, between ports that only hand packets over: no device, no "
    "system\n"
    "call. edge-out: plaintext comes in and leaves sealed; edge-in: sealed datagrams come in and\n"
    "leave opened. to-internet: sealed datagrams leave opened, translated and with an Ethernet "
    "header;\n"
    "from-internet: frames come in, are translated back and leave sealed, as a gateway's do. Their "
    "flows\n"
    "are that many live mappings, hit in random order. nat-only: packets of subscribers are "
    "translated\n"
    "and leave, without tunnel and Ethernet; null: packets leave as they came, which is what the "
    "ports\ncost. crypto is the raw loop of the fastest "
    "engine over the same sizes, measured in "
    "the\n"
    "same rounds; overhead is what the worker takes beyond it. Trains are TCP super-packets as a "
    "TUN\n"
    "device hands them over (edge-out), or runs of datagrams as UDP_GRO does (edge-in).\n"
    "Each round counts what came out and compares a sample byte by byte; a wrong result ends the\n"
    "program with status 1.\n\n"
    "Examples:\n"
    "  ringway-bench pipeline                        both paths and suites, the usual sizes\n"
    "  ringway-bench pipeline --path edge-in --suite aes256gcm --size 64 --trains no\n"
    "  ringway-bench pipeline --peers 10000 --core 1\n"
    "  ringway-bench pipeline --path to-internet --peers 10000 --flows 1000000\n"
    "  ringway-bench pipeline --path to-internet --size imix --flows 100000 --new-flow-share 0.01\n"
    "  ringway-bench pipeline --path from-internet --size 1420 --stages\n"
    "  ringway-bench pipeline --json > pipeline.json";

constexpr const char* kHandshakeManual =
    "\n"
    "Handshakes a second on one core, as initiator and as responder, through Handshaker as the "
    "control\n"
    "plane runs it, beside the limit that OpenSSL's X25519 and AEAD rates set: each side makes one "
    "key,\n"
    "agrees on three secrets and seals or opens three payloads. Time is this thread's CPU time.\n\n"
    "Examples:\n"
    "  ringway-bench handshake\n"
    "  ringway-bench handshake --seconds 20 --json > handshake.json";

constexpr const char* kLookupManual =
    "\n"
    "Where a destination leads: the peer (allowed IPs) or the next hop (routes), by longest "
    "prefix;\n"
    "and the session of a message (receiver index) or of a peer, with 1, 1000 and 10000 of them. "
    "In\n"
    "cycles for one of 65536 in random order. single: one after the other, from the address, index "
    "or\n"
    "peer to the answer. bursts: 64 at once, as a worker asks.\n\n"
    "Examples:\n"
    "  ringway-bench lookup\n"
    "  ringway-bench lookup --prefixes 1000000 --core 1";

constexpr const char* kNatManual =
    "\n"
    "One shard of the gateway's NAT, without devices or encryption. Each flow is an inner endpoint "
    "of\nits own; packets of known flows come in random order, so that with many flows each is a "
    "miss to\nmemory. Also: packets that the filter drops, new flows, and the expiry of old ones. "
    "A wrong verdict\nends the program with status 1.\n\n"
    "Examples:\n"
    "  ringway-bench nat                             both families, 1 to 4 million flows\n"
    "  ringway-bench nat --flows 1000000 --family ipv4 --core 1\n"
    "  ringway-bench nat --json > nat.json";

constexpr const char* kForwardManual =
    "\n"
    "What this machine forwards by AF_XDP, translated but not encrypted: the most that a gateway "
    "could\n"
    "move here. The ports, the Ethernet link, the NAT and the sleeps are those of ringwayd with\n"
    "io = \"af_xdp\". Packets of the subscribers that arrive inside leave outside with its first\n"
    "address of each family; the way back likewise. ARP, neighbour discovery and everything to "
    "this\n"
    "machine's own addresses stay with the kernel, whose routes and neighbours count; its own\n"
    "forwarding may be off. Runs until Ctrl-C or SIGTERM, then takes everything back and prints "
    "what\n"
    "it counted. Needs root, and one receive queue an interface. For measuring, not a firewall: a\n"
    "packet with a subscriber's source is taken for his wherever it comes in.\n\n"
    "Examples:\n"
    "  ringway-bench forward --inside lan0 --outside wan0 --subscriber 192.0.2.0/28 "
    "2001:db8:a::/48\n"
    "  ringway-bench forward --inside lan0 --outside wan0 --subscriber 0.0.0.0/0 --seconds 60 "
    "--json";

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

std::vector<PacketSizes> sizes_named(const std::vector<std::string>& names) {
  std::vector<PacketSizes> sizes;
  sizes.reserve(names.size());
  for (const std::string& name : names) {
    sizes.push_back(name == "imix" ? PacketSizes::imix()
                                   : PacketSizes(static_cast<std::uint32_t>(std::stoul(name))));
  }
  return sizes;
}

void add_suites(CLI::App& command, std::vector<tunnel::Suite>& suites) {
  command
      .add_option_function<std::vector<std::string>>(
          "--suite", [&suites](const auto& names) { suites = suites_named(names); },
          "Cipher suites: aes256gcm, chacha20poly1305")
      ->check(CLI::IsMember({"aes256gcm", "chacha20poly1305"}).description(""))
      ->type_name("SUITE")
      ->default_str("both");
}

// What every subcommand has. `what`: what the seconds are for.
template <typename Options>
void add_seconds_and_json(CLI::App& command, Options& options,
                          const std::string& what = "How long to measure in all") {
  command.add_option("--seconds", options.seconds, what)
      ->check(between(0.1, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  command.add_flag("--json", options.json, "One JSON object on standard output, not a table");
}
void add_core(CLI::App& command, std::optional<unsigned>& core) {
  command.add_option("--core", core, "Stay on this core")->type_name("CORE");
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
  add_suites(*command, options->suites);
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
  add_core(*command, options->core);
  add_seconds_and_json(*command, *options);
  return [options] { return run_crypto_bench(*options); };
}

Run add_pipeline(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("pipeline", "The worker's packet path, beside raw encryption");
  command->footer(kPipelineManual);
  const auto options = std::make_shared<PipelineBenchOptions>();
  const std::map<std::string, PipelinePath> paths = {
      {"edge-out", PipelinePath::kEdgeOut},       {"edge-in", PipelinePath::kEdgeIn},
      {"to-internet", PipelinePath::kToInternet}, {"from-internet", PipelinePath::kFromInternet},
      {"nat-only", PipelinePath::kNatOnly},       {"null", PipelinePath::kNull}};
  command
      ->add_option(
          "--path", options->paths,
          "Paths: edge-out, edge-in, to-internet, from-internet, nat-only, null (ports alone)")
      ->transform(CLI::CheckedTransformer(paths).description(""))
      ->type_name("PATH")
      ->default_str("edge-out and edge-in");
  command
      ->add_option_function<std::vector<std::string>>(
          "--size", [options](const auto& names) { options->sizes = sizes_named(names); },
          "Inner packets in bytes, 48 to 9000, or imix: single packets of 40, 576 and 1500 bytes, "
          "7:4:1")
      ->check((between(48, 9000) | CLI::IsMember({"imix"})).description(""))
      ->type_name("BYTES")
      ->default_str("64 512 1420");
  add_suites(*command, options->suites);
  command
      ->add_option_function<std::string>(
          "--trains", [options](const std::string& answer) { options->trains = {answer == "yes"}; },
          "Whether packets come in trains: yes, no")
      ->check(CLI::IsMember({"yes", "no"}).description(""))
      ->type_name("ANSWER")
      ->default_str("both");
  command->add_option("--peers", options->peers, "Peers in turn, 1 to 100000")
      ->check(between(1U, PipelineTraffic::kMaxPeers))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--flows", options->flows, "Flows through a gateway's NAT, 1 to 4000000")
      ->check(between(1U, GatewayFlows::kMaxFlows))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option(
          "--new-flow-share", options->new_flow_share,
          "Share of packets that open a flow of their own, 0 to 1; they end with the round")
      ->check(between(0.0, 1.0))
      ->type_name("SHARE")
      ->capture_default_str();
  command->add_option("--batch", options->burst, "Slots a burst, 1 to 64")
      ->check(between(1, 64))
      ->type_name("N")
      ->capture_default_str();
  command->add_flag_function(
      "--cold", [options](auto) { options->arrival = Arrival::kInPlace; },
      "Packets lie in memory as a device leaves them, not just copied by a kernel");
  command->add_flag("--stages", options->stages,
                    "Also the cycles of each stage, from rounds of their own");
  command
      ->add_option(
          "--workers", options->workers,
          "Workers, on a core each from --core on, each with so many peers and flows, 1 to 16")
      ->check(between(1, static_cast<int>(kMaxWorkers)))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--misplaced", options->misplaced_percent,
                   "Peers whose packets reach another worker and are handed over, 0 to 100 percent")
      ->check(between(0, 100))
      ->type_name("PERCENT")
      ->capture_default_str();
  command->add_option("--packets", options->packets, "Different packets a round, 4096 to 1048576")
      ->check(between(4096, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  add_core(*command, options->core);
  add_seconds_and_json(*command, *options);
  return [options] { return run_pipeline_bench(*options); };
}

std::vector<net::Prefix> prefixes_named(const std::vector<std::string>& names) {
  std::vector<net::Prefix> prefixes;
  for (const std::string& name : names) {
    auto prefix = net::Prefix::parse(name);
    if (!prefix) throw CLI::ValidationError("--subscriber", prefix.error().text());
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

Run add_forward(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("forward", "Forwards by AF_XDP between two interfaces, without a tunnel");
  command->footer(kForwardManual);
  const auto options = std::make_shared<ForwardBenchOptions>();
  ForwarderOptions& forwarder = options->forwarder;
  command->add_option("--inside", forwarder.inside, "Interface of the subscribers")
      ->required()
      ->type_name("IFACE");
  command->add_option("--outside", forwarder.outside, "Interface towards the Internet")
      ->required()
      ->type_name("IFACE");
  command
      ->add_option_function<std::vector<std::string>>(
          "--subscriber",
          [&forwarder](const auto& names) { forwarder.subscribers = prefixes_named(names); },
          "Sources to translate, 1 to 1024; each prefix is one subscriber")
      ->required()
      ->expected(1, static_cast<int>(ForwardBenchOptions::kMaxSubscribers))
      ->type_name("PREFIX");
  command->add_option("--seconds", options->seconds, "How long; 0: until Ctrl-C")
      ->check(between(0.0, 1e9))
      ->type_name("S")
      ->capture_default_str();
  command->add_flag("--busy", forwarder.busy, "Never sleep, as a worker with poll = \"busy\"");
  command->add_option("--core", options->core, "Stay on this core")->type_name("CORE");
  command->add_flag("--json", options->json, "One JSON object on standard output, not a table");
  return [options] { return run_forward_bench(*options); };
}

Run add_handshake(CLI::App& app) {
  CLI::App* command = app.add_subcommand("handshake", "Handshakes a second and core, both roles");
  command->footer(kHandshakeManual);
  const auto options = std::make_shared<HandshakeBenchOptions>();
  add_seconds_and_json(*command, *options);
  return [options] { return run_handshake_bench(*options); };
}

Run add_lookup(CLI::App& app) {
  CLI::App* command = app.add_subcommand("lookup", "Lookups of peers, routes and sessions");
  command->footer(kLookupManual);
  const auto options = std::make_shared<LookupBenchOptions>();
  command->add_option("--prefixes", options->prefixes, "Prefixes a table, 1 to 1000000")
      ->check(between(1, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  add_core(*command, options->core);
  add_seconds_and_json(*command, *options);
  return [options] { return run_lookup_bench(*options); };
}

Run add_steering(CLI::App& app) {
  CLI::App* command = app.add_subcommand("steering", "The XDP program, by kind of packet (root)");
  command->footer(kSteeringManual);
  const auto options = std::make_shared<SteeringBenchOptions>();
  add_core(*command, options->core);
  add_seconds_and_json(*command, *options);
  return [options] { return run_steering_bench(*options); };
}

Run add_nat(CLI::App& app) {
  CLI::App* command = app.add_subcommand("nat", "The gateway's NAT, by the number of flows");
  command->footer(kNatManual);
  const auto options = std::make_shared<NatBenchOptions>();
  command->add_option("--flows", options->flows, "Numbers of flows, 1 to 8388608")
      ->check(between(1U, NatBenchOptions::kMaxFlows))
      ->type_name("N")
      ->capture_default_str();
  const std::map<std::string, net::Family> families = {{"ipv4", net::Family::kIpv4},
                                                       {"ipv6", net::Family::kIpv6}};
  command->add_option("--family", options->families, "Families: ipv4, ipv6")
      ->transform(CLI::CheckedTransformer(families).description(""))
      ->type_name("FAMILY")
      ->default_str("both");
  command->add_option("--batch", options->batch, "Packets a call, 1 to 256")
      ->check(between(1, 256))
      ->type_name("N")
      ->capture_default_str();
  add_core(*command, options->core);
  add_seconds_and_json(*command, *options, "How long to measure packets of known flows");
  return [options] { return run_nat_bench(*options); };
}

struct Subcommand {
  const char* name;
  Run (*add)(CLI::App&);
};
constexpr Subcommand kSubcommands[] = {
    {"crypto", add_crypto},     {"forward", add_forward}, {"handshake", add_handshake},
    {"lookup", add_lookup},     {"nat", add_nat},         {"pipeline", add_pipeline},
    {"steering", add_steering},
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
