// What the drivers of simulated nodes do with the DHT, and a ledger of it: who wrote what, who was
// given which address, and what reads found. What a value says follows from owner, number and
// version, so that a reader's finding can be told from a forgery.
//
//   value   write() ──► WRITING ──► WRITTEN ──► REMOVING ──► REMOVED
//                          └──────────► REFUSED
//   lease   lease() ──► WRITING ──► WRITTEN ──► REMOVING ──► REMOVED
//                          └──────────►┴──► REFUSED: another has it, or nobody could be asked
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "overlay/sim/simulation.hpp"

namespace ringway::overlay::sim {

class DhtLedger {
 public:
  // Must outlive the simulation's last event.
  DhtLedger(Simulation& simulation, std::uint64_t seed);

  // --- What drivers do. A node that does not run, or has nothing to take back, does nothing.
  void put(NodeIndex owner, std::uint32_t number, Duration ttl);  // what it put before: anew
  void remove(NodeIndex owner, std::uint32_t number);
  void lease(NodeIndex node, std::uint32_t number, Duration ttl);
  void release(NodeIndex node, std::uint32_t number);
  // From now on, so often: some node reads some value or lease.
  void keep_reading(Duration interval);

  enum class State : std::uint8_t { kWriting, kWritten, kRemoving, kRemoved, kRefused };
  struct Entry {
    dht::Kind kind = dht::Kind::kOwned;
    NodeIndex owner = 0;
    std::uint32_t number = 0;
    State state = State::kWriting;
    std::uint32_t incarnation = 0;  // of the owner, when it wrote or removed last
    std::uint32_t versions = 0;     // so many were written, in all of the owner's lives
    std::uint64_t operation = 0;    // the last one
    Instant since;                  // in this state
  };
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  // The owner lives, and is the one that wrote it: it renews what it wrote.
  [[nodiscard]] bool has_owner(const Entry& entry) const;
  // The owner was told that it has the address, and not yet that it lost it.
  [[nodiscard]] bool holds(const Entry& entry) const {
    return entry.kind == dht::Kind::kLease && entry.state == State::kWritten && has_owner(entry);
  }

  // --- Reads
  struct Read {
    NodeIndex reader = 0;
    std::uint32_t incarnation = 0;  // of the reader
    std::uint64_t operation = 0;
    std::size_t entry = 0;
    Instant began;
  };
  void read(NodeIndex reader, std::size_t entry);
  // By a node that is in the ring and neither suspended nor hostile; none when there is none.
  void read_from_anywhere(std::size_t entry);
  [[nodiscard]] bool is_being_read(std::size_t entry) const;
  using Listener = std::function<void(const Read&, const output::DhtDone&)>;
  void on_read(Listener listener) { listeners_.push_back(std::move(listener)); }
  // The version that a reader found; none: nobody wrote that.
  [[nodiscard]] std::optional<std::uint32_t> version_of(const Entry& entry,
                                                        const dht::Found& found) const;
  [[nodiscard]] std::optional<NodeIndex> node_of(const NodeId& id) const;

 private:
  [[nodiscard]] Entry* find(dht::Kind kind, NodeIndex owner, std::uint32_t number);
  [[nodiscard]] static dht::Order order_for(const Entry& entry, dht::Task task);
  void write(dht::Kind kind, NodeIndex owner, std::uint32_t number, Duration ttl);
  void take_back(dht::Kind kind, NodeIndex owner, std::uint32_t number);
  void begin(Entry& entry, const dht::Order& order, State state);
  void read_next(Duration interval);
  void on_event(NodeIndex node, const Event& event);
  void on_write_done(Entry& entry, const output::DhtDone& done);

  Simulation& simulation_;
  SeededRng rng_;
  std::vector<Entry> entries_;
  std::vector<Read> reads_;
  std::vector<Listener> listeners_;
};

}  // namespace ringway::overlay::sim
