// Nodes that put values into the DHT and read each other's, and an onlooker who knows what must be
// there: every value whose put was confirmed and whose owner lives.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

struct DhtWorkloadOptions {
  std::size_t values = 0;  // with living owners, at any time: who goes is replaced by another owner
  Duration ttl = Duration::seconds(3600);
  Duration read_interval = Duration::seconds(1);   // on average, a random value by a random node
  Duration look_interval = Duration::seconds(10);  // the onlooker's
};

struct DhtStatistics {
  std::uint64_t puts = 0;
  std::uint64_t puts_confirmed = 0;
  std::uint64_t reads = 0;                    // that ended, of values that must be there
  std::uint64_t reads_ok = 0;                 // the right value, by a majority
  std::uint64_t reads_below_majority = 0;     // and said so
  std::uint64_t reads_missing = 0;            // a majority said that there is nothing
  std::uint64_t reads_wrong = 0;              // another value than the owner's
  std::uint64_t lost = 0;                     // no living node held it, though its owner lived
  std::uint64_t fewest_holders = UINT64_MAX;  // of a value with a living owner, at any look
  Duration slowest_read;
};

class DhtWorkload {
 public:
  DhtWorkload(Simulation& simulation, const DhtWorkloadOptions& options);

  // Puts, reads and looks from now on.
  void start();
  // Puts the values, without anything else.
  void put_all();
  // Reads every confirmed value once, each by another node.
  void read_all();

  [[nodiscard]] const DhtStatistics& statistics() const { return statistics_; }
  // --- What the onlooker knows
  struct Value {
    NodeIndex owner = 0;
    dht::Key key;
    std::uint64_t put_operation = 0;
    bool confirmed = false;
    bool lost = false;
    bool readable = false;  // a read found it since forget_reads()
    std::vector<std::uint8_t> payload;
  };
  [[nodiscard]] const std::vector<Value>& values() const { return values_; }
  [[nodiscard]] bool owner_lives(const Value& value) const;
  // Living nodes that hold the owner's value.
  [[nodiscard]] std::size_t holders(const Value& value) const;
  void forget_reads();

 private:
  struct Read {
    NodeIndex reader;
    std::uint64_t operation;
    std::size_t value;
    bool owner_lived;
    Instant began;
  };
  void on_event(NodeIndex node, const Event& event);
  void on_read_done(const Read& read, const output::DhtDone& done);
  void put(std::size_t index);
  void read(std::size_t index);
  void look();
  void next_read();
  [[nodiscard]] std::optional<NodeIndex> random_member();

  Simulation& simulation_;
  DhtWorkloadOptions options_;
  SeededRng rng_;
  std::vector<Value> values_;
  std::vector<Read> reads_;
  DhtStatistics statistics_;
};

}  // namespace ringway::overlay::sim
