// What the DHT adds to experiments with the ring: values when half of it vanishes, leases when it
// was divided.
#pragma once

#include "overlay/sim/dht_workload.hpp"
#include "overlay/sim/experiments/experiment.hpp"

namespace ringway::overlay::sim {

// A value a node, put before and read after half of the nodes vanish.
class VanishRows {
 public:
  VanishRows(Simulation& simulation, std::uint32_t nodes);
  void before();
  void read_soon();
  void after(Instant vanished);  // runs until 60 s after that
  [[nodiscard]] std::vector<Row> rows() const;

 private:
  static DhtWorkloadOptions workload_options(std::uint32_t nodes);

  Simulation& simulation_;
  std::uint32_t nodes_;
  DhtWorkload workload_;
  std::uint64_t false_absences_ = 0;
  std::uint64_t below_majority_ = 0;
};

// The same addresses, leased in both halves of a divided ring.
class LeaseRows {
 public:
  explicit LeaseRows(Simulation& simulation);
  void during(const std::vector<NodeIndex>& one_half, const std::vector<NodeIndex>& other_half);
  [[nodiscard]] std::optional<Duration> time_until_settled(Instant merged);
  [[nodiscard]] std::vector<Row> rows(std::optional<Duration> settled) const;

 private:
  struct Claim {  // two of one number follow each other
    NodeIndex node;
    std::size_t number;
  };
  [[nodiscard]] bool holds(const Claim& claim) const;
  [[nodiscard]] std::size_t double_leases() const;
  [[nodiscard]] std::size_t wrongly_settled() const;

  Simulation& simulation_;
  SeededRng rng_;
  std::vector<Claim> claims_;
  std::size_t held_before_ = 0;
};

}  // namespace ringway::overlay::sim
