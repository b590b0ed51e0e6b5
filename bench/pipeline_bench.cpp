#include "bench/pipeline_bench.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/check.hpp"
#include "bench/measure.hpp"
#include "bench/pipeline.hpp"
#include "bench/pipeline_crew.hpp"
#include "dataplane/stage_clock.hpp"
#include "dataplane/tunnel/raw_aead.hpp"

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

// TSC cycles of a core a packet: medians.
struct PipelineRow {
  TrafficShape shape;
  int rounds = 0;
  double cycles = 0;
  double crypto_cycles = 0;
  std::uint64_t samples_compared = 0;
  std::array<double, kStageCount> stage_cycles{};  // where they were asked for
  double one_worker_cycles = 0;                    // of several: one alone, in the same rounds
  std::uint64_t mappings = 0;                      // live, where the path translates

  [[nodiscard]] double overhead() const { return cycles - crypto_cycles; }
  [[nodiscard]] double mpps(double tsc_hz) const { return tsc_hz * shape.workers / cycles * 1e-6; }
  [[nodiscard]] double times_one() const { return shape.workers * one_worker_cycles / cycles; }
  // Of inner packets.
  [[nodiscard]] double gbps(double tsc_hz) const {
    return mpps(tsc_hz) * shape.sizes.mean() * 8 * 1e-3;
  }
};

// ---- Rounds ----

// Adds the cycles a packet of the worker's turns alone, a sample each kTimedPackets.
Result<void> run_round(Pipeline& pipeline, std::uint64_t sample_interval,
                       std::vector<double>& samples) {
  pipeline.begin_round(sample_interval);
  while (!pipeline.exhausted()) {
    const std::uint64_t before = pipeline.packets_sent();
    const std::uint64_t copying = pipeline.copy_cycles();
    const std::uint64_t start = tsc();
    while (pipeline.packets_sent() - before < kTimedPackets && !pipeline.exhausted())
      pipeline.turn();
    const std::uint64_t cycles = tsc() - start - (pipeline.copy_cycles() - copying);
    const std::uint64_t packets = pipeline.packets_sent() - before;
    if (packets >= kTimedPackets) {  // not the rest of a round
      samples.push_back(static_cast<double>(cycles) / static_cast<double>(packets));
    }
  }
  return pipeline.end_round();
}

// A round whose stages are timed, each for itself, and nothing else.
Result<void> run_stages(Pipeline& pipeline, std::array<std::vector<double>, kStageCount>& samples) {
  pipeline.begin_round(kSampleInterval);
  StageClock clock;
  pipeline.watch_stages(&clock);
  while (!pipeline.exhausted()) {
    const StageClock before = clock;
    const std::uint64_t packets_before = pipeline.packets_sent();
    clock.start();
    while (pipeline.packets_sent() - packets_before < kTimedPackets && !pipeline.exhausted())
      pipeline.turn();
    const auto packets = static_cast<double>(pipeline.packets_sent() - packets_before);
    if (packets < kTimedPackets) break;
    for (std::size_t i = 0; i < kStageCount; ++i) {
      const auto stage = static_cast<Stage>(i);
      samples[i].push_back(static_cast<double>(clock.cycles(stage) - before.cycles(stage)) /
                           packets);
    }
  }
  pipeline.watch_stages(nullptr);
  return pipeline.end_round();
}

// ---- What the machine can do at best ----

