#include "bench/pipeline_bench.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/check.hpp"
#include "bench/measure.hpp"
#include "dataplane/forwarding/ethernet_link.hpp"
#include "dataplane/tunnel/raw_aead.hpp"
#include "dataplane/worker.hpp"

namespace ringway::bench {
namespace {

using tunnel::RawAead;

constexpr const char* kPathNames[] = {"edge-out", "edge-in", "to-internet", "from-internet"};

// The first round brings code and tables into the caches and is looked at more closely.
// Primes, so that samples fall on every place in a train.
constexpr std::uint64_t kFirstRoundSampleInterval = 17;
constexpr std::uint64_t kSampleInterval = 1021;
constexpr int kLeastRounds = 3;
// What is timed at once: long beside reading the clock, short beside a scheduler's time slice.
constexpr std::uint64_t kTimedPackets = 4096;
// Well below the limit at which an AES-256-GCM session wants a successor.
constexpr std::uint64_t kMaxPackets = std::uint64_t{1} << 28;

// TSC cycles a packet: medians.
struct Row {
  TrafficShape shape;
  int rounds = 0;
  double cycles = 0;
  double crypto_cycles = 0;
  std::uint64_t samples_compared = 0;

  [[nodiscard]] double overhead() const { return cycles - crypto_cycles; }
  [[nodiscard]] double mpps(double tsc_hz) const { return tsc_hz / cycles * 1e-6; }
  // Of inner packets.
  [[nodiscard]] double gbps(double tsc_hz) const {
    return mpps(tsc_hz) * shape.packet_bytes * 8 * 1e-3;
  }
};

// ---- The worker and what it stands between ----

io::PortCapabilities inner_capabilities(const TrafficShape& shape) {
  io::PortCapabilities capabilities;
  capabilities.tcp_trains_rx = capabilities.tcp_trains_tx = true;
  capabilities.mtu = static_cast<std::uint16_t>(std::max(kInnerMtu, shape.packet_bytes));
  return capabilities;
}

io::PortCapabilities outer_capabilities() {
  io::PortCapabilities capabilities;
  capabilities.datagram_trains_rx = capabilities.datagram_trains_tx = true;
  capabilities.max_train_segments = kMaxDatagramTrainSegments;
  capabilities.max_train_bytes = kMaxDatagramTrainBytes;
  return capabilities;
}

class Pipeline {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Pipeline>> open(const TrafficShape& shape,
                                                              const PipelineBenchOptions& options) {
    std::unique_ptr<Pipeline> pipeline(new Pipeline(shape, options));
    if (is_gateway(shape.path)) {
      if (auto opened = pipeline->open_flows(); !opened) return tl::unexpected(opened.error());
    }
    return pipeline;
  }

  // One round. Adds the cycles a packet of the worker's turns alone, a sample each kTimedPackets.
  [[nodiscard]] Result<void> run(std::uint64_t sample_interval, std::vector<double>& samples) {
    BenchPort& from = input();
    BenchPort& to = output();
    traffic_.offer_round(from);
    to.keep_samples(sample_interval, shape_.packets,
                    shape_.output_header_bytes() + shape_.message_bytes());
    while (!from.exhausted()) {
      const std::uint64_t before = to.packets_sent();
      const std::uint64_t copying = from.copy_cycles();
      const std::uint64_t start = tsc();
      while (to.packets_sent() - before < kTimedPackets && !from.exhausted())
        worker_->run_once(now_);
      const std::uint64_t cycles = tsc() - start - (from.copy_cycles() - copying);
      const std::uint64_t packets = to.packets_sent() - before;
      if (packets >= kTimedPackets) {  // not the rest of a round
        samples.push_back(static_cast<double>(cycles) / static_cast<double>(packets));
      }
    }
    // What the link had taken from the wire ahead of the worker.
    for (int turn = 0; turn < 2 && is_gateway(shape_.path); ++turn)
      worker_->run_once(now_);
    samples_compared_ += to.sent().samples.size();
    return check(to);
  }

  [[nodiscard]] std::uint64_t samples_compared() const { return samples_compared_; }
  [[nodiscard]] std::string describe_crypto() const { return worker_->describe_crypto(); }

