#include "bench/lookup_bench.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "bench/measure.hpp"
#include "dataplane/forwarding/forwarding_table.hpp"
#include "dataplane/tunnel/allowed_ips.hpp"

namespace ringway::bench {
namespace {

using forwarding::ForwardingTable;
using forwarding::NextHopId;
using net::Family;
using net::IpAddress;
using net::Prefix;
using tunnel::AllowedIps;

constexpr std::size_t kDestinations = 1U << 16;  // in turn, in random order
constexpr std::size_t kBurst = 64;
constexpr std::uint32_t kNextHops = 64;

IpAddress random_address(Rng& rng, Family family) {
  IpAddress address{.family = family};
  rng.fill({address.bytes.data(), family == Family::kIpv4 ? 4U : 16U});
  if (family == Family::kIpv6) {
    address.bytes[0] = 0x20;  // 2001::/16
    address.bytes[1] = 0x01;
  }
  return address;
}

// Lengths of a routing table of the Internet, roughly: most are /24 or /48.
std::uint8_t route_length(Rng& rng, Family family) {
  const std::uint64_t draw = rng.below(10);
  if (family == Family::kIpv4) {
    return static_cast<std::uint8_t>(draw < 6 ? 24 : 12 + rng.below(12));
  }
  return static_cast<std::uint8_t>(draw < 5 ? 48 : 32 + rng.below(17));
}

// One table, a set of destinations that it holds, and two ways to look them up.
struct LookupScene {
  std::string name;
  std::size_t prefixes = 0;
  std::size_t memory_bytes = 0;
  double made_ms = 0;  // how long making the table took
  // Looks up all destinations; the result keeps the compiler honest.
  std::uint64_t (*one_by_one)(const LookupScene&) = nullptr;
  std::uint64_t (*in_bursts)(const LookupScene&) = nullptr;