// The engines' raw loops over messages of one size, in buffers that stay in the near caches.
class RawLoops {
 public:
  RawLoops(const TrafficShape& shape, std::uint32_t packet_bytes, Rng& rng)
      : text_bytes_(shape.text_bytes(packet_bytes)), seals_(seals(shape.path)) {
    if (!seals(shape.path) && !opens(shape.path)) return;
    SecretBytes<tunnel::kKeyBytes> key;
    rng.fill(key.span());
    for (const auto engine : {RawAead::Engine::kIpsecMb, RawAead::Engine::kOpenssl}) {
      if (!RawAead::available(engine)) continue;
      loops_.push_back({std::make_unique<RawAead>(engine, shape.suite, key), {}});
    }
    // An odd number of lines: not all messages in the same sets of the cache.
    const std::size_t stride = ((shape.message_bytes(packet_bytes) + 63) / 64 | 1) * 64;
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

// The same over the sizes of a shape, each by itself and for its share.
class RawMix {
 public:
  RawMix(const TrafficShape& shape, Rng& rng) : total_parts_(shape.sizes.total_parts()) {
    for (const PacketSizes::Share& share : shape.sizes.shares())
      parts_.push_back({share.parts, std::make_unique<RawLoops>(shape, share.bytes, rng)});
  }
  void run() {
    for (const Part& part : parts_)
      part.loops->run();
  }
  [[nodiscard]] double cycles() {
    double sum = 0;
    for (const Part& part : parts_)
      sum += part.parts * part.loops->cycles();
    return sum / total_parts_;
  }

 private:
  struct Part {
    std::uint32_t parts;
    std::unique_ptr<RawLoops> loops;
  };
  std::uint32_t total_parts_;
  std::vector<Part> parts_;
};

Result<PipelineRow> measure_worker(const TrafficShape& shape, const PipelineBenchOptions& options,
                                   double seconds, std::string& engines) {
  PipelineRow row{shape};
  auto opened = Pipeline::open(shape, options);
  if (!opened) return tl::unexpected<Error>(std::move(opened.error()));
  Pipeline& pipeline = **opened;
  engines = pipeline.describe_crypto();
  SeededRng rng(2);
  RawMix raw(shape, rng);
  std::vector<double> samples;
  std::array<std::vector<double>, kStageCount> stage_samples;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  const auto most_rounds = static_cast<int>(kMaxPackets / shape.packets / (options.stages ? 2 : 1));
  for (int round = 0; round < most_rounds; ++round) {
    if (round > kLeastRounds && std::chrono::steady_clock::now() >= end) break;
    const bool first = round == 0;
    auto checked =
        run_round(pipeline, first ? kFirstRoundSampleInterval : kSampleInterval, samples);
    if (!checked) return tl::unexpected<Error>(std::move(checked.error()));
    raw.run();
    if (first) {
      samples.clear();
      continue;
    }
    ++row.rounds;
    if (!options.stages) continue;
    auto staged = run_stages(pipeline, stage_samples);
    if (!staged) return tl::unexpected<Error>(std::move(staged.error()));
  }
  for (std::size_t i = 0; i < kStageCount; ++i)
    row.stage_cycles[i] = median(stage_samples[i]);
  row.samples_compared = pipeline.samples_compared();
  row.mappings = pipeline.live_mappings();
  row.cycles = median(samples);
  row.crypto_cycles = raw.cycles();
  return row;
}

// Several workers, and one alone between their rounds.
Result<PipelineRow> measure_crew(const TrafficShape& shape, const PipelineBenchOptions& options,
                                 double seconds, std::string& engines) {
  PipelineRow row{shape};
  TrafficShape alone = shape;
  alone.workers = 1;
  alone.misplaced_peers = 0;
  auto crew = PipelineCrew::open(shape, options);
  if (!crew) return tl::unexpected<Error>(std::move(crew.error()));
  auto one = PipelineCrew::open(alone, options);
  if (!one) return tl::unexpected<Error>(std::move(one.error()));
  engines = (*crew)->describe_crypto();
  SeededRng rng(2);
  RawMix raw(shape, rng);
  std::vector<double> samples;
  std::vector<double> one_samples;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  const auto most_rounds = static_cast<int>(kMaxPackets / shape.packets);
  for (int round = 0; round < most_rounds; ++round) {
    if (round > kLeastRounds && std::chrono::steady_clock::now() >= end) break;
    const bool first = round == 0;
    const std::uint64_t interval = first ? kFirstRoundSampleInterval : kSampleInterval;
    const auto together = (*crew)->run(interval);
    if (!together) return tl::unexpected<Error>(together.error());
    const auto by_itself = (*one)->run(interval);
    if (!by_itself) return tl::unexpected<Error>(by_itself.error());
    raw.run();
    if (first) continue;
    samples.push_back(*together * shape.workers);
    one_samples.push_back(*by_itself);
    ++row.rounds;
  }
  row.samples_compared = (*crew)->samples_compared() + (*one)->samples_compared();
  row.mappings = (*crew)->live_mappings();
  row.cycles = median(samples);
  row.one_worker_cycles = median(one_samples);
  row.crypto_cycles = raw.cycles();
  return row;
}

// ---- For people ----

const char* path_name(PipelinePath path) {
  return kPathNames[static_cast<std::size_t>(path)];
}

std::string size_name(const TrafficShape& shape) {
  return shape.sizes.name() + (shape.sizes.shares().size() == 1 ? " B" : "");
}

// Twenty blocks: encryption's share of the time in full ones.
std::string bar(const PipelineRow& row, const Colours& colours) {
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

void print_stages(const PipelineRow& row, const Colours& colours) {
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

void print_table(const std::vector<PipelineRow>& rows, const PipelineBenchOptions& options,
                 const std::string& engines, double tsc_hz) {
  const Colours colours = Colours::of_stdout();
  std::printf("%sThe worker between memory ports%s, one core, %u %s, bursts of %u, TSC %.2f GHz\n",
              colours.bold, colours.reset, options.peers, options.peers == 1 ? "peer" : "peers",
              options.burst, tsc_hz * 1e-9);
  std::printf("CryptoBatch: %s\n", engines.c_str());
  std::uint64_t samples = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const PipelineRow& row = rows[i];
    samples += row.samples_compared;
    if (i == 0 || !same_table(row.shape, rows[i - 1].shape)) print_head(row.shape, colours);
    std::printf("%8s %9u %8.2f %s%8.2f%s %8.0f %8.0f %10.0f  %s\n", size_name(row.shape).c_str(),
                row.shape.train_segments, row.mpps(tsc_hz), colours.bold, row.gbps(tsc_hz),
                colours.reset, row.cycles, row.crypto_cycles, row.overhead(),
                bar(row, colours).c_str());
    if (options.stages) print_stages(row, colours);
    if (row.shape.workers > 1) {
      std::printf("%s         %u workers: %.2f times one alone (%.0f cycles)%s\n", colours.dim,
                  row.shape.workers, row.times_one(), row.one_worker_cycles, colours.reset);
    }
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

nlohmann::ordered_json to_json(const PipelineRow& row, double tsc_hz, bool stages) {
  nlohmann::ordered_json json;
  json["path"] = path_name(row.shape.path);
  if (seals(row.shape.path) || opens(row.shape.path)) {
    json["suite"] = tunnel::suite_name(row.shape.suite);
  }
  json["size"] = row.shape.sizes.name();
  json["packet_bytes"] = rounded(row.shape.sizes.mean(), 1);
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
  if (row.shape.workers > 1) {
    json["one_worker_cycles_per_packet"] = rounded(row.one_worker_cycles, 1);
    json["times_one_worker"] = rounded(row.times_one(), 3);
  }
  if (translates(row.shape.path)) json["mappings"] = row.mappings;
  json["rounds"] = row.rounds;
  json["samples_compared"] = row.samples_compared;
  json["verified"] = true;  // otherwise the run has failed
  return json;
}

void print_json(const std::vector<PipelineRow>& rows, const PipelineBenchOptions& options,
                const std::string& engines, double tsc_hz) {
  nlohmann::ordered_json json;
  json["benchmark"] = "pipeline";
  json["tsc_hz"] = std::llround(tsc_hz);
  json["engines"] = engines;
  json["peers"] = options.peers;
  json["flows"] = options.flows;
  json["new_flow_share"] = options.new_flow_share;
  json["workers"] = options.workers;
  json["misplaced_percent"] = options.misplaced_percent;
  json["burst"] = options.burst;
  json["packets_a_round"] = options.packets;
  json["arrival"] = options.arrival == Arrival::kCopied ? "copied" : "in place";
  json["results"] = nlohmann::ordered_json::array();
  for (const PipelineRow& row : rows)
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
        for (const PacketSizes& sizes : options.sizes) {
          if (trains && sizes.shares().size() > 1) continue;  // a train's packets are alike
          const std::uint32_t segments = trains ? TrafficShape::longest_train(sizes.longest()) : 1;
          shapes.push_back({path, suite, sizes, segments, options.peers, options.packets,
                            options.flows, 0, options.workers,
                            options.peers * options.misplaced_percent / 100,
                            options.new_flow_share});
        }
      }
    }
  }
  return shapes;
}

// Flows are opened from inside.
Result<void> check_new_flows(const PipelineBenchOptions& options) {
  if (options.new_flow_share == 0) return {};
  for (const PipelinePath path : options.paths) {
    if (path == PipelinePath::kToInternet || path == PipelinePath::kNatOnly) continue;
    return failure(std::string("no packet of ") + path_name(path) + " opens a flow",
                   "give --new-flow-share with to-internet or nat-only");
  }
  if (options.flows < options.peers) {
    return failure("a peer whose flows all end would come back on another external address",
                   "give at least as many --flows as --peers");
  }
  const double flows = options.flows + options.packets * options.new_flow_share;
  if (flows > GatewayFlows::kMostFlowsASubscriber * options.peers) {
    return failure("a peer has the ports of one external address, which are too few",
                   "give more --peers");
  }
  return {};
}

Result<void> check_crew(const PipelineBenchOptions& options) {
  if (options.workers == 1) {
    if (options.misplaced_percent == 0) return {};
    return failure("--misplaced needs another worker", "give --workers 2 or more");
  }
  if (options.stages) return failure("--stages are those of one worker", "leave --workers out");
  for (const PipelinePath path : options.paths) {
    if (path == PipelinePath::kNatOnly || path == PipelinePath::kNull) {
      return failure(std::string(path_name(path)) + " has no workers", "leave --workers out");
    }
  }
  if (options.misplaced_percent == 0) return {};
  if (options.peers * options.misplaced_percent / 100 == 0) {
    return failure("whole peers are misplaced, and that share of them is none",
                   "give more --peers");
  }
  if (options.arrival == Arrival::kInPlace) {
    return failure("--misplaced and --cold do not go together");
  }
  return {};
}

}  // namespace

int run_pipeline_bench(const PipelineBenchOptions& options) {
  for (const auto& check : {check_crew, check_new_flows}) {
    if (const auto possible = check(options); !possible) {
      std::fprintf(stderr, "ringway-bench: %s\n", possible.error().text().c_str());
      return 1;
    }
  }
  if (options.core) {
    if (const auto pinned = pin_to_core(*options.core); !pinned) {
      std::fprintf(stderr, "ringway-bench: %s\n", pinned.error().text().c_str());
      return 1;
    }
  }
  const TscCalibration calibration;
  const std::vector<TrafficShape> shapes = shapes_of(options);
  std::vector<PipelineRow> rows;
  std::string engines;
  for (const TrafficShape& shape : shapes) {
    const double seconds = options.seconds / static_cast<double>(shapes.size());
    const auto row =
        (shape.workers == 1 ? measure_worker : measure_crew)(shape, options, seconds, engines);
    if (!row) {
      std::fprintf(stderr, "ringway-bench: %s, %s: %s\n", path_name(shape.path),
                   size_name(shape).c_str(), row.error().text().c_str());
      return 1;
    }
    rows.push_back(*row);
  }
  if (options.json) {
    print_json(rows, options, engines, calibration.hz());
  } else {
    print_table(rows, options, engines, calibration.hz());
  }
  return 0;
}

}  // namespace ringway::bench