 private:
  Pipeline(const TrafficShape& shape, const PipelineBenchOptions& options)
      : shape_(shape),
        traffic_(shape),
        inner_(inner_capabilities(shape), options.arrival, options.burst),
        outer_(outer_capabilities(), options.arrival, options.burst),
        frames_({}, options.arrival, options.burst),
        ethernet_(std::array<io::Port*, 1>{&frames_}, outer_, PipelineTraffic::link_options()),
        worker_(std::make_unique<Worker>(WorkerOptions{}, inner_,
                                         is_gateway(shape.path) ? ethernet_.datagrams() : outer_,
                                         link_, rng_)) {
    if (is_gateway(shape.path)) {
      (void)ethernet_.swap_table(PipelineTraffic::forwarding_table(), now_);
      worker_->open_internet_side(ethernet_.packets(), traffic_.flows()->nat_config());
    }
    for (std::uint32_t peer = 0; peer < shape.peers; ++peer) {
      tell(command::AddPeer{std::make_unique<Peer>(PeerId{peer}, true)});
      tell(command::PreferPath{{peer}, {traffic_.endpoint(peer), {}, 0}});
      tell(command::InstallSession{
          std::make_unique<tunnel::Session>(traffic_.session_keys(peer, now_))});
    }
    tell(
        command::SetAllowedIps{std::make_unique<const tunnel::AllowedIps>(traffic_.allowed_ips())});
    worker_->run_once(now_);
  }

  // The mappings are made as a subscriber's packets would make them, beside the worker.
  [[nodiscard]] Result<void> open_flows() {
    return traffic_.open_flows(worker_->internet_side()->nat, now_);
  }

  [[nodiscard]] BenchPort& input() {
    if (is_gateway(shape_.path)) return frames_;
    return seals(shape_.path) ? inner_ : outer_;
  }
  [[nodiscard]] BenchPort& output() {
    if (is_gateway(shape_.path)) return frames_;
    return seals(shape_.path) ? outer_ : inner_;
  }

  void tell(Command&& command) {
    // NOLINTNEXTLINE(bugprone-use-after-move): not taken when full
    while (!link_.commands.try_push(std::move(command)))
      worker_->run_once(now_);
    while (link_.events.try_pop()) {
    }
  }

  // No packet of ours may be dropped; where one was, the reasons say more than the count.
  [[nodiscard]] Result<void> check(BenchPort& to) {
    std::string reasons;
    for (std::size_t i = 0; i < kDropReasonCount; ++i) {
      const std::uint64_t drops = worker_->counters().drops.value(static_cast<DropReason>(i));
      if (drops == 0) continue;
      reasons += " " + std::string(kDropReasonTexts[i].label) + " " + std::to_string(drops);
    }
    if (!reasons.empty()) return failure("wrong result: packets were dropped:" + reasons);
    if (inner_.pool().held() + outer_.pool().held() + frames_.pool().held() != 0)
      return failure("wrong result: buffers were not released");
    return traffic_.check_round(to.sent());
  }

  const Instant now_ = Instant::now();  // stands still: sessions do not age
  TrafficShape shape_;
  PipelineTraffic traffic_;
  BenchPort inner_;
  BenchPort outer_;
  BenchPort frames_;  // a gateway's only Ethernet port
  forwarding::EthernetLink ethernet_;
  ControlLink link_;
  SystemRng rng_;  // as a node's worker has it
  std::uint64_t samples_compared_ = 0;
  std::unique_ptr<Worker> worker_;
};

// ---- What the machine can do at best ----

// The engines' raw loops over the same size, in buffers that stay in the near caches.
class RawLoops {
 public:
  RawLoops(const TrafficShape& shape, Rng& rng)
      : text_bytes_(shape.text_bytes()), seals_(seals(shape.path)) {
    SecretBytes<tunnel::kKeyBytes> key;
    rng.fill(key.span());
    for (const auto engine : {RawAead::Engine::kIpsecMb, RawAead::Engine::kOpenssl}) {
      if (!RawAead::available(engine)) continue;
      loops_.push_back({std::make_unique<RawAead>(engine, shape.suite, key), {}});
    }
    // An odd number of lines: not all messages in the same sets of the cache.
    const std::size_t stride = ((shape.message_bytes() + 63) / 64 | 1) * 64;
    memory_.resize(stride * RawAead::kMaxMessages);
    for (std::size_t i = 0; i < RawAead::kMaxMessages; ++i)
      texts_.push_back(memory_.data() + i * stride);
  }

