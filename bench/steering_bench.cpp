#include "bench/steering_bench.hpp"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/net/address.hpp"
#include "base/net/ip4.hpp"
#include "bench/measure.hpp"
#include "controlplane/bpf/steering.hpp"

namespace ringway::bench {
namespace {

using control::Steering;

constexpr std::uint32_t kRepeats = 20'000;  // of a frame in one call, some 1 to 3 ms
constexpr std::size_t kFrameBytes = 128;
constexpr std::uint16_t kListenPort = 51820;
constexpr std::uint16_t kNatFirst = 32768;
constexpr std::uint16_t kNatLast = 60999;
constexpr std::uint16_t kSshPort = 22;
constexpr const char* kOwnIp4 = "192.0.2.1";
constexpr const char* kOwnIp6 = "2001:db8::1";

struct Packet {
  std::uint8_t protocol = net::kProtocolUdp;
  std::uint16_t word = 0;  // destination port, or ICMP identifier
  const char* destination = kOwnIp4;
  bool tagged = false;
  std::uint16_t fragment = 0;  // flags and offset of an IPv4 header
};

void put_address(std::uint8_t* to, const char* text) {
  const net::IpAddress address = *net::IpAddress::parse(text);
  std::memcpy(to, address.view().data(), address.view().size());
}

// Ports stand at the same place in TCP and UDP; checksums are nothing that the program looks at.
void put_transport(std::uint8_t* to, const Packet& packet) {
  if (packet.protocol == net::kProtocolIcmp) {
    to[0] = 0;  // echo reply
    store_be(to + 4, packet.word);
  } else {
    store_be<std::uint16_t>(to, 443);
    store_be(to + 2, packet.word);
  }
}

std::vector<std::uint8_t> frame_of(const Packet& packet) {
  std::vector<std::uint8_t> frame(kFrameBytes);
  const bool v4 = net::IpAddress::parse(packet.destination)->is_v4();
  std::size_t at = 12;  // behind the two stations
  if (packet.tagged) {
    store_be<std::uint16_t>(frame.data() + at, 0x8100);
    at += 4;
  }
  store_be<std::uint16_t>(frame.data() + at, v4 ? 0x0800 : 0x86dd);
  at += 2;
  std::uint8_t* const header = frame.data() + at;
  const auto left = static_cast<std::uint16_t>(kFrameBytes - at);
  if (v4) {
    header[0] = 0x45;
    store_be(header + net::Ip4View::kTotalLengthAt, left);
    store_be(header + net::Ip4View::kFragmentAt, packet.fragment);
    header[net::Ip4View::kTtlAt] = 64;
    header[net::Ip4View::kProtocolAt] = packet.protocol;
    put_address(header + net::Ip4View::kSourceAt, "198.51.100.9");
    put_address(header + net::Ip4View::kDestinationAt, packet.destination);
    put_transport(header + net::Ip4View::kMinHeaderBytes, packet);
  } else {
    constexpr std::size_t kIp6Bytes = 40;
    header[0] = 0x60;
    store_be(header + 4, static_cast<std::uint16_t>(left - kIp6Bytes));
    header[6] = packet.protocol;
    header[7] = 64;
    put_address(header + 8, "2001:db8:9::9");
    put_address(header + 24, packet.destination);
    put_transport(header + kIp6Bytes, packet);
  }
  return frame;
}

struct Kind {
  const char* name;
  Packet packet;
  std::vector<double> nanoseconds;
};

std::vector<Kind> kinds() {
  constexpr std::uint16_t kMoreFragments = 0x2000;
  return {
      {"tunnel, IPv4", {.word = kListenPort}, {}},
      {"tunnel, IPv6", {.word = kListenPort, .destination = kOwnIp6}, {}},
      {"tunnel, IPv4, VLAN tag", {.word = kListenPort, .tagged = true}, {}},
      {"NAT, TCP", {.protocol = net::kProtocolTcp, .word = kNatFirst + 1}, {}},
      {"NAT, ICMP answer", {.protocol = net::kProtocolIcmp, .word = kNatFirst + 1}, {}},
      {"NAT, first fragment", {.word = kNatFirst + 1, .fragment = kMoreFragments}, {}},
      {"kernel: SSH", {.protocol = net::kProtocolTcp, .word = kSshPort}, {}},
      {"kernel: another's address", {.word = kListenPort, .destination = "192.0.2.77"}, {}},
  };
}

Result<void> measure(const Steering& steering, std::vector<Kind>& kinds, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  do {
    for (Kind& kind : kinds) {
      const auto trial = steering.try_frame(frame_of(kind.packet), kRepeats);
      if (!trial) return tl::unexpected(trial.error());
      kind.nanoseconds.push_back(trial->nanoseconds);
    }
  } while (std::chrono::steady_clock::now() < end);
  return {};
}

void print(std::vector<Kind>& kinds, double tsc_hz, bool json) {
  if (json) {
    std::printf(R"({"frames": [)");
  } else {
    std::printf("%-28s %14s %14s\n", "", "ns a frame", "cycles");
  }
  const char* separator = "";
  for (Kind& kind : kinds) {
    const double each = median(kind.nanoseconds);
    const double cycles = each * tsc_hz * 1e-9;
    if (json) {
      std::printf(R"(%s{"name": "%s", "ns": %.1f, "cycles": %.0f})", separator, kind.name, each,
                  cycles);
      separator = ", ";
    } else {
      std::printf("%-28s %14.1f %14.0f\n", kind.name, each, cycles);
    }
  }
  if (json) std::printf("]}\n");
}

Result<void> run(const SteeringBenchOptions& options) {
  const TscCalibration calibration;
  if (options.core) {
    if (auto pinned = pin_to_core(*options.core); !pinned) return pinned;
  }
  auto steering = Steering::load();
  if (!steering) return tl::unexpected(steering.error());
  const std::vector<control::SteeredAddress> own = {
      {*net::IpAddress::parse(kOwnIp4), {kListenPort}, kNatFirst, kNatLast},
      {*net::IpAddress::parse(kOwnIp6), {kListenPort}, kNatFirst, kNatLast}};
  if (auto configured = (*steering)->configure(own); !configured) return configured;
  std::vector<Kind> all = kinds();
  if (auto measured = measure(**steering, all, options.seconds); !measured) return measured;
  print(all, calibration.hz(), options.json);
  return {};
}

}  // namespace

int run_steering_bench(const SteeringBenchOptions& options) {
  if (const auto done = run(options); !done) {
    std::fprintf(stderr, "ringway-bench: %s\n", done.error().text().c_str());
    return 1;
  }
  return 0;
}

}  // namespace ringway::bench
