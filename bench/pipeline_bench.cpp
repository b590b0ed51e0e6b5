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
#include "dataplane/scratch.hpp"
#include "dataplane/stage_clock.hpp"
#include "dataplane/to_internet.hpp"
#include "dataplane/tunnel/raw_aead.hpp"
#include "dataplane/worker.hpp"
#include "dataplane/worker_state.hpp"

namespace ringway::bench {
namespace {

using tunnel::RawAead;

constexpr const char* kPathNames[] = {"edge-out",      "edge-in",  "to-internet",
                                      "from-internet", "nat-only", "null"};

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
  std::array<double, kStageCount> stage_cycles{};  // where they were asked for

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
    if (nat::Nat* nat = pipeline->nat()) {
      // The mappings are made as a subscriber's packets would make them, beside the worker.
      auto opened = pipeline->traffic_.open_flows(*nat, pipeline->now_);
      if (!opened) return tl::unexpected(opened.error());
    }
    return pipeline;
  }

  // One round. Adds the cycles a packet of the worker's turns alone, a sample each kTimedPackets.
  [[nodiscard]] Result<void> run(std::uint64_t sample_interval, std::vector<double>& samples) {
    begin_round(sample_interval);
    BenchPort& from = input();
    BenchPort& to = output();
    while (!from.exhausted()) {
      const std::uint64_t before = to.packets_sent();
      const std::uint64_t copying = from.copy_cycles();
      const std::uint64_t start = tsc();
      while (to.packets_sent() - before < kTimedPackets && !from.exhausted())
        turn();
      const std::uint64_t cycles = tsc() - start - (from.copy_cycles() - copying);
      const std::uint64_t packets = to.packets_sent() - before;
      if (packets >= kTimedPackets) {  // not the rest of a round
        samples.push_back(static_cast<double>(cycles) / static_cast<double>(packets));
      }
    }
    return end_round();
  }