  void run() {
    constexpr int kPasses = 16;
    for (Loop& loop : loops_) {
      for (int pass = 0; pass < kPasses; ++pass) {
        const std::uint64_t start = tsc();
        loop.aead->seal(texts_, text_bytes_);
        const std::uint64_t between = tsc();
        loop.aead->open(texts_, text_bytes_);
        const std::uint64_t cycles = seals_ ? between - start : tsc() - between;
        if (pass == 0) continue;  // the worker was just here
        loop.samples.push_back(static_cast<double>(cycles) / RawAead::kMaxMessages);
      }
    }
  }

  // Of the faster engine.
  [[nodiscard]] double cycles() {
    double best = median(loops_.front().samples);
    for (Loop& loop : loops_)
      best = std::min(best, median(loop.samples));
    return best;
  }

 private:
  struct Loop {
    std::unique_ptr<RawAead> aead;
    std::vector<double> samples;
  };
  std::uint32_t text_bytes_;
  bool seals_;
  std::vector<Loop> loops_;
  std::vector<std::uint8_t> memory_;
  std::vector<std::uint8_t*> texts_;
};

Result<Row> measure(const TrafficShape& shape, const PipelineBenchOptions& options, double seconds,
                    std::string& engines) {
  Row row;
  row.shape = shape;
  auto opened = Pipeline::open(shape, options);
  if (!opened) return tl::unexpected<Error>(std::move(opened.error()));
  Pipeline& pipeline = **opened;
  engines = pipeline.describe_crypto();
  SeededRng rng(2);
  RawLoops raw(shape, rng);
  std::vector<double> samples;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  const auto most_rounds = static_cast<int>(kMaxPackets / shape.packets);
  for (int round = 0; round < most_rounds; ++round) {
    if (round > kLeastRounds && std::chrono::steady_clock::now() >= end) break;
    const bool first = round == 0;
    auto checked = pipeline.run(first ? kFirstRoundSampleInterval : kSampleInterval, samples);
    if (!checked) return tl::unexpected<Error>(std::move(checked.error()));
    raw.run();
    if (first) {
      samples.clear();
    } else {
      ++row.rounds;
    }
  }
  row.samples_compared = pipeline.samples_compared();
  row.cycles = median(samples);
  row.crypto_cycles = raw.cycles();
  return row;
}

// ---- For people ----

const char* path_name(PipelinePath path) {
  return kPathNames[static_cast<std::size_t>(path)];
}

// Twenty blocks: encryption's share of the time in full ones.
std::string bar(const Row& row, const Colours& colours) {
  constexpr int kBlocks = 20;
  const int full = std::clamp(
      static_cast<int>(std::lround(kBlocks * row.crypto_cycles / row.cycles)), 0, kBlocks);
  std::string text = colours.good;
  for (int i = 0; i < full; ++i)
    text += "█";
  text += colours.dim;
  for (int i = full; i < kBlocks; ++i)
    text += "░";
  return text + colours.reset;
}

void print_head(const TrafficShape& shape, const Colours& colours) {
  std::printf("\n%s%s, %s%s, %s\n", colours.bold, path_name(shape.path),
              tunnel::suite_name(shape.suite).data(), colours.reset,
              shape.train_segments == 1 ? "single packets" : "trains");
  std::printf("%s  packet  segments     Mpps   Gbit/s   cycles = crypto + overhead%s\n",
              colours.dim, colours.reset);
}

bool same_table(const TrafficShape& a, const TrafficShape& b) {
  return a.path == b.path && a.suite == b.suite &&
         (a.train_segments == 1) == (b.train_segments == 1);
}

void print_table(const std::vector<Row>& rows, const PipelineBenchOptions& options,
                 const std::string& engines, double tsc_hz) {
  const Colours colours = Colours::of_stdout();
  std::printf("%sThe worker between memory ports%s, one core, %u %s, bursts of %u, TSC %.2f GHz\n",
              colours.bold, colours.reset, options.peers, options.peers == 1 ? "peer" : "peers",
              options.burst, tsc_hz * 1e-9);
  std::printf("CryptoBatch: %s\n", engines.c_str());
  std::uint64_t samples = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    samples += row.samples_compared;
    if (i == 0 || !same_table(row.shape, rows[i - 1].shape)) print_head(row.shape, colours);
    std::printf("%6u B %9u %8.2f %s%8.2f%s %8.0f %8.0f %10.0f  %s\n", row.shape.packet_bytes,
                row.shape.train_segments, row.mpps(tsc_hz), colours.bold, row.gbps(tsc_hz),
                colours.reset, row.cycles, row.crypto_cycles, row.overhead(),
                bar(row, colours).c_str());
  }
  std::printf(
      "\n%sA packet is an inner one; Gbit/s are its bits. Medians over rounds of %u different "
      "packets,\n%s. crypto: the faster engine's raw loop, hot and with one key, in the\nsame "
      "rounds. All packets counted, %llu compared byte by byte.%s\n",
      colours.dim, options.packets,
      options.arrival == Arrival::kCopied ? "arriving just copied (not counted)"
                                          : "arriving in cold memory",
      static_cast<unsigned long long>(samples), colours.reset);
}

// ---- For programs ----

double rounded(double value, int digits) {
  const double scale = std::pow(10, digits);
  return std::round(value * scale) / scale;
}

nlohmann::ordered_json to_json(const Row& row, double tsc_hz) {
  nlohmann::ordered_json json;
  json["path"] = path_name(row.shape.path);
  json["suite"] = tunnel::suite_name(row.shape.suite);
  json["packet_bytes"] = row.shape.packet_bytes;
  json["train_segments"] = row.shape.train_segments;
  json["mpps"] = rounded(row.mpps(tsc_hz), 3);
  json["gbps"] = rounded(row.gbps(tsc_hz), 2);
  json["cycles_per_packet"] = rounded(row.cycles, 1);
  json["crypto_cycles_per_packet"] = rounded(row.crypto_cycles, 1);
  json["overhead_cycles_per_packet"] = rounded(row.overhead(), 1);
  json["rounds"] = row.rounds;
  json["samples_compared"] = row.samples_compared;
  json["verified"] = true;  // otherwise the run has failed
  return json;
}

void print_json(const std::vector<Row>& rows, const PipelineBenchOptions& options,
                const std::string& engines, double tsc_hz) {
  nlohmann::ordered_json json;
  json["benchmark"] = "pipeline";
  json["tsc_hz"] = std::llround(tsc_hz);
  json["engines"] = engines;
  json["peers"] = options.peers;
  json["flows"] = options.flows;
  json["burst"] = options.burst;
  json["packets_a_round"] = options.packets;
  json["arrival"] = options.arrival == Arrival::kCopied ? "copied" : "in place";
  json["results"] = nlohmann::ordered_json::array();
  for (const Row& row : rows)
    json["results"].push_back(to_json(row, tsc_hz));
  std::printf("%s\n", json.dump(2).c_str());
}

std::vector<TrafficShape> shapes_of(const PipelineBenchOptions& options) {
  std::vector<TrafficShape> shapes;
  for (const PipelinePath path : options.paths) {
    for (const tunnel::Suite suite : options.suites) {
      for (const bool trains : options.trains) {
        if (is_gateway(path) && trains) continue;  // frames come one by one
        for (const std::uint32_t bytes : options.packet_bytes) {
          const std::uint32_t segments = trains ? TrafficShape::longest_train(bytes) : 1;
          shapes.push_back(
              {path, suite, bytes, segments, options.peers, options.packets, options.flows});
        }
      }
    }
  }
  return shapes;
}

}  // namespace

int run_pipeline_bench(const PipelineBenchOptions& options) {
  if (options.core) {
    if (const auto pinned = pin_to_core(*options.core); !pinned) {
      std::fprintf(stderr, "ringway-bench: %s\n", pinned.error().text().c_str());
      return 1;
    }
  }
  const TscCalibration calibration;
  const std::vector<TrafficShape> shapes = shapes_of(options);
  std::vector<Row> rows;
  std::string engines;
  for (const TrafficShape& shape : shapes) {
    const double seconds = options.seconds / static_cast<double>(shapes.size());
    const auto row = measure(shape, options, seconds, engines);
    if (!row) {
      std::fprintf(stderr, "ringway-bench: %s, %u B: %s\n", path_name(shape.path),
                   shape.packet_bytes, row.error().text().c_str());
      return 1;
    }
    rows.push_back(*row);
  }
  (options.json ? print_json : print_table)(rows, options, engines, calibration.hz());
  return 0;
}

}  // namespace ringway::bench
