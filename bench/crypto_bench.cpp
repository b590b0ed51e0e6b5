#include "bench/crypto_bench.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/rng.hpp"
#include "bench/measure.hpp"
#include "dataplane/tunnel/crypto_batch.hpp"
#include "dataplane/tunnel/raw_aead.hpp"

namespace ringway::bench {
namespace {

using tunnel::AeadJob;
using tunnel::BulkKey;
using tunnel::CryptoBatch;
using tunnel::RawAead;
using tunnel::Suite;

// Measured in turn, so that what disturbs the machine disturbs all of them.
constexpr int kRounds = 20;

enum Contender : std::size_t { kCryptoBatch, kRawIpsecMb, kRawOpenssl, kContenders };
enum Direction : std::size_t { kSeal, kOpen, kDirections };
constexpr const char* kContenderNames[] = {"crypto_batch", "raw_ipsec_mb", "raw_openssl"};
constexpr const char* kDirectionNames[] = {"seal", "open"};

// TSC cycles a message: medians, 0 where the contender is not available.
struct CryptoRow {
  Suite suite;
  std::uint32_t payload_bytes;
  double cycles[kDirections][kContenders];

  // The best that the machine's engines do alone.
  [[nodiscard]] double limit(Direction direction) const {
    const double* c = cycles[direction];
    return c[kRawIpsecMb] > 0 ? std::min(c[kRawIpsecMb], c[kRawOpenssl]) : c[kRawOpenssl];
  }
  [[nodiscard]] double ratio(Direction direction) const {
    return cycles[direction][kCryptoBatch] / limit(direction);
  }
};

struct CryptoSamples {
  std::vector<double> cycles[kDirections][kContenders];
};

// Messages of one suite and size, and every contender ready to work on them in place.
class CryptoBout {
 public:
  CryptoBout(const CryptoBenchOptions& options, Suite suite, std::uint32_t payload_bytes)
      : payload_bytes_(payload_bytes), suite_(suite) {
    SeededRng rng(1);
    SecretBytes<tunnel::kKeyBytes> key;
    for (std::uint32_t i = 0; i < options.keys; ++i) {
      rng.fill(key.span());
      keys_.push_back(std::make_unique<BulkKey>(suite, key));
    }
    // Otherwise the prefetcher would see through the order in which they were allocated.
    for (std::size_t i = keys_.size() - 1; i > 0; --i)
      std::swap(keys_[i], keys_[rng.below(i + 1)]);
    // Lines of 64 bytes, and not all messages in the same sets of the cache.
    const std::size_t stride = (payload_bytes + tunnel::kTagBytes + 63) / 64 * 64 + 64;
    memory_.resize(stride * options.batch + 64);
    std::uint8_t* first =
        memory_.data() + (64 - reinterpret_cast<std::uintptr_t>(memory_.data()) % 64);
    for (std::uint32_t i = 0; i < options.batch; ++i) {
      texts_.push_back(first + i * stride);
      jobs_.push_back({nullptr, texts_.back(), payload_bytes, false, suite, i});
    }
    for (const auto engine : {RawAead::Engine::kIpsecMb, RawAead::Engine::kOpenssl}) {
      raw_.push_back(RawAead::available(engine) ? std::make_unique<RawAead>(engine, suite, key)
                                                : nullptr);
    }
  }

  // For about `budget` cycles, at least once. False: a message did not open.
  [[nodiscard]] bool run(Contender contender, CryptoBatch& batch, std::uint64_t budget,
                         CryptoSamples& samples) {
    if (contender != kCryptoBatch && raw(contender) == nullptr) return true;
    const std::uint64_t end = tsc() + budget;
    // The first pass brings code and tables into the caches.
    for (int pass = 0; pass < 3 || tsc() < end; ++pass) {
      if (contender == kCryptoBatch) choose_keys();
      const std::uint64_t start = tsc();
      seal(contender, batch);
      const std::uint64_t between = tsc();
      open(contender, batch);
      const std::uint64_t stop = tsc();
      if (!all_opened(contender)) return false;
      if (pass == 0) continue;
      const auto count = static_cast<double>(texts_.size());
      samples.cycles[kSeal][contender].push_back(static_cast<double>(between - start) / count);
      samples.cycles[kOpen][contender].push_back(static_cast<double>(stop - between) / count);
    }
    return true;
  }