  // One round whose stages are timed, each for itself, and nothing else.
  [[nodiscard]] Result<void> run_stages(std::array<std::vector<double>, kStageCount>& samples) {
    begin_round(kSampleInterval);
    StageClock clock;
    watch_stages(&clock);
    while (!input().exhausted()) {
      const StageClock before = clock;
      const std::uint64_t packets_before = output().packets_sent();
      clock.start();
      while (output().packets_sent() - packets_before < kTimedPackets && !input().exhausted())
        turn();
      const auto packets = static_cast<double>(output().packets_sent() - packets_before);
      if (packets < kTimedPackets) break;
      for (std::size_t i = 0; i < kStageCount; ++i) {
        const auto stage = static_cast<Stage>(i);
        samples[i].push_back(static_cast<double>(clock.cycles(stage) - before.cycles(stage)) /
                             packets);
      }
    }
    watch_stages(nullptr);
    return end_round();
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
    if (shape.path == PipelinePath::kNatOnly) {
      translator_ =
          std::make_unique<WorkerState>(WorkerOptions{}, inner_, outer_, unused_link_, rng_);
      translator_->internet =
          std::make_unique<InternetSide>(frames_, traffic_.flows()->nat_config(), rng_, nullptr);
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

  // Null where nothing is translated.
  [[nodiscard]] nat::Nat* nat() {
    if (translator_ != nullptr) return &translator_->internet->nat;
    return is_gateway(shape_.path) ? &worker_->internet_side()->nat : nullptr;
  }

  // What is measured.
  void turn() {
    switch (shape_.path) {
      case PipelinePath::kNatOnly:
        return translate_burst();
      case PipelinePath::kNull:
        return pass_burst();
      default:
        worker_->run_once(now_);
    }
  }
  // The stages of a gateway from the Internet's side of the tunnel on.
  void translate_burst() {
    Scratch<Slot, kBurstSlots> burst;
    const std::size_t received = frames_.rx_burst({burst.data(), burst.size()});
    end_stage(translator_->stage_clock, Stage::kReceive);
    to_internet(*translator_, {burst.data(), received},
                traffic_.subscribers().subspan(passed_, received), now_);
    passed_ += received;
  }
  void pass_burst() {
    Scratch<Slot, kBurstSlots> burst;
    const std::size_t received = frames_.rx_burst({burst.data(), burst.size()});
    end_stage(null_clock_, Stage::kReceive);
    frames_.tx_burst({burst.data(), received});
    end_stage(null_clock_, Stage::kTransmit);
  }

  void begin_round(std::uint64_t sample_interval) {
    traffic_.offer_round(input());
    passed_ = 0;
    output().keep_samples(sample_interval, shape_.packets,
                          shape_.output_header_bytes() + shape_.message_bytes());
  }
  [[nodiscard]] Result<void> end_round() {
    // What the link had taken from the wire ahead of the worker.
    for (int extra = 0; extra < 2 && is_gateway(shape_.path); ++extra)
      turn();
    samples_compared_ += output().sent().samples.size();
    return check(output());
  }

  void watch_stages(StageClock* clock) {
    worker_->set_stage_clock(clock);
    ethernet_.set_stage_clock(clock);
    input().set_stage_clock(clock);
    if (translator_ != nullptr) translator_->stage_clock = clock;
    null_clock_ = clock;
  }

  // Of everything but the tunnel's edges, one port carries both ways.
  [[nodiscard]] bool is_edge() const { return takes_trains(shape_.path); }
  [[nodiscard]] BenchPort& input() {
    if (!is_edge()) return frames_;
    return seals(shape_.path) ? inner_ : outer_;
  }
  [[nodiscard]] BenchPort& output() {
    if (!is_edge()) return frames_;
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
    const WorkerCounters& counters =
        translator_ != nullptr ? translator_->counters : worker_->counters();
    for (std::size_t i = 0; i < kDropReasonCount; ++i) {
      const std::uint64_t drops = counters.drops.value(static_cast<DropReason>(i));
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
  BenchPort frames_;  // a gateway's only Ethernet port; what else has only one
  forwarding::EthernetLink ethernet_;
  ControlLink link_;
  SystemRng rng_;  // as a node's worker has it
  std::uint64_t samples_compared_ = 0;
  std::unique_ptr<Worker> worker_;
  ControlLink unused_link_;
  std::unique_ptr<WorkerState> translator_;  // a gateway's worker without a tunnel (nat-only)
  std::size_t passed_ = 0;                   // packets of the round so far (nat-only)
  StageClock* null_clock_ = nullptr;
};

// ---- What the machine can do at best ----

// The engines' raw loops over the same size, in buffers that stay in the near caches.
class RawLoops {
 public:
  RawLoops(const TrafficShape& shape, Rng& rng)
      : text_bytes_(shape.text_bytes()), seals_(seals(shape.path)) {
    if (!seals(shape.path) && !opens(shape.path)) return;
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

  // Of the faster engine; 0 where nothing is encrypted.
  [[nodiscard]] double cycles() {
    if (loops_.empty()) return 0;
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
  std::array<std::vector<double>, kStageCount> stage_samples;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  const auto most_rounds = static_cast<int>(kMaxPackets / shape.packets / (options.stages ? 2 : 1));
  for (int round = 0; round < most_rounds; ++round) {
    if (round > kLeastRounds && std::chrono::steady_clock::now() >= end) break;
    const bool first = round == 0;
    auto checked = pipeline.run(first ? kFirstRoundSampleInterval : kSampleInterval, samples);
    if (!checked) return tl::unexpected<Error>(std::move(checked.error()));
    raw.run();
    if (first) {
      samples.clear();
      continue;
    }
    ++row.rounds;
    if (!options.stages) continue;
    auto staged = pipeline.run_stages(stage_samples);
    if (!staged) return tl::unexpected<Error>(std::move(staged.error()));
  }
  for (std::size_t i = 0; i < kStageCount; ++i)
    row.stage_cycles[i] = median(stage_samples[i]);
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

// A stage that takes less than this is not of this path.
constexpr double kLeastStageCycles = 0.05;

void print_stages(const Row& row, const Colours& colours) {
  std::string line;
  for (std::size_t i = 0; i < kStageCount; ++i) {
    if (row.stage_cycles[i] < kLeastStageCycles) continue;
    char text[64];
    std::snprintf(text, sizeof text, "%s%s %.0f", line.empty() ? "" : ", ", kStageNames[i].data(),
                  row.stage_cycles[i]);
    line += text;
  }
  std::printf("%s         stages: %s%s\n", colours.dim, line.c_str(), colours.reset);
}

void print_head(const TrafficShape& shape, const Colours& colours) {
  const bool encrypts = seals(shape.path) || opens(shape.path);
  std::printf("\n%s%s, %s%s, %s\n", colours.bold, path_name(shape.path),
              encrypts ? tunnel::suite_name(shape.suite).data() : "no encryption", colours.reset,
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
    if (options.stages) print_stages(row, colours);
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

nlohmann::ordered_json to_json(const Row& row, double tsc_hz, bool stages) {
  nlohmann::ordered_json json;
  json["path"] = path_name(row.shape.path);
  if (seals(row.shape.path) || opens(row.shape.path)) {
    json["suite"] = tunnel::suite_name(row.shape.suite);
  }
  json["packet_bytes"] = row.shape.packet_bytes;
  json["train_segments"] = row.shape.train_segments;
  json["mpps"] = rounded(row.mpps(tsc_hz), 3);
  json["gbps"] = rounded(row.gbps(tsc_hz), 2);
  json["cycles_per_packet"] = rounded(row.cycles, 1);
  json["crypto_cycles_per_packet"] = rounded(row.crypto_cycles, 1);
  json["overhead_cycles_per_packet"] = rounded(row.overhead(), 1);
  if (stages) {
    nlohmann::ordered_json& cycles = json["stages"] = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < kStageCount; ++i) {
      if (row.stage_cycles[i] >= kLeastStageCycles) {
        cycles[std::string(kStageNames[i])] = rounded(row.stage_cycles[i], 1);
      }
    }
  }
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
    json["results"].push_back(to_json(row, tsc_hz, options.stages));
  std::printf("%s\n", json.dump(2).c_str());
}

std::vector<TrafficShape> shapes_of(const PipelineBenchOptions& options) {
  std::vector<TrafficShape> shapes;
  for (const PipelinePath path : options.paths) {
    for (const tunnel::Suite suite : options.suites) {
      // Where nothing is encrypted, once.
      if (!seals(path) && !opens(path) && suite != options.suites.front()) continue;
      for (const bool trains : options.trains) {
        if (!takes_trains(path) && trains) continue;  // frames come one by one
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
