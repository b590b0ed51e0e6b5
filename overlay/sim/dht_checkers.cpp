#include "overlay/sim/dht_checkers.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace ringway::overlay::sim {
namespace {

using Entry = DhtLedger::Entry;
using State = DhtLedger::State;

std::string entry_text(const Entry& entry) {
  const std::string number = std::to_string(entry.number);
  return entry.kind == dht::Kind::kLease
             ? "address " + number
             : "value " + number + " of node " + std::to_string(entry.owner);
}

// --- Safety --------------------------------------------------------------------------------------

class TrueValues final : public Checker {
 public:
  explicit TrueValues(const CheckedRun& run) : simulation_(run.simulation), ledger_(run.ledger) {
    ledger_.on_read([this](const DhtLedger::Read& read, const output::DhtDone& done) {
      for (const dht::Found& found : done.values)
        look_at(read, found);
    });
  }
  [[nodiscard]] const char* name() const override { return "true values"; }
  [[nodiscard]] std::string broken() override { return broken_; }

 private:
  void look_at(const DhtLedger::Read& read, const dht::Found& found) {
    const Entry& entry = ledger_.entries()[read.entry];
    const std::string who = "node " + std::to_string(read.reader) + " read ";
    if (!ledger_.version_of(entry, found)) {
      broken_ = who + "of " + entry_text(entry) + " what nobody wrote";
      return;
    }
    // Only of versions whose time is not over: a reader forgets the others.
    Seen& seen = seen_[{read.reader, read.incarnation, entry.kind, entry.number, found.owner}];
    if (found.sequence < seen.sequence && simulation_.clock(read.reader).wall < seen.not_after)
      broken_ = who + "an earlier version of " + entry_text(entry) + " than before";
    if (found.sequence > seen.sequence) seen = {found.sequence, found.not_after};
  }

  struct Seen {
    std::uint64_t sequence = 0;
    WallTime not_after;
  };
  using ReaderAndValue = std::tuple<NodeIndex, std::uint32_t, dht::Kind, std::uint32_t, NodeId>;
  const Simulation& simulation_;
  DhtLedger& ledger_;
  std::map<ReaderAndValue, Seen> seen_;
  std::string broken_;
};

// The ring is whole when every node is in its place and hears the others, and has been for a time
// in which what was written while it was not has come to its new places: leases that two parts
// gave are settled then, and from then on nobody is given what another has.
class OneHolder final : public Checker {
 public:
  explicit OneHolder(const CheckedRun& run) : simulation_(run.simulation), ledger_(run.ledger) {
    ledger_.on_read([this](const DhtLedger::Read& read, const output::DhtDone& done) {
      if (done.majority && done.values.size() == 1) shown(read, done.values[0].owner);
    });
  }
  [[nodiscard]] const char* name() const override { return "one holder"; }
  void on_incident(const Incident& incident) override {
    if (!uses_dht(incident.what)) whole_since_ = Instant::never();
  }
  [[nodiscard]] std::string broken() override {
    if (alive_ != simulation_.alive().size() || !simulation_.ring_right() || anybody_disturbed()) {
      alive_ = simulation_.alive().size();
      whole_since_ = Instant::never();
    } else if (whole_since_ == Instant::never()) {
      whole_since_ = simulation_.now();
    }
    if (whole_for(kSettled)) look_for_two();
    return broken_;
  }

 private:
  static constexpr Duration kSettled = Duration::seconds(60);

  [[nodiscard]] bool whole_for(Duration time) const {
    return whole_since_ != Instant::never() && simulation_.now() - whole_since_ >= time;
  }
  [[nodiscard]] bool anybody_disturbed() const {
    const std::vector<NodeIndex>& alive = simulation_.alive();
    return std::any_of(alive.begin(), alive.end(), [&](NodeIndex node) {
      return simulation_.is_paused(node) || simulation_.is_hostile(node);
    });
  }
  void look_for_two() {
    std::map<std::uint32_t, NodeIndex> holders;
    for (const Entry& entry : ledger_.entries()) {
      if (!ledger_.holds(entry)) continue;
      const auto [first, alone] = holders.emplace(entry.number, entry.owner);
      if (!alone)
        broken_ = "nodes " + std::to_string(first->second) + " and " + std::to_string(entry.owner) +
                  " both have " + entry_text(entry);
    }
  }
  // A majority names a holder; one read after another, both while the ring is whole, may name two
  // only if the first has lost it meanwhile.
  void shown(const DhtLedger::Read& read, const NodeId& holder) {
    const Entry& entry = ledger_.entries()[read.entry];
    if (entry.kind != dht::Kind::kLease || !whole_for(kSettled)) return;
    Shown& last = shown_[entry.number];
    const bool after = last.whole_since == whole_since_ && read.began >= last.ended;
    if (after && last.holder != holder && still_holds(last.holder, entry.number))
      broken_ = "majorities named two nodes for " + entry_text(entry);
    last = {holder, simulation_.now(), whole_since_};
  }
  [[nodiscard]] bool still_holds(const NodeId& holder, std::uint32_t number) const {
    return std::any_of(ledger_.entries().begin(), ledger_.entries().end(), [&](const Entry& entry) {
      return entry.number == number && ledger_.holds(entry) &&
             simulation_.id(entry.owner) == holder;
    });
  }

