#include "bench/nat_bench.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/net/checksum.hpp"
#include "base/net/ip4.hpp"
#include "base/net/ip6.hpp"
#include "base/net/udp.hpp"
#include "base/rng.hpp"
#include "bench/measure.hpp"
#include "dataplane/nat/nat.hpp"

namespace ringway::bench {
namespace {

using nat::Nat;
using net::Family;

constexpr std::uint32_t kUdpPayloadBytes = 32;
constexpr std::uint32_t kMaxPacketBytes = 40 + 8 + kUdpPayloadBytes;
constexpr std::uint32_t kFlowsPerSubscriber = 256;
constexpr std::uint16_t kFirstOuterPort = 1024;
constexpr std::uint32_t kPortsPerAddress = 65536 - kFirstOuterPort;

struct NatRow {
  Family family = Family::kIpv4;
  std::uint32_t flows = 0;
  // TSC cycles: a packet (medians of batches), a flow (means over all of them).
  double out_hit = 0;
  double in_hit = 0;
  double in_miss = 0;
  double open_first = 0;  // into memory that was never touched
  double open = 0;
  double expire = 0;
};

// A batch of UDP packets of one family, in buffers of its own.
class Batch {
 public:
  Batch(Family family, std::uint32_t size) : family_(family), buffers_(size), packets_(size) {
    for (std::uint32_t i = 0; i < size; ++i)
      packets_[i].data = buffers_[i].bytes.data();
  }

  void write(std::uint32_t at, PeerId subscriber, const net::Endpoint& source,
             const net::Endpoint& destination) {
    std::uint8_t* const to = packets_[at].data;
    const bool v4 = family_ == Family::kIpv4;
    const std::uint32_t header = v4 ? 20 : 40;
    packets_[at].length = header + 8 + kUdpPayloadBytes;
    packets_[at].subscriber = subscriber;
    std::memset(to, 0, header);
    if (v4) {
      to[0] = 0x45;
      store_be(to + net::Ip4View::kTotalLengthAt, static_cast<std::uint16_t>(packets_[at].length));
      to[net::Ip4View::kTtlAt] = 64;
      to[net::Ip4View::kProtocolAt] = net::kProtocolUdp;
      std::memcpy(to + net::Ip4View::kSourceAt, source.address.bytes.data(), 4);
      std::memcpy(to + net::Ip4View::kDestinationAt, destination.address.bytes.data(), 4);
      net::Ip4MutableView::parse({to, packets_[at].length})->recompute_checksum();
    } else {
      to[0] = 0x60;
      store_be(to + net::Ip6View::kPayloadLengthAt,
               static_cast<std::uint16_t>(8 + kUdpPayloadBytes));
      to[net::Ip6View::kNextHeaderAt] = net::kProtocolUdp;
      to[net::Ip6View::kHopLimitAt] = 64;
      std::memcpy(to + net::Ip6View::kSourceAt, source.address.bytes.data(), 16);
      std::memcpy(to + net::Ip6View::kDestinationAt, destination.address.bytes.data(), 16);
    }
    net::emit_udp(to + header, source.port, destination.port,
                  static_cast<std::uint16_t>(8 + kUdpPayloadBytes));
    store_be(to + header + net::UdpView::kChecksumAt, std::uint16_t{0x5555});
  }

  // What stands where the NAT wrote the source.
  [[nodiscard]] net::Endpoint source_of(std::uint32_t at) const {
    const std::uint8_t* const data = packets_[at].data;
    const bool v4 = family_ == Family::kIpv4;
    return {v4 ? net::IpAddress::v4(data + 12) : net::IpAddress::v6(data + 8),
            load_be<std::uint16_t>(data + (v4 ? 20 : 40))};
  }
  [[nodiscard]] std::span<nat::Packet> first(std::uint32_t count) {
    return std::span(packets_).first(count);
  }
  [[nodiscard]] bool all(std::uint32_t count, nat::Verdict verdict) const {
    return std::all_of(packets_.begin(), packets_.begin() + count,
                       [&](const nat::Packet& packet) { return packet.verdict == verdict; });
  }

 private:
  struct alignas(64) Buffer {
    std::array<std::uint8_t, (kMaxPacketBytes + 63) / 64 * 64> bytes{};
  };
  Family family_;
  std::vector<Buffer> buffers_;
  std::vector<nat::Packet> packets_;
};

// A shard with so many flows, each of an inner endpoint of its own to a host of its own.
class NatBout {
 public:
  NatBout(const NatBenchOptions& options, Family family, std::uint32_t flows)
      : family_(family),
        flows_(flows),
        batch_size_(options.batch),
        batch_(family, options.batch),
        external_(flows),
        order_(flows),
        rng_(1),
        nat_(config(), rng_) {
    std::iota(order_.begin(), order_.end(), 0U);
    for (std::uint32_t i = flows - 1; i > 0; --i)
      std::swap(order_[i], order_[rng_.below(i + 1)]);
    row_.family = family;
    row_.flows = flows;
  }

