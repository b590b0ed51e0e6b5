#include "overlay/sim/latency.hpp"

#include <cmath>
#include <cstdlib>

#include <zlib.h>

#include "base/rng.hpp"

namespace ringway::overlay::sim {
namespace {

constexpr Duration kAccessDelay = Duration::milliseconds(5);

// A node's own random numbers, whatever the order in which nodes are asked about.
SeededRng rng_of(std::uint64_t seed, std::uint32_t node) {
  return SeededRng(seed ^ (std::uint64_t{node} + 1) * 0x9e3779b97f4a7c15);
}

class FixedLatency final : public LatencyModel {
 public:
  explicit FixedLatency(Duration one_way) : one_way_(one_way) {}
  [[nodiscard]] Duration between(std::uint32_t, std::uint32_t) const override { return one_way_; }

 private:
  Duration one_way_;
};

class GeometricLatency final : public LatencyModel {
 public:
  GeometricLatency(std::uint64_t seed, Duration across) : seed_(seed), across_(across) {}
  [[nodiscard]] Duration between(std::uint32_t a, std::uint32_t b) const override {
    const Place first = place(a);
    const Place second = place(b);
    const double x = first.x - second.x;
    const double y = first.y - second.y;
    const double part = std::sqrt((x * x + y * y) / 2);  // of the diagonal
    const std::int64_t across_us = across_.count_ns() / 1000;
    return first.access + second.access +
           Duration::microseconds(static_cast<std::int64_t>(part * static_cast<double>(across_us)));
  }

 private:
  struct Place {
    double x, y;  // in [0, 1)
    Duration access;
  };
  [[nodiscard]] Place place(std::uint32_t node) const {
    SeededRng rng = rng_of(seed_, node);
    constexpr double kUnit = 1.0 / (std::uint64_t{1} << 32);
    const double x = rng.next_u32() * kUnit;
    const double y = rng.next_u32() * kUnit;
    return {x, y,
            Duration::nanoseconds(static_cast<std::int64_t>(
                rng.below(static_cast<std::uint64_t>(across_.count_ns() / 10) + 1)))};
  }
  std::uint64_t seed_;
  Duration across_;
};

class PlanetLabLatency final : public LatencyModel {
 public:
  PlanetLabLatency(std::uint64_t seed, std::vector<float> rtt_ms, std::size_t rows)
      : seed_(seed), rtt_ms_(std::move(rtt_ms)), rows_(rows) {}
  [[nodiscard]] Duration between(std::uint32_t a, std::uint32_t b) const override {
    const double rtt = rtt_ms_[row(a) * rows_ + row(b)];
    return Duration::microseconds(static_cast<std::int64_t>(rtt * 500)) + access(a) + access(b);
  }

 private:
  [[nodiscard]] std::size_t row(std::uint32_t node) const { return node % rows_; }
  [[nodiscard]] Duration access(std::uint32_t node) const {
    if (node < rows_) return {};
    SeededRng rng = rng_of(seed_, node);
    return Duration::nanoseconds(
        static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(kAccessDelay.count_ns()))));
  }
  std::uint64_t seed_;
  std::vector<float> rtt_ms_;
  std::size_t rows_;
};

std::string read_gzip(const std::string& path) {
  std::string text;
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return text;
  char chunk[1 << 16];
  for (int got = 0; (got = gzread(file, chunk, sizeof chunk)) > 0;)
    text.append(chunk, static_cast<std::size_t>(got));
  gzclose(file);
  return text;
}

}  // namespace

std::unique_ptr<LatencyModel> make_fixed_latency(Duration one_way) {
  return std::make_unique<FixedLatency>(one_way);
}

std::unique_ptr<LatencyModel> make_geometric_latency(std::uint64_t seed, Duration across) {
  return std::make_unique<GeometricLatency>(seed, across);
}

Result<std::unique_ptr<LatencyModel>> load_planetlab_latency(std::uint64_t seed,
                                                             const std::string& path) {
  const std::string text = read_gzip(path);
  std::vector<float> values;
  const char* at = text.c_str();
  for (char* end = nullptr;; at = end) {
    const float value = std::strtof(at, &end);
    if (end == at) break;
    values.push_back(value);
  }
  const auto rows = static_cast<std::size_t>(std::lround(std::sqrt(values.size())));
  if (rows == 0 || rows * rows != values.size())
    return failure("reading " + path + ": not a square matrix of round-trip times",
                   "give the file data/planetlab-rtt/planetlab-490-rtt-ms.txt.gz");
  return std::make_unique<PlanetLabLatency>(seed, std::move(values), rows);
}

}  // namespace ringway::overlay::sim
