// What an experiment is: some rows, each a figure measured in several runs, beside what others
// published and what is promised.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "overlay/sim/experiments/experiments.hpp"
#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

enum class Better : std::uint8_t { kLower, kHigher };

struct Row {
  std::string what;       // "256 nodes"
  std::string published;  // by others, with its unit; empty: nothing comparable
  std::string unit;       // of the values
  Better better = Better::kLower;
  std::optional<double> promised;             // by us: the worst run must not be worse
  std::vector<std::optional<double>> values;  // one a run; none: it did not come to its end

  [[nodiscard]] std::optional<double> median() const;
  [[nodiscard]] std::optional<double> worst() const;
  [[nodiscard]] bool kept() const;  // every run came to its end, and the promise was kept
};

struct Experiment {
  const char* name;
  const char* what;
  // One run, with this seed. The rows of all runs are the same but for their values, of which each
  // run gives one.
  std::vector<Row> (*run)(const ExperimentOptions& options, std::uint64_t seed);
  unsigned runs = 5;  // where nobody says how many
};

// A simulation with the experiment's latencies and no lookups of its own.
[[nodiscard]] std::unique_ptr<Simulation> make_simulation(const ExperimentOptions& options,
                                                          std::uint64_t seed,
                                                          Options settings = {});

// How most of them begin: all nodes come within the first of these, then the ring has the second to
// settle.
inline constexpr Duration kJoining = Duration::seconds(30);
inline constexpr Duration kUntilSettled = Duration::seconds(120);
inline constexpr std::uint32_t kThousand = 1000;  // nodes, where nobody says how many

// A settled ring of many nodes, which came a few a second.
[[nodiscard]] std::unique_ptr<Simulation> grow_ring(const ExperimentOptions& options,
                                                    std::uint64_t seed, std::uint32_t nodes,
                                                    Options settings = {});

[[nodiscard]] std::string nodes_text(std::uint32_t nodes);
[[nodiscard]] double percent(std::uint64_t part, std::uint64_t whole);
[[nodiscard]] std::optional<double> seconds(const std::optional<Duration>& duration);

// The experiments of each file.
[[nodiscard]] std::vector<Experiment> ring_experiments();
[[nodiscard]] std::vector<Experiment> relay_experiments();
[[nodiscard]] std::vector<Experiment> broadcast_experiments();
[[nodiscard]] std::vector<Experiment> coordinate_experiments();
[[nodiscard]] std::vector<Experiment> private_experiments();
[[nodiscard]] std::vector<Experiment> dht_experiments();
[[nodiscard]] std::vector<Experiment> growth_experiments();
[[nodiscard]] std::vector<Experiment> hostile_experiments();
[[nodiscard]] std::vector<Experiment> scale_experiments();

}  // namespace ringway::overlay::sim
