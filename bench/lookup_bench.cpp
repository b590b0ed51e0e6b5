#include "bench/lookup_bench.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "bench/measure.hpp"
#include "bench/session_lookup.hpp"
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
constexpr std::uint32_t kSessions[] = {1, 1'000, 10'000};
static_assert(SessionLookup::kLookups == kDestinations && kBurstSlots == kBurst);

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

// Two ways to look up the same kDestinations, and what they took. Their result keeps the compiler
// honest.
struct LookupRow {
  std::string name;
  std::size_t entries = 0;
  std::size_t memory_bytes = 0;  // 0: not of a table
  double made_ms = 0;            // how long making the table took
  std::function<std::uint64_t()> one_by_one;
  std::function<std::uint64_t()> in_bursts;  // where there is such a way
  std::vector<double> single_cycles, burst_cycles;
};

// A table, and destinations that it holds.
struct LookupScene {
  Family family = Family::kIpv4;
  std::vector<std::uint8_t> packets;  // IP headers of kIpHeaderBytes each
  std::vector<const std::uint8_t*> pointers;
  AllowedIps allowed_ips;
  ForwardingTable routes;
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

LookupRow allowed_row(Family family, std::uint32_t count) {
  LookupRow row;
  const auto scene = std::make_shared<LookupScene>();
  SeededRng rng(1);
  std::vector<Prefix> prefixes;
  std::vector<tunnel::AllowedIp> entries;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Prefix prefix{random_address(rng, family),
                        static_cast<std::uint8_t>(family == Family::kIpv4 ? 32 : 128)};
    prefixes.push_back(prefix);
    entries.push_back({prefix, PeerId{i}});
  }
  row.name = family == Family::kIpv4 ? "allowed IPs, IPv4 hosts" : "allowed IPs, IPv6 hosts";
  scene->family = family;
  row.made_ms = milliseconds_of([&] { scene->allowed_ips = AllowedIps(entries); });
  row.entries = scene->allowed_ips.prefix_count();
  row.memory_bytes = scene->allowed_ips.memory_bytes();
  row.one_by_one = [scene] { return look_up_allowed(*scene); };
  add_packets(*scene, rng, prefixes);
  return row;
}

LookupRow route_row(Family family, std::uint32_t count) {
  LookupRow row;
  const auto scene = std::make_shared<LookupScene>();
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
  row.name = family == Family::kIpv4 ? "routes, IPv4" : "routes, IPv6";
  scene->family = family;
  row.made_ms = milliseconds_of([&] { scene->routes = ForwardingTable(std::move(content)); });
  row.entries = scene->routes.prefix_count();
  row.memory_bytes = scene->routes.memory_bytes();
  row.one_by_one = [scene] { return look_up_routes(*scene); };
  row.in_bursts = [scene] { return look_up_route_bursts(*scene); };
  add_packets(*scene, rng, prefixes);
  return row;
}

// As what arrives finds them, and what leaves.
void add_session_rows(std::vector<LookupRow>& rows, std::uint32_t count) {
  std::shared_ptr<SessionLookup> sessions;
  LookupRow row;
  row.entries = count;
  row.made_ms = milliseconds_of([&] { sessions = std::make_shared<SessionLookup>(count); });
  row.name = "sessions, by receiver index";
  row.one_by_one = [sessions] { return sessions->by_receiver(); };
  row.in_bursts = [sessions] { return sessions->by_receiver_in_bursts(); };
  rows.push_back(row);
  row.name = "sessions, by peer";
  row.one_by_one = [sessions] { return sessions->by_peer(); };
  row.in_bursts = [sessions] { return sessions->by_peer_in_bursts(); };
  rows.push_back(row);
  const std::uint64_t found = sessions->by_receiver();
  CHECK(sessions->by_receiver_in_bursts() == found && sessions->by_peer() == found &&
        sessions->by_peer_in_bursts() == found);
}

double cycles_of(const std::function<std::uint64_t()>& look_up) {
  const std::uint64_t start = tsc();
  volatile std::uint64_t sum = look_up();
  static_cast<void>(sum);
  return static_cast<double>(tsc() - start) / kDestinations;
}

// Rounds in which everything is measured in turn, so that a change of the machine's pace meets all
// alike.
void measure(std::vector<LookupRow>& rows, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  do {
    for (LookupRow& row : rows) {
      row.single_cycles.push_back(cycles_of(row.one_by_one));
      if (row.in_bursts) row.burst_cycles.push_back(cycles_of(row.in_bursts));
    }
  } while (std::chrono::steady_clock::now() < end);
}

// To one decimal digit; a dash where there is nothing to say.
std::string cell(double value, bool there) {
  if (!there) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

void print_table(std::vector<LookupRow>& rows) {
  std::printf("%-28s %10s %11s %10s %14s %14s\n", "", "entries", "bytes each", "ms to make",
              "cycles, single", "cycles, bursts");
  for (LookupRow& row : rows) {
    const double each = static_cast<double>(row.memory_bytes) / static_cast<double>(row.entries);
    std::printf("%-28s %10zu %11s %10.1f %14.1f %14s\n", row.name.c_str(), row.entries,
                cell(each, row.memory_bytes != 0).c_str(), row.made_ms, median(row.single_cycles),
                cell(median(row.burst_cycles), static_cast<bool>(row.in_bursts)).c_str());
  }
}

void print_json(std::vector<LookupRow>& rows) {
  std::printf(R"({"tables": [)");
  const char* separator = "";
  for (LookupRow& row : rows) {
    std::printf(R"(%s{"name": "%s", "entries": %zu, "made_ms": %.2f, "single_cycles": %.1f)",
                separator, row.name.c_str(), row.entries, row.made_ms, median(row.single_cycles));
    if (row.memory_bytes != 0) std::printf(R"(, "bytes": %zu)", row.memory_bytes);
    if (row.in_bursts) std::printf(R"(, "burst_cycles": %.1f)", median(row.burst_cycles));
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
  std::vector<LookupRow> rows;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    rows.push_back(allowed_row(family, options.prefixes));
    rows.push_back(route_row(family, options.prefixes));
  }
  for (const std::uint32_t sessions : kSessions)
    add_session_rows(rows, sessions);
  measure(rows, options.seconds);
  options.json ? print_json(rows) : print_table(rows);
  return 0;
}

}  // namespace ringway::bench