  struct Shown {
    NodeId holder;
    Instant ended;
    Instant whole_since = Instant::distant_past();
  };
  const Simulation& simulation_;
  DhtLedger& ledger_;
  std::size_t alive_ = 0;
  Instant whole_since_ = Instant::never();
  std::map<std::uint32_t, Shown> shown_;
  std::string broken_;
};

// --- Liveness ------------------------------------------------------------------------------------

// Reads what must be there from anywhere, again and again, until each was found once.
class ReadUntilFound : public Checker {
 public:
  [[nodiscard]] std::string missing() override {
    began_ = true;
    // Who is alone cannot know whether there are others: it has no ring, and finds no majority.
    if (simulation_.alive().size() < 2) return {};
    std::size_t missing = 0;
    std::string first;
    for (std::size_t i = 0; i < ledger_.entries().size(); ++i) {
      const Entry& entry = ledger_.entries()[i];
      if (is_found(i) || !is_due(entry)) continue;
      if (++missing == 1) first = entry_text(entry);
      if (missing <= kAtOnce && !ledger_.is_being_read(i)) ledger_.read_from_anywhere(i);
    }
    if (missing == 0) return {};
    return std::to_string(missing) + " are not as they should be, among them " + first + ": " +
           last_;
  }

 protected:
  explicit ReadUntilFound(const CheckedRun& run)
      : simulation_(run.simulation), ledger_(run.ledger) {
    ledger_.on_read([this](const DhtLedger::Read& read, const output::DhtDone& done) {
      const Entry& entry = ledger_.entries()[read.entry];
      if (!began_ || !is_due(entry)) return;
      found_.resize(ledger_.entries().size());
      if (done.majority && is_right(entry, done)) {
        found_[read.entry] = true;
      } else {
        last_ = "node " + std::to_string(read.reader) + " found " +
                std::to_string(done.values.size()) + " values" +
                (done.majority ? "" : ", below a majority");
      }
    });
  }
  [[nodiscard]] virtual bool is_due(const Entry& entry) const = 0;
  [[nodiscard]] virtual bool is_right(const Entry& entry, const output::DhtDone& done) const = 0;
  [[nodiscard]] const DhtLedger& ledger() const { return ledger_; }
  [[nodiscard]] const Simulation& simulation() const { return simulation_; }

 private:
  static constexpr std::size_t kAtOnce = 20;
  [[nodiscard]] bool is_found(std::size_t entry) const {
    return entry < found_.size() && found_[entry];
  }

  const Simulation& simulation_;
  DhtLedger& ledger_;
  bool began_ = false;
  std::vector<bool> found_;
  std::string last_ = "not read yet";
};

class ReadableValues final : public ReadUntilFound {
 public:
  explicit ReadableValues(const CheckedRun& run) : ReadUntilFound(run) {}
  [[nodiscard]] const char* name() const override { return "readable values"; }

 private:
  [[nodiscard]] bool is_due(const Entry& entry) const override {
    if (entry.kind != dht::Kind::kOwned || !ledger().has_owner(entry)) return false;
    return entry.state == State::kWriting || entry.state == State::kWritten ||
           entry.state == State::kRemoved;
  }
  [[nodiscard]] bool is_right(const Entry& entry, const output::DhtDone& done) const override {
    if (entry.state == State::kRemoved) return done.values.empty();
    return done.values.size() == 1 &&
           ledger().version_of(entry, done.values[0]) == entry.versions - 1;
  }
};

class UniqueLeases final : public ReadUntilFound {
 public:
  explicit UniqueLeases(const CheckedRun& run) : ReadUntilFound(run) {}
  [[nodiscard]] const char* name() const override { return "unique leases"; }

 private:
  [[nodiscard]] bool is_due(const Entry& entry) const override { return ledger().holds(entry); }
  [[nodiscard]] bool is_right(const Entry& entry, const output::DhtDone& done) const override {
    return done.values.size() == 1 && done.values[0].owner == simulation().id(entry.owner);
  }
};

}  // namespace

std::unique_ptr<Checker> make_true_values(const CheckedRun& run) {
  return std::make_unique<TrueValues>(run);
}
std::unique_ptr<Checker> make_one_holder(const CheckedRun& run) {
  return std::make_unique<OneHolder>(run);
}
std::unique_ptr<Checker> make_readable_values(const CheckedRun& run) {
  return std::make_unique<ReadableValues>(run);
}
std::unique_ptr<Checker> make_unique_leases(const CheckedRun& run) {
  return std::make_unique<UniqueLeases>(run);
}

}  // namespace ringway::overlay::sim