  [[nodiscard]] CryptoRow row(CryptoSamples& samples) const {
    CryptoRow row{suite_, payload_bytes_, {}};
    for (std::size_t d = 0; d < kDirections; ++d) {
      for (std::size_t c = 0; c < kContenders; ++c)
        row.cycles[d][c] = median(samples.cycles[d][c]);
    }
    return row;
  }

 private:
  [[nodiscard]] RawAead* raw(Contender contender) { return raw_[contender - kRawIpsecMb].get(); }

  void choose_keys() {
    for (AeadJob& job : jobs_) {
      job.key = keys_[next_key_].get();
      if (++next_key_ == keys_.size()) next_key_ = 0;
    }
  }
  void seal(Contender contender, CryptoBatch& batch) {
    if (contender == kCryptoBatch) {
      batch.seal(jobs_);
    } else {
      raw(contender)->seal(texts_, payload_bytes_);
    }
  }
  void open(Contender contender, CryptoBatch& batch) {
    if (contender == kCryptoBatch) {
      batch.open(jobs_);
    } else {
      raw(contender)->open(texts_, payload_bytes_);
    }
  }
  [[nodiscard]] bool all_opened(Contender contender) const {
    return contender != kCryptoBatch ||
           std::all_of(jobs_.begin(), jobs_.end(), [](const AeadJob& job) { return job.ok; });
  }

  std::uint32_t payload_bytes_;
  Suite suite_;
  std::vector<std::unique_ptr<BulkKey>> keys_;
  std::size_t next_key_ = 0;
  std::vector<std::uint8_t> memory_;
  std::vector<std::uint8_t*> texts_;
  std::vector<AeadJob> jobs_;
  std::vector<std::unique_ptr<RawAead>> raw_;  // by contender, from kRawIpsecMb on
};

double gbps(const CryptoRow& row, double cycles, double tsc_hz) {
  return cycles > 0 ? row.payload_bytes * 8 * tsc_hz / cycles * 1e-9 : 0;
}

// ---- For people ----

// What CryptoBatch may cost beyond the raw loop before a colour says so.
const char* ratio_colour(const Colours& colours, double ratio) {
  if (ratio <= 1.10) return colours.good;
  return ratio <= 1.30 ? colours.fair : colours.bad;
}

void print_direction(const CryptoRow& row, Direction direction, double tsc_hz,
                     const Colours& colours) {
  const double* cycles = row.cycles[direction];
  const char* ratio_in = ratio_colour(colours, row.ratio(direction));
  std::printf("  %7.0f %s%7.1f%s", cycles[kCryptoBatch], colours.bold,
              gbps(row, cycles[kCryptoBatch], tsc_hz), colours.reset);
  for (const Contender contender : {kRawIpsecMb, kRawOpenssl}) {
    if (cycles[contender] > 0) {
      std::printf(" %8.0f", cycles[contender]);
    } else {
      std::printf(" %8s", "-");
    }
  }
  std::printf("  %s%5.2f%s", ratio_in, row.ratio(direction), colours.reset);
}

void print_head(Suite suite, const Colours& colours) {
  std::printf(
      "\n%s%-17s%s%s ───────────────── seal ────────────────   ───────────────── open "
      "────────────────%s\n",
      colours.bold, tunnel::suite_name(suite).data(), colours.reset, colours.dim, colours.reset);
  std::printf("%s%15s", colours.dim, "payload");
  for (std::size_t d = 0; d < kDirections; ++d) {
    std::printf("  %7s %7s %8s %8s  %5s", "cycles", "Gbit/s", "ipsec-mb", "OpenSSL", "ratio");
  }
  std::printf("%s\n", colours.reset);
}

void print_table(const std::vector<CryptoRow>& rows, const CryptoBenchOptions& options,
                 const std::string& engines, double tsc_hz) {
  const Colours colours = Colours::of_stdout();
  std::printf("%sBulk encryption in place%s, one core, %u %s a call, TSC %.2f GHz\n", colours.bold,
              colours.reset, options.batch, options.batch == 1 ? "message" : "messages",
              tsc_hz * 1e-9);
  std::printf("CryptoBatch: %s", engines.c_str());
  if (options.keys > 1) std::printf("; its messages belong to %u sessions in turn", options.keys);
  std::printf("\n");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].suite != rows[i - 1].suite) print_head(rows[i].suite, colours);
    std::printf("%13u B", rows[i].payload_bytes);
    print_direction(rows[i], kSeal, tsc_hz, colours);
    print_direction(rows[i], kOpen, tsc_hz, colours);
    std::printf("\n");
  }
  std::printf(
      "\n%scycles, Gbit/s: a message through CryptoBatch, payload only. ipsec-mb, OpenSSL: "
      "cycles of\nthe raw loop with one key. ratio: CryptoBatch over the faster raw loop. "
      "Medians of %d\ninterleaved rounds.%s\n",
      colours.dim, kRounds, colours.reset);
}