  Family family = Family::kIpv4;
  std::vector<std::uint8_t> packets;  // IP headers of kIpHeaderBytes each
  std::vector<const std::uint8_t*> pointers;
  AllowedIps allowed_ips;
  ForwardingTable routes;
  std::vector<double> single_cycles, burst_cycles;
};

constexpr std::size_t kIpHeaderBytes = 40;

const std::uint8_t* destination_of(const LookupScene& scene, const std::uint8_t* packet) {
  return packet + (scene.family == Family::kIpv4 ? 16 : 24);
}

std::uint64_t look_up_allowed(const LookupScene& scene) {
  std::uint64_t sum = 0;
  for (const std::uint8_t* packet : scene.pointers) {
    const std::uint8_t* address = destination_of(scene, packet);
    const AllowedIps& table = scene.allowed_ips;
    sum +=
        (scene.family == Family::kIpv4 ? table.lookup_v4(address) : table.lookup_v6(address)).value;
  }
  return sum;
}

std::uint64_t look_up_routes(const LookupScene& scene) {
  std::uint64_t sum = 0;
  for (const std::uint8_t* packet : scene.pointers) {
    const std::uint8_t* address = destination_of(scene, packet);
    const ForwardingTable& table = scene.routes;
    const NextHopId id =
        scene.family == Family::kIpv4 ? table.lookup_v4(address) : table.lookup_v6(address);
    sum += table.next_hop(id).port;
  }
  return sum;
}

std::uint64_t look_up_route_bursts(const LookupScene& scene) {
  std::uint64_t sum = 0;
  NextHopId found[kBurst];
  for (std::size_t done = 0; done < kDestinations; done += kBurst) {
    scene.routes.lookup_packets({scene.pointers.data() + done, kBurst}, found);
    for (const NextHopId id : found)
      sum += scene.routes.next_hop(id).port;
  }
  return sum;
}

void add_packet(LookupScene& scene, Rng& rng, const Prefix& prefix) {
  IpAddress address = prefix.address;
  const IpAddress noise = random_address(rng, address.family);
  for (unsigned bit = prefix.length; bit < address.bit_length(); ++bit) {
    const unsigned mask = 0x80U >> bit % 8;
    address.bytes[bit / 8] =
        static_cast<std::uint8_t>(address.bytes[bit / 8] | (noise.bytes[bit / 8] & mask));
  }
  const bool v4 = address.is_v4();
  std::vector<std::uint8_t> packet(kIpHeaderBytes);
  packet[0] = v4 ? 0x45 : 0x60;
  std::ranges::copy(address.view(), packet.begin() + (v4 ? 16 : 24));
  scene.packets.insert(scene.packets.end(), packet.begin(), packet.end());
}

void add_packets(LookupScene& scene, Rng& rng, const std::vector<Prefix>& prefixes) {
  for (std::size_t i = 0; i < kDestinations; ++i)
    add_packet(scene, rng, prefixes[rng.below(prefixes.size())]);
  for (std::size_t i = 0; i < kDestinations; ++i)
    scene.pointers.push_back(scene.packets.data() + i * kIpHeaderBytes);
}

template <typename Work>
double milliseconds_of(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  return elapsed.count();
}

std::unique_ptr<LookupScene> allowed_scene(Family family, std::uint32_t count) {
  auto scene = std::make_unique<LookupScene>();
  SeededRng rng(1);
  std::vector<Prefix> prefixes;
  std::vector<tunnel::AllowedIp> entries;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Prefix prefix{random_address(rng, family),
                        static_cast<std::uint8_t>(family == Family::kIpv4 ? 32 : 128)};
    prefixes.push_back(prefix);
    entries.push_back({prefix, PeerId{i}});
  }
  scene->name = family == Family::kIpv4 ? "allowed IPs, IPv4 hosts" : "allowed IPs, IPv6 hosts";
  scene->family = family;
  scene->made_ms = milliseconds_of([&] { scene->allowed_ips = AllowedIps(entries); });
  scene->prefixes = scene->allowed_ips.prefix_count();
  scene->memory_bytes = scene->allowed_ips.memory_bytes();
  scene->one_by_one = look_up_allowed;
  add_packets(*scene, rng, prefixes);
  return scene;
}

std::unique_ptr<LookupScene> route_scene(Family family, std::uint32_t count) {
  auto scene = std::make_unique<LookupScene>();
  SeededRng rng(2);
  std::vector<Prefix> prefixes;
  forwarding::ForwardingContent content;
  for (std::uint32_t i = 0; i < kNextHops; ++i) {
    forwarding::NextHop hop;
    hop.state = forwarding::NextHopState::kResolved;
    hop.port = static_cast<std::uint8_t>(i);
    content.add_next_hop(hop);
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string text =
        random_address(rng, family).to_string() + "/" + std::to_string(route_length(rng, family));
    prefixes.push_back(*Prefix::parse(text));
    content.add_route(prefixes.back(), {static_cast<std::uint32_t>(1 + rng.below(kNextHops))});
  }
  scene->name = family == Family::kIpv4 ? "routes, IPv4" : "routes, IPv6";
  scene->family = family;
  scene->made_ms = milliseconds_of([&] { scene->routes = ForwardingTable(std::move(content)); });
  scene->prefixes = scene->routes.prefix_count();
  scene->memory_bytes = scene->routes.memory_bytes();
  scene->one_by_one = look_up_routes;
  scene->in_bursts = look_up_route_bursts;
  add_packets(*scene, rng, prefixes);
  return scene;
}

double cycles_of(std::uint64_t (*look_up)(const LookupScene&), const LookupScene& scene) {
  const std::uint64_t start = tsc();
  volatile std::uint64_t sum = look_up(scene);
  static_cast<void>(sum);
  return static_cast<double>(tsc() - start) / kDestinations;
}

using LookupScenes = std::vector<std::unique_ptr<LookupScene>>;

// Rounds in which everything is measured in turn, so that a change of the machine's pace meets all
// alike.
void measure(LookupScenes& scenes, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  do {
    for (const auto& scene : scenes) {
      scene->single_cycles.push_back(cycles_of(scene->one_by_one, *scene));
      if (scene->in_bursts != nullptr) {
        scene->burst_cycles.push_back(cycles_of(scene->in_bursts, *scene));
      }
    }
  } while (std::chrono::steady_clock::now() < end);
}

void print_table(const LookupScenes& scenes) {
  std::printf("%-26s %10s %14s %10s %14s %14s\n", "", "prefixes", "bytes a prefix", "ms to make",
              "cycles, single", "cycles, bursts");
  for (const auto& scene : scenes) {
    std::printf("%-26s %10zu %14.1f %10.1f %14.1f ", scene->name.c_str(), scene->prefixes,
                static_cast<double>(scene->memory_bytes) / static_cast<double>(scene->prefixes),
                scene->made_ms, median(scene->single_cycles));
    if (scene->in_bursts != nullptr) {
      std::printf("%14.1f\n", median(scene->burst_cycles));
    } else {
      std::printf("%14s\n", "-");
    }
  }
}

void print_json(const LookupScenes& scenes) {
  std::printf(R"({"tables": [)");
  const char* separator = "";
  for (const auto& scene : scenes) {
    std::printf(R"(%s{"name": "%s", "prefixes": %zu, "bytes": %zu, "made_ms": %.2f, )", separator,
                scene->name.c_str(), scene->prefixes, scene->memory_bytes, scene->made_ms);
    std::printf(R"("single_cycles": %.1f)", median(scene->single_cycles));
    if (scene->in_bursts != nullptr) {
      std::printf(R"(, "burst_cycles": %.1f)", median(scene->burst_cycles));
    }
    std::printf("}");
    separator = ", ";
  }
  std::printf("]}\n");
}

}  // namespace

int run_lookup_bench(const LookupBenchOptions& options) {
  if (options.core) {
    if (const auto pinned = pin_to_core(*options.core); !pinned) {
      std::fprintf(stderr, "ringway-bench: %s\n", pinned.error().text().c_str());
      return 1;
    }
  }
  LookupScenes scenes;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    scenes.push_back(allowed_scene(family, options.prefixes));
    scenes.push_back(route_scene(family, options.prefixes));
  }
  measure(scenes, options.seconds);
  options.json ? print_json(scenes) : print_table(scenes);
  return 0;
}

}  // namespace ringway::bench