  // False when a packet did not get the verdict that it must get.
  [[nodiscard]] bool run(double cycles_for_hits) {
    return open_all(row_.open_first) && expire_all() && open_all(row_.open) &&
           measure_hits(cycles_for_hits) && expire_all();
  }
  // A handful of flows says nothing about opening and ending them.
  [[nodiscard]] NatRow row() const {
    NatRow row = row_;
    if (flows_ < 16 * batch_size_) row.open = row.open_first = row.expire = 0;
    return row;
  }

 private:
  [[nodiscard]] nat::Config config() const {
    nat::Config config;
    // A tenth more ports than flows, since blocks are taken whole.
    const std::uint32_t addresses = flows_ / (kPortsPerAddress * 9 / 10) + 1;
    for (std::uint32_t i = 0; i < addresses; ++i) {
      config.external_addresses.push_back(numbered(family_ == Family::kIpv4 ? 203 : 1, i));
    }
    config.first_port = kFirstOuterPort;
    config.last_port = 65535;
    config.max_mappings = std::max(flows_, 1024U);
    config.max_subscribers = flows_ / kFlowsPerSubscriber + 1;
    config.denied = nat::default_denied();
    config.inner_prefixes = {{numbered(10, 0), 8}};
    return config;
  }
  // 203.x.x.x, or 2001:db8::cb:x.
  [[nodiscard]] net::IpAddress numbered(std::uint8_t kind, std::uint32_t number) const {
    std::array<std::uint8_t, 16> bytes{};
    if (family_ == Family::kIpv4) {
      store_be(bytes.data(), std::uint32_t{kind} << 24 | number);
      return net::IpAddress::v4(bytes.data());
    }
    store_be(bytes.data(), std::uint32_t{0x2a00'0db8});
    bytes[4] = kind;
    store_be(&bytes[12], number);
    return net::IpAddress::v6(bytes.data());
  }
  [[nodiscard]] PeerId subscriber(std::uint32_t flow) const {
    return PeerId{flow / kFlowsPerSubscriber};
  }
  [[nodiscard]] net::Endpoint inner(std::uint32_t flow) const {
    return {numbered(10, 256 + subscriber(flow).value),
            static_cast<std::uint16_t>(20'000 + flow % kFlowsPerSubscriber)};
  }
  [[nodiscard]] net::Endpoint remote(std::uint32_t flow) const { return {numbered(20, flow), 443}; }

  [[nodiscard]] bool open_all(double& cycles) {
    std::uint64_t spent = 0;
    for (std::uint32_t base = 0; base < flows_; base += batch_size_) {
      const std::uint32_t count = std::min(batch_size_, flows_ - base);
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t flow = order_[base + i];
        batch_.write(i, subscriber(flow), inner(flow), remote(flow));
      }
      const std::uint64_t start = tsc();
      nat_.outbound(batch_.first(count), now_);
      spent += tsc() - start;
      if (!batch_.all(count, nat::Verdict::kForward)) return false;
      for (std::uint32_t i = 0; i < count; ++i)
        external_[order_[base + i]] = batch_.source_of(i);
      drain_events();
    }
    cycles = static_cast<double>(spent) / flows_;
    return true;
  }

  // All flows fall idle at once; their ports rest afterwards.
  [[nodiscard]] bool expire_all() {
    const std::uint64_t before = nat_.counters().mappings_expired;
    now_ = now_ + Duration::seconds(302);
    std::uint64_t spent = 0;
    for (std::uint32_t looks = 0; looks < flows_ / 64 + 64; ++looks) {
      const std::uint64_t start = tsc();
      nat_.tick(now_);
      spent += tsc() - start;
      drain_events();
    }
    row_.expire = static_cast<double>(spent) / flows_;
    now_ = now_ + Duration::seconds(130);
    return nat_.counters().mappings_expired - before == flows_;
  }

  [[nodiscard]] bool measure_hits(double cycles) {
    std::vector<double> out;
    std::vector<double> in;
    std::vector<double> miss;
    const std::uint64_t end = tsc() + static_cast<std::uint64_t>(cycles);
    while (out.size() < 32 || tsc() < end) {
      std::array<std::uint32_t, Nat::kMaxBatch> chosen{};
      for (std::uint32_t i = 0; i < batch_size_; ++i) {
        chosen[i] = static_cast<std::uint32_t>(rng_.below(flows_));
        batch_.write(i, subscriber(chosen[i]), inner(chosen[i]), remote(chosen[i]));
      }
      if (!timed(out, true, nat::Verdict::kForward)) return false;
      for (std::uint32_t i = 0; i < batch_size_; ++i)
        batch_.write(i, PeerId::none(), remote(chosen[i]), external_[chosen[i]]);
      if (!timed(in, false, nat::Verdict::kForward)) return false;
      for (std::uint32_t i = 0; i < batch_size_; ++i) {
        const std::uint32_t stranger = chosen[i] ^ 0x80'0000;
        batch_.write(i, PeerId::none(), remote(stranger), external_[chosen[i]]);
      }
      if (!timed(miss, false, nat::Verdict::kDrop)) return false;
    }
    row_.out_hit = median(out);
    row_.in_hit = median(in);
    row_.in_miss = median(miss);
    return true;
  }
  [[nodiscard]] bool timed(std::vector<double>& samples, bool outbound, nat::Verdict expected) {
    const std::uint64_t start = tsc();
    if (outbound) {
      nat_.outbound(batch_.first(batch_size_), now_);
    } else {
      nat_.inbound(batch_.first(batch_size_), now_);
    }
    samples.push_back(static_cast<double>(tsc() - start) / batch_size_);
    return batch_.all(batch_size_, expected);
  }
  void drain_events() {
    nat::BlockEvent event;
    while (nat_.poll_block_event(event)) {
    }
  }

  Family family_;
  std::uint32_t flows_;
  std::uint32_t batch_size_;
  Batch batch_;
  std::vector<net::Endpoint> external_;  // by flow
  std::vector<std::uint32_t> order_;     // in which flows are opened
  SeededRng rng_;
  Nat nat_;
  Instant now_ = Instant::from_ns(1'000'000'000'000);
  NatRow row_;
};

const char* family_name(Family family) {
  return family == Family::kIpv4 ? "ipv4" : "ipv6";
}
double per_second(double cycles, double tsc_hz) {
  return cycles > 0 ? tsc_hz / cycles : 0;
}

void print_table(const std::vector<NatRow>& rows, const NatBenchOptions& options, double tsc_hz) {
  const Colours colours = Colours::of_stdout();
  std::printf("%sOne NAT shard%s, UDP, %u packets a call in random order, TSC %.2f GHz\n\n",
              colours.bold, colours.reset, options.batch, tsc_hz * 1e-9);
  std::printf("%s%6s %9s  %7s %7s %8s  %8s %10s %10s  %9s%s\n", colours.dim, "", "flows", "out",
              "in", "stranger", "new flow", "1000/s", "(first)", "expiry", colours.reset);
  for (const NatRow& row : rows) {
    std::printf("%6s %9u  %s%7.0f %7.0f%s %8.0f", family_name(row.family), row.flows, colours.bold,
                row.out_hit, row.in_hit, colours.reset, row.in_miss);
    if (row.open > 0) {
      std::printf("  %8.0f %10.0f %10.0f  %9.0f", row.open, per_second(row.open, tsc_hz) * 1e-3,
                  row.open_first, row.expire);
    }
    std::printf("\n");
  }
  std::printf(
      "\n%sout, in, stranger: cycles a packet of a known flow, and of one that its filter drops; "
      "medians\nof calls. new flow, expiry: cycles a flow, over all of them; (first): into memory "
      "never touched.%s\n",
      colours.dim, colours.reset);
}

void print_json(const std::vector<NatRow>& rows, const NatBenchOptions& options, double tsc_hz) {
  nlohmann::ordered_json json;
  json["benchmark"] = "nat";
  json["tsc_hz"] = std::llround(tsc_hz);
  json["batch"] = options.batch;
  json["results"] = nlohmann::ordered_json::array();
  for (const NatRow& row : rows) {
    nlohmann::ordered_json result;
    result["family"] = family_name(row.family);
    result["flows"] = row.flows;
    result["out_hit_cycles"] = rounded(row.out_hit, 1);
    result["in_hit_cycles"] = rounded(row.in_hit, 1);
    result["in_stranger_cycles"] = rounded(row.in_miss, 1);
    if (row.open == 0) {
      json["results"].push_back(result);
      continue;
    }
    result["new_flow_cycles"] = rounded(row.open, 1);
    result["new_flow_first_cycles"] = rounded(row.open_first, 1);
    result["new_flows_per_second"] = std::llround(per_second(row.open, tsc_hz));
    result["expiry_cycles"] = rounded(row.expire, 1);
    json["results"].push_back(result);
  }
  std::printf("%s\n", json.dump(2).c_str());
}

}  // namespace

int run_nat_bench(const NatBenchOptions& options) {
  if (options.core) {
    if (const auto pinned = pin_to_core(*options.core); !pinned) {
      std::fprintf(stderr, "ringway-bench: %s\n", pinned.error().text().c_str());
      return 1;
    }
  }
  const TscCalibration calibration;
  // The rate is known well enough after the first setup.
  const std::uint64_t settle = tsc() + 100'000'000;
  while (tsc() < settle) {
  }
  std::vector<NatRow> rows;
  const auto bouts = static_cast<double>(options.families.size() * options.flows.size());
  for (const Family family : options.families) {
    for (const std::uint32_t flows : options.flows) {
      const auto bout = std::make_unique<NatBout>(options, family, flows);
      if (!bout->run(options.seconds / bouts * calibration.hz())) {
        std::fprintf(stderr, "ringway-bench: a packet of %u flows was not treated as it must be\n",
                     flows);
        return 1;
      }
      rows.push_back(bout->row());
    }
  }
  if (options.json) {
    print_json(rows, options, calibration.hz());
  } else {
    print_table(rows, options, calibration.hz());
  }
  return 0;
}

}  // namespace ringway::bench