// ---- For programs ----

nlohmann::ordered_json to_json(const CryptoRow& row, Direction direction, double tsc_hz) {
  nlohmann::ordered_json json;
  json["suite"] = tunnel::suite_name(row.suite);
  json["payload_bytes"] = row.payload_bytes;
  json["direction"] = kDirectionNames[direction];
  for (std::size_t c = 0; c < kContenders; ++c) {
    const double cycles = row.cycles[direction][c];
    if (cycles == 0) continue;
    json[std::string(kContenderNames[c]) + "_cycles"] = rounded(cycles, 1);
    json[std::string(kContenderNames[c]) + "_gbps"] = rounded(gbps(row, cycles, tsc_hz), 2);
  }
  json["ratio"] = rounded(row.ratio(direction), 3);
  return json;
}

void print_json(const std::vector<CryptoRow>& rows, const CryptoBenchOptions& options,
                const std::string& engines, double tsc_hz) {
  nlohmann::ordered_json json;
  json["benchmark"] = "crypto";
  json["tsc_hz"] = std::llround(tsc_hz);
  json["engines"] = engines;
  json["batch"] = options.batch;
  json["keys"] = options.keys;
  json["results"] = nlohmann::ordered_json::array();
  for (const CryptoRow& row : rows) {
    json["results"].push_back(to_json(row, kSeal, tsc_hz));
    json["results"].push_back(to_json(row, kOpen, tsc_hz));
  }
  std::printf("%s\n", json.dump(2).c_str());
}

}  // namespace

int run_crypto_bench(const CryptoBenchOptions& options) {
  if (options.core) {
    if (const auto pinned = pin_to_core(*options.core); !pinned) {
      std::fprintf(stderr, "ringway-bench: %s\n", pinned.error().text().c_str());
      return 1;
    }
  }
  const TscCalibration calibration;
  CryptoBatch batch;
  std::vector<std::unique_ptr<CryptoBout>> bouts;
  for (const Suite suite : options.suites) {
    for (const std::uint32_t bytes : options.payload_bytes) {
      bouts.push_back(std::make_unique<CryptoBout>(options, suite, bytes));
    }
  }
  std::vector<CryptoSamples> samples(bouts.size());
  const auto turns = static_cast<double>(bouts.size() * kContenders * kRounds);
  const auto budget = static_cast<std::uint64_t>(options.seconds / turns * calibration.hz());
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < bouts.size(); ++i) {
      for (const Contender contender : {kCryptoBatch, kRawIpsecMb, kRawOpenssl}) {
        if (bouts[i]->run(contender, batch, budget, samples[i])) continue;
        std::fprintf(stderr, "ringway-bench: a message that was just sealed did not open (%s)\n",
                     batch.describe().c_str());
        return 1;
      }
    }
  }
  std::vector<CryptoRow> rows;
  for (std::size_t i = 0; i < bouts.size(); ++i)
    rows.push_back(bouts[i]->row(samples[i]));
  if (options.json) {
    print_json(rows, options, batch.describe(), calibration.hz());
  } else {
    print_table(rows, options, batch.describe(), calibration.hz());
  }
  return 0;
}

}  // namespace ringway::bench
